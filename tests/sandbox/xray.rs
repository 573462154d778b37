//! X-Ray: accepts segment documents, OTLP, and sampling calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{RecordedRequest, StubResponse};

#[derive(Default)]
pub(crate) struct State {
    /// Accepted documents, parsed.
    pub(crate) documents: Vec<Value>,
    /// Documents of each PutTraceSegments call, including rejected ones.
    pub(crate) calls: Vec<usize>,
    /// Ids of documents to reject, with the error code and the number of times.
    pub(crate) unprocessed: HashMap<String, (&'static str, u32)>,
    /// Ids in the order in which they were sent, with retries.
    pub(crate) sent_ids: Vec<String>,
    /// Bodies of requests to /v1/traces.
    pub(crate) otlp: Vec<Vec<u8>>,
    pub(crate) sampling_calls: Vec<String>,
}

/// Returns the response, or `None` for other paths.
pub(crate) fn serve(state: &Arc<Mutex<State>>, request: &RecordedRequest) -> Option<StubResponse> {
    let mut state = state.lock().unwrap();
    match request.path.as_str() {
        "/TraceSegments" => Some(state.put(request)),
        "/v1/traces" => {
            state.otlp.push(request.body.clone());
            Some(StubResponse::of(200, "application/x-protobuf", ""))
        }
        path @ ("/GetSamplingRules" | "/SamplingTargets") => {
            state.sampling_calls.push(path.to_owned());
            let rules = json!({"SamplingRuleRecords": [{"SamplingRule": {"RuleName": "Default", "FixedRate": 0.05}}]});
            let targets = json!({"SamplingTargetDocuments": [], "LastRuleModification": 0.0});
            Some(StubResponse::json(if path == "/GetSamplingRules" { &rules } else { &targets }))
        }
        "/Traces" => {
            let call: Value = serde_json::from_slice(&request.body).unwrap();
            let asked: Vec<&str> = call["TraceIds"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let stored = state.documents.iter().filter_map(|document| document["trace_id"].as_str());
            let traces: Vec<Value> =
                stored.filter(|id| asked.contains(id)).map(|id| json!({"Id": id, "Segments": []})).collect();
            Some(StubResponse::json(&json!({"Traces": traces, "UnprocessedTraceIds": []})))
        }
        _ => None,
    }
}

impl State {
    fn put(&mut self, request: &RecordedRequest) -> StubResponse {
        let call: Value = serde_json::from_slice(&request.body).unwrap();
        let documents = call["TraceSegmentDocuments"].as_array().unwrap();
        self.calls.push(documents.len());
        if documents.len() > 50 {
            return StubResponse::of(400, "application/json", r#"{"__type":"InvalidRequestException"}"#);
        }
        let mut unprocessed = Vec::new();
        for document in documents {
            let document: Value = serde_json::from_str(document.as_str().unwrap()).unwrap();
            let id = document["id"].as_str().unwrap().to_owned();
            self.sent_ids.push(id.clone());
            match self.unprocessed.get_mut(&id) {
                Some((code, times)) if *times > 0 => {
                    *times -= 1;
                    unprocessed.push(json!({"Id": id, "ErrorCode": code, "Message": "rejected"}));
                }
                _ => self.documents.push(document),
            }
        }
        StubResponse::json(&json!({"UnprocessedTraceSegments": unprocessed}))
    }
}
