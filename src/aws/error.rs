//! Error of an AWS call: a kind for the caller to decide by, and a message for people.
//!
//! The kind comes from the error code of the service. Its message is read only where several causes share one code, or where
//! the response has no code.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use thiserror::Error;

use crate::model::masked::{masked, start_of};

/// Maximum length of an error body in an error message, in characters. The first sentence contains the reason.
const MAX_BODY_CHARS: usize = 1_024;

/// Error of an AWS call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct AwsError {
    pub kind: AwsErrorKind,
    /// Error code of the service, such as `ClusterNotFoundException`. `None` if there was no response, or one without a code.
    pub code: Option<String>,
    /// One line for logs and responses, [masked].
    pub detail: String,
}

/// Cause of a failed AWS call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// The credentials are valid, but a permission is missing.
    AccessDenied,
    /// The time of the signature differs too much from the time of the service.
    ClockSkewed,
    /// The service rejects the credentials, or the signature does not match them.
    InvalidCredentials,
    ExpiredCredentials,
    /// No credentials were found to sign with.
    MissingCredentials,
    /// Too many requests. The error code decides, whatever the status is.
    Throttled,
    /// The connection could not be made, or broke.
    Unreachable,
    /// No response within the time limit of one attempt.
    Timeout,
    /// The invocation had no time left for the call.
    OutOfTime,
    /// 5xx.
    Unavailable,
    /// Any other 3xx or 4xx. See [`AwsError::code`].
    Rejected,
    /// The request could not be built or signed.
    InvalidRequest,
    /// The response could not be read.
    InvalidResponse,
}

impl AwsErrorKind {
    /// Whether the service rejected the caller and not the request: the same request succeeds after a policy, the credentials
    /// or the clock is corrected.
    pub fn is_access_denied(self) -> bool {
        matches!(self, Self::AccessDenied | Self::InvalidCredentials) || self.needs_new_signature()
    }

    /// Whether a new signature, with new credentials and the current time, may be accepted. A request that was signed before
    /// Lambda froze the environment is too old when it is sent.
    pub fn needs_new_signature(self) -> bool {
        matches!(self, Self::ClockSkewed | Self::ExpiredCredentials)
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::MissingCredentials
            | Self::Throttled
            | Self::Unreachable
            | Self::Timeout
            | Self::OutOfTime
            | Self::Unavailable
            | Self::InvalidRequest
            | Self::InvalidResponse => true,
            Self::AccessDenied
            | Self::ClockSkewed
            | Self::InvalidCredentials
            | Self::ExpiredCredentials
            | Self::Rejected => false,
        }
    }
}

impl AwsError {
    /// Returns an error without a response of the service.
    pub fn new(kind: AwsErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, code: None, detail: masked(&detail.into()) }
    }

    /// Returns the error of a response.
    pub(super) fn with_code(kind: AwsErrorKind, code: Option<String>, detail: &str) -> Self {
        Self { kind, code, detail: masked(detail) }
    }

    /// Returns the error for a call that the end of the invocation prevented or cut off.
    pub fn out_of_time() -> Self {
        Self::new(AwsErrorKind::OutOfTime, "the invocation ran out of time")
    }

    /// Returns the error for an attempt without a response.
    pub fn timeout() -> Self {
        Self::new(AwsErrorKind::Timeout, "no response in time")
    }

    /// Returns the error of loading credentials. STS may have refused to let the function assume a role.
    pub(super) fn from_credentials(error: &CredentialsError) -> Self {
        let chain = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
        let refused: Option<&AssumeRoleError> = chain.into_iter().find_map(|error| error.downcast_ref());
        if let Some((code, refused)) = refused.and_then(|refused| Some((refused.code()?, refused))) {
            let message = refused.message().unwrap_or_default();
            let detail = format!("cannot assume the role: {code}: {message}");
            return Self::with_code(kind(None, Some(code), message), Some(code.to_owned()), &detail);
        }
        Self::new(AwsErrorKind::MissingCredentials, format!("no AWS credentials found: {}", error_chain(error)))
    }

    /// Returns the error of one entry in the response to a batch request.
    pub fn from_batch_entry(code: &str, message: Option<&str>) -> Self {
        let detail = message.unwrap_or(code);
        Self::with_code(kind(None, Some(code), detail), Some(code.to_owned()), detail)
    }

    /// Returns the error of a response that is not 2xx. `body` is on one line.
    pub(super) fn from_response(status: StatusCode, headers: &HeaderMap, body: &str) -> Self {
        let code = error_code(headers, body);
        let kind = kind(Some(status.as_u16()), code.as_deref(), body);
        Self::with_code(kind, code, &format!("{status}: {body}"))
    }
}

