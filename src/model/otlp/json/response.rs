//! Responses in JSON, for clients that send JSON.

use serde::Serialize;

use crate::model::otlp::{ExportResponse, RpcStatus};

/// Item of the rejected count in a partial success, which determines the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedItems {
    Spans,
    DataPoints,
    LogRecords,
}

/// Encodes `ExportTraceServiceResponse`, `ExportMetricsServiceResponse` or `ExportLogsServiceResponse`. As in the JSON mapping of protobuf, fields with their
/// default value are omitted, and the 64-bit count is a string.
pub fn export_response(response: &ExportResponse, rejected: RejectedItems) -> Vec<u8> {
    let partial_success = response.partial_success.as_ref().map(|partial| {
        let count = (partial.rejected != 0).then(|| partial.rejected.to_string());
        let mut fields = PartialSuccess { error_message: &partial.error_message, ..PartialSuccess::default() };
        match rejected {
            RejectedItems::Spans => fields.rejected_spans = count,
            RejectedItems::DataPoints => fields.rejected_data_points = count,
            RejectedItems::LogRecords => fields.rejected_log_records = count,
        }
        fields
    });
    encode(&Export { partial_success })
}

/// Encodes `google.rpc.Status`.
pub fn rpc_status(status: &RpcStatus) -> Vec<u8> {
    encode(&Status { code: status.code, message: &status.message })
}

fn encode(response: &impl Serialize) -> Vec<u8> {
    // Serialization of strings and numbers cannot fail, and an empty object is a valid response.
    serde_json::to_vec(response).unwrap_or_else(|_| b"{}".to_vec())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_success: Option<PartialSuccess<'a>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartialSuccess<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_spans: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_data_points: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_log_records: Option<String>,
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
    fn partial_success_contains_count_and_message() {
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
            (
                partial(1, "old"),
                RejectedItems::LogRecords,
                r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"old"}}"#,
            ),
            (partial(0, "a warning"), RejectedItems::Spans, r#"{"partialSuccess":{"errorMessage":"a warning"}}"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&export_response(&response, rejected)), expected);
        }
    }

    #[test]
    fn status_contains_code_and_message() {
        let status = RpcStatus { code: 3, message: "resourceSpans: text".into() };
        assert_eq!(String::from_utf8_lossy(&rpc_status(&status)), r#"{"code":3,"message":"resourceSpans: text"}"#);
    }
}
