//! What an OTLP client is answered: an export response, or a google.rpc.Status that names the reason.

use bytes::Bytes;
use prost::Message;

use super::Encoding;
use crate::lambda::HttpResponse;
use crate::model::otlp::json::{self, RejectedItems};
use crate::model::otlp::{ExportResponse, PartialSuccess, RpcStatus};
use crate::model::rejection::Rejections;

/// An answer that is no success. Its message never quotes the body or a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    status: u16,
    message: String,
    encoding: Encoding,
    header: Option<(&'static str, String)>,
}

impl ErrorResponse {
    /// 400: the same body would be refused again.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 401: no credential, or one that is not accepted.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self { header: Some(("www-authenticate", "Bearer".into())), ..Self::new(401, message) }
    }

    /// 403: somebody, but nobody who may push.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, message)
    }

    /// What a service behind this one refused, with its own status.
    pub fn upstream_error(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, message)
    }

    pub fn not_found(path: &str) -> Self {
        let shown: String = path.chars().take(100).collect();
        Self::new(
            404,
            format!("there is nothing at `{}`: traces go to /v1/traces, metrics to /v1/metrics", shown.escape_debug()),
        )
    }

    /// 404 for logs, with the way to stop them.
    pub fn logs_disabled() -> Self {
        Self::new(404, "logs are not taken here: set OTEL_LOGS_EXPORTER=none, or SIDECARLESS_LOG_GROUP on the function")
    }

    pub fn method_not_allowed(allowed: &str, method: &str) -> Self {
        let shown: String = method.chars().take(20).collect();
        Self {
            header: Some(("allow", allowed.into())),
            ..Self::new(405, format!("{} is not allowed here, but {allowed} is", shown.escape_debug()))
        }
    }

    /// 413: larger than this function takes.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, message)
    }

    /// 415: an encoding or compression this function does not read.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(415, message)
    }

    /// 503: nothing was kept; the client shall send it again, not before `retry_after_s` seconds have passed.
    pub fn unavailable(message: impl Into<String>, retry_after_s: u64) -> Self {
        Self { header: Some(("retry-after", retry_after_s.to_string())), ..Self::new(503, message) }
    }

    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), encoding: Encoding::Protobuf, header: None }
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

    pub fn into_reply(self) -> HttpResponse {
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
/// Specification, "Partial Success").
pub fn partial_success(
    encoding: Encoding,
    items: RejectedItems,
    rejected: &Rejections,
    modified: &Rejections,
) -> HttpResponse {
    let error_message = match (rejected.is_empty(), modified.is_empty()) {
        (_, true) => rejected.to_string(),
        (true, false) => format!("modified: {modified}"),
        (false, false) => format!("{rejected}; modified: {modified}"),
    };
    let count = i64::try_from(rejected.total()).unwrap_or(i64::MAX);
    let partial_success = (!error_message.is_empty()).then_some(PartialSuccess { rejected: count, error_message });
    let response = ExportResponse { partial_success };
    let body = match encoding {
        Encoding::Protobuf => response.encode_to_vec(),
        Encoding::Json => json::export_response(&response, items),
    };
    export_response(encoding, body.into())
}

/// 200 with an export response that somebody else made.
pub fn export_response(encoding: Encoding, body: Bytes) -> HttpResponse {
    HttpResponse { status: 200, headers: vec![("content-type", encoding.content_type().into())], body: body.into() }
}

/// 200, with the documents that were refused, as X-Ray itself answers PutTraceSegments: the reasons stand in one entry each.
pub fn put_trace_segments_response(refused: &Rejections) -> HttpResponse {
    let entry = |refusal: &crate::model::rejection::Rejection| {
        let message = format!("{} refused: {}", refusal.count, refusal.example);
        serde_json::json!({"ErrorCode": refusal.reason, "Message": message})
    };
    let unprocessed: Vec<_> = refused.iter().map(entry).collect();
    let body = serde_json::json!({"UnprocessedTraceSegments": unprocessed}).to_string();
    HttpResponse { status: 200, headers: vec![("content-type", "application/json".into())], body: body.into_bytes() }
}

/// An answer of X-Ray's, passed on.
pub fn passed_on(status: u16, body: Vec<u8>) -> HttpResponse {
    HttpResponse { status, headers: vec![("content-type", "application/json".into())], body }
}

/// The google.rpc.Code that stands for an HTTP status (google/rpc/code.proto).
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
