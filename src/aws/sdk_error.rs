//! Why a call of the SDK failed, on one line: what the service said, or where the connection broke.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::client::{error_chain, one_line};

/// `code: message` where the service answered, status and words where something before it did, otherwise the error with what
/// caused it. Never an answer that may have data in it, which `DisplayErrorContext` would print whole.
pub fn describe_sdk_error<E: ProvideErrorMetadata + std::error::Error + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> String {
    match error {
        SdkError::ServiceError(service) => match (service.err().code(), service.err().message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => error_chain(service.err()),
        },
        SdkError::TimeoutError(_) => "no answer in time".into(),
        SdkError::DispatchFailure(failure) => failure
            .as_connector_error()
            .map_or_else(|| "the request could not be sent".into(), |error| error_chain(error)),
        SdkError::ResponseError(unread) if unread.raw().status().is_client_error() => describe_response(unread.raw()),
        other => chain_of(other),
    }
}

fn describe_response(answer: &HttpResponse) -> String {
    format!("{}: {}", answer.status(), one_line(answer.body().bytes().unwrap_or_default()))
}

fn chain_of<E: std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {}", error_chain(source)),
        None => error.to_string(),
    }
}
