//! Result of a delivery, the same for every destination.

use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

use crate::aws::error::AwsError;
use crate::model::rejection::Rejections;
use crate::model::spool::Payload;

/// Result of a delivery: `delivered` + `unconfirmed` + `rejected` + the items of `undelivered` are the items of the requests.
#[must_use]
#[derive(Debug)]
pub struct Outcome<R> {
    /// Items that the destination accepted.
    pub delivered: u64,
    /// Items of requests that the destination stored in part, without naming the items that it stored.
    pub unconfirmed: u64,
    /// Items that the destination rejected permanently, by reason.
    pub rejected: Rejections,
    /// Requests that may be delivered later.
    pub undelivered: Vec<R>,
    /// Error of the last failed request. `None` if every request succeeded, even if some of its items were rejected.
    pub error: Option<DeliveryError>,
    /// `Retry-After` of the destination.
    pub retry_after: Option<Duration>,
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
    /// The destination rejects the caller. The items may be delivered after a policy, the credentials or the address of the
    /// destination is corrected.
    #[error("{error}")]
    AccessDenied { status: StatusCode, error: AwsError },
    #[error("{error}")]
    Rejected { status: StatusCode, error: AwsError },
}

impl DeliveryError {
    /// Whether the destination rejects the function, or the function cannot assume the role of the destination.
    pub fn is_access_denied(&self) -> bool {
        match self {
            Self::AccessDenied { .. } => true,
            Self::Retryable { error } => error.kind.is_access_denied(),
            Self::CircuitOpen | Self::Rejected { .. } => false,
        }
    }
}

impl<R> Default for Outcome<R> {
    fn default() -> Self {
        Self {
            delivered: 0,
            unconfirmed: 0,
            rejected: Rejections::default(),
            undelivered: Vec::new(),
            error: None,
            retry_after: None,
        }
    }
}

impl<R> Outcome<R> {
    /// Returns the outcome of requests that were not sent because the circuit breaker is open.
    pub fn skipped(requests: Vec<R>) -> Self {
        Self { undelivered: requests, error: Some(DeliveryError::CircuitOpen), ..Self::default() }
    }

    /// Returns the outcome of requests that may be delivered later.
    pub fn retryable(requests: Vec<R>, error: AwsError, retry_after: Option<Duration>) -> Self {
        Self { undelivered: requests, error: Some(DeliveryError::Retryable { error }), retry_after, ..Self::default() }
    }

    /// Returns the outcome of requests that may be delivered after a policy, the credentials or an address is corrected.
    pub fn access_denied(requests: Vec<R>, status: StatusCode, error: AwsError) -> Self {
        Self { undelivered: requests, error: Some(DeliveryError::AccessDenied { status, error }), ..Self::default() }
    }

    /// Adds the outcome of other requests. Errors of undelivered requests take precedence over rejections.
    pub fn merge(mut self, other: Self) -> Self {
        let Self { delivered, unconfirmed, rejected, undelivered, error, retry_after } = other;
        let is_retryable = !undelivered.is_empty();
        self.delivered += delivered;
        self.unconfirmed += unconfirmed;
        self.rejected.merge(rejected);
        self.undelivered.extend(undelivered);
        // Denied access raises an alarm, and opens the circuit for the requests after it.
        let is_denied = self.error.as_ref().is_some_and(DeliveryError::is_access_denied);
        if error.is_some() && !is_denied && (is_retryable || self.undelivered.is_empty()) {
            self.error = error;
        }
        self.retry_after = self.retry_after.max(retry_after);
        self
    }
}

impl<R: Spoolable> Outcome<R> {
    /// Converts the undelivered requests to payloads of the spool.
    pub fn into_payloads(self) -> Outcome<Payload> {
        let Self { delivered, unconfirmed, rejected, undelivered, error, retry_after } = self;
        let undelivered = R::into_payloads(undelivered);
        Outcome { delivered, unconfirmed, rejected, undelivered, error, retry_after }
    }
}
