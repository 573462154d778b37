//! Segments that X-Ray SDKs write themselves: checked, and forwarded unchanged.
//!
//! Two bodies are taken. What PutTraceSegments takes: `{"TraceSegmentDocuments":["<document>", ...]}` (AWS X-Ray API
//! Reference). What the SDKs send to the X-Ray daemon: the line `{"format":"json","version":1}` and a document below it
//! (AWS X-Ray Developer Guide, "Sending segment documents to the X-Ray daemon"), as often as one likes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use crate::model::rejection::Rejections;
use crate::model::segment::SegmentDocument;

/// Documents that can be sent, and what became of the others: received = documents + refused.
#[derive(Debug, Default)]
pub struct SdkSegments {
    /// Byte for byte as they came.
    pub documents: Vec<SegmentDocument>,
    pub received: u64,
    pub rejected: Rejections,
}

/// A body in which no documents can be found.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Neither of the two formats.
    NoFormat,
    /// `TraceSegmentDocuments` is there, but is no list of strings; why.
    Json(String),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::NoFormat => f.write_str(
                "the body is neither {\"TraceSegmentDocuments\":[...]} nor a {\"format\":\"json\",\"version\":1} line \
                 with a segment document below it",
            ),
            BodyError::Json(reason) => write!(f, "TraceSegmentDocuments cannot be read: {reason}"),
        }
    }
}

impl std::error::Error for BodyError {}

#[derive(Deserialize)]
struct PutTraceSegments<'a> {
    #[serde(borrow, rename = "TraceSegmentDocuments")]
    documents: Vec<JsonString<'a>>,
}

/// A string that is only copied where it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct JsonString<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u64,
}

/// Takes a body apart and checks each document. One bad document never costs the others.
///
/// # Errors
/// When no documents can be found in the body at all.
pub fn validate_body(body: &[u8]) -> Result<SdkSegments, BodyError> {
    let body = String::from_utf8_lossy(body);
    let body = body.trim_start_matches('\u{feff}').trim();
    let mut segments = SdkSegments::default();
    if body.lines().next().is_some_and(is_header) {
        split_daemon_body(body).into_iter().for_each(|document| segments.add(document));
        return Ok(segments);
    }
    if !body.starts_with('{') || !body.contains("\"TraceSegmentDocuments\"") {
        return Err(BodyError::NoFormat);
    }
    let put: PutTraceSegments<'_> = serde_json::from_str(body).map_err(|error| BodyError::Json(error.to_string()))?;
    put.documents.iter().for_each(|document| segments.add(&document.0));
    Ok(segments)
}

/// The daemon reads the format without regard to case.
fn is_header(line: &str) -> bool {
    let header = serde_json::from_str::<Header<'_>>(line.trim());
    header.is_ok_and(|header| header.format.eq_ignore_ascii_case("json") && header.version == 1)
}

/// The text between one header line and the next, without the space around it.
fn split_daemon_body(body: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in body.split_inclusive('\n') {
        if line.contains("\"format\"") && is_header(line) {
            if at > 0 {
                documents.push(body.get(start..at).unwrap_or_default().trim());
            }
            start = at + line.len();
        }
        at += line.len();
    }
    documents.push(body.get(start..).unwrap_or_default().trim());
    documents
}

/// A document over this is refused by X-Ray ("Segment documents can be up to 64 kB in size", AWS X-Ray Developer Guide).
const MAX_DOCUMENT_BYTES: usize = 65_536;

/// What is looked at of a document; all else is X-Ray's business.
#[derive(Deserialize)]
struct Segment<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    trace_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parent_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    in_progress: Option<bool>,
}

type RejectedDocument = (&'static str, String);

impl SdkSegments {
    fn add(&mut self, document: &str) {
        let number = self.received;
        self.received += 1;
        match check(document) {
            Ok(document) => self.documents.push(document),
            Err((reason, why)) => self.rejected.add(reason, 1, || format!("document {number}: {why}")),
        }
    }
}

fn check(document: &str) -> Result<SegmentDocument, RejectedDocument> {
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(("too_large", format!("{} bytes are more than X-Ray's {MAX_DOCUMENT_BYTES}", document.len())));
    }
    let segment: Segment<'_> =
        serde_json::from_str(document).map_err(|error| ("invalid_json", format!("no segment document: {error}")))?;
    let name = segment.name.ok_or(("missing_name", "it has no \"name\"".to_owned()))?;
    if !is_name(&name) {
        return Err(("invalid_name", format!("X-Ray takes no name like \"{name}\"")));
    }
    let id = segment.id.ok_or(("missing_id", "it has no \"id\"".to_owned()))?;
    if !is_hex(&id, 16) {
        return Err(("invalid_id", format!("id \"{id}\" is not 16 hexadecimal digits")));
    }
    let trace_id = segment.trace_id.ok_or(("missing_trace_id", format!("segment {id} has no \"trace_id\"")))?;
    if !is_trace_id(&trace_id) {
        return Err(("invalid_trace_id", format!("segment {id}: trace_id \"{trace_id}\" is not 1-8 hex-24 hex")));
    }
    if segment.start_time.is_none() {
        return Err(("missing_start_time", format!("segment {id} has no \"start_time\"")));
    }
    if segment.end_time.is_none() && segment.in_progress != Some(true) {
        return Err(("missing_end_time", format!("segment {id} has neither \"end_time\" nor \"in_progress\"")));
    }
    check_parent(&id, segment.parent_id.as_deref(), segment.kind.as_deref())?;
    Ok(SegmentDocument::new(document))
}

