//! Batch of unique series with their samples.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::labels::{decode_labels, encode_label};
use super::metadata::{Families, Metadata};
use super::points::{InsertOutcome, Points};
use super::runs::{Arena, LabelRun, LabelRuns, LabelSource, SeriesKey};
use super::{Exemplar, Labels, NativeHistogram, Sample};

/// Identifier of a series in a [`SeriesBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(u32);

/// Batch of unique series with their samples.
#[derive(Debug, Default)]
pub struct SeriesBatch {
    arena: Arena,
    entries: Vec<SeriesEntry>,
    /// Not in the entries, because few series have them, and a batch may have a hundred thousand series.
    extras: HashMap<SeriesId, HistogramsAndExemplars, RandomState>,
    table: HashTable<u32>,
    families: Families,
    points: u64,
    exemplar_bytes: usize,
}

#[derive(Debug)]
struct SeriesEntry {
    key: SeriesKey,
    samples: Points<Sample>,
}

/// Content that few series have.
#[derive(Debug, Default)]
struct HistogramsAndExemplars {
    histograms: Points<NativeHistogram>,
    exemplars: Vec<Exemplar>,
}

/// Memory of an exemplar, without its labels.
pub const EXEMPLAR_BYTES: usize = 200;

/// Memory of a short label of an exemplar: two texts, each with an allocation.
pub const EXEMPLAR_LABEL_BYTES: usize = 112;

/// Size of a batch at some time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checkpoint {
    label_bytes: usize,
    series: usize,
}

/// Result for a series in [`SeriesBatch::rewrite`].
#[derive(Debug)]
pub enum Rewrite {
    Keep,
    Remove,
    /// The series gets other labels. It is merged with the series before it that has the same labels.
    Relabel(Labels),
}

/// Result of [`SeriesBatch::rewrite`].
#[must_use = "the replaced points must be counted"]
#[derive(Clone, Copy, Debug, Default)]
pub struct Merged {
    /// Points that replaced one of the same time and labels.
    pub replaced: u64,
    /// One of their series.
    pub example: Option<SeriesId>,
}

/// Read access to a series of a batch.
#[derive(Clone, Copy)]
pub struct SeriesView<'a> {
    entry: &'a SeriesEntry,
    extras: Option<&'a HistogramsAndExemplars>,
    arena: &'a Arena,
}

impl SeriesBatch {
    /// Returns the series with these labels, and creates it if it is new. Names must be sorted and unique, values must not
    /// be empty: [`Labels::iter`](super::Labels::iter) returns such labels.
    pub fn series<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> SeriesId {
        self.series_written(|out| labels.into_iter().for_each(|(name, value)| encode_label(out, name, value)))
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
        if let Some(id) = self.find(key) {
            self.arena.pop_key(key);
            return id;
        }
        self.push_entry(SeriesEntry { key, samples: Points::None })
    }

    fn find(&self, key: SeriesKey) -> Option<SeriesId> {
        let (arena, entries) = (&self.arena, &self.entries);
        let found = self.table.find(key.hash, |&index| arena.is_same(entries[index as usize].key, key));
        found.map(|&index| SeriesId(index))
    }

    fn push_entry(&mut self, entry: SeriesEntry) -> SeriesId {
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let hash = entry.key.hash;
        self.entries.push(entry);
        let entries = &self.entries;
        self.table.insert_unique(hash, index, |&other| entries[other as usize].key.hash);
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

    /// Writes the labels of runs again, so that they are adjacent.
    pub fn copy_label_runs(&mut self, runs: &LabelRuns) -> LabelRuns {
        self.arena.copy_runs(runs)
    }

    /// Returns the current state, for [`Self::discard_unused_labels`].
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { label_bytes: self.arena.len(), series: self.entries.len() }
    }

    /// Removes the labels written since a checkpoint, if no new series refers to them. No run of these labels may be used again.
    pub fn discard_unused_labels(&mut self, since: Checkpoint) {
        if self.entries.len() == since.series {
            self.arena.buffer().truncate(since.label_bytes);
        }
    }

    /// Returns the number of bytes of labels, each counted once however many series share it, and of exemplars.
    pub fn label_bytes(&self) -> usize {
        self.arena.len() + self.exemplar_bytes
    }

    /// Reserves memory for more series, and for the total bytes of their labels.
    pub fn reserve(&mut self, series: usize, label_bytes: usize) {
        self.arena.reserve(series, label_bytes);
        self.entries.reserve(series);
        let entries = &self.entries;
        self.table.reserve(series, |&index| entries[index as usize].key.hash);
    }

