//! Why a call of the SDK failed, on one line: what the service said, or where the connection broke.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::post::chain;

/// `code: message` where the service answered, otherwise the error with what caused it. Never the answer itself, which
/// `DisplayErrorContext` would print whole.
pub fn reason<E: ProvideErrorMetadata + std::error::Error + 'static, R: std::fmt::Debug>(
    error: &SdkError<E, R>,
) -> String {
    match error {
        SdkError::ServiceError(service) => match (service.err().code(), service.err().message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => chain(service.err()),
        },
        SdkError::TimeoutError(_) => "no answer in time".into(),
        SdkError::DispatchFailure(failure) => {
            failure.as_connector_error().map_or_else(|| "the request could not be sent".into(), |error| chain(error))
        }
        other => chain_of(other),
    }
}

fn chain_of<E: std::error::Error + 'static, R: std::fmt::Debug>(error: &SdkError<E, R>) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
