//! The recorded requests and the documents of the collector: see golden/README.md.

use std::io::Read as _;

use base64::Engine as _;
use prost::Message as _;
use serde_json::Value;
use sidecarless::model::otlp::ExportTraceServiceRequest;

pub(crate) struct Recording {
    pub(crate) case: String,
    pub(crate) request: ExportTraceServiceRequest,
    pub(crate) documents: Vec<Value>,
}

pub(crate) fn recordings() -> Vec<Recording> {
    let mut text = String::new();
    let compressed: &[u8] = include_bytes!("../golden/spans.jsonl.gz");
    flate2::read::MultiGzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let request = base64::engine::general_purpose::STANDARD.decode(line["request"].as_str().unwrap()).unwrap();
            Recording {
                case: line["case"].as_str().unwrap().to_owned(),
                request: ExportTraceServiceRequest::decode(request.as_slice()).unwrap(),
                documents: line["documents"].as_array_mut().map(std::mem::take).unwrap_or_default(),
            }
        })
        .collect()
}
