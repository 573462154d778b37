//! Responses to OTLP clients: an export response, or a google.rpc.Status with the error.

use prost::Message;

use super::Encoding;
use crate::lambda::HttpResponse;
use crate::model::budget::BudgetExceeded;
use crate::model::otlp::json::{self, RejectedItems};
use crate::model::otlp::{ExportResponse, PartialSuccess, RpcStatus};
use crate::model::rejection::{Rejection, Rejections};
use crate::model::shortened::shortened;

/// `Retry-After` of a request for which the invocation has no time: another execution environment may have it.
pub const RETRY_AFTER_S: u64 = 5;

/// An error response. Its message never contains a credential, and is shortened: errors of parsers quote their input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    status: u16,
    message: String,
    encoding: Encoding,
    header: Option<(&'static str, String)>,
}

impl ErrorResponse {
    /// 400: the client must not send the same body again.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 401: no credential, or an unknown one.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self { header: Some(("www-authenticate", "Bearer".into())), ..Self::new(401, message) }
    }

    /// 403: the caller is authenticated, but not allowed to push.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, message)
    }

    pub fn not_found(path: &str) -> Self {
        let shown: String = path.chars().take(100).collect();
        Self::new(
            404,
            format!(
                "unknown path `{shown}`: send traces to /v1/traces, metrics to /v1/metrics and task stats to /v1/ecs/task-stats"
            ),
        )
    }

    /// 404: the settings of the function disable the route.
    pub fn disabled(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// 404: logs are disabled.
    pub fn logs_disabled() -> Self {
        Self::disabled("logs are disabled: set OTEL_LOGS_EXPORTER=none, or SIDECARLESS_LOG_GROUP on the function")
    }

    pub fn method_not_allowed(allowed: &str, method: &str) -> Self {
        let shown: String = method.chars().take(20).collect();
        Self {
            header: Some(("allow", allowed.into())),
            ..Self::new(405, format!("method {shown} is not allowed: use {allowed}"))
        }
    }

    /// 413: the request is too large.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, message)
    }

    /// 415: unsupported compression.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(415, message)
    }

    /// 503: nothing was stored, and the client must retry after `retry_after_s` seconds.
    pub fn unavailable(message: impl Into<String>, retry_after_s: u64) -> Self {
        Self { header: Some(("retry-after", retry_after_s.to_string())), ..Self::new(503, message) }
    }

    /// 413 if the request can never fit into the memory of the function; 503 if another invocation may have the time for it.
    pub fn budget_exceeded(error: BudgetExceeded) -> Self {
        let message = format!("the request was not processed: {error}");
        if error.is_permanent() { Self::too_large(message) } else { Self::unavailable(message, RETRY_AFTER_S) }
    }

    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: shortened(message.into()), encoding: Encoding::Protobuf, header: None }
    }

    pub fn with_encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn into_http_response(self) -> HttpResponse {
        let status = RpcStatus { code: rpc_code(self.status), message: self.message };
        let body = match self.encoding {
            Encoding::Protobuf => status.encode_to_vec(),
            Encoding::Json => json::rpc_status(&status),
        };
        let mut headers = vec![("content-type", self.encoding.content_type().to_owned())];
        headers.extend(self.header);
        HttpResponse { status: self.status, headers, body }
    }
}

/// 200, with `partial_success` if items were rejected or modified. Without rejected items it is a warning (OpenTelemetry Protocol
/// Specification, "Partial Success"). No more items are reported as rejected than were received: a destination rejects samples, of
/// which a data point has several.
pub fn partial_success(
    encoding: Encoding,
    items: RejectedItems,
    received: u64,
    rejected: &Rejections,
    modified: &Rejections,
) -> HttpResponse {
    let error_message = match (rejected.is_empty(), modified.is_empty()) {
        (_, true) => shortened(rejected),
        (true, false) => shortened(format_args!("modified: {modified}")),
        (false, false) => shortened(format_args!("{rejected}; modified: {modified}")),
    };
    let count = i64::try_from(rejected.total().min(received)).unwrap_or(i64::MAX);
    let partial_success = (!error_message.is_empty()).then_some(PartialSuccess { rejected: count, error_message });
    let response = ExportResponse { partial_success };
    let body = match encoding {
        Encoding::Protobuf => response.encode_to_vec(),
        Encoding::Json => json::export_response(&response, items),
    };
    HttpResponse { status: 200, headers: vec![("content-type", encoding.content_type().into())], body }
}

/// 200 with a JSON object.
pub fn json_response(body: &serde_json::Value) -> HttpResponse {
    passed_on(200, body.to_string().into_bytes())
}

/// 200 with the rejected documents in the format of PutTraceSegments, with one entry for each reason.
pub fn put_trace_segments_response(rejections: &Rejections) -> HttpResponse {
    let entry = |rejection: &Rejection| {
        let message = shortened(format_args!("{} rejected: {}", rejection.count, rejection.example));
        serde_json::json!({"ErrorCode": rejection.reason, "Message": message})
    };
    let unprocessed: Vec<_> = rejections.iter().map(entry).collect();
    let body = serde_json::json!({"UnprocessedTraceSegments": unprocessed}).to_string();
    HttpResponse { status: 200, headers: vec![("content-type", "application/json".into())], body: body.into_bytes() }
}

/// A response of X-Ray, forwarded unchanged.
pub fn passed_on(status: u16, body: Vec<u8>) -> HttpResponse {
    HttpResponse { status, headers: vec![("content-type", "application/json".into())], body }
}

/// Returns the google.rpc.Code of an HTTP status (google/rpc/code.proto).
fn rpc_code(status: u16) -> i32 {
    match status {
        400 | 415 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        405 => 12,
        413 | 429 => 8,
        503 => 14,
        _ => 13,
    }
}
