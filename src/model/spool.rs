//! What waits in the queue: a message that says what is in it, why it waits, and since when.
//!
//! The body of an SQS message is text of at most 1 MiB (Amazon SQS Developer Guide, "Amazon SQS message quotas"), so what
//! is to be delivered stands in it as base64 of snappy.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::otlp::ExportTraceServiceRequest;
use super::otlp::split::{EncodedTraces, RequestLimits, split};
use super::remote_write::WriteRequest;
use super::segment::SegmentDocument;

/// The value of the key `sidecarless` of these messages.
pub const MESSAGE_TYPE: &str = "spool";

/// The version that is written. Readers take this one only: a queue holds messages for hours, so a new version has to be
/// read one release before it is written.
const VERSION: u32 = 1;

/// The most that data may weigh before base64: with it and the envelope the message stays under 1 MiB.
pub const MAX_DATA_BYTES: usize = 780_000;

/// The most that data may inflate to. What is written inflates to 64 KB times 50 at the most.
const MAX_DECOMPRESSED_BYTES: usize = 8 << 20;

/// Why a message waits, in characters.
const MAX_ERROR_CHARS: usize = 300;

/// Something that could not be delivered, and its history.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolMessage {
    pub payload: Payload,
    /// What the first attempt failed with.
    pub error: String,
    /// When that was, in milliseconds since the epoch.
    pub first_attempt_ms: i64,
}

/// What is to be delivered, and so where to.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// A snappy-compressed remote write request with so many points, for AMP.
    RemoteWrite { snappy: Bytes, points: u64 },
    /// For X-Ray.
    Segments(Vec<SegmentDocument>),
    /// For X-Ray's OTLP endpoint: requests as they are sent there.
    OtlpTraces(Vec<EncodedTraces>),
}

/// A message that nobody can deliver. It belongs into the dead-letter queue.
#[derive(Debug, Error)]
pub enum SpoolDecodeError {
    #[error("the message is no JSON of this function's making: {0}")]
    Envelope(#[from] serde_json::Error),
    #[error("the message is of version {0}, and this function reads version {VERSION}")]
    Version(u32),
    #[error("the message is for `{0}`, which is no destination")]
    Destination(String),
    #[error("the message's data is broken: {0}")]
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
    /// Their JSON.
    #[prost(string, repeated, tag = "1")]
    documents: Vec<String>,
}

impl SpoolMessage {
    /// Bodies of messages: one, or several when the documents are too large for one.
    pub fn into_messages(self) -> Vec<String> {
        let SpoolMessage { payload: cargo, error: why, first_attempt_ms: first_ms } = self;
        let envelope = |to: &str, items: u64, data: &[u8]| {
            let why = why.chars().take(MAX_ERROR_CHARS).collect();
            let data = STANDARD.encode(data);
            let envelope = Envelope {
                sidecarless: MESSAGE_TYPE.into(),
                v: VERSION,
                destination: to.into(),
                error: why,
                first_attempt_ms: first_ms,
                items,
                data,
            };
            // A struct of texts and numbers has no way to fail.
            serde_json::to_string(&envelope).unwrap_or_default()
        };
        match cargo {
            Payload::RemoteWrite { snappy, points } => vec![envelope("amp", points, &snappy)],
            Payload::Segments(documents) => {
                compress_segments(documents).iter().map(|(count, data)| envelope("xray", *count, data)).collect()
            }
            Payload::OtlpTraces(parts) => {
                let packed = parts.into_iter().flat_map(split_to_fit);
                packed.map(|(spans, data)| envelope("xray-otlp", spans, &data)).collect()
            }
        }
    }

