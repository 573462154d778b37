//! Prometheus series: label sets with samples, native histograms and exemplars.
//!
//! Every source of metrics (pushed OTLP, task stats, scraped expositions, Container Insights) writes to a
//! [`SeriesBatch`]. A series is identified by its encoded labels. They are written once to an arena, in the encoding of
//! remote write 1.0, and looked up by hash; the hash function is seeded at random,
//! so that nobody can choose labels whose hashes collide. Therefore two points of a series are in one `TimeSeries`, and the encoder only
//! copies bytes. Labels that several series share are written once.

mod batch;
mod labels;
mod metadata;
mod points;
mod runs;
#[cfg(test)]
mod tests;

pub use batch::{Checkpoint, EXEMPLAR_BYTES, EXEMPLAR_LABEL_BYTES, Merged, Rewrite, SeriesBatch, SeriesId, SeriesView};
pub use labels::{Labels, decode_labels, encode_label, encoded_label_len, label_lengths};
pub use metadata::{Metadata, MetadataKind};
pub use points::InsertOutcome;
pub use runs::{LabelRun, LabelRuns, LabelSource};

/// Staleness marker of Prometheus: a NaN with exactly these bits.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// A value with its time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub timestamp_ms: i64,
    pub value: f64,
}

/// A native histogram with its time, as in remote write (prompb `Histogram`, integer counts).
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
    /// Delta histograms are gauges in Prometheus.
    pub is_gauge: bool,
}

/// Sparse buckets: runs of indexes, and the difference of each count from the previous count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeBuckets {
    /// (distance from the end of the previous run, or the first index; length).
    pub spans: Vec<(i32, u32)>,
    pub deltas: Vec<i64>,
}

/// An exemplar. Its labels are not sorted.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub timestamp_ms: i64,
}
