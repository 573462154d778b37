//! The ECS client: rate limit, deadline and error of each call. It is independent of the purpose of the calls.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::aws::error::{AwsError, AwsErrorKind};
use crate::aws::rate_limiter::RateLimiter;
use crate::deadline::Deadline;

/// Calls of one category share a token bucket per account and region: 20 per second, with a burst of 100 for tasks and container
/// instances and for services, and of 50 for clusters and for task definitions (Amazon ECS Developer Guide, "Request throttling for
/// the Amazon ECS API"). Half of it lists and describes 10,000 tasks in fifteen seconds, and leaves the rest to deployments.
const CALLS_PER_SECOND: u32 = 10;
const RESOURCE_BURST: u32 = 50;
const SERVICE_BURST: u32 = 50;
const CLUSTER_BURST: u32 = 25;

/// Definitions are read once per environment, so that the burst is more than half.
const DEFINITION_BURST: u32 = 45;

/// ECS client with a rate limit for each category of calls.
#[derive(Debug)]
pub(super) struct EcsClient {
    pub(super) client: Client,
    resources: RateLimiter,
    services: RateLimiter,
    clusters: RateLimiter,
    definitions: RateLimiter,
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

/// Error of a call for a cluster that does not exist.
const CLUSTER_NOT_FOUND: &str = "ClusterNotFoundException";

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

    /// Returns whether the role of the function may not make the call.
    pub fn is_denied(&self) -> bool {
        self.error.kind == AwsErrorKind::AccessDenied
    }

    /// Returns whether there is no such cluster, so that it has no tasks and no services.
    pub(super) fn is_cluster_not_found(&self) -> bool {
        self.error.code.as_deref() == Some(CLUSTER_NOT_FOUND)
    }

    /// Returns whether the call may succeed later, so that cached results may be used until then.
    pub fn is_retryable(&self) -> bool {
        self.error.kind.is_retryable()
    }
}

impl EcsClient {
    pub(super) fn new(client: Client) -> Self {
        let limiter = |burst| RateLimiter::new(CALLS_PER_SECOND, burst);
        Self {
            client,
            resources: limiter(RESOURCE_BURST),
            services: limiter(SERVICE_BURST),
            clusters: limiter(CLUSTER_BURST),
            definitions: limiter(DEFINITION_BURST),
        }
    }

    /// Returns the limiter of the category of a call.
    fn limiter(&self, call: &str) -> &RateLimiter {
        match call {
            "ListServices" | "DescribeServices" => &self.services,
            "ListClusters" | "DescribeClusters" => &self.clusters,
            "DescribeTaskDefinition" => &self.definitions,
            _ => &self.resources,
        }
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
            if !self.limiter(call).acquire(deadline).await {
                return Err(failed(AwsError::out_of_time()));
            }
            match deadline.timeout(deadline.remaining(), request).await {
                Some(response) => response.map_err(|error| failed(AwsError::from(&error))),
                None => Err(failed(AwsError::out_of_time())),
            }
        }
    }
}
