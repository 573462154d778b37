//! Validates segment documents from X-Ray SDKs, which are forwarded unchanged. Only documents that are too large are split at
//! their subsegments.
//!
//! Two body formats are accepted. The format of PutTraceSegments: `{"TraceSegmentDocuments":["<document>", ...]}` (AWS
//! X-Ray API Reference). The format of the X-Ray daemon: a line `{"format":"json","version":1}` followed by a document
//! (AWS X-Ray Developer Guide, "Sending segment documents to the X-Ray daemon"), any number of times.

mod split;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::json::wrong_type;
use crate::model::otlp::json;
use crate::model::rejection::Rejections;
use crate::model::segment::SegmentDocument;

use split::{Part, SplitError};

/// The valid documents of a body, and the counts: received = documents + rejected. The parts of a document that was split
/// count as documents.
#[derive(Debug, Default)]
#[must_use = "rejected documents must be counted"]
pub struct SdkSegments {
    /// Unchanged, byte for byte, except the parts of documents that were split.
    pub documents: Vec<SegmentDocument>,
    pub received: u64,
    pub rejected: Rejections,
}

/// The error of a body that contains no documents.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error(
        "unknown body format: use {{\"TraceSegmentDocuments\":[...]}}, or a line {{\"format\":\"json\",\"version\":1}} \
         followed by a segment document"
    )]
    UnknownFormat,
    /// `TraceSegmentDocuments` is not a list of strings.
    #[error("invalid TraceSegmentDocuments: {0}")]
    Json(String),
    #[error("{exceeded}")]
    BudgetExceeded {
        /// Documents that were validated until then.
        received: u64,
        exceeded: BudgetExceeded,
    },
}

/// The field `TraceSegmentDocuments`. Each document is validated when it is read, so that a list of millions of empty documents is
/// never in memory.
struct PutTraceSegments<'v, 'b>(&'v mut Validator<'b>);

/// A string that is copied only if it contains escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct JsonString<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u64,
}

/// Splits a body and validates each document. An invalid document does not affect other documents.
///
/// # Errors
/// Returns an error if the format of the body is unknown, or if the documents do not fit into the budget.
pub fn validate_body(body: &[u8], budget: &dyn Budget) -> Result<SdkSegments, BodyError> {
    let exceeded = |exceeded| BodyError::BudgetExceeded { received: 0, exceeded };
    let body = unicode_body(body, budget).map_err(exceeded)?;
    let body = body.trim_start_matches('\u{feff}').trim();
    let mut validator = Validator { segments: SdkSegments::default(), budget, exceeded: None };
    if body.lines().next().is_some_and(is_header) {
        split_daemon_body(body, |document| validator.add(document));
        return validator.finish(Ok(()));
    }
    if !body.starts_with('{') || !body.contains("\"TraceSegmentDocuments\"") {
        return Err(BodyError::UnknownFormat);
    }
    let mut reader = serde_json::Deserializer::from_str(body);
    let read = reader.deserialize_any(PutTraceSegments(&mut validator)).and_then(|()| reader.end());
    validator.finish(read)
}

/// Returns the text of a body, in which U+FFFD replaces what is not Unicode.
fn unicode_body<'b>(body: &'b [u8], budget: &dyn Budget) -> Result<Cow<'b, str>, BudgetExceeded> {
    if let Some(text) = json::unicode(body) {
        return Ok(Cow::Borrowed(text));
    }
    // The buffer is not shared, so that this does not copy it.
    Ok(Cow::Owned(String::from_utf8(json::repaired(body, budget)?.into()).unwrap_or_default()))
}

/// Validates documents until the budget is exceeded.
struct Validator<'b> {
    segments: SdkSegments,
    budget: &'b dyn Budget,
    exceeded: Option<BudgetExceeded>,
}

