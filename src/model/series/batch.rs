//! Batch of unique series with their samples.

use hashbrown::HashTable;

use super::labels::{decode_labels, encode_label};
use super::metadata::{Families, Metadata};
use super::runs::{Arena, LabelRun, LabelSource, SeriesKey};
use super::{Exemplar, NativeHistogram, Sample};

/// Identifier of a series in a [`SeriesBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesId(u32);

/// Result of inserting a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// The series had no sample of this time.
    New,
    /// The series had a sample of the same time. Its value was replaced.
    Replaced,
}

/// Batch of unique series with their samples.
#[derive(Debug, Default)]
pub struct SeriesBatch {
    arena: Arena,
    entries: Vec<SeriesEntry>,
    table: HashTable<u32>,
    families: Families,
    points: u64,
}

#[derive(Debug)]
struct SeriesEntry {
    key: SeriesKey,
    samples: SampleList,
    extras: Option<Box<HistogramsAndExemplars>>,
}

/// Content that few series have.
#[derive(Debug, Default)]
struct HistogramsAndExemplars {
    histograms: Vec<NativeHistogram>,
    exemplars: Vec<Exemplar>,
}

/// Samples of a series. Most pushed series have one sample, which needs no allocation.
#[derive(Debug)]
enum SampleList {
    None,
    One(Sample),
    Many(Vec<Sample>),
}

impl SampleList {
    fn as_slice(&self) -> &[Sample] {
        match self {
            SampleList::None => &[],
            SampleList::One(sample) => std::slice::from_ref(sample),
            SampleList::Many(samples) => samples,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Sample] {
        match self {
            SampleList::None => &mut [],
            SampleList::One(sample) => std::slice::from_mut(sample),
            SampleList::Many(samples) => samples,
        }
    }

    fn insert(&mut self, at: usize, sample: Sample) {
        *self = match std::mem::replace(self, SampleList::None) {
            SampleList::None => SampleList::One(sample),
            SampleList::One(only) => {
                let mut samples = vec![only];
                samples.insert(at.min(1), sample);
                SampleList::Many(samples)
            }
            SampleList::Many(mut samples) => {
                samples.insert(at.min(samples.len()), sample);
                SampleList::Many(samples)
            }
        };
    }
}

/// Read access to a series of a batch.
#[derive(Clone, Copy)]
pub struct SeriesView<'a> {
    entry: &'a SeriesEntry,
    arena: &'a Arena,
}

impl SeriesBatch {
    /// Returns the series with these labels, and creates it if it is new. Names must be sorted and unique, values must not
    /// be empty: [`Labels::iter`](super::Labels::iter) returns such labels.
    pub fn series<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> SeriesId {
        self.series_written(|out| labels.into_iter().for_each(|(name, value)| encode_label(out, name, value)))
    }

    /// Returns the series with the labels of a series of another batch.
    pub fn series_from(&mut self, series: SeriesView<'_>) -> SeriesId {
        self.series_written(|out| series.label_runs().for_each(|run| out.extend_from_slice(run)))
    }

    fn series_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> SeriesId {
        let count = self.len();
        let out = self.arena.buffer();
        let start = out.len();
        write(out);
        let run = self.arena.run_from(start);
        let id = self.series_from_runs([run]);
        if self.len() == count {
            self.arena.buffer().truncate(start);
        }
        id
    }

    /// Writes labels, encoded by [`encode_label`], that several series share.
    pub fn add_label_run(&mut self, encoded: &[u8]) -> LabelRun {
        self.arena.run(encoded)
    }

    /// Returns the encoded labels of a run of this batch.
    pub fn labels_of(&self, run: LabelRun) -> &[u8] {
        self.arena.labels_of(run)
    }

