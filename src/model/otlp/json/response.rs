//! Answers in JSON, for clients that asked in JSON.

use serde::Serialize;

use crate::model::otlp::{ExportResponse, RpcStatus};

/// What the count of a partial success counts: its field is called after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedItems {
    Spans,
    DataPoints,
}

/// `ExportTraceServiceResponse` or `ExportMetricsServiceResponse`; fields that hold their default are left out, and the
/// 64-bit count is text, both as protobuf's JSON mapping has it.
pub fn export_response(response: &ExportResponse, rejected: RejectedItems) -> Vec<u8> {
    let partial_success = response.partial_success.as_ref().map(|partial| {
        let count = (partial.rejected != 0).then(|| partial.rejected.to_string());
        let (rejected_spans, rejected_data_points) = match rejected {
            RejectedItems::Spans => (count, None),
            RejectedItems::DataPoints => (None, count),
        };
        PartialSuccess { rejected_spans, rejected_data_points, error_message: &partial.error_message }
    });
    encoded(&Export { partial_success })
}

/// `google.rpc.Status`.
pub fn rpc_status(status: &RpcStatus) -> Vec<u8> {
    encoded(&Status { code: status.code, message: &status.message })
}

fn encoded(answer: &impl Serialize) -> Vec<u8> {
    // Structs of text and numbers always have JSON; an empty object is an answer, too.
    serde_json::to_vec(answer).unwrap_or_else(|_| b"{}".to_vec())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_success: Option<PartialSuccess<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartialSuccess<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_spans: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_data_points: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_message: &'a str,
}

#[derive(Serialize)]
struct Status<'a> {
    code: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp;

    #[test]
    fn partial_successes_name_what_was_rejected() {
        let partial = |rejected, error_message: &str| ExportResponse {
            partial_success: Some(otlp::PartialSuccess { rejected, error_message: error_message.into() }),
        };
        for (response, rejected, expected) in [
            (ExportResponse::default(), RejectedItems::Spans, "{}"),
            (
                partial(3, "no \"id\""),
                RejectedItems::Spans,
                r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no \"id\""}}"#,
            ),
            (
                partial(i64::MAX, "delta"),
                RejectedItems::DataPoints,
                r#"{"partialSuccess":{"rejectedDataPoints":"9223372036854775807","errorMessage":"delta"}}"#,
            ),
            (partial(0, "a warning"), RejectedItems::Spans, r#"{"partialSuccess":{"errorMessage":"a warning"}}"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&export_response(&response, rejected)), expected);
        }
    }

    #[test]
    fn a_status_is_its_code_and_message() {
        let status = RpcStatus { code: 3, message: "resourceSpans: text".into() };
        assert_eq!(String::from_utf8_lossy(&rpc_status(&status)), r#"{"code":3,"message":"resourceSpans: text"}"#);
    }
}