impl Validator<'_> {
    /// Returns false if the budget is exceeded.
    fn add(&mut self, document: &str) -> bool {
        if document.len() > MAX_DOCUMENT_BYTES && self.exceeded.is_none() {
            return self.add_large(document);
        }
        // A document is copied with its escapes.
        self.exceeded = self.exceeded.or(self.budget.reserve(3 * document.len()).err());
        self.segments.add(document, self.exceeded.is_some());
        self.exceeded.is_none()
    }

    /// Adds the parts of a document that is too large. Returns false if the budget is exceeded.
    fn add_large(&mut self, document: &str) -> bool {
        let Validator { segments, budget, exceeded } = self;
        let number = segments.received;
        // Names and ids with escapes are copied.
        *exceeded = budget.reserve(2 * document.len()).err();
        if exceeded.is_some() {
            segments.received += 1;
            return false;
        }
        let trace_id = match validate(document) {
            Ok(trace_id) => trace_id,
            Err(rejected) => {
                segments.reject(rejected);
                return true;
            }
        };
        let split = split::split(document, &trace_id, *budget, |part| {
            match part {
                Part::Document(part) => {
                    *exceeded = budget.reserve(3 * part.len()).err();
                    segments.add(&part, exceeded.is_some());
                }
                Part::TooLarge { id, bytes } => segments.reject(too_large(&id, bytes)),
            }
            exceeded.is_none()
        });
        match split {
            Ok(()) => {}
            Err(SplitError::BudgetExceeded(error)) => *exceeded = Some(error),
            Err(SplitError::Invalid(error)) => segments.reject(rejected(
                "too_large",
                format!("{} bytes exceed X-Ray's limit, and the subsegments are invalid: {error}", document.len()),
            )),
        }
        if segments.received == number {
            segments.received += 1;
        }
        exceeded.is_none()
    }

    fn finish(self, read: serde_json::Result<()>) -> Result<SdkSegments, BodyError> {
        if let Some(exceeded) = self.exceeded {
            return Err(BodyError::BudgetExceeded { received: self.segments.received, exceeded });
        }
        read.map_err(|error| BodyError::Json(error.to_string()))?;
        Ok(self.segments)
    }
}

impl<'de> Visitor<'de> for PutTraceSegments<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "TraceSegmentDocuments" {
                map.next_value_seed(DocumentList(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The list of documents.
struct DocumentList<'v, 'b>(&'v mut Validator<'b>);

impl<'de> DeserializeSeed<'de> for DocumentList<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DocumentList<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(JsonString(document)) = list.next_element()? {
            if !self.0.add(&document) {
                return Err(A::Error::custom("the budget is exceeded"));
            }
        }
        Ok(())
    }
}

/// Whether a line is the header of the daemon format. Like the daemon, this ignores the case of the format.
fn is_header(line: &str) -> bool {
    let header = serde_json::from_str::<Header<'_>>(line.trim());
    header.is_ok_and(|header| header.format.eq_ignore_ascii_case("json") && header.version == 1)
}

/// Calls `add` with the trimmed texts between the header lines, until it returns false.
fn split_daemon_body(body: &str, mut add: impl FnMut(&str) -> bool) {
    let (mut start, mut position) = (0, 0);
    for line in body.split_inclusive('\n') {
        if line.contains("\"format\"") && is_header(line) {
            if position > 0 && !add(body.get(start..position).unwrap_or_default().trim()) {
                return;
            }
            start = position + line.len();
        }
        position += line.len();
    }
    add(body.get(start..).unwrap_or_default().trim());
}

fn too_large(id: &str, bytes: usize) -> RejectedDocument {
    let message =
        format!("segment {id}: {bytes} bytes without its subsegments exceed X-Ray's limit of {MAX_DOCUMENT_BYTES}");
    rejected("too_large", message)
}

/// Size above which X-Ray rejects a document ("Segment documents can be up to 64 kB in size", AWS X-Ray Developer
/// Guide).
const MAX_DOCUMENT_BYTES: usize = 65_536;

/// The fields that are validated here. X-Ray validates all other fields.
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

/// The reason for the rejection of a document.
struct RejectedDocument {
    reason: &'static str,
    message: String,
}

fn rejected(reason: &'static str, message: impl Into<String>) -> RejectedDocument {
    RejectedDocument { reason, message: message.into() }
}

impl SdkSegments {
    fn add(&mut self, document: &str, is_only_counted: bool) {
        if is_only_counted {
            self.received += 1;
            return;
        }
        match validate(document) {
            Ok(_) => {
                self.received += 1;
                self.documents.push(SegmentDocument::new(document));
            }
            Err(rejected) => self.reject(rejected),
        }
    }

