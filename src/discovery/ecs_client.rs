//! The ECS client: rate limit, deadline and error of each call. It is independent of the purpose of the calls.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::aws::error::AwsError;
use crate::aws::rate_limiter::RateLimiter;
use crate::deadline::Deadline;

/// Calls that read tasks and container instances share one token bucket per account and region: burst 100, 20 per
/// second (Amazon ECS Developer Guide, "Request throttling for the Amazon ECS API"). Half of both lists or describes
/// 10,000 tasks in five seconds, and leaves the rest to deployments.
const CALLS_PER_SECOND: u32 = 10;
const BURST: u32 = 50;

/// ECS client with a rate limit.
#[derive(Debug)]
pub(super) struct EcsClient {
    pub(super) client: Client,
    rate: RateLimiter,
}

/// A call that failed after the retries of the SDK, or that the invocation had no time for.
#[derive(Clone, Debug, Error)]
#[error("{call} failed for {subject}: {error}")]
pub struct DiscoveryError {
    pub(super) call: &'static str,
    /// A cluster, one batch of its tasks, or a task definition.
    pub(super) subject: String,
    pub error: AwsError,
}

/// Items that were listed before a call failed, with its error; all items if there is none.
#[must_use]
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) error: Option<DiscoveryError>,
}

impl DiscoveryError {
    /// Returns the API operation that failed.
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// Returns whether the call may succeed later, so that cached results may be used until then.
    pub fn is_retryable(&self) -> bool {
        self.error.kind.is_retryable()
    }
}

impl EcsClient {
    pub(super) fn new(client: Client) -> Self {
        Self { client, rate: RateLimiter::new(CALLS_PER_SECOND, BURST) }
    }

    /// Makes a call. `subject` only appears in errors. The request is boxed, because a future of the SDK takes
    /// kilobytes.
    pub(super) fn call<'a, T, E: ProvideErrorMetadata + std::error::Error + 'static>(
        &'a self,
        call: &'static str,
        subject: &'a str,
        deadline: &'a Deadline,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + 'a,
    ) -> impl Future<Output = Result<T, DiscoveryError>> + 'a {
        let request = Box::pin(request);
        let failed = move |error| DiscoveryError { call, subject: subject.to_owned(), error };
        async move {
            if !self.rate.acquire(deadline).await {
                return Err(failed(AwsError::out_of_time()));
            }
            match deadline.timeout(deadline.remaining(), request).await {
                Some(response) => response.map_err(|error| failed(AwsError::from(&error))),
                None => Err(failed(AwsError::out_of_time())),
            }
        }
    }
}
