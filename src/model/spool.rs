//! Spool messages: undelivered items with their destination, the error and the time of the first attempt.
//!
//! The body of an SQS message is text of at most 1 MiB (Amazon SQS Developer Guide, "Amazon SQS message quotas"), so the items
//! are encoded as base64 of snappy.

use std::collections::BTreeSet;
use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::encoded_request;
use super::otlp::split::EncodedExport;
use super::otlp::wire::{LogRecordHead, MetricHead, SpanTraceId, WireRequest};
use super::otlp::{decoded_size, split_metrics, text};
use super::segment::SegmentDocument;

/// Value of the key `sidecarless` in spool messages.
pub const MESSAGE_TYPE: &str = "spool";

/// Version of the format. No other version is read. A queue stores messages for hours, so a release must be able to read a new
/// version before the next release writes it.
const VERSION: u32 = 1;

/// Maximum size of the data before base64. With base64 and the envelope, the message is smaller than 1 MiB.
pub const MAX_DATA_BYTES: usize = 780_000;

/// Maximum size of the data after decompression. Data that is written decompresses to at most 50 times 64 KB.
pub const MAX_DECOMPRESSED_BYTES: usize = 8 << 20;

/// Maximum number of segment documents. A document that X-Ray accepts has about 120 bytes or more, so 8 MB of them are not many
/// more; a message of empty documents would need tens of thousands of calls.
const MAX_DOCUMENTS: usize = 65_536;

/// Upper bound of the memory that parsing a message takes: the decompressed data, its documents as text and as JSON strings, which
/// can be twice as long, and the lists of documents.
pub const MAX_DECODED_BYTES: usize = 4 * MAX_DECOMPRESSED_BYTES + 64 * MAX_DOCUMENTS;

/// Maximum size of decoded spans whose trace IDs are read for a log line.
const MAX_NAMED_SPANS_BYTES: usize = 16 << 20;

/// Maximum length of the error in characters.
const MAX_ERROR_CHARS: usize = 300;

/// Undelivered items and the error of their delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolMessage {
    pub payload: Payload,
    /// Error of the first attempt.
    pub error: String,
    /// Time of the first attempt in milliseconds since the epoch.
    pub first_attempt_ms: i64,
}

/// Body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageBody {
    pub text: String,
    pub items: u64,
}

/// Undelivered items, by destination.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A remote write request for AMP, compressed with snappy.
    RemoteWrite { snappy: Bytes, points: u64 },
    /// Segment documents for X-Ray.
    Segments(Vec<SegmentDocument>),
    /// Requests for the OTLP endpoint of X-Ray.
    OtlpTraces(Vec<EncodedExport>),
    /// Requests for the OTLP endpoint of CloudWatch.
    OtlpMetrics(Vec<EncodedExport>),
    /// Requests for the OTLP endpoint of CloudWatch Logs.
    OtlpLogs(Vec<EncodedExport>),
}

