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
    // A document is JSON, and about a tenth of it are quotes.
    let text: usize = documents.iter().map(|document| document.json.len() + document.json.len() / 4 + 3).sum();
    let mut body = Vec::with_capacity(OPEN.len() + text + 2);
    body.extend_from_slice(OPEN);
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        push_string(&document.json, &mut body);
    }
    body.extend_from_slice(b"]}");
    body
}

/// Bytes that are escaped at a time. A power of two, so that the compiler sees that twice as many are never left.
const CHUNK: usize = 512;

/// 1 for the bytes that have a backslash before them.
const ESCAPED: [u8; 256] = {
    let mut table = [0; 256];
    table[b'"' as usize] = 1;
    table[b'\\' as usize] = 1;
    table
};

/// Appends a document as a string of JSON. As it is JSON itself, only its quotes and backslashes need escaping, one in ten
/// bytes: too many to branch on, so that every byte is written behind a backslash, and most of them over it. Control
/// characters stand only between tokens, where a space does as well.
fn push_string(document: &str, out: &mut Vec<u8>) {
    const LAST: usize = 2 * CHUNK - 1;
    let mut escaped = [0; 2 * CHUNK];
    out.push(b'"');
    for chunk in document.as_bytes().chunks(CHUNK) {
        let mut length = 0;
        for &byte in chunk {
            escaped[length & LAST] = b'\\';
            length += usize::from(ESCAPED[usize::from(byte)]);
            escaped[length & LAST] = byte.max(b' ');
            length += 1;
        }
        out.extend_from_slice(&escaped[..length]);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_call_holds_each_document_as_a_string_that_reads_back_as_the_same_json() {
        let long = format!(r#"{{"name":"{}"}}"#, r#"\"é\\"#.repeat(CHUNK));
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