impl From<&reqwest::Error> for AwsError {
    fn from(error: &reqwest::Error) -> Self {
        let kind = if error.is_timeout() { AwsErrorKind::Timeout } else { AwsErrorKind::Unreachable };
        Self::new(kind, error_chain(error))
    }
}

/// Error codes without the suffix `Exception` ("Common Error Types" in the API reference of each service; IAM User Guide,
/// "Troubleshoot signed requests for AWS APIs"; Amazon EC2 API Reference, "Error codes for the Amazon EC2 API"; for throttling,
/// the retry models of the SDKs: `THROTTLING_ERRORS` and `TRANSIENT_ERRORS` of the crate aws-runtime).
pub const CODES: &[(&str, AwsErrorKind)] = &[
    ("AccessDenied", AwsErrorKind::AccessDenied),
    ("AuthorizationError", AwsErrorKind::AccessDenied),
    ("NotAuthorized", AwsErrorKind::AccessDenied),
    ("UnauthorizedOperation", AwsErrorKind::AccessDenied),
    ("OptInRequired", AwsErrorKind::AccessDenied),
    ("RegionDisabled", AwsErrorKind::AccessDenied),
    ("RequestExpired", AwsErrorKind::ClockSkewed),
    ("RequestInTheFuture", AwsErrorKind::ClockSkewed),
    ("RequestTimeTooSkewed", AwsErrorKind::ClockSkewed),
    ("ExpiredToken", AwsErrorKind::ExpiredCredentials),
    ("TokenRefreshRequired", AwsErrorKind::ExpiredCredentials),
    ("AuthFailure", AwsErrorKind::InvalidCredentials),
    ("IncompleteSignature", AwsErrorKind::InvalidCredentials),
    ("InvalidAccessKeyId", AwsErrorKind::InvalidCredentials),
    ("InvalidClientTokenId", AwsErrorKind::InvalidCredentials),
    ("InvalidSignature", AwsErrorKind::InvalidCredentials),
    ("SignatureDoesNotMatch", AwsErrorKind::InvalidCredentials),
    ("MissingAuthenticationToken", AwsErrorKind::InvalidCredentials),
    ("UnrecognizedClient", AwsErrorKind::InvalidCredentials),
    ("BandwidthLimitExceeded", AwsErrorKind::Throttled),
    ("EC2Throttled", AwsErrorKind::Throttled),
    ("LimitExceeded", AwsErrorKind::Throttled),
    ("PriorRequestNotComplete", AwsErrorKind::Throttled),
    ("ProvisionedThroughputExceeded", AwsErrorKind::Throttled),
    ("RequestLimitExceeded", AwsErrorKind::Throttled),
    ("RequestThrottled", AwsErrorKind::Throttled),
    ("SlowDown", AwsErrorKind::Throttled),
    ("Throttled", AwsErrorKind::Throttled),
    ("Throttling", AwsErrorKind::Throttled),
    ("TooManyRequests", AwsErrorKind::Throttled),
    ("TransactionInProgress", AwsErrorKind::Throttled),
    ("RequestTimeout", AwsErrorKind::Timeout),
    ("InternalError", AwsErrorKind::Unavailable),
    ("InternalFailure", AwsErrorKind::Unavailable),
    ("Server", AwsErrorKind::Unavailable),
    ("ServiceUnavailable", AwsErrorKind::Unavailable),
    // Amazon SQS API Reference, SendMessage and ReceiveMessage: errors of the key that encrypts the queue, and too many messages.
    ("KmsAccessDenied", AwsErrorKind::AccessDenied),
    ("KmsOptInRequired", AwsErrorKind::AccessDenied),
    ("KmsThrottled", AwsErrorKind::Throttled),
    ("OverLimit", AwsErrorKind::Throttled),
];

/// Messages of services that name the cause more exactly than code and status do: a wrong clock and a wrong key share the code
/// `InvalidSignatureException`.
pub const MESSAGES: &[(&str, AwsErrorKind)] = &[
    ("Signature expired", AwsErrorKind::ClockSkewed),
    ("Signature not yet current", AwsErrorKind::ClockSkewed),
    ("security token included in the request is expired", AwsErrorKind::ExpiredCredentials),
    ("security token included in the request is invalid", AwsErrorKind::InvalidCredentials),
    ("not authorized", AwsErrorKind::AccessDenied),
];