    /// Writes labels, some of which are in the batch already.
    pub fn copy_label_run<'a>(&mut self, labels: impl Iterator<Item = LabelSource<'a>>) -> LabelRun {
        self.arena.run_of(labels)
    }

    /// Returns the series with the labels of these runs of this batch, and creates it if it is new. Names must be sorted and
    /// unique over all runs, values must not be empty.
    pub fn series_from_runs(&mut self, runs: impl IntoIterator<Item = LabelRun>) -> SeriesId {
        let key = self.arena.key(runs);
        let (arena, entries) = (&self.arena, &self.entries);
        if let Some(&index) = self.table.find(key.sum.hash, |&index| arena.is_same(entries[index as usize].key, key)) {
            self.arena.pop_key(key);
            return SeriesId(index);
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(SeriesEntry { key, samples: SampleList::None, extras: None });
        let entries = &self.entries;
        self.table.insert_unique(key.sum.hash, index, |&other| entries[other as usize].key.sum.hash);
        SeriesId(index)
    }

    /// Returns the series with these labels, encoded by [`encode_label`], and creates it if it is new.
    pub fn series_encoded(&mut self, labels: &[u8]) -> SeriesId {
        self.series_written(|out| out.extend_from_slice(labels))
    }

    /// Returns whether there is a series with these labels, encoded by [`encode_label`].
    pub fn contains_encoded(&self, labels: &[u8]) -> bool {
        let hash = self.arena.sum(labels).hash;
        self.table.find(hash, |&index| self.arena.is_encoded(self.entries[index as usize].key, labels)).is_some()
    }

    /// Reserves memory for more series, and for the total bytes of their labels.
    pub fn reserve(&mut self, series: usize, label_bytes: usize) {
        self.arena.reserve(series, label_bytes);
        self.entries.reserve(series);
        let entries = &self.entries;
        self.table.reserve(series, |&index| entries[index as usize].key.sum.hash);
    }

    /// Removes all series and keeps the memory for the next batch.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
        self.table.clear();
        self.families = Families::default();
        self.points = 0;
    }

    /// Adds a sample in order of time. A second sample of the same time replaces the first.
    pub fn add_sample(&mut self, id: SeriesId, timestamp_ms: i64, value: f64) -> InsertOutcome {
        self.push_sample(id, Sample { timestamp_ms, value })
    }

    /// Adds a sample in order of time. A second sample of the same time replaces the first.
    pub fn push_sample(&mut self, id: SeriesId, sample: Sample) -> InsertOutcome {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return InsertOutcome::Replaced };
        let samples = &mut entry.samples;
        let at = samples.as_slice().partition_point(|other| other.timestamp_ms < sample.timestamp_ms);
        if let Some(other) = samples.as_mut_slice().get_mut(at)
            && other.timestamp_ms == sample.timestamp_ms
        {
            *other = sample;
            return InsertOutcome::Replaced;
        }
        samples.insert(at, sample);
        self.points += 1;
        InsertOutcome::New
    }

    pub fn has_sample_at(&self, id: SeriesId, timestamp_ms: i64) -> bool {
        let samples = self.entries.get(id.0 as usize).map_or(&[][..], |entry| entry.samples.as_slice());
        samples.binary_search_by_key(&timestamp_ms, |sample| sample.timestamp_ms).is_ok()
    }

    /// Adds a native histogram in order of time. A second histogram of the same time replaces the first.
    pub fn push_histogram(&mut self, id: SeriesId, histogram: NativeHistogram) -> InsertOutcome {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return InsertOutcome::Replaced };
        let histograms = &mut entry.extras.get_or_insert_default().histograms;
        let at = histograms.partition_point(|other| other.timestamp_ms < histogram.timestamp_ms);
        if let Some(other) = histograms.get_mut(at)
            && other.timestamp_ms == histogram.timestamp_ms
        {
            *other = histogram;
            return InsertOutcome::Replaced;
        }
        histograms.insert(at, histogram);
        self.points += 1;
        InsertOutcome::New
    }

    pub fn push_exemplar(&mut self, id: SeriesId, exemplar: Exemplar) {
        if let Some(entry) = self.entries.get_mut(id.0 as usize) {
            entry.extras.get_or_insert_default().exemplars.push(exemplar);
        }
    }

    /// Adds all points of a series of another batch. Returns the number of points that replaced one of the same time.
    #[must_use = "the replaced points must be counted"]
    pub fn merge_points(&mut self, id: SeriesId, series: SeriesView<'_>) -> u64 {
        let mut replaced = 0;
        for &sample in series.samples() {
            replaced += u64::from(self.push_sample(id, sample) == InsertOutcome::Replaced);
        }
        for histogram in series.histograms() {
            replaced += u64::from(self.push_histogram(id, histogram.clone()) == InsertOutcome::Replaced);
        }
        for exemplar in series.exemplars() {
            self.push_exemplar(id, exemplar.clone());
        }
        replaced
    }

    /// Adds the metadata of a metric family. Later metadata of the same family is ignored.
    pub fn add_metadata(&mut self, metadata: Metadata) {
        self.families.add(metadata);
    }

    /// Returns the number of samples and native histograms.
    pub fn point_count(&self) -> u64 {
        self.points
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = SeriesView<'_>> {
        self.entries.iter().map(|entry| SeriesView { entry, arena: &self.arena })
    }

    pub fn metadata(&self) -> &[Metadata] {
        self.families.as_slice()
    }
}

impl<'a> SeriesView<'a> {
    /// Returns the encoded labels (`TimeSeries` field 1 of remote write 1.0) in runs of complete labels.
    pub fn label_runs(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.arena.runs(self.entry.key)
    }

    /// Returns the total length of the label runs.
    pub fn labels_len(&self) -> usize {
        self.entry.key.len as usize
    }

    pub fn label_count(&self) -> usize {
        self.entry.key.sum.labels as usize
    }

    /// Returns an upper bound of the bytes of the longest label (name and value).
    pub fn longest_label(&self) -> usize {
        self.entry.key.sum.longest as usize
    }

    /// Returns a copy of the encoded labels.
    pub fn encoded_labels(&self) -> Vec<u8> {
        self.label_runs().flatten().copied().collect()
    }

    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.label_runs().flat_map(decode_labels)
    }

    /// Returns the value of a label.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels().find(|&(other, _)| other == name).map(|(_, value)| value)
    }

    pub fn samples(&self) -> &'a [Sample] {
        self.entry.samples.as_slice()
    }

    pub fn histograms(&self) -> &'a [NativeHistogram] {
        self.entry.extras.as_deref().map_or(&[], |extras| &extras.histograms)
    }

    pub fn exemplars(&self) -> &'a [Exemplar] {
        self.entry.extras.as_deref().map_or(&[], |extras| &extras.exemplars)
    }
}
