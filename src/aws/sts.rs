//! Identity behind the credentials: GetCallerIdentity of STS, the one call that needs no permission.

use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::error::{AwsError, AwsErrorKind};
use super::sdk_http::on_open_connections;
use crate::deadline::Deadline;

/// Client of STS without retries.
#[derive(Clone, Debug)]
pub struct StsClient {
    client: aws_sdk_sts::Client,
}

/// Result of GetCallerIdentity.
#[derive(Debug)]
pub struct CallerIdentity {
    /// ARN of the caller.
    pub arn: Result<String, AwsError>,
    /// `Date` of the response, in milliseconds since the epoch. `None` if STS did not respond.
    pub date_ms: Option<i64>,
}

impl StsClient {
    pub fn new(aws: &SdkConfig) -> Self {
        let config = aws_sdk_sts::config::Builder::from(aws).retry_config(on_open_connections(RetryConfig::disabled()));
        Self { client: aws_sdk_sts::Client::from_conf(config.build()) }
    }

    /// Calls GetCallerIdentity once.
    pub async fn get_caller_identity(&self, deadline: &Deadline) -> CallerIdentity {
        let date = DateRecorder::default();
        let call = self.client.get_caller_identity().customize().interceptor(date.clone()).send();
        let arn = match deadline.timeout(deadline.remaining(), Box::pin(call)).await {
            None => Err(AwsError::out_of_time()),
            Some(Err(error)) => Err(AwsError::from(&error)),
            Some(Ok(identity)) => identity
                .arn
                .filter(|arn| !arn.is_empty())
                .ok_or_else(|| AwsError::new(AwsErrorKind::InvalidResponse, "the response contains no ARN")),
        };
        CallerIdentity { arn, date_ms: date.get() }
    }
}

/// Records the `Date` header, which the SDK does not return.
#[derive(Clone, Debug, Default)]
struct DateRecorder(Arc<Mutex<Option<i64>>>);

impl DateRecorder {
    fn get(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for DateRecorder {
    fn name(&self) -> &'static str {
        "DateRecorder"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(date_ms);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

/// Parses a `Date` header, whose preferred format is one of RFC 2822 (RFC 9110, section 5.6.7).
fn date_ms(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_header_is_parsed_or_ignored() {
        for (date, expected) in [
            ("Sun, 22 Nov 2026 23:25:00 GMT", Some(1_795_389_900_000)),
            ("Mon, 22 Nov 2026 23:25:00 GMT", None),
            ("now", None),
        ] {
            assert_eq!(date_ms(date), expected, "{date}");
        }
    }
}
