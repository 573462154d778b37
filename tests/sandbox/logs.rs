//! Stub of CloudWatch Logs without events.

use serde_json::json;

use super::http::{RecordedRequest, StubResponse};

/// Returns the response; `None` if the request is not for CloudWatch Logs.
pub(crate) fn serve(request: &RecordedRequest) -> Option<StubResponse> {
    let (_, operation) = request.header("x-amz-target").split_once("Logs_20140328.")?;
    assert_eq!(operation, "FilterLogEvents");
    let body = json!({"events": [], "searchedLogStreams": []});
    Some(StubResponse::of(200, "application/x-amz-json-1.1", body.to_string()))
}
