//! X-Ray segment documents that are ready to be sent.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::escaped_json::{EscapedJson, JsonWriter};

/// JSON of one segment or independent subsegment, at most 64 KB (AWS X-Ray Developer Guide, "X-Ray segment documents").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentDocument {
    /// The JSON in escaped form. Its memory may be shared with other documents.
    escaped: Bytes,
}

/// Ids of a segment document.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SegmentIds {
    /// `1-8hex-24hex`.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub id: String,
}

impl SegmentDocument {
    pub fn new(json: &str) -> Self {
        Self { escaped: EscapedJson::from_text(json).into_bytes() }
    }

    /// Returns the JSON.
    pub fn text(&self) -> String {
        EscapedJson::from_bytes(&self.escaped).to_text()
    }

    /// Parses the ids, which are empty if the document has none. They are not stored, because only documents that were
    /// not delivered need them.
    pub fn ids(&self) -> SegmentIds {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }

    /// Size in a PutTraceSegments request, which is larger than the JSON.
    pub fn escaped_len(&self) -> usize {
        self.escaped.len()
    }
}

/// Size of the memory that documents share: more than a hundred documents of 2 KB.
const SHARED_BYTES: usize = 256 << 10;

/// Memory that the documents of a request share. Documents of 2 KB are too large for the allocator's fast path, so memory of their
/// own would be a twentieth of the CPU time of a span.
#[derive(Debug, Default)]
pub struct DocumentMemory(BytesMut);

impl DocumentMemory {
    /// Copies a document that is complete.
    pub fn store(&mut self, json: &JsonWriter) -> SegmentDocument {
        let escaped = json.escaped();
        if self.0.capacity() < escaped.len() {
            self.0 = BytesMut::with_capacity(SHARED_BYTES.max(escaped.len()));
        }
        self.0.extend_from_slice(escaped);
        SegmentDocument { escaped: self.0.split().freeze() }
    }
}

/// Returns the body of a PutTraceSegments request: the documents as JSON strings (AWS X-Ray API Reference,
/// PutTraceSegments).
pub fn put_trace_segments(documents: &[SegmentDocument]) -> Vec<u8> {
    const START: &[u8] = br#"{"TraceSegmentDocuments":["#;
    // Two quotes and a comma for each document.
    let size: usize = documents.iter().map(|document| document.escaped_len() + 3).sum();
    let mut body = Vec::with_capacity(START.len() + size + 2);
    body.extend_from_slice(START);
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.push(b'"');
        body.extend_from_slice(&document.escaped);
        body.push(b'"');
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn request_body_contains_each_document_as_a_string() {
        let long = format!(r#"{{"name":"{}"}}"#, r#"\"é\\"#.repeat(512));
        let documents = ["{}", "{\n\t\"name\": \"a\\n\\u0001b\"\r\n}", r#"{"name":"日本 \" \\"}"#, &long];
        let body = put_trace_segments(&documents.map(SegmentDocument::new));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let sent: Vec<Value> = body["TraceSegmentDocuments"].as_array().unwrap().iter().map(parse).collect();
        assert_eq!(sent, documents.map(|json| serde_json::from_str::<Value>(json).unwrap()));
        assert_eq!(put_trace_segments(&[]), br#"{"TraceSegmentDocuments":[]}"#);
    }

    fn parse(document: &Value) -> Value {
        serde_json::from_str(document.as_str().unwrap()).unwrap()
    }
}
