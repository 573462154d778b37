//! Prometheus series on their way out: label sets with samples, native histograms and exemplars.
//!
//! Every source of metrics (pushed OTLP, task stats, scraped expositions, Container Insights) writes into one
//! [`SeriesBatch`]. A series is identified by its encoded labels: they are written once into an arena, in the very bytes
//! that remote write 1.0 wants, and looked up by hash, so that two points of one series meet in one `TimeSeries` and the
//! encoder only copies.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use prost::encoding::{encode_varint, encoded_len_varint};

/// The value that ends a series: Prometheus' staleness marker, a NaN with exactly these bits.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Tag of `TimeSeries.labels`, length-delimited field 1.
const LABELS_TAG: u8 = 0x0a;
/// Tag of `Label.name`, length-delimited field 1.
const NAME_TAG: u8 = 0x0a;
/// Tag of `Label.value`, length-delimited field 2.
const VALUE_TAG: u8 = 0x12;

/// The labels of one series while they are put together: unique names, sorted by byte, no empty values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    pairs: Vec<(String, String)>,
}

impl Labels {
    /// Sets a label, replacing one of the same name. An empty value takes the label away: Prometheus reads both alike.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.pairs.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => value.clone_into(&mut self.pairs[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
    }

    /// Sets a label only when there is none of that name.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.set(name, "");
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(&self.pairs[at].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut labels = Labels::default();
        for (name, value) in pairs {
            labels.set(name, value);
        }
        labels
    }
}

/// A series of a [`SeriesBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesId(u32);

/// One value at one time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub timestamp_ms: i64,
    pub value: f64,
}

/// A native histogram at one time, in remote write's terms (prompb `Histogram`, integer counts).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram {
    pub timestamp_ms: i64,
    pub count: u64,
    pub sum: f64,
    /// -4 to 8.
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: u64,
    pub negative: NativeBuckets,
    pub positive: NativeBuckets,
    /// Delta histograms are gauges to Prometheus.
    pub is_gauge: bool,
}

/// Sparse buckets: runs of indexes, and the count of each as the difference from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeBuckets {
    /// (distance from the end of the run before, or the first index; length).
    pub spans: Vec<(i32, u32)>,
    pub deltas: Vec<i64>,
}

/// An example of what went into a value. Labels keep the order in which they are given.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub timestamp_ms: i64,
}

/// What the metric family of some series is called and means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub family: String,
    pub kind: MetadataKind,
    pub help: String,
    pub unit: String,
}

/// prompb `MetricMetadata.MetricType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataKind {
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    GaugeHistogram = 4,
    Summary = 5,
    Info = 6,
    StateSet = 7,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is a sample of its own.
    New,
    /// The series has a sample of the same time already; the later value stands.
    Replaced,
}

/// Series with their samples, each series once.
#[derive(Debug, Default)]
pub struct SeriesBatch {
    /// Encoded labels of all series, one after the other.
    arena: Vec<u8>,
    entries: Vec<Entry>,
    table: HashTable<u32>,
    hasher: FixedState,
    metadata: Vec<Metadata>,
    points: u64,
}

#[derive(Debug)]
struct Entry {
    start: usize,
    end: usize,
    samples: Points<Sample>,
    histograms: Vec<NativeHistogram>,
    exemplars: Vec<Exemplar>,
}

/// Most series of a push have one sample: it needs no allocation.
#[derive(Debug)]
enum Points<T> {
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Points<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Points::None => &[],
            Points::One(point) => std::slice::from_ref(point),
            Points::Many(points) => points,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Points::None => &mut [],
            Points::One(point) => std::slice::from_mut(point),
            Points::Many(points) => points,
        }
    }

    fn insert(&mut self, at: usize, point: T) {
        *self = match std::mem::replace(self, Points::None) {
            Points::None => Points::One(point),
            Points::One(only) => {
                let mut points = vec![only];
                points.insert(at.min(1), point);
                Points::Many(points)
            }
            Points::Many(mut points) => {
                points.insert(at.min(points.len()), point);
                Points::Many(points)
            }
        };
    }
}

/// A series as the encoder and the tests see it.
#[derive(Clone, Copy)]
pub struct SeriesView<'a> {
    entry: &'a Entry,
    arena: &'a [u8],
}

impl SeriesBatch {
    /// The series with these labels, made when it is new. Names must come sorted and unique, values non-empty:
    /// [`Labels::iter`] gives them so.
    pub fn series<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> SeriesId {
        let start = self.arena.len();
        for (name, value) in labels {
            encode_label(&mut self.arena, name, value);
        }
        let key = &self.arena[start..];
        let hash = self.hasher.hash_one(key);
        let (arena, entries) = (&self.arena, &self.entries);
        let same = |&index: &u32| arena[entries[index as usize].start..entries[index as usize].end] == *key;
        if let Some(&index) = self.table.find(hash, same) {
            self.arena.truncate(start);
            return SeriesId(index);
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let end = self.arena.len();
        self.entries.push(Entry { start, end, samples: Points::None, histograms: Vec::new(), exemplars: Vec::new() });
        let (arena, entries, hasher) = (&self.arena, &self.entries, &self.hasher);
        self.table.insert_unique(hash, index, |&other| {
            hasher.hash_one(&arena[entries[other as usize].start..entries[other as usize].end])
        });
        SeriesId(index)
    }

    /// Adds a sample, kept in order of time; of two at the same time the later call wins.
    pub fn push(&mut self, id: SeriesId, timestamp_ms: i64, value: f64) -> Pushed {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return Pushed::Replaced };
        let samples = &mut entry.samples;
        let at = samples.as_slice().partition_point(|sample| sample.timestamp_ms < timestamp_ms);
        if let Some(sample) = samples.as_mut_slice().get_mut(at)
            && sample.timestamp_ms == timestamp_ms
        {
            sample.value = value;
            return Pushed::Replaced;
        }
        samples.insert(at, Sample { timestamp_ms, value });
        self.points += 1;
        Pushed::New
    }