    fn reject(&mut self, RejectedDocument { reason, message }: RejectedDocument) {
        let number = self.received;
        self.received += 1;
        self.rejected.add(reason, 1, || format!("document {number}: {message}"));
    }
}

/// Returns the trace id of a valid document.
fn validate(document: &str) -> Result<String, RejectedDocument> {
    let segment: Segment<'_> = serde_json::from_str(document)
        .map_err(|error| rejected("invalid_json", format!("invalid segment document: {error}")))?;
    let name = segment.name.as_ref().ok_or_else(|| rejected("missing_name", "missing \"name\""))?;
    if !is_name(name) {
        return Err(rejected("invalid_name", format!("invalid name \"{}\"", shown(name))));
    }
    let id = segment.id.as_ref().ok_or_else(|| rejected("missing_id", "missing \"id\""))?;
    if !is_hex(id, 16) {
        return Err(rejected("invalid_id", format!("invalid id \"{}\": use 16 hexadecimal digits", shown(id))));
    }
    validate_segment(id, &segment)?;
    Ok(segment.trace_id.unwrap_or_default().into_owned())
}

/// Validates the fields whose errors name the id.
fn validate_segment(id: &str, segment: &Segment<'_>) -> Result<(), RejectedDocument> {
    let Some(trace_id) = &segment.trace_id else {
        return Err(rejected("missing_trace_id", format!("segment {id}: missing \"trace_id\"")));
    };
    if !is_trace_id(trace_id) {
        let message = format!("segment {id}: invalid trace_id \"{}\": use 1-8 hex-24 hex", shown(trace_id));
        return Err(rejected("invalid_trace_id", message));
    }
    if segment.start_time.is_none() {
        return Err(rejected("missing_start_time", format!("segment {id}: missing \"start_time\"")));
    }
    if segment.end_time.is_none() && segment.in_progress != Some(true) {
        let message = format!("segment {id}: missing \"end_time\" or \"in_progress\"");
        return Err(rejected("missing_end_time", message));
    }
    match segment.parent_id.as_deref() {
        Some(parent) if !is_hex(parent, 16) => {
            let message = format!("segment {id}: invalid parent_id \"{}\": use 16 hexadecimal digits", shown(parent));
            Err(rejected("invalid_parent_id", message))
        }
        None if segment.kind.as_deref() == Some("subsegment") => {
            Err(rejected("missing_parent_id", format!("subsegment {id}: missing \"parent_id\"")))
        }
        _ => Ok(()),
    }
}

/// Returns the start of a text for an error.
fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_SHOWN_BYTES)).unwrap_or_default()
}