fn check_parent(id: &str, parent: Option<&str>, kind: Option<&str>) -> Result<(), RejectedDocument> {
    match parent {
        Some(parent) if !is_hex(parent, 16) => {
            Err(("invalid_parent_id", format!("segment {id}: parent_id \"{parent}\" is not 16 hexadecimal digits")))
        }
        None if kind == Some("subsegment") => {
            Err(("missing_parent_id", format!("subsegment {id} has no \"parent_id\"")))
        }
        _ => Ok(()),
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_trace_id(text: &str) -> bool {
    let parts = text.strip_prefix("1-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(epoch, rest)| is_hex(epoch, 8) && is_hex(rest, 24))
}

/// 1 to 200 letters, numbers, white space and `_ . : / % & # = + \ - @` (AWS X-Ray Developer Guide, "Required segment
/// fields").
fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/%&#=+\\-@".contains(c);
    (1..=200).contains(&name.chars().count()) && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{ "name":"shop", "id":"70de5b6f19ff9a0a", "trace_id":"1-581cf771-a006649127e371903a2de979", "start_time":1.5, "end_time":2 }"#;
    const HEADER: &str = r#"{"format": "json", "version": 1}"#;

    fn put(documents: &[&str]) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({ "TraceSegmentDocuments": documents })).unwrap()
    }

    #[test]
    fn both_formats_forward_documents_byte_for_byte() {
        let pretty = GOOD.replace(", ", ",\n  ");
        let daemon = format!("{HEADER}\n{GOOD}\n{HEADER}\r\n{pretty}\n");
        for (body, expected) in [(put(&[GOOD, &pretty]), [GOOD, &pretty]), (daemon.into_bytes(), [GOOD, &pretty])] {
            let segments = validate_body(&body).unwrap();
            let json: Vec<_> = segments.documents.iter().map(SegmentDocument::text).collect();
            assert_eq!(json, expected);
            assert_eq!(segments.received, 2);
            assert!(segments.rejected.is_empty());
            let ids = segments.documents[0].ids();
            assert_eq!((&*ids.id, &*ids.trace_id), ("70de5b6f19ff9a0a", "1-581cf771-a006649127e371903a2de979"));
        }
    }

    #[test]
    fn a_bad_document_is_refused_by_name_and_costs_no_other() {
        let without = |field: &str| {
            let mut document: serde_json::Value = serde_json::from_str(GOOD).unwrap();
            document.as_object_mut().unwrap().remove(field);
            document.to_string()
        };
        let large = GOOD.replace("shop", &"x".repeat(70_000));
        let cases = [
            ("not json".to_owned(), "invalid_json"),
            ("[]".to_owned(), "invalid_json"),
            (String::new(), "invalid_json"),
            (without("name"), "missing_name"),
            (without("id"), "missing_id"),
            (without("trace_id"), "missing_trace_id"),
            (without("start_time"), "missing_start_time"),
            (without("end_time"), "missing_end_time"),
            (GOOD.replace("shop", ""), "invalid_name"),
            (GOOD.replace("shop", "a,b"), "invalid_name"),
            (GOOD.replace("70de5b6f19ff9a0a", "70de5b6f19ff9a0"), "invalid_id"),
            (GOOD.replace("1-581cf771", "2-581cf771"), "invalid_trace_id"),
            (GOOD.replace("{ ", "{\"type\":\"subsegment\","), "missing_parent_id"),
            (GOOD.replace("{ ", "{\"parent_id\":\"1\","), "invalid_parent_id"),
            (large, "too_large"),
        ];
        for (document, reason) in cases {
            let segments = validate_body(&put(&[&document, GOOD])).unwrap();
            assert_eq!(segments.documents.len(), 1, "{reason}");
            assert_eq!(segments.rejected.iter().map(|r| r.reason).collect::<Vec<_>>(), [reason], "{document}");
            assert!(segments.rejected.to_string().contains("document 0"), "{}", segments.rejected);
        }
    }

    #[test]
    fn a_body_without_documents_is_malformed() {
        for body in ["", "{}", "[1]", "{\"format\":\"xml\",\"version\":1}\n{}"] {
            assert_eq!(validate_body(body.as_bytes()).unwrap_err(), BodyError::NoFormat, "{body}");
        }
        assert!(matches!(validate_body(br#"{"TraceSegmentDocuments":[1]}"#), Err(BodyError::Json(_))));
        let lonely = validate_body(HEADER.as_bytes()).unwrap();
        assert_eq!((lonely.documents.len(), lonely.rejected.total()), (0, 1));
    }
}
