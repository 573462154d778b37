//! OTLP endpoint of CloudWatch Logs, which accepts every request with a log group and a stream.

use std::sync::{Arc, Mutex};

use super::http::{RecordedRequest, StubResponse};

#[derive(Default)]
pub(crate) struct State {
    /// Accepted requests.
    pub(crate) taken: Vec<RecordedRequest>,
    /// Response instead of success.
    pub(crate) response: Option<StubResponse>,
}

/// Returns the response, or `None` for other paths.
pub(crate) fn serve(state: &Arc<Mutex<State>>, request: &RecordedRequest) -> Option<StubResponse> {
    if request.path != "/v1/logs" {
        return None;
    }
    let mut state = state.lock().unwrap();
    if request.header("x-aws-log-group").is_empty() || request.header("x-aws-log-stream").is_empty() {
        return Some(StubResponse::of(400, "application/json", "neither group nor stream"));
    }
    if let Some(response) = &state.response {
        return Some(response.clone());
    }
    state.taken.push(request.clone());
    Some(StubResponse::of(200, "application/x-protobuf", ""))
}