/// A name that is valid fits.
const MAX_SHOWN_BYTES: usize = 800;

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_trace_id(text: &str) -> bool {
    let parts = text.strip_prefix("1-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(epoch, rest)| is_hex(epoch, 8) && is_hex(rest, 24))
}

/// Whether a name has 1 to 200 characters: letters, numbers, white space and `_ . : / % & # = + \ - @` (AWS X-Ray
/// Developer Guide, "Required segment fields").
fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/%&#=+\\-@".contains(c);
    (1..=200).contains(&name.chars().count()) && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::budget::Unlimited;

    const VALID: &str = r#"{ "name":"shop", "id":"70de5b6f19ff9a0a", "trace_id":"1-581cf771-a006649127e371903a2de979", "start_time":1.5, "end_time":2 }"#;
    const HEADER: &str = r#"{"format": "json", "version": 1}"#;

    fn put(documents: &[&str]) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({ "TraceSegmentDocuments": documents })).unwrap()
    }

    #[test]
    fn documents_of_both_formats_are_unchanged() {
        let pretty = VALID.replace(", ", ",\n  ");
        let daemon = format!("{HEADER}\n{VALID}\n{HEADER}\r\n{pretty}\n");
        for (body, expected) in [(put(&[VALID, &pretty]), [VALID, &pretty]), (daemon.into_bytes(), [VALID, &pretty])] {
            let segments = validate_body(&body, &Unlimited).unwrap();
            let json: Vec<_> = segments.documents.iter().map(SegmentDocument::text).collect();
            assert_eq!(json, expected);
            assert_eq!(segments.received, 2);
            assert!(segments.rejected.is_empty());
            let ids = segments.documents[0].ids();
            assert_eq!((&*ids.id, &*ids.trace_id), ("70de5b6f19ff9a0a", "1-581cf771-a006649127e371903a2de979"));
        }
    }

    #[test]
    fn invalid_document_does_not_affect_other_documents() {
        let without = |field: &str| {
            let mut document: serde_json::Value = serde_json::from_str(VALID).unwrap();
            document.as_object_mut().unwrap().remove(field);
            document.to_string()
        };
        let cases = [
            ("not json".to_owned(), "invalid_json"),
            ("[]".to_owned(), "invalid_json"),
            (String::new(), "invalid_json"),
            (without("name"), "missing_name"),
            (without("id"), "missing_id"),
            (without("trace_id"), "missing_trace_id"),
            (without("start_time"), "missing_start_time"),
            (without("end_time"), "missing_end_time"),
            (VALID.replace("shop", ""), "invalid_name"),
            (VALID.replace("shop", "a,b"), "invalid_name"),
            (VALID.replace("70de5b6f19ff9a0a", "70de5b6f19ff9a0"), "invalid_id"),
            (VALID.replace("1-581cf771", "2-581cf771"), "invalid_trace_id"),
            (VALID.replace("{ ", "{\"type\":\"subsegment\","), "missing_parent_id"),
            (VALID.replace("{ ", "{\"parent_id\":\"1\","), "invalid_parent_id"),
            (VALID.replace("{ ", &format!("{{\"user\":\"{}\",", "x".repeat(70_000))), "too_large"),
        ];
        for (document, reason) in cases {
            let segments = validate_body(&put(&[&document, VALID]), &Unlimited).unwrap();
            assert_eq!(segments.documents.len(), 1, "{reason}");
            assert_eq!(segments.rejected.iter().map(|r| r.reason).collect::<Vec<_>>(), [reason], "{document}");
            assert!(segments.rejected.to_string().contains("document 0"), "{}", segments.rejected);
        }
    }

    #[test]
    fn strings_that_are_not_unicode_do_not_cost_the_body() {
        let cut = VALID.replace("{ ", r#"{"user":"a\ud83d","#);
        let body = format!(r#"{{"TraceSegmentDocuments":[{},"{{\ud83d}}"]}}"#, serde_json::Value::from(cut.as_str()));
        let segments = validate_body(body.as_bytes(), &Unlimited).unwrap();
        // An escape within a document is the document's.
        assert_eq!(segments.documents.iter().map(SegmentDocument::text).collect::<Vec<_>>(), [cut.as_str()]);
        assert_eq!(segments.rejected.total(), 1);
        let segments = validate_body(format!("{HEADER}\n{cut}").as_bytes(), &Unlimited).unwrap();
        assert_eq!(segments.documents[0].text(), cut.replace("ud83d", "ufffd"));
    }

    #[test]
    fn body_without_documents_is_an_error() {
        for body in ["", "{}", "[1]", "{\"format\":\"xml\",\"version\":1}\n{}"] {
            assert_eq!(validate_body(body.as_bytes(), &Unlimited).unwrap_err(), BodyError::UnknownFormat, "{body}");
        }
        assert!(matches!(validate_body(br#"{"TraceSegmentDocuments":[1]}"#, &Unlimited), Err(BodyError::Json(_))));
        let header_only = validate_body(HEADER.as_bytes(), &Unlimited).unwrap();
        assert_eq!((header_only.documents.len(), header_only.rejected.total()), (0, 1));
    }
}
