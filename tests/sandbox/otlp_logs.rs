//! The OTLP endpoint of CloudWatch Logs: takes whatever comes for a group and a stream.

use std::sync::{Arc, Mutex};

use super::http::{Answer, Heard};

#[derive(Default)]
pub(crate) struct State {
    /// Requests that were taken.
    pub(crate) taken: Vec<Heard>,
    /// What is answered instead of success.
    pub(crate) answer: Option<Answer>,
}

/// The endpoint's answer; `None`: the path is not its own.
pub(crate) fn serve(state: &Arc<Mutex<State>>, heard: &Heard) -> Option<Answer> {
    if heard.path != "/v1/logs" {
        return None;
    }
    let mut state = state.lock().unwrap();
    if heard.header("x-aws-log-group").is_empty() || heard.header("x-aws-log-stream").is_empty() {
        return Some(Answer::of(400, "application/json", "neither group nor stream"));
    }
    if let Some(answer) = &state.answer {
        return Some(answer.clone());
    }
    state.taken.push(heard.clone());
    let said = br#"{"partialSuccess":{}}"#.to_vec();
    Some(Answer::of(200, "application/json", said))
}
