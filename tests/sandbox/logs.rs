//! CloudWatch Logs: has no events.

use serde_json::json;

use super::http::{RecordedRequest, StubResponse};

/// The answer; `None`: the request is not meant for CloudWatch Logs.
pub(crate) fn serve(heard: &RecordedRequest) -> Option<StubResponse> {
    let (_, operation) = heard.header("x-amz-target").split_once("Logs_20140328.")?;
    assert_eq!(operation, "FilterLogEvents");
    let answer = json!({"events": [], "searchedLogStreams": []});
    Some(StubResponse::of(200, "application/x-amz-json-1.1", answer.to_string()))
}