    /// Adds a native histogram, kept in order of time; of two at the same time the later call wins.
    pub fn push_histogram(&mut self, id: SeriesId, histogram: NativeHistogram) -> Pushed {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return Pushed::Replaced };
        let at = entry.histograms.partition_point(|other| other.timestamp_ms < histogram.timestamp_ms);
        if let Some(other) = entry.histograms.get_mut(at)
            && other.timestamp_ms == histogram.timestamp_ms
        {
            *other = histogram;
            return Pushed::Replaced;
        }
        entry.histograms.insert(at, histogram);
        self.points += 1;
        Pushed::New
    }

    pub fn push_exemplar(&mut self, id: SeriesId, exemplar: Exemplar) {
        if let Some(entry) = self.entries.get_mut(id.0 as usize) {
            entry.exemplars.push(exemplar);
        }
    }

    /// Adds what is known of a metric family, once per family.
    pub fn describe(&mut self, metadata: Metadata) {
        if !self.metadata.iter().any(|known| known.family == metadata.family) {
            self.metadata.push(metadata);
        }
    }

    /// Samples and native histograms.
    pub fn points(&self) -> u64 {
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
        &self.metadata
    }
}

impl<'a> SeriesView<'a> {
    /// The labels as remote write 1.0 encodes them: `TimeSeries` fields 1.
    pub fn encoded_labels(&self) -> &'a [u8] {
        &self.arena[self.entry.start..self.entry.end]
    }

    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        DecodedLabels { rest: self.encoded_labels() }
    }

    pub fn samples(&self) -> &'a [Sample] {
        self.entry.samples.as_slice()
    }

    pub fn histograms(&self) -> &'a [NativeHistogram] {
        &self.entry.histograms
    }

    pub fn exemplars(&self) -> &'a [Exemplar] {
        &self.entry.exemplars
    }
}

fn encode_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let length =
        2 + encoded_len_varint(name.len() as u64) + name.len() + encoded_len_varint(value.len() as u64) + value.len();
    out.push(LABELS_TAG);
    encode_varint(length as u64, out);
    out.push(NAME_TAG);
    encode_varint(name.len() as u64, out);
    out.extend_from_slice(name.as_bytes());
    out.push(VALUE_TAG);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

/// Reads back what [`encode_label`] wrote; anything else ends the iteration.
struct DecodedLabels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for DecodedLabels<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest.get(1..)?;
        prost::encoding::decode_varint(&mut rest).ok()?;
        let name = delimited(&mut rest)?;
        let value = delimited(&mut rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

fn delimited<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    *rest = rest.get(1..)?;
    let length = usize::try_from(prost::encoding::decode_varint(rest).ok()?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_unique_sorted_and_never_empty() {
        let mut labels: Labels =
            [("b", "1"), ("__name__", "up"), ("A", "x"), ("b", "2"), ("c", "")].into_iter().collect();
        labels.set("A", "");
        labels.set_default("b", "3");
        labels.set_default("d", "4");
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "up"), ("b", "2"), ("d", "4")]);
    }

    #[test]
    fn points_with_the_same_labels_meet_in_one_series() {
        let mut batch = SeriesBatch::default();
        let up = [("__name__", "up"), ("job", "shop")];
        let first = batch.series(up);
        let other = batch.series([("__name__", "up"), ("job", "bank")]);
        let again = batch.series(up);
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(batch.iter().next().map(|series| series.labels().collect::<Vec<_>>()), Some(up.to_vec()));
    }

    #[test]
    fn samples_stand_in_order_of_time_and_the_last_value_of_a_time_wins() {
        let mut batch = SeriesBatch::default();
        let id = batch.series([("__name__", "up")]);
        assert_eq!(batch.push(id, 2, 1.0), Pushed::New);
        assert_eq!(batch.push(id, 1, 2.0), Pushed::New);
        assert_eq!(batch.push(id, 3, 3.0), Pushed::New);
        assert_eq!(batch.push(id, 2, 4.0), Pushed::Replaced);
        let samples: Vec<_> =
            batch.iter().flat_map(|series| series.samples()).map(|s| (s.timestamp_ms, s.value)).collect();
        assert_eq!(samples, [(1, 2.0), (2, 4.0), (3, 3.0)]);
        assert_eq!(batch.points(), 3);
    }
}