/// Returns the kind of an error response.
pub(super) fn kind(status: Option<u16>, code: Option<&str>, message: &str) -> AwsErrorKind {
    let name = code.map(short_name);
    let by_code = CODES.iter().find(|(code, _)| Some(*code) == name).map(|&(_, kind)| kind);
    // Other errors quote labels and attributes of clients.
    let is_about_access = matches!(status, Some(401 | 403))
        || matches!(by_code, Some(AwsErrorKind::AccessDenied | AwsErrorKind::InvalidCredentials));
    let mut messages = MESSAGES.iter().filter(|_| is_about_access);
    let by_message = messages.find(|(text, _)| message.contains(text)).map(|&(_, kind)| kind);
    by_message.or(by_code).unwrap_or(match status {
        Some(401 | 403) => AwsErrorKind::AccessDenied,
        Some(429) => AwsErrorKind::Throttled,
        Some(500..) => AwsErrorKind::Unavailable,
        _ => AwsErrorKind::Rejected,
    })
}

/// Returns a code as in [`CODES`]. SQS sends `KMS.ThrottlingException` to clients that know its older protocol, as the SDK does.
fn short_name(code: &str) -> &str {
    let name = code.rsplit('.').next().unwrap_or(code);
    name.strip_suffix("Exception").unwrap_or(name)
}

/// Returns the error code in a response: of the header in REST protocols, of `__type` in JSON protocols (Smithy, "AWS JSON 1.1
/// protocol", section "Operation error serialization"), of `Code` in XML.
pub(super) fn error_code(headers: &HeaderMap, body: &str) -> Option<String> {
    let header = || headers.get("x-amzn-errortype")?.to_str().ok().map(str::to_owned);
    let json = || {
        let fields: Value = serde_json::from_str(body).ok()?;
        ["__type", "code"].iter().find_map(|name| Some(fields.get(name)?.as_str()?.to_owned()))
    };
    let xml = || Some(body.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned());
    let code = header().or_else(json).or_else(xml)?;
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().trim();
    (!code.is_empty()).then(|| code.to_owned())
}

/// Returns the start of a body with whitespace collapsed, so that it fits into one log line.
pub(super) fn one_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    start_of(&words.join(" "), MAX_BODY_CHARS).to_owned()
}

/// Returns an error and its sources on one line.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_code_message_and_status_determine_the_kind() {
        for (status, body, expected) in [
            (400, r#"{"__type":"a.b#AccessDeniedException","message":"no"}"#, AwsErrorKind::AccessDenied),
            (403, "<Response><Errors><Error><Code>UnauthorizedOperation</Code>", AwsErrorKind::AccessDenied),
            (403, "<Response><Code>AuthFailure</Code></Response>", AwsErrorKind::InvalidCredentials),
            (403, r#"{"message":"Signature expired: 2026"}"#, AwsErrorKind::ClockSkewed),
            (400, r#"{"__type":"InvalidSignatureException","message":"key"}"#, AwsErrorKind::InvalidCredentials),
            (400, r#"{"__type":"ExpiredTokenException"}"#, AwsErrorKind::ExpiredCredentials),
            (403, "The security token included in the request is expired", AwsErrorKind::ExpiredCredentials),
            (403, r#"{"message":"Missing Authentication Token"}"#, AwsErrorKind::AccessDenied),
            (400, r#"{"__type":"ThrottlingException"}"#, AwsErrorKind::Throttled),
            (400, r#"{"__type":"RequestLimitExceeded"}"#, AwsErrorKind::Throttled),
            (400, r#"{"__type":"LimitExceededException"}"#, AwsErrorKind::Throttled),
            (408, r#"{"__type":"RequestTimeoutException"}"#, AwsErrorKind::Timeout),
            (400, r#"{"__type":"RequestExpired"}"#, AwsErrorKind::ClockSkewed),
            (403, r#"{"__type":"RequestTimeTooSkewed"}"#, AwsErrorKind::ClockSkewed),
            (429, "", AwsErrorKind::Throttled),
            (503, "<html>", AwsErrorKind::Unavailable),
            (404, "not found", AwsErrorKind::Rejected),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = AwsError::from_response(status, &HeaderMap::new(), body);
            assert_eq!(error.kind, expected, "{status} {body}");
        }
    }

    #[test]
    fn error_code_is_read_from_header_json_and_xml() {
        let header = |value| HeaderMap::from_iter([("x-amzn-errortype".parse().expect("a name"), value)]);
        let from_header = header(reqwest::header::HeaderValue::from_static("ThrottledException:http://internal/"));
        assert_eq!(error_code(&from_header, "{}").as_deref(), Some("ThrottledException"));
        for (body, expected) in [
            (r#"{"__type":"com.amazonaws.xray#InvalidRequestException"}"#, Some("InvalidRequestException")),
            (r#"{"code":"AccessDenied"}"#, Some("AccessDenied")),
            ("<Error><Code>RequestLimitExceeded</Code></Error>", Some("RequestLimitExceeded")),
            (r#"{"code":7}"#, None),
            ("", None),
        ] {
            assert_eq!(error_code(&HeaderMap::new(), body).as_deref(), expected, "{body}");
        }
    }
}
