//! X-Ray segment documents on their way out.

use serde::Deserialize;

/// One segment or independent subsegment, ready to be sent: at most 64 KB of JSON (AWS X-Ray Developer Guide, "X-Ray segment
/// documents"), as it stands in a string of JSON, each quote and backslash behind a backslash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentDocument {
    escaped: String,
}

/// What a document is called.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SegmentIds {
    /// `1-8hex-24hex`.
    pub trace_id: String,
    /// 16 hex.
    pub id: String,
}

impl SegmentDocument {
    /// `text` is the document's JSON.
    pub fn new(text: &str) -> Self {
        // A string has no way to fail.
        let quoted = serde_json::to_string(text).unwrap_or_default();
        let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        Self { escaped: escaped.to_owned() }
    }

    /// Of JSON that has been escaped.
    pub fn from_escaped(escaped: String) -> Self {
        Self { escaped }
    }

    /// The document's JSON.
    pub fn text(&self) -> String {
        unescaped(&self.escaped)
    }

    /// Read out of the document when it has come to something: most are delivered, and nobody asks. Empty where the
    /// document has none.
    pub fn ids(&self) -> SegmentIds {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }

    /// Bytes that it takes in a call, which are more than those of its JSON.
    pub fn escaped_len(&self) -> usize {
        self.escaped.len()
    }
}

/// A text that stands in a string of JSON, by itself. What is no such text is empty.
pub fn unescaped(escaped: &str) -> String {
    serde_json::from_str(&format!("\"{escaped}\"")).unwrap_or_default()
}

/// The body of a PutTraceSegments call: the documents as strings of JSON (AWS X-Ray API Reference, PutTraceSegments).
pub fn put_trace_segments(documents: &[SegmentDocument]) -> Vec<u8> {
    const OPEN: &[u8] = br#"{"TraceSegmentDocuments":["#;
    let text: usize = documents.iter().map(|document| document.escaped.len() + 3).sum();
    let mut body = Vec::with_capacity(OPEN.len() + text + 2);
    body.extend_from_slice(OPEN);
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.push(b'"');
        body.extend_from_slice(document.escaped.as_bytes());
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
    fn a_call_holds_each_document_as_a_string_that_reads_back_as_the_same_json() {
        let long = format!(r#"{{"name":"{}"}}"#, r#"\"é\\"#.repeat(512));
        let documents = ["{}", "{\n\t\"name\": \"a\\n\\u0001b\"\r\n}", r#"{"name":"日本 \" \\"}"#, &long];
        let document = |text: &str| SegmentDocument::new(text);
        let body = put_trace_segments(&documents.map(document));
        let call: Value = serde_json::from_slice(&body).unwrap();
        let sent: Vec<Value> = call["TraceSegmentDocuments"].as_array().unwrap().iter().map(parsed).collect();
        assert_eq!(sent, documents.map(|json| serde_json::from_str::<Value>(json).unwrap()));
        assert_eq!(put_trace_segments(&[]), br#"{"TraceSegmentDocuments":[]}"#);
    }

    fn parsed(document: &Value) -> Value {
        serde_json::from_str(document.as_str().unwrap()).unwrap()
    }
}
