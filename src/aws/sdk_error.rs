//! Converts errors of the SDK.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::backoff::retry_after;
use super::client::{PostResult, is_retryable};
use super::error::{AwsError, AwsErrorKind, error_chain, error_code, kind, one_line};

/// Error of a call with the parts of the response that decide what happens next.
#[derive(Clone, Debug)]
pub struct CallError {
    pub error: AwsError,
    /// `None` if there was no response.
    pub status: Option<StatusCode>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Body of the response, shortened and on one line.
    pub body: String,
}

impl<E: ProvideErrorMetadata + std::error::Error + 'static> From<&SdkError<E, HttpResponse>> for CallError {
    fn from(error: &SdkError<E, HttpResponse>) -> Self {
        let response = error.raw_response();
        Self {
            error: error.into(),
            status: response.and_then(|response| StatusCode::from_u16(response.status().as_u16()).ok()),
            retry_after: retry_after(response.and_then(|response| response.headers().get("retry-after"))),
            body: response.and_then(|response| response.body().bytes()).map(one_line).unwrap_or_default(),
        }
    }
}

impl From<AwsError> for CallError {
    /// Returns the error of a call without a response.
    fn from(error: AwsError) -> Self {
        Self { error, status: None, retry_after: None, body: String::new() }
    }
}

impl CallError {
    /// Returns the status of a response that the same request would get again. `None` if another attempt may succeed.
    pub fn permanent_status(&self) -> Option<StatusCode> {
        self.status.filter(|&status| !is_retryable(status, &self.error))
    }

    pub fn into_post_result(self) -> PostResult {
        match self.permanent_status() {
            Some(status) => PostResult::Rejected { status, body: self.body, error: self.error },
            None => PostResult::Retryable { error: self.error, retry_after: self.retry_after },
        }
    }
}

impl<E: ProvideErrorMetadata + std::error::Error + 'static> From<&SdkError<E, HttpResponse>> for AwsError {
    /// Never includes a response that may contain data, unlike `DisplayErrorContext`.
    fn from(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(service) => from_service(service.err(), service.raw().status().as_u16()),
            SdkError::TimeoutError(_) => Self::timeout(),
            SdkError::DispatchFailure(failure) => from_connector(failure.as_connector_error()),
            SdkError::ResponseError(unread) if unread.raw().status().is_client_error() => {
                from_client_error(unread.raw().status().as_u16(), unread.raw().body().bytes().unwrap_or_default())
            }
            SdkError::ResponseError(_) => Self::new(AwsErrorKind::InvalidResponse, error_chain(error)),
            other => match credentials_error(other) {
                Some(cause) => Self::from_credentials(cause),
                None => Self::new(AwsErrorKind::InvalidRequest, error_chain(other)),
            },
        }
    }
}

fn from_service<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &E, status: u16) -> AwsError {
    let detail = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        // The SDK could not read the response, and its error does not name the status.
        (None, None) => format!("{status}: {}", error_chain(error)),
    };
    let kind = match error.code() {
        None if !has_meaning(status) => AwsErrorKind::InvalidResponse,
        code => kind(Some(status), code, &detail),
    };
    AwsError::with_code(kind, error.code().map(str::to_owned), &detail)
}

/// Whether a status without an error code determines the kind of the error. Services send a code with each error; without one,
/// something in between has responded, which may also limit the rate or the size of requests.
fn has_meaning(status: u16) -> bool {
    matches!(status, 413 | 429 | 500..)
}

/// Converts a response that the SDK cannot read. It may still have the error code of a service, in another protocol.
fn from_client_error(status: u16, body: &[u8]) -> AwsError {
    let body = one_line(body);
    let code = error_code(&HeaderMap::new(), &body);
    let kind = match code.as_deref() {
        None if !has_meaning(status) => AwsErrorKind::InvalidResponse,
        code => kind(Some(status), code, &body),
    };
    AwsError::with_code(kind, code, &format!("{status}: {body}"))
}

fn from_connector(error: Option<&ConnectorError>) -> AwsError {
    let Some(error) = error else {
        return AwsError::new(AwsErrorKind::Unreachable, "the request could not be sent");
    };
    match credentials_error(error) {
        Some(cause) => AwsError::from_credentials(cause),
        None if error.is_timeout() => AwsError::new(AwsErrorKind::Timeout, error_chain(error)),
        None => AwsError::new(AwsErrorKind::Unreachable, error_chain(error)),
    }
}

/// Finds the error of the credentials provider, which the SDK wraps.
fn credentials_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a CredentialsError> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_in_an_unreadable_response_determines_the_kind() {
        let denied = "<ErrorResponse><Errors><Error><Code>AccessDenied</Code></Error></Errors></ErrorResponse>";
        for (body, expected) in [(denied, AwsErrorKind::AccessDenied), ("<html>", AwsErrorKind::InvalidResponse)] {
            assert_eq!(from_client_error(403, body.as_bytes()).kind, expected, "{body}");
        }
    }
}
