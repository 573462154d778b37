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
use super::otlp::split::{Limits, Part, split};
use super::remote_write::WriteRequest;
use super::segment::Document;

/// The value of the key `sidecarless` of these messages.
pub const KIND: &str = "spool";

/// The version that is written. Readers take this one only: a queue holds messages for hours, so a new version has to be
/// read one release before it is written.
const VERSION: u32 = 1;

/// The most that data may weigh before base64: with it and the envelope the message stays under 1 MiB.
pub const DATA_BYTES: usize = 780_000;

/// The most that data may inflate to. What is written inflates to 64 KB times 50 at the most.
const INFLATED_LIMIT: usize = 8 << 20;

/// Why a message waits, in characters.
const WHY_CHARS: usize = 300;

/// Something that could not be delivered, and its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Spooled {
    pub cargo: Cargo,
    /// What the first attempt failed with.
    pub why: String,
    /// When that was, in milliseconds since the epoch.
    pub first_ms: i64,
}

/// What is to be delivered, and so where to.
#[derive(Clone, Debug, PartialEq)]
pub enum Cargo {
    /// A snappy-compressed remote write request with so many points, for AMP.
    WriteRequest { is_v2: bool, snappy: Bytes, points: u64 },
    /// For X-Ray.
    Documents(Vec<Document>),
    /// For X-Ray's OTLP endpoint: requests as they are sent there.
    OtlpSpans(Vec<Part>),
}

/// A message that nobody can deliver. It belongs into the dead-letter queue.
#[derive(Debug, Error)]
pub enum Unreadable {
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
    to: String,
    why: String,
    first_ms: i64,
    items: u64,
    data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Documents {
    /// Their JSON.
    #[prost(string, repeated, tag = "1")]
    documents: Vec<String>,
}

impl Spooled {
    /// Bodies of messages: one, or several when the documents are too large for one.
    pub fn into_messages(self) -> Vec<String> {
        let Spooled { cargo, why, first_ms } = self;
        let envelope = |to: &str, items: u64, data: &[u8]| {
            let why = why.chars().take(WHY_CHARS).collect();
            let data = STANDARD.encode(data);
            let envelope = Envelope { sidecarless: KIND.into(), v: VERSION, to: to.into(), why, first_ms, items, data };
            // A struct of texts and numbers has no way to fail.
            serde_json::to_string(&envelope).unwrap_or_default()
        };
        match cargo {
            Cargo::WriteRequest { is_v2: false, snappy, points } => vec![envelope("amp", points, &snappy)],
            Cargo::WriteRequest { is_v2: true, snappy, points } => vec![envelope("amp-v2", points, &snappy)],
            Cargo::Documents(documents) => {
                packed(documents).iter().map(|(count, data)| envelope("xray", *count, data)).collect()
            }
            Cargo::OtlpSpans(parts) => {
                let packed = parts.into_iter().flat_map(packed_spans);
                packed.map(|(spans, data)| envelope("xray-otlp", spans, &data)).collect()
            }
        }
    }

    /// Reads the body of a message.
    pub fn parse(body: &str) -> Result<Self, Unreadable> {
        let envelope: Envelope = serde_json::from_str(body)?;
        if envelope.v != VERSION {
            return Err(Unreadable::Version(envelope.v));
        }
        let data = STANDARD.decode(&envelope.data).map_err(|error| Unreadable::Data(error.to_string()))?;
        let cargo = match envelope.to.as_str() {
            "amp" => Cargo::WriteRequest { is_v2: false, snappy: data.into(), points: envelope.items },
            "amp-v2" => Cargo::WriteRequest { is_v2: true, snappy: data.into(), points: envelope.items },
            "xray" => Cargo::Documents(unpacked(&data)?),
            "xray-otlp" => Cargo::OtlpSpans(vec![Part { body: inflated(&data)?.into(), spans: envelope.items }]),
            other => return Err(Unreadable::Destination(other.chars().take(40).collect())),
        };
        Ok(Self { cargo, why: envelope.why, first_ms: envelope.first_ms })
    }
}

impl Cargo {
    /// Samples, documents or spans.
    pub fn items(&self) -> u64 {
        match self {
            Cargo::WriteRequest { points, .. } => *points,
            Cargo::Documents(documents) => documents.len() as u64,
            Cargo::OtlpSpans(parts) => parts.iter().map(|part| part.spans).sum(),
        }
    }

