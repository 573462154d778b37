//! Messages of Prometheus remote write 1.0: package `prometheus`, `WriteRequest`.
//!
//! The hot path encodes a [`SeriesBatch`](super::series::SeriesBatch) directly with [`encode_series`]. The prost messages are
//! used for decoding: in tests, and for spooled requests.

use prost::encoding::{encode_varint, encoded_len_varint};

use prost::Message as _;

use super::series::{self, Exemplar, Metadata, NativeHistogram, SeriesView, encode_label, encoded_label_len};

#[derive(Clone, PartialEq, prost::Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub exemplars: Vec<ExemplarMessage>,
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<HistogramMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ExemplarMessage {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub value: f64,
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// Integer native histogram. The float fields (2, 7, 10, 13) are never written.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HistogramMessage {
    #[prost(uint64, optional, tag = "1")]
    pub count_int: Option<u64>,
    #[prost(double, tag = "3")]
    pub sum: f64,
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    pub zero_count_int: Option<u64>,
    #[prost(message, repeated, tag = "8")]
    pub negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "9")]
    pub negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    /// 0 unknown, 1 yes, 2 no, 3 gauge.
    #[prost(int32, tag = "14")]
    pub reset_hint: i32,
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricMetadata {
    /// [`MetadataKind`](super::series::MetadataKind) as a number.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub family: String,
    #[prost(string, tag = "4")]
    pub help: String,
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// Tag of `WriteRequest.timeseries`, length-delimited field 1.
pub(super) const TIMESERIES_TAG: u8 = 0x0a;
/// Tag of `WriteRequest.metadata`, length-delimited field 3.
const METADATA_TAG: u8 = 0x1a;
/// Tag of `TimeSeries.samples`, length-delimited field 2.
const SAMPLES_TAG: u8 = 0x12;
/// Tag of `TimeSeries.exemplars`, length-delimited field 3.
const EXEMPLARS_TAG: u8 = 0x1a;
/// Tag of `TimeSeries.histograms`, length-delimited field 4.
const HISTOGRAMS_TAG: u8 = 0x22;
/// `Sample.value`: field 1, 64 bit.
const SAMPLE_VALUE_TAG: u8 = 0x09;
/// `Sample.timestamp`: field 2, varint.
const SAMPLE_TIMESTAMP_TAG: u8 = 0x10;
/// `Exemplar.value`: field 2, 64 bit.
const EXEMPLAR_VALUE_TAG: u8 = 0x11;
/// `Exemplar.timestamp`: field 3, varint.
const EXEMPLAR_TIMESTAMP_TAG: u8 = 0x18;

/// Appends one series to an encoded `WriteRequest`. The encoding is a concatenation of series, so a request can be split
/// between any two calls.
pub fn encode_series(series: SeriesView<'_>, out: &mut Vec<u8>) {
    out.push(TIMESERIES_TAG);
    encode_varint(body_len(series) as u64, out);
    series.label_runs().for_each(|run| out.extend_from_slice(run));
    for sample in series.samples() {
        encode_sample(sample, out);
    }
    for exemplar in series.exemplars() {
        encode_exemplar(exemplar, out);
    }
    for histogram in series.histograms() {
        // One at a time, because a series can have many.
        let message = histogram_message(histogram);
        out.push(HISTOGRAMS_TAG);
        encode_varint(message.encoded_len() as u64, out);
        message.encode_raw(out);
    }
}

/// Appends the metadata of a metric family to an encoded `WriteRequest`.
pub fn encode_metadata(metadata: &Metadata, out: &mut Vec<u8>) {
    let message = MetricMetadata {
        kind: metadata.kind as i32,
        family: metadata.family.clone(),
        help: metadata.help.clone(),
        unit: metadata.unit.clone(),
    };
    out.push(METADATA_TAG);
    encode_varint(message.encoded_len() as u64, out);
    message.encode_raw(out);
}

/// Returns the length of a `TimeSeries` without its own tag and length.
fn body_len(series: SeriesView<'_>) -> usize {
    let samples: usize = series.samples().iter().map(|sample| 2 + sample_len(sample.timestamp_ms)).sum();
    let exemplars: usize = series.exemplars().iter().map(|exemplar| delimited_len(exemplar_len(exemplar))).sum();
    let histograms = series.histograms().iter().map(|histogram| histogram_message(histogram).encoded_len());
    series.labels_len() + samples + exemplars + histograms.map(delimited_len).sum::<usize>()
}

/// Returns the length of a field with a tag of one byte and a content of `len` bytes.
fn delimited_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

/// Returns the length of a `Sample` without its own tag and length. It is below 128, so tag and length take two bytes.
fn sample_len(timestamp_ms: i64) -> usize {
    1 + 8 + 1 + encoded_len_varint(timestamp_ms.cast_unsigned())
}

fn encode_sample(sample: &series::Sample, out: &mut Vec<u8>) {
    let mut bytes = [0; 12];
    bytes[0] = SAMPLES_TAG;
    bytes[1] = u8::try_from(sample_len(sample.timestamp_ms)).unwrap_or(u8::MAX);
    bytes[2] = SAMPLE_VALUE_TAG;
    bytes[3..11].copy_from_slice(&sample.value.to_le_bytes());
    bytes[11] = SAMPLE_TIMESTAMP_TAG;
    out.extend_from_slice(&bytes);
    encode_varint(sample.timestamp_ms.cast_unsigned(), out);
}

/// Returns the length of an `Exemplar` without its own tag and length.
fn exemplar_len(exemplar: &Exemplar) -> usize {
    let labels: usize = exemplar.labels.iter().map(|(name, value)| encoded_label_len(name, value)).sum();
    labels + 9 + 1 + encoded_len_varint(exemplar.timestamp_ms.cast_unsigned())
}

fn encode_exemplar(exemplar: &Exemplar, out: &mut Vec<u8>) {
    out.push(EXEMPLARS_TAG);
    encode_varint(exemplar_len(exemplar) as u64, out);
    for (name, value) in &exemplar.labels {
        // `Exemplar.labels` and `TimeSeries.labels` are both field 1.
        encode_label(out, name, value);
    }
    out.push(EXEMPLAR_VALUE_TAG);
    out.extend_from_slice(&exemplar.value.to_le_bytes());
    out.push(EXEMPLAR_TIMESTAMP_TAG);
    encode_varint(exemplar.timestamp_ms.cast_unsigned(), out);
}

fn histogram_message(histogram: &NativeHistogram) -> HistogramMessage {
    let spans = |spans: &[(i32, u32)]| spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect();
    HistogramMessage {
        count_int: Some(histogram.count),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count_int: Some(histogram.zero_count),
        negative_spans: spans(&histogram.negative.spans),
        negative_deltas: histogram.negative.deltas.clone(),
        positive_spans: spans(&histogram.positive.spans),
        positive_deltas: histogram.positive.deltas.clone(),
        reset_hint: if histogram.is_gauge { 3 } else { 0 },
        timestamp: histogram.timestamp_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::{NativeBuckets, STALE_NAN, SeriesBatch};

    #[test]
    fn prost_decodes_encoded_series() {
        let mut batch = SeriesBatch::default();
        let id = batch.series([("__name__", "requests_total"), ("job", "shop")]);
        batch.add_sample(id, -5, -1.5);
        batch.add_sample(id, 1_700_000_000_123, f64::from_bits(STALE_NAN));
        let exemplar =
            Exemplar { labels: vec![("trace_id".into(), "ab".into())], value: 1.5, timestamp_ms: 1_700_000_000_000 };
        batch.push_exemplar(id, exemplar);
        let native = batch.series([("__name__", "native")]);
        batch.push_histogram(
            native,
            NativeHistogram {
                timestamp_ms: 7,
                count: 10,
                sum: 20.0,
                positive: NativeBuckets { spans: vec![(1, 3)], deltas: vec![1, 1, 1] },
                ..NativeHistogram::default()
            },
        );

        let mut body = Vec::new();
        for series in batch.iter() {
            encode_series(series, &mut body);
        }
        let request = WriteRequest::decode(body.as_slice()).expect("prost decodes it");

        let [requests, native] = request.timeseries.as_slice() else { panic!("two series: {request:?}") };
        assert_eq!(requests.labels[1].value, "shop");
        assert_eq!(requests.samples[0].timestamp, -5);
        assert!(requests.samples[0].value < 0.0);
        assert_eq!(requests.samples[1].value.to_bits(), STALE_NAN);
        assert_eq!(requests.exemplars[0].labels[0].name, "trace_id");
        assert_eq!(native.histograms[0].positive_deltas, [1, 1, 1]);
        assert_eq!(native.histograms[0].count_int, Some(10));
    }
}
