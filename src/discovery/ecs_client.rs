//! Every call to ECS goes through here: in its turn, within the deadline, and with an error that says whether to ask again.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::aws::rate_limiter::RateLimiter;
use crate::aws::sdk_error::describe_sdk_error;
use crate::deadline::Deadline;

/// The reads of tasks and container instances draw from one bucket per account and region: 100 at once, 20 a second
/// (Amazon ECS Developer Guide, "Request throttling for the Amazon ECS API"). Half of both lists or
/// describes 10,000 tasks in five seconds, and leaves the rest to deployments.
const CALLS_PER_SECOND: u32 = 10;
const BURST: u32 = 50;

/// Error codes after which the same call may succeed a little later.
const RETRYABLE_CODES: [&str; 6] = [
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ServerException",
    "ServiceUnavailableException",
];

/// ECS, at our pace.
#[derive(Debug)]
pub(super) struct EcsClient {
    pub(super) client: Client,
    rate: RateLimiter,
}

/// A call that failed after the SDK's own retries, or for which there was no time.
#[derive(Clone, Debug, Error)]
#[error("{call} failed for {subject}: {reason}")]
pub struct DiscoveryError {
    pub(super) call: &'static str,
    /// A cluster, a page of one, or a task definition.
    pub(super) subject: String,
    pub(super) reason: String,
    /// Throttled, 5xx, no connection, out of time: what was known before still stands.
    pub retryable: bool,
}

impl DiscoveryError {
    /// The operation, as its API names it.
    pub fn call(&self) -> &'static str {
        self.call
    }
}

impl EcsClient {
    pub(super) fn new(client: Client) -> Self {
        Self { client, rate: RateLimiter::new(CALLS_PER_SECOND, BURST) }
    }

    /// Makes a call about `subject`, which is only named in errors. The call itself is put on the heap: the SDK's futures
    /// weigh kilobytes each.
    pub(super) fn call<'a, T, E: ProvideErrorMetadata + std::error::Error + 'static>(
        &'a self,
        call: &'static str,
        subject: &'a str,
        deadline: &'a Deadline,
        work: impl Future<Output = Result<T, SdkError<E>>> + 'a,
    ) -> impl Future<Output = Result<T, DiscoveryError>> + 'a {
        let work = Box::pin(work);
        let failed = move |reason: String, passing| DiscoveryError {
            call,
            subject: subject.to_owned(),
            reason,
            retryable: passing,
        };
        let out_of_time = move || failed("the invocation ran out of time".into(), true);
        async move {
            if !self.rate.acquire(deadline).await {
                return Err(out_of_time());
            }
            let answer = deadline.timeout(deadline.remaining(), work).await.ok_or_else(out_of_time)?;
            answer.map_err(|error| failed(describe_sdk_error(&error), is_retryable(&error)))
        }
    }
}

fn is_retryable<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(service) => service.err().code().is_none_or(|code| RETRYABLE_CODES.contains(&code)),
        _ => true,
    }
}
