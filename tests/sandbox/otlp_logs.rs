//! The OTLP endpoint of CloudWatch Logs: takes whatever comes for a group and a stream.

use std::sync::{Arc, Mutex};

use super::http::{RecordedRequest, StubResponse};

#[derive(Default)]
pub(crate) struct State {
    /// Requests that were taken.
    pub(crate) taken: Vec<RecordedRequest>,
    /// What is answered instead of success.
    pub(crate) answer: Option<StubResponse>,
}

/// The endpoint's answer; `None`: the path is not its own.
pub(crate) fn serve(state: &Arc<Mutex<State>>, heard: &RecordedRequest) -> Option<StubResponse> {
    if heard.path != "/v1/logs" {
        return None;
    }
    let mut state = state.lock().unwrap();
    if heard.header("x-aws-log-group").is_empty() || heard.header("x-aws-log-stream").is_empty() {
        return Some(StubResponse::of(400, "application/json", "neither group nor stream"));
    }
    if let Some(answer) = &state.answer {
        return Some(answer.clone());
    }
    state.taken.push(heard.clone());
    let said = br#"{"partialSuccess":{}}"#.to_vec();
    Some(StubResponse::of(200, "application/json", said))
}
