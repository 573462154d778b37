//! Prometheus series on their way out: label sets with samples, native histograms and exemplars.
//!
//! Every source of metrics (pushed OTLP, task stats, scraped expositions, Container Insights) writes into one
//! [`SeriesBatch`]. A series is identified by its encoded labels: they are written once into an arena, in the very bytes
//! that remote write 1.0 wants, and looked up by hash, so that two points of one series meet in one `TimeSeries` and the
//! encoder only copies. Labels that series share are written once for all of them.

mod batch;
mod labels;
mod metadata;
mod runs;
#[cfg(test)]
mod tests;

pub use batch::{InsertOutcome, SeriesBatch, SeriesId, SeriesView};
pub use labels::{Labels, decode_labels, encode_label, encoded_label_len, label_lengths};
pub use metadata::{Metadata, MetadataKind};
pub use runs::{LabelRun, LabelSource};

/// The value that ends a series: Prometheus' staleness marker, a NaN with exactly these bits.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

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