/// Error for a poison message, which SQS moves to the dead-letter queue.
#[derive(Debug, Error)]
pub enum SpoolDecodeError {
    #[error("invalid spool message: {0}")]
    Envelope(#[from] serde_json::Error),
    #[error("unsupported version {0} of a spool message: this function reads version {VERSION}")]
    Version(u32),
    #[error("unknown destination \"{0}\" in a spool message")]
    Destination(String),
    #[error("invalid data in a spool message: {0}")]
    Data(String),
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    sidecarless: String,
    v: u32,
    destination: String,
    error: String,
    first_attempt_ms: i64,
    items: u64,
    data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SegmentList {
    /// JSON of the segment documents.
    #[prost(string, repeated, tag = "1")]
    documents: Vec<String>,
}

impl SpoolMessage {
    /// Returns the bodies of messages. There are several if the items are too large for one message. A log record that is too large
    /// for a message is in none of them.
    pub fn into_messages(self) -> Vec<MessageBody> {
        let SpoolMessage { payload, error, first_attempt_ms } = self;
        let envelope = |destination: &str, items: u64, data: &[u8]| {
            let error = error.chars().take(MAX_ERROR_CHARS).collect();
            let data = STANDARD.encode(data);
            let envelope = Envelope {
                sidecarless: MESSAGE_TYPE.into(),
                v: VERSION,
                destination: destination.into(),
                error,
                first_attempt_ms,
                items,
                data,
            };
            // Serialization of strings and numbers cannot fail.
            MessageBody { text: serde_json::to_string(&envelope).unwrap_or_default(), items }
        };
        match payload {
            Payload::RemoteWrite { snappy, points } => vec![envelope("amp", points, &snappy)],
            Payload::Segments(documents) => {
                compress_segments(documents).iter().map(|(count, data)| envelope("xray", *count, data)).collect()
            }
            Payload::OtlpTraces(exports) => {
                let compressed = exports.into_iter().flat_map(|export| split_to_fit(export, EncodedExport::halves));
                compressed.map(|(spans, data)| envelope("xray-otlp", spans, &data)).collect()
            }
            Payload::OtlpMetrics(exports) => {
                let compressed = exports.into_iter().flat_map(|export| split_to_fit(export, split_metrics::halves));
                compressed.map(|(points, data)| envelope("cloudwatch-otlp", points, &data)).collect()
            }
            Payload::OtlpLogs(exports) => {
                let compressed = exports.into_iter().flat_map(|export| split_to_fit(export, EncodedExport::halves));
                compressed.map(|(records, data)| envelope("logs-otlp", records, &data)).collect()
            }
        }
    }

    /// Parses the body of a message.
    pub fn parse(body: &str) -> Result<Self, SpoolDecodeError> {
        let envelope: Envelope = serde_json::from_str(body)?;
        if envelope.v != VERSION {
            return Err(SpoolDecodeError::Version(envelope.v));
        }
        let data = STANDARD.decode(&envelope.data).map_err(invalid_data)?;
        let export = || decode_export(&data, envelope.items);
        let payload = match envelope.destination.as_str() {
            "xray" => Payload::Segments(decode_segments(&data)?),
            "xray-otlp" => Payload::OtlpTraces(export()?),
            "cloudwatch-otlp" => Payload::OtlpMetrics(export()?),
            "logs-otlp" => Payload::OtlpLogs(export()?),
            "amp" => Payload::RemoteWrite { snappy: data.into(), points: envelope.items },
            other => return Err(SpoolDecodeError::Destination(other.chars().take(40).collect())),
        };
        Ok(Self { payload, error: envelope.error, first_attempt_ms: envelope.first_attempt_ms })
    }
}

impl Payload {
    /// Returns the number of samples, documents, spans, data points or log records.
    pub fn items(&self) -> u64 {
        match self {
            Payload::RemoteWrite { points, .. } => *points,
            Payload::Segments(documents) => documents.len() as u64,
            Payload::OtlpTraces(exports) | Payload::OtlpMetrics(exports) | Payload::OtlpLogs(exports) => {
                exports.iter().map(|export| export.items).sum()
            }
        }
    }

    /// Returns up to `max` trace IDs or metric names, for logs about dropped items.
    pub fn item_names(&self, max: usize) -> Vec<String> {
        let names: BTreeSet<String> = match self {
            Payload::RemoteWrite { snappy, .. } => metric_names(snappy, max),
            Payload::Segments(documents) => documents.iter().map(|document| document.ids().trace_id).collect(),
            Payload::OtlpTraces(exports) => exports.iter().flat_map(|export| trace_ids(&export.body)).collect(),
            Payload::OtlpMetrics(exports) => exports.iter().flat_map(|export| names_of_metrics(&export.body)).collect(),
            Payload::OtlpLogs(exports) => exports.iter().flat_map(|export| trace_ids_of_logs(&export.body)).collect(),
        };
        names.into_iter().take(max).collect()
    }
}

fn metric_names(snappy: &[u8], max: usize) -> BTreeSet<String> {
    decompress(snappy).map(|body| encoded_request::metric_names(&body, max)).unwrap_or_default()
}

fn trace_ids(body: &Bytes) -> BTreeSet<String> {
    if decoded_size::wire(body) > MAX_NAMED_SPANS_BYTES {
        return BTreeSet::new();
    }
    let request = WireRequest::decode(body.clone()).unwrap_or_default();
    let scopes = request.resources.into_iter().flat_map(|resource| resource.scopes);
    let spans = scopes.flat_map(|scope| scope.items).filter_map(|span| SpanTraceId::decode(span).ok());
    spans.map(|span| hex::encode(&span.trace_id)).collect()
}

/// Returns the names of OTLP metrics.
fn names_of_metrics(body: &Bytes) -> BTreeSet<String> {
    if decoded_size::wire(body) > MAX_NAMED_SPANS_BYTES {
        return BTreeSet::new();
    }
    let request = WireRequest::decode(body.clone()).unwrap_or_default();
    let scopes = request.resources.into_iter().flat_map(|resource| resource.scopes);
    let metrics = scopes.flat_map(|scope| scope.items).filter_map(|metric| MetricHead::decode(metric).ok());
    metrics.map(|metric| text(&metric.name).into_owned()).collect()
}

/// Returns the trace IDs of log records. Records outside of a trace have none.
fn trace_ids_of_logs(body: &Bytes) -> BTreeSet<String> {
    if decoded_size::wire(body) > MAX_NAMED_SPANS_BYTES {
        return BTreeSet::new();
    }
    let request = WireRequest::decode(body.clone()).unwrap_or_default();
    let scopes = request.resources.into_iter().flat_map(|resource| resource.scopes);
    let records = scopes.flat_map(|scope| scope.items).filter_map(|record| LogRecordHead::decode(record).ok());
    records.filter(|record| !record.trace_id.is_empty()).map(|record| hex::encode(&record.trace_id)).collect()
}

/// Compresses documents, and halves them until each part fits. One document fits, because it has at most 64 KB. Returns the
/// number of documents and the data of each part.
fn compress_segments(documents: Vec<SegmentDocument>) -> Vec<(u64, Vec<u8>)> {
    let encoded = SegmentList { documents: documents.iter().map(SegmentDocument::text).collect() }.encode_to_vec();
    // The encoder fails only for input of 4 GiB and more.
    let data = snap::raw::Encoder::new().compress_vec(&encoded).unwrap_or_default();
    let fits =
        data.len() <= MAX_DATA_BYTES && encoded.len() <= MAX_DECOMPRESSED_BYTES && documents.len() <= MAX_DOCUMENTS;
    if documents.len() < 2 || fits {
        return vec![(documents.len() as u64, data)];
    }
    let mut first = documents;
    let second = first.split_off(first.len() / 2);
    [first, second].into_iter().flat_map(compress_segments).collect()
}

/// Compresses a request, and halves it until each part fits. One span fits, because it has at most 200 kB. A log record has up to
/// 4 MB: one that does not fit is omitted, because SQS would not accept its message. Returns the number of items and the data of each
/// part.
fn split_to_fit(
    export: EncodedExport,
    halves: fn(&EncodedExport) -> Option<Vec<EncodedExport>>,
) -> Vec<(u64, Vec<u8>)> {
    let data = snap::raw::Encoder::new().compress_vec(&export.body).unwrap_or_default();
    if data.len() <= MAX_DATA_BYTES {
        return vec![(export.items, data)];
    }
    halves(&export).into_iter().flatten().flat_map(|half| split_to_fit(half, halves)).collect()
}

fn invalid_data(error: impl Display) -> SpoolDecodeError {
    SpoolDecodeError::Data(error.to_string())
}

fn decompress(data: &[u8]) -> Result<Vec<u8>, SpoolDecodeError> {
    let length = snap::raw::decompress_len(data).map_err(invalid_data)?;
    if length > MAX_DECOMPRESSED_BYTES {
        return Err(SpoolDecodeError::Data(format!("decompressed size of {length} bytes")));
    }
    snap::raw::Decoder::new().decompress_vec(data).map_err(invalid_data)
}

/// Decompresses an export request. The items of one that this function wrote take less memory than its text may take.
fn decode_export(data: &[u8], items: u64) -> Result<Vec<EncodedExport>, SpoolDecodeError> {
    let body = decompress(data)?;
    if decoded_size::wire(&body) > 2 * MAX_DECOMPRESSED_BYTES {
        return Err(SpoolDecodeError::Data("more items than a request may contain".into()));
    }
    Ok(vec![EncodedExport { body: body.into(), items }])
}

fn decode_segments(data: &[u8]) -> Result<Vec<SegmentDocument>, SpoolDecodeError> {
    let encoded = decompress(data)?;
    let count = encoded_request::count_fields(&encoded);
    if count > MAX_DOCUMENTS {
        return Err(SpoolDecodeError::Data(format!("{count} documents, the maximum is {MAX_DOCUMENTS}")));
    }
    let decoded = SegmentList::decode(encoded.as_slice()).map_err(invalid_data)?;
    Ok(decoded.documents.iter().map(|text| SegmentDocument::new(text)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
    use crate::model::remote_write::{Label, TimeSeries, WriteRequest};

    /// Limit of SQS.
    const MAX_MESSAGE_BYTES: usize = 1 << 20;

    #[test]
    fn message_round_trip_is_lossless() {
        for payload in [
            Payload::RemoteWrite { snappy: vec![1, 2, 3].into(), points: 7 },
            Payload::Segments(["{\"name\":\"a\\nb\"}", "{}\n"].map(SegmentDocument::new).into()),
            Payload::OtlpTraces(vec![EncodedExport { body: vec![1, 2, 3].into(), items: 2 }]),
            Payload::OtlpLogs(vec![EncodedExport { body: vec![1, 2, 3].into(), items: 2 }]),
            Payload::OtlpMetrics(vec![EncodedExport { body: vec![1, 2, 3].into(), items: 2 }]),
        ] {
            let spooled = SpoolMessage { payload, error: "503: \"busy\"".into(), first_attempt_ms: 1_795_389_900_000 };
            let messages = spooled.clone().into_messages();
            assert_eq!(messages.len(), 1);
            assert_eq!(SpoolMessage::parse(&messages[0].text).unwrap(), spooled);
        }
    }

    #[test]
    fn incompressible_documents_are_split_until_they_fit() {
        let mut random = 1_u64;
        let mut noise = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + u8::try_from((random >> 33) % 94).unwrap())
        };
        let documents: Vec<_> =
            (0..50).map(|_| SegmentDocument::new(&(0..64_000).map(|_| noise()).collect::<String>())).collect();
        let message =
            SpoolMessage { payload: Payload::Segments(documents.clone()), error: String::new(), first_attempt_ms: 0 };
        let messages = message.into_messages();
        assert!(messages.len() > 1);
        let mut read = Vec::new();
        for message in &messages {
            assert!(message.text.len() <= MAX_MESSAGE_BYTES, "{}", message.text.len());
            match SpoolMessage::parse(&message.text).unwrap().payload {
                Payload::Segments(documents) => read.extend(documents),
                other => panic!("not documents: {other:?}"),
            }
        }
        assert_eq!(read, documents);
    }

    #[test]
    fn spans_are_split_until_they_fit_and_none_is_repeated() {
        let mut random = 7_u64;
        let mut noise = |length: usize| {
            let byte = std::iter::repeat_with(|| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 56).to_be_bytes()[7]
            });
            byte.take(length).collect::<Vec<u8>>()
        };
        let span = |n: u8| Span { span_id: vec![n; 8].into(), trace_state: noise(150_000).into(), ..Span::default() };
        let scope_spans = vec![ScopeSpans { spans: (0..20).map(span).collect(), ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
        let payload = Payload::OtlpTraces(vec![EncodedExport { body, items: 20 }]);
        let messages = SpoolMessage { payload, error: String::new(), first_attempt_ms: 0 }.into_messages();
        let mut ids = Vec::new();
        for message in &messages {
            assert!(message.text.len() <= MAX_MESSAGE_BYTES, "{}", message.text.len());
            let Payload::OtlpTraces(parts) = SpoolMessage::parse(&message.text).unwrap().payload else {
                panic!("not spans")
            };
            let request = ExportTraceServiceRequest::decode(parts[0].body.clone()).unwrap();
            let spans = &request.resource_spans[0].scope_spans[0].spans;
            assert_eq!(parts[0].items, spans.len() as u64);
            ids.extend(spans.iter().map(|span| span.span_id[0]));
        }
        assert_eq!(ids, (0..20).collect::<Vec<u8>>());
    }

    #[test]
    fn payload_has_trace_ids_or_metric_names() {
        let document = |n: u64| SegmentDocument::new(&format!("{{\"trace_id\":\"1-{n:08x}-{n:024x}\"}}"));
        let names = ["1-00000000-000000000000000000000000", "1-00000001-000000000000000000000001"];
        assert_eq!(Payload::Segments((1..=9).map(|n| document(n % 3)).collect()).item_names(2), names);
        let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        let series =
            |name: &str| TimeSeries { labels: vec![label("__name__", name), label("a", "b")], ..TimeSeries::default() };
        let request = WriteRequest { timeseries: ["y", "x", "y"].map(series).into(), metadata: Vec::new() };
        let snappy = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap().into();
        assert_eq!(Payload::RemoteWrite { snappy, points: 3 }.item_names(5), ["x", "y"]);
    }

    #[test]
    fn message_of_empty_documents_is_an_error() {
        let documents = SegmentList { documents: vec![String::new(); MAX_DOCUMENTS + 1] }.encode_to_vec();
        let data = snap::raw::Encoder::new().compress_vec(&documents).unwrap();
        let error = decode_segments(&data).unwrap_err().to_string();
        assert!(error.contains("65537 documents"), "{error}");
    }

    #[test]
    fn more_documents_than_a_message_may_contain_are_split() {
        let documents = vec![SegmentDocument::new("{}"); MAX_DOCUMENTS + 1];
        let message = SpoolMessage { payload: Payload::Segments(documents), error: String::new(), first_attempt_ms: 0 };
        let items = message
            .into_messages()
            .iter()
            .map(|body| SpoolMessage::parse(&body.text).unwrap().payload.items())
            .sum::<u64>();
        assert_eq!(items, MAX_DOCUMENTS as u64 + 1);
    }

    #[test]
    fn invalid_message_is_an_error() {
        for (body, expected) in [
            ("", "invalid spool message"),
            ("{}", "invalid spool message"),
            (
                r#"{"sidecarless":"spool","v":2,"destination":"amp","error":"","first_attempt_ms":0,"items":0,"data":""}"#,
                "unsupported version 2",
            ),
            (
                r#"{"sidecarless":"spool","v":1,"destination":"s3","error":"","first_attempt_ms":0,"items":0,"data":""}"#,
                "unknown destination \"s3\"",
            ),
            (
                r#"{"sidecarless":"spool","v":1,"destination":"amp","error":"","first_attempt_ms":0,"items":0,"data":"%"}"#,
                "invalid data",
            ),
            (
                r#"{"sidecarless":"spool","v":1,"destination":"xray","error":"","first_attempt_ms":0,"items":0,"data":"////////"}"#,
                "invalid data",
            ),
        ] {
            let error = SpoolMessage::parse(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