    /// Trace ids, or names of metrics: up to `most`, to be told to somebody who looks for what was lost.
    pub fn names(&self, most: usize) -> Vec<String> {
        let names: BTreeSet<String> = match self {
            Cargo::WriteRequest { is_v2: false, snappy, .. } => metric_names(snappy),
            Cargo::WriteRequest { is_v2: true, .. } => BTreeSet::new(),
            Cargo::Documents(documents) => documents.iter().map(|document| document.ids().trace_id).collect(),
            Cargo::OtlpSpans(parts) => parts.iter().flat_map(|part| trace_ids(&part.body)).collect(),
        };
        names.into_iter().take(most).collect()
    }
}

fn metric_names(snappy: &[u8]) -> BTreeSet<String> {
    let request = inflated(snappy).ok().and_then(|body| WriteRequest::decode(body.as_slice()).ok());
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
fn packed(documents: Vec<Document>) -> Vec<(u64, Vec<u8>)> {
    let encoded = Documents { documents: documents.iter().map(Document::text).collect() }.encode_to_vec();
    // Only input of 4 GiB and more makes the encoder fail.
    let data = snap::raw::Encoder::new().compress_vec(&encoded).unwrap_or_default();
    if documents.len() < 2 || (data.len() <= DATA_BYTES && encoded.len() <= INFLATED_LIMIT) {
        return vec![(documents.len() as u64, data)];
    }
    let mut first = documents;
    let second = first.split_off(first.len() / 2);
    [first, second].into_iter().flat_map(packed).collect()
}

/// A compressed request, cut in two until each fits. One span, 200 kB at most, does.
fn packed_spans(part: Part) -> Vec<(u64, Vec<u8>)> {
    let data = snap::raw::Encoder::new().compress_vec(&part.body).unwrap_or_default();
    if part.spans < 2 || data.len() <= DATA_BYTES {
        return vec![(part.spans, data)];
    }
    let limits = Limits { spans: usize::try_from(part.spans.div_ceil(2)).unwrap_or(1), bytes: part.body.len() };
    match ExportTraceServiceRequest::decode(part.body) {
        Ok(request) => split(request, limits).into_iter().flat_map(packed_spans).collect(),
        // It was encoded here.
        Err(_) => vec![(part.spans, data)],
    }
}

fn inflated(data: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let broken = |reason: String| Unreadable::Data(reason);
    let length = snap::raw::decompress_len(data).map_err(|error| broken(error.to_string()))?;
    if length > INFLATED_LIMIT {
        return Err(broken(format!("it inflates to {length} bytes")));
    }
    snap::raw::Decoder::new().decompress_vec(data).map_err(|error| broken(error.to_string()))
}

fn unpacked(data: &[u8]) -> Result<Vec<Document>, Unreadable> {
    let encoded = inflated(data)?;
    let decoded = Documents::decode(encoded.as_slice()).map_err(|error| Unreadable::Data(error.to_string()))?;
    Ok(decoded.documents.iter().map(|text| Document::new(text)).collect())
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
            Cargo::WriteRequest { is_v2: false, snappy: vec![1, 2, 3].into(), points: 7 },
            Cargo::WriteRequest { is_v2: true, snappy: vec![4].into(), points: 1 },
            Cargo::Documents(["{\"name\":\"a\\nb\"}", "{}\n"].map(Document::new).into()),
            Cargo::OtlpSpans(vec![Part { body: vec![1, 2, 3].into(), spans: 2 }]),
        ] {
            let spooled = Spooled { cargo, why: "503: \"busy\"".into(), first_ms: 1_795_389_900_000 };
            let messages = spooled.clone().into_messages();
            assert_eq!(messages.len(), 1);
            assert_eq!(Spooled::parse(&messages[0]).unwrap(), spooled);
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
            (0..50).map(|_| Document::new(&(0..64_000).map(|_| noise()).collect::<String>())).collect();
        let whole = Spooled { cargo: Cargo::Documents(documents.clone()), why: String::new(), first_ms: 0 };
        let messages = whole.into_messages();
        assert!(messages.len() > 1);
        let mut read = Vec::new();
        for message in &messages {
            assert!(message.len() <= MESSAGE_BYTES, "{}", message.len());
            match Spooled::parse(message).unwrap().cargo {
                Cargo::Documents(documents) => read.extend(documents),
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
        let cargo = Cargo::OtlpSpans(vec![Part { body, spans: 20 }]);
        let messages = Spooled { cargo, why: String::new(), first_ms: 0 }.into_messages();
        let mut ids = Vec::new();
        for message in &messages {
            assert!(message.len() <= MESSAGE_BYTES, "{}", message.len());
            let Cargo::OtlpSpans(parts) = Spooled::parse(message).unwrap().cargo else { panic!("spans were written") };
            let request = ExportTraceServiceRequest::decode(parts[0].body.clone()).unwrap();
            let spans = &request.resource_spans[0].scope_spans[0].spans;
            assert_eq!(parts[0].spans, spans.len() as u64);
            ids.extend(spans.iter().map(|span| span.span_id[0]));
        }
        assert_eq!(ids, (0..20).collect::<Vec<u8>>());
    }

    #[test]
    fn what_is_lost_has_names() {
        let document = |n: u64| Document::new(&format!("{{\"trace_id\":\"1-{n:08x}-{n:024x}\"}}"));
        let names = ["1-00000000-000000000000000000000000", "1-00000001-000000000000000000000001"];
        assert_eq!(Cargo::Documents((1..=9).map(|n| document(n % 3)).collect()).names(2), names);
        let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        let series =
            |name: &str| TimeSeries { labels: vec![label("__name__", name), label("a", "b")], ..TimeSeries::default() };
        let request = WriteRequest { timeseries: ["y", "x", "y"].map(series).into(), metadata: Vec::new() };
        let snappy = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap().into();
        assert_eq!(Cargo::WriteRequest { is_v2: false, snappy, points: 3 }.names(5), ["x", "y"]);
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
            let error = Spooled::parse(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
