//! Series with their samples, each series once.

use hashbrown::HashTable;

use super::labels::{decode_labels, encode_label};
use super::metadata::{Families, Metadata};
use super::runs::{Arena, LabelRun, LabelSource, SeriesKey};
use super::{Exemplar, NativeHistogram, Sample};

/// A series of a [`SeriesBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesId(u32);

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// It is a sample of its own.
    New,
    /// The series has a sample of the same time already; the later value stands.
    Replaced,
}

/// Series with their samples, each series once.
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

/// What few series have.
#[derive(Debug, Default)]
struct HistogramsAndExemplars {
    histograms: Vec<NativeHistogram>,
    exemplars: Vec<Exemplar>,
}

/// Most series of a push have one sample: it needs no allocation.
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
            SampleList::One(point) => std::slice::from_ref(point),
            SampleList::Many(points) => points,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Sample] {
        match self {
            SampleList::None => &mut [],
            SampleList::One(point) => std::slice::from_mut(point),
            SampleList::Many(points) => points,
        }
    }

    fn insert(&mut self, at: usize, point: Sample) {
        *self = match std::mem::replace(self, SampleList::None) {
            SampleList::None => SampleList::One(point),
            SampleList::One(only) => {
                let mut points = vec![only];
                points.insert(at.min(1), point);
                SampleList::Many(points)
            }
            SampleList::Many(mut points) => {
                points.insert(at.min(points.len()), point);
                SampleList::Many(points)
            }
        };
    }
}

/// A series as the encoder and the tests see it.
#[derive(Clone, Copy)]
pub struct SeriesView<'a> {
    entry: &'a SeriesEntry,
    arena: &'a Arena,
}

impl SeriesBatch {
    /// The series with these labels, made when it is new. Names must come sorted and unique, values non-empty:
    /// [`Labels::iter`](super::Labels::iter) gives them so.
    pub fn series<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> SeriesId {
        self.series_written(|out| labels.into_iter().for_each(|(name, value)| encode_label(out, name, value)))
    }

    /// The series with the labels of one of another batch.
    pub fn series_from(&mut self, series: SeriesView<'_>) -> SeriesId {
        self.series_written(|out| series.label_runs().for_each(|run| out.extend_from_slice(run)))
    }

    fn series_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> SeriesId {
        let known = self.len();
        let out = self.arena.buffer();
        let start = out.len();
        write(out);
        let run = self.arena.run_from(start);
        let id = self.series_from_runs([run]);
        if self.len() == known {
            self.arena.buffer().truncate(start);
        }
        id
    }

    /// Writes labels, encoded by [`encode_label`], that several series will have: for sources that write many series with
    /// mostly the same labels.
    pub fn add_label_run(&mut self, encoded: &[u8]) -> LabelRun {
        self.arena.run(encoded)
    }

    /// The encoded labels of a run of this batch.
    pub fn labels_of(&self, run: LabelRun) -> &[u8] {
        self.arena.labels_of(run)
    }

    /// As [`Self::run`], of labels some of which are in the batch already.
    pub fn copy_label_run<'a>(&mut self, labels: impl Iterator<Item = LabelSource<'a>>) -> LabelRun {
        self.arena.run_of(labels)
    }

    /// The series with the labels of these runs of this batch, made when it is new. Names must be sorted and unique over all
    /// runs, values non-empty.
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

    /// The series whose labels are this run of [`encode_label`], made when it is new.
    pub fn series_encoded(&mut self, labels: &[u8]) -> SeriesId {
        self.series_written(|out| out.extend_from_slice(labels))
    }

    /// Whether there is a series whose labels are this run of [`encode_label`].
    pub fn contains_encoded(&self, labels: &[u8]) -> bool {
        let hash = self.arena.sum(labels).hash;
        self.table.find(hash, |&index| self.arena.is_encoded(self.entries[index as usize].key, labels)).is_some()
    }

    /// Makes room for so many more series with labels of so many bytes altogether.
    pub fn reserve(&mut self, series: usize, label_bytes: usize) {
        self.arena.reserve(series, label_bytes);
        self.entries.reserve(series);
        let entries = &self.entries;
        self.table.reserve(series, |&index| entries[index as usize].key.sum.hash);
    }

    /// Takes all series out and keeps the memory, for the next batch of the same size.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
        self.table.clear();
        self.families = Families::default();
        self.points = 0;
    }

    /// Adds a sample, kept in order of time; of two at the same time the later call wins.
    pub fn add_sample(&mut self, id: SeriesId, timestamp_ms: i64, value: f64) -> InsertOutcome {
        self.push_sample(id, Sample { timestamp_ms, value })
    }

    /// Adds a sample as [`add_sample`](Self::add_sample) does.
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

    /// Adds a native histogram, kept in order of time; of two at the same time the later call wins.
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

    /// Adds all points of a series of another batch; returns how many stand instead of one of the same time.
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

    /// Adds what is known of a metric family, once per family.
    pub fn add_metadata(&mut self, metadata: Metadata) {
        self.families.add(metadata);
    }

    /// Samples and native histograms.
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
    /// The labels as remote write 1.0 encodes them, `TimeSeries` fields 1, in runs of whole labels.
    pub fn label_runs(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.arena.runs(self.entry.key)
    }

    /// The length of all label runs together.
    pub fn labels_len(&self) -> usize {
        self.entry.key.len as usize
    }

    pub fn label_count(&self) -> usize {
        self.entry.key.sum.labels as usize
    }

    /// Bytes that no label's name and value are more than, together.
    pub fn longest_label(&self) -> usize {
        self.entry.key.sum.longest as usize
    }

    /// The labels as remote write 1.0 encodes them, in one piece.
    pub fn encoded_labels(&self) -> Vec<u8> {
        self.label_runs().flatten().copied().collect()
    }

    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.label_runs().flat_map(decode_labels)
    }

    /// The value of one label.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels().find(|&(other, _)| other == name).map(|(_, value)| value)
    }

    pub fn samples(&self) -> &'a [Sample] {
        self.entry.samples.as_slice()
    }

    pub fn histograms(&self) -> &'a [NativeHistogram] {
        self.entry.extras.as_deref().map_or(&[], |rare| &rare.histograms)
    }

    pub fn exemplars(&self) -> &'a [Exemplar] {
        self.entry.extras.as_deref().map_or(&[], |rare| &rare.exemplars)
    }
}
