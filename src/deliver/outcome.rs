//! Result of a delivery, the same for every destination.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use thiserror::Error;

use crate::aws::error::AwsError;
use crate::model::rejection::Rejections;
use crate::model::spool::Payload;

/// Result of a delivery: `delivered` + `rejected` + the items of `undelivered` are the items of the requests.
#[must_use]
#[derive(Debug)]
pub struct Outcome<R> {
    /// Items that the destination accepted.
    pub delivered: u64,
    /// Items that the destination rejected permanently, by reason.
    pub rejected: Rejections,
    /// Requests that may be delivered later.
    pub undelivered: Vec<R>,
    /// Error of the last failed request. `None` if every request succeeded, even if some of its items were rejected.
    pub error: Option<DeliveryError>,
    /// `Retry-After` of the destination.
    pub retry_after: Option<Duration>,
    /// Body of the last successful response, for destinations whose response is returned to the client.
    pub response: Bytes,
}

/// Request that can be spooled.
pub trait Spoolable: Sized {
    /// Packs requests into as few payloads as possible.
    fn into_payloads(requests: Vec<Self>) -> Vec<Payload>;
}

/// Reason why items were not delivered.
#[derive(Clone, Debug, Error)]
pub enum DeliveryError {
    #[error("a request failed within the last 10 s, so none was sent")]
    CircuitOpen,
    #[error("{error}")]
    Retryable { error: AwsError },
    #[error("{error}")]
    Rejected { status: StatusCode, error: AwsError },
}

impl<R> Default for Outcome<R> {
    fn default() -> Self {
        Self {
            delivered: 0,
            rejected: Rejections::default(),
            undelivered: Vec::new(),
            error: None,
            retry_after: None,
            response: Bytes::new(),
        }
    }
}

impl<R> Outcome<R> {
    /// Returns the outcome of requests that were not sent because the circuit breaker is open.
    pub fn skipped(requests: Vec<R>) -> Self {
        Self { undelivered: requests, error: Some(DeliveryError::CircuitOpen), ..Self::default() }
    }

    /// Returns the outcome of a request that may be delivered later.
    pub fn retryable(request: R, error: AwsError, retry_after: Option<Duration>) -> Self {
        Self {
            undelivered: vec![request],
            error: Some(DeliveryError::Retryable { error }),
            retry_after,
            ..Self::default()
        }
    }

    /// Adds the outcome of other requests. Errors of undelivered requests take precedence over rejections.
    pub fn merge(mut self, other: Self) -> Self {
        let Self { delivered, rejected, undelivered, error, retry_after, response } = other;
        let is_retryable = !undelivered.is_empty();
        self.delivered += delivered;
        self.rejected.merge(rejected);
        self.undelivered.extend(undelivered);
        if error.is_some() && (is_retryable || self.undelivered.is_empty()) {
            self.error = error;
        }
        self.retry_after = self.retry_after.max(retry_after);
        if !response.is_empty() {
            self.response = response;
        }
        self
    }
}

impl<R: Spoolable> Outcome<R> {
    /// Converts the undelivered requests to payloads of the spool.
    pub fn into_payloads(self) -> Outcome<Payload> {
        let Self { delivered, rejected, undelivered, error, retry_after, response } = self;
        let undelivered = R::into_payloads(undelivered);
        Outcome { delivered, rejected, undelivered, error, retry_after, response }
    }
}