    /// Reads the body of a message.
    pub fn parse(body: &str) -> Result<Self, SpoolDecodeError> {
        let envelope: Envelope = serde_json::from_str(body)?;
        if envelope.v != VERSION {
            return Err(SpoolDecodeError::Version(envelope.v));
        }
        let data = STANDARD.decode(&envelope.data).map_err(|error| SpoolDecodeError::Data(error.to_string()))?;
        let cargo = match envelope.destination.as_str() {
            "amp" => Payload::RemoteWrite { snappy: data.into(), points: envelope.items },
            "xray" => Payload::Segments(decode_segments(&data)?),
            "xray-otlp" => {
                Payload::OtlpTraces(vec![EncodedTraces { body: decompress(&data)?.into(), spans: envelope.items }])
            }
            other => return Err(SpoolDecodeError::Destination(other.chars().take(40).collect())),
        };
        Ok(Self { payload: cargo, error: envelope.error, first_attempt_ms: envelope.first_attempt_ms })
    }
}

impl Payload {
    /// Samples, documents or spans.
    pub fn items(&self) -> u64 {
        match self {
            Payload::RemoteWrite { points, .. } => *points,
            Payload::Segments(documents) => documents.len() as u64,
            Payload::OtlpTraces(parts) => parts.iter().map(|part| part.spans).sum(),
        }
    }

