//! X-Ray segment documents on their way out.

/// One segment or independent subsegment, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The document, at most 64 KB of JSON (AWS X-Ray Developer Guide, "X-Ray segment documents").
    pub json: String,
    /// As the document has it: `1-8hex-24hex`.
    pub trace_id: String,
    /// As the document has it: 16 hex.
    pub id: String,
}

/// The body of a PutTraceSegments call: the documents as strings of JSON (AWS X-Ray API Reference, PutTraceSegments).
pub fn put_trace_segments(documents: &[Document]) -> Vec<u8> {
    const OPEN: &[u8] = br#"{"TraceSegmentDocuments":["#;
    // A document is JSON, and about a tenth of it are quotes. The last one may be escaped without growing the body, though
    // the escaping always asks for room for nothing but control characters, six bytes each.
    let text: usize = documents.iter().map(|document| document.json.len() + document.json.len() / 4 + 3).sum();
    let slack = documents.last().map_or(0, |document| document.json.len() * 6 + 64);
    let mut body = Vec::with_capacity(OPEN.len() + text + slack + 2);
    body.extend_from_slice(OPEN);
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        json_escape_simd::escape_into(&document.json, &mut body);
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
        let document = |json: &str| Document { json: json.into(), trace_id: String::new(), id: String::new() };
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