    /// Removes all series and keeps the memory for the next batch.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.entries.clear();
        self.extras.clear();
        self.table.clear();
        self.families = Families::default();
        self.points = 0;
        self.exemplar_bytes = 0;
    }

    /// Adds a sample, like [`Self::push_sample`].
    pub fn add_sample(&mut self, id: SeriesId, timestamp_ms: i64, value: f64) -> InsertOutcome {
        self.push_sample(id, Sample { timestamp_ms, value })
    }

    /// Adds a sample. A second sample of the same time replaces the first. Samples far behind the newest of their series are not in
    /// order of time before [`Self::sort`].
    pub fn push_sample(&mut self, id: SeriesId, sample: Sample) -> InsertOutcome {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return InsertOutcome::Replaced };
        let outcome = entry.samples.insert(sample);
        self.points += u64::from(outcome == InsertOutcome::New);
        outcome
    }

    pub fn has_sample_at(&self, id: SeriesId, timestamp_ms: i64) -> bool {
        self.entries.get(id.0 as usize).is_some_and(|entry| entry.samples.has(timestamp_ms))
    }

    /// Adds a native histogram, like [`Self::push_sample`].
    pub fn push_histogram(&mut self, id: SeriesId, histogram: NativeHistogram) -> InsertOutcome {
        if id.0 as usize >= self.entries.len() {
            return InsertOutcome::Replaced;
        }
        let outcome = self.extras.entry(id).or_default().histograms.insert(histogram);
        self.points += u64::from(outcome == InsertOutcome::New);
        outcome
    }

    /// Sorts the points of each series by time. Nearly all are in this order already.
    pub fn sort(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.samples.sort());
        self.extras.values_mut().for_each(|extras| extras.histograms.sort());
    }

    pub fn push_exemplar(&mut self, id: SeriesId, exemplar: Exemplar) {
        if (id.0 as usize) < self.entries.len() {
            self.exemplar_bytes += EXEMPLAR_BYTES + EXEMPLAR_LABEL_BYTES * exemplar.labels.len();
            self.extras.entry(id).or_default().exemplars.push(exemplar);
        }
    }

    /// Keeps, removes or relabels each series, in order. `decide` gets the series and the number of series kept before it. Points
    /// are moved, not copied; on an error, the batch is incomplete.
    pub fn rewrite<E>(
        &mut self,
        mut decide: impl FnMut(SeriesView<'_>, usize) -> Result<Rewrite, E>,
    ) -> Result<Merged, E> {
        let mut merged = Merged::default();
        let (entries, mut extras) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.extras));
        self.table.clear();
        self.points = 0;
        for (entry, before) in entries.into_iter().zip(0..) {
            let kept = self.entries.len();
            let extras = if extras.is_empty() { None } else { extras.remove(&SeriesId(before)) };
            let view = SeriesView { entry: &entry, extras: extras.as_ref(), arena: &self.arena };
            let points = view.point_count();
            let id = match decide(view, kept)? {
                Rewrite::Remove => continue,
                Rewrite::Keep => self.find(entry.key),
                Rewrite::Relabel(labels) => Some(self.series(labels.iter())),
            };
            let replaced = match id {
                Some(id) => self.move_points(entry, extras.unwrap_or_default(), id),
                None => {
                    self.points += points;
                    let id = self.push_entry(entry);
                    self.extras.extend(extras.map(|extras| (id, extras)));
                    0
                }
            };
            if replaced > 0 {
                merged = Merged { replaced: merged.replaced + replaced, example: merged.example.or(id) };
            }
        }
        Ok(merged)
    }

    /// Moves the points of an entry to a series. Returns the number of points that replaced one of the same time.
    fn move_points(&mut self, entry: SeriesEntry, extras: HistogramsAndExemplars, id: SeriesId) -> u64 {
        let HistogramsAndExemplars { histograms, exemplars } = extras;
        let mut replaced = 0;
        for sample in entry.samples.into_vec() {
            replaced += u64::from(self.push_sample(id, sample) == InsertOutcome::Replaced);
        }
        for histogram in histograms.into_vec() {
            replaced += u64::from(self.push_histogram(id, histogram) == InsertOutcome::Replaced);
        }
        for exemplar in exemplars {
            self.push_exemplar(id, exemplar);
        }
        replaced
    }

    /// Returns a series.
    pub fn get(&self, id: SeriesId) -> Option<SeriesView<'_>> {
        self.entries.get(id.0 as usize).map(|entry| self.view(id, entry))
    }

    fn view<'a>(&'a self, id: SeriesId, entry: &'a SeriesEntry) -> SeriesView<'a> {
        // Most batches have none.
        let extras = if self.extras.is_empty() { None } else { self.extras.get(&id) };
        SeriesView { entry, extras, arena: &self.arena }
    }

    /// Removes the metadata of all metric families, and returns it.
    pub fn take_metadata(&mut self) -> Vec<Metadata> {
        std::mem::take(&mut self.families).into_list()
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
        self.entries.iter().zip(0..).map(|(entry, index)| self.view(SeriesId(index), entry))
    }

    pub fn metadata(&self) -> &[Metadata] {
        self.families.as_slice()
    }
}

impl<'a> SeriesView<'a> {
    /// Returns the number of samples and native histograms.
    pub fn point_count(&self) -> u64 {
        (self.samples().len() + self.histograms().len()) as u64
    }

    /// Returns the encoded labels (`TimeSeries` field 1 of remote write 1.0) in runs of complete labels.
    pub fn label_runs(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.arena.runs(self.entry.key)
    }

    /// Returns the total length of the label runs.
    pub fn labels_len(&self) -> usize {
        self.entry.key.len as usize
    }

    /// Returns the number of labels, at most [`u16::MAX`].
    pub fn label_count(&self) -> usize {
        self.entry.key.labels.into()
    }

    /// Returns an upper bound of the bytes of the longest label (name and value), at most [`u16::MAX`].
    pub fn longest_label(&self) -> usize {
        self.entry.key.longest.into()
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
        self.extras.map_or(&[], |extras| extras.histograms.as_slice())
    }

    pub fn exemplars(&self) -> &'a [Exemplar] {
        self.extras.map_or(&[], |extras| &extras.exemplars)
    }
}