    /// Trace ids, or names of metrics: up to `most`, to be told to somebody who looks for what was lost.
    pub fn item_names(&self, most: usize) -> Vec<String> {
        let names: BTreeSet<String> = match self {
            Payload::RemoteWrite { snappy, .. } => metric_names(snappy),
            Payload::Segments(documents) => documents.iter().map(|document| document.ids().trace_id).collect(),
            Payload::OtlpTraces(parts) => parts.iter().flat_map(|part| trace_ids(&part.body)).collect(),
        };
        names.into_iter().take(most).collect()
    }
}

fn metric_names(snappy: &[u8]) -> BTreeSet<String> {
    let request = decompress(snappy).ok().and_then(|body| WriteRequest::decode(body.as_slice()).ok());
    let labels = request.unwrap_or_default().timeseries.into_iter().flat_map(|series| series.labels);
    labels.filter(|label| label.name == "__name__").map(|label| label.value).collect()
}

fn trace_ids(body: &Bytes) -> BTreeSet<String> {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap_or_default();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| hex(&span.trace_id)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Compressed documents with their number, halved until each fits. One document, 64 KB at most, always does.
fn compress_segments(documents: Vec<SegmentDocument>) -> Vec<(u64, Vec<u8>)> {
    let encoded = SegmentList { documents: documents.iter().map(SegmentDocument::text).collect() }.encode_to_vec();
    // Only input of 4 GiB and more makes the encoder fail.
    let data = snap::raw::Encoder::new().compress_vec(&encoded).unwrap_or_default();
    if documents.len() < 2 || (data.len() <= MAX_DATA_BYTES && encoded.len() <= MAX_DECOMPRESSED_BYTES) {
        return vec![(documents.len() as u64, data)];
    }
    let mut first = documents;
    let second = first.split_off(first.len() / 2);
    [first, second].into_iter().flat_map(compress_segments).collect()
}

/// A compressed request, cut in two until each fits. One span, 200 kB at most, does.
fn split_to_fit(part: EncodedTraces) -> Vec<(u64, Vec<u8>)> {
    let data = snap::raw::Encoder::new().compress_vec(&part.body).unwrap_or_default();
    if part.spans < 2 || data.len() <= MAX_DATA_BYTES {
        return vec![(part.spans, data)];
    }
    let limits = RequestLimits { spans: usize::try_from(part.spans.div_ceil(2)).unwrap_or(1), bytes: part.body.len() };
    match ExportTraceServiceRequest::decode(part.body) {
        Ok(request) => split(request, limits).into_iter().flat_map(split_to_fit).collect(),
        // It was encoded here.
        Err(_) => vec![(part.spans, data)],
    }
}

fn decompress(data: &[u8]) -> Result<Vec<u8>, SpoolDecodeError> {
    let broken = |reason: String| SpoolDecodeError::Data(reason);
    let length = snap::raw::decompress_len(data).map_err(|error| broken(error.to_string()))?;
    if length > MAX_DECOMPRESSED_BYTES {
        return Err(broken(format!("it inflates to {length} bytes")));
    }
    snap::raw::Decoder::new().decompress_vec(data).map_err(|error| broken(error.to_string()))
}

fn decode_segments(data: &[u8]) -> Result<Vec<SegmentDocument>, SpoolDecodeError> {
    let encoded = decompress(data)?;
    let decoded = SegmentList::decode(encoded.as_slice()).map_err(|error| SpoolDecodeError::Data(error.to_string()))?;
    Ok(decoded.documents.iter().map(|text| SegmentDocument::new(text)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::{ResourceSpans, ScopeSpans, Span};
    use crate::model::remote_write::{Label, TimeSeries};

    /// SQS' limit.
    const MESSAGE_BYTES: usize = 1 << 20;

    #[test]
    fn what_is_written_is_read_again() {
        for cargo in [
            Payload::RemoteWrite { snappy: vec![1, 2, 3].into(), points: 7 },
            Payload::Segments(["{\"name\":\"a\\nb\"}", "{}\n"].map(SegmentDocument::new).into()),
            Payload::OtlpTraces(vec![EncodedTraces { body: vec![1, 2, 3].into(), spans: 2 }]),
        ] {
            let spooled =
                SpoolMessage { payload: cargo, error: "503: \"busy\"".into(), first_attempt_ms: 1_795_389_900_000 };
            let messages = spooled.clone().into_messages();
            assert_eq!(messages.len(), 1);
            assert_eq!(SpoolMessage::parse(&messages[0]).unwrap(), spooled);
        }
    }

    #[test]
    fn what_does_not_compress_is_split_until_it_fits() {
        let mut random = 1_u64;
        let mut noise = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + u8::try_from((random >> 33) % 94).unwrap())
        };
        let documents: Vec<_> =
            (0..50).map(|_| SegmentDocument::new(&(0..64_000).map(|_| noise()).collect::<String>())).collect();
        let whole =
            SpoolMessage { payload: Payload::Segments(documents.clone()), error: String::new(), first_attempt_ms: 0 };
        let messages = whole.into_messages();
        assert!(messages.len() > 1);
        let mut read = Vec::new();
        for message in &messages {
            assert!(message.len() <= MESSAGE_BYTES, "{}", message.len());
            match SpoolMessage::parse(message).unwrap().payload {
                Payload::Segments(documents) => read.extend(documents),
                other => panic!("documents were written: {other:?}"),
            }
        }
        assert_eq!(read, documents);
    }

    #[test]
    fn spans_are_split_until_they_fit_and_each_is_there_once() {
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
        let cargo = Payload::OtlpTraces(vec![EncodedTraces { body, spans: 20 }]);
        let messages = SpoolMessage { payload: cargo, error: String::new(), first_attempt_ms: 0 }.into_messages();
        let mut ids = Vec::new();
        for message in &messages {
            assert!(message.len() <= MESSAGE_BYTES, "{}", message.len());
            let Payload::OtlpTraces(parts) = SpoolMessage::parse(message).unwrap().payload else {
                panic!("spans were written")
            };
            let request = ExportTraceServiceRequest::decode(parts[0].body.clone()).unwrap();
            let spans = &request.resource_spans[0].scope_spans[0].spans;
            assert_eq!(parts[0].spans, spans.len() as u64);
            ids.extend(spans.iter().map(|span| span.span_id[0]));
        }
        assert_eq!(ids, (0..20).collect::<Vec<u8>>());
    }

    #[test]
    fn what_is_lost_has_names() {
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
    fn poison_says_what_is_wrong_with_it() {
        for (body, expected) in [
            ("", "no JSON"),
            ("{}", "no JSON"),
            (r#"{"sidecarless":"spool","v":2,"to":"amp","why":"","first_ms":0,"items":0,"data":""}"#, "of version 2"),
            (r#"{"sidecarless":"spool","v":1,"to":"s3","why":"","first_ms":0,"items":0,"data":""}"#, "for `s3`"),
            (r#"{"sidecarless":"spool","v":1,"to":"amp","why":"","first_ms":0,"items":0,"data":"%"}"#, "broken"),
            (
                r#"{"sidecarless":"spool","v":1,"to":"xray","why":"","first_ms":0,"items":0,"data":"////////"}"#,
                "broken",
            ),
        ] {
            let error = SpoolMessage::parse(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
