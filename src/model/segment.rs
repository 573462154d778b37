//! X-Ray segment documents that are ready to be sent.

use serde::Deserialize;

use super::escaped_json::EscapedJson;

/// JSON of one segment or independent subsegment, at most 64 KB (AWS X-Ray Developer Guide, "X-Ray segment documents").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentDocument {
    json: EscapedJson,
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
        Self { json: EscapedJson::from_text(json) }
    }

    pub fn from_escaped(json: EscapedJson) -> Self {
        Self { json }
    }

    /// Returns the JSON.
    pub fn text(&self) -> String {
        self.json.to_text()
    }

    /// Parses the ids, which are empty if the document has none. They are not stored, because only documents that were
    /// not delivered need them.
    pub fn ids(&self) -> SegmentIds {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }

    /// Size in a PutTraceSegments request, which is larger than the JSON.
    pub fn escaped_len(&self) -> usize {
        self.json.len()
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
        document.json.push_string(&mut body);
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
