//! Circuit breaker, time limit and concurrency of the deliveries to one destination.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::circuit_breaker::CircuitBreaker;
use super::destination::Destination;
use super::outcome::Outcome;
use crate::deadline::Deadline;

/// Timeout of a delivery when a spool is configured. SDK exporters time out after ten seconds.
const DELIVERY_TIMEOUT_WITH_SPOOL: Duration = Duration::from_secs(5);

/// Delivers requests to one destination.
#[derive(Debug)]
pub struct Delivery<D> {
    destination: D,
    /// Shared by the APIs of one service.
    circuit: Arc<CircuitBreaker>,
    has_spool: bool,
}

impl<D: Destination> Delivery<D> {
    pub fn new(destination: D, circuit: Arc<CircuitBreaker>, has_spool: bool) -> Self {
        Self { destination, circuit, has_spool }
    }

    /// Returns the client, for calls that are not deliveries.
    pub fn destination(&self) -> &D {
        &self.destination
    }

    /// Returns whether the circuit breaker is open, so that nothing is sent.
    pub fn is_open(&self, now_ms: i64) -> bool {
        self.circuit.is_open(now_ms)
    }

    /// Delivers requests and retries failures.
    ///
    /// With a spool, the caller does not wait for a destination that is down: the circuit breaker and a short time limit apply.
    /// Without a spool, all of the remaining time is used, because nothing else would retry a run.
    pub async fn deliver(
        &self,
        requests: impl IntoIterator<Item = D::Request>,
        deadline: &Deadline,
    ) -> Outcome<D::Request> {
        if !self.has_spool {
            return self.send_all(requests, deadline).await;
        }
        self.unless_open(requests, &deadline.capped(DELIVERY_TIMEOUT_WITH_SPOOL)).await
    }

    /// Makes a single attempt, unless the circuit breaker is open. The caller has another way to retry.
    pub async fn deliver_once(
        &self,
        requests: impl IntoIterator<Item = D::Request>,
        deadline: &Deadline,
    ) -> Outcome<D::Request> {
        self.unless_open(requests, &deadline.single_attempt()).await
    }

    async fn unless_open(
        &self,
        requests: impl IntoIterator<Item = D::Request>,
        deadline: &Deadline,
    ) -> Outcome<D::Request> {
        if self.circuit.is_open(deadline.now_ms()) {
            return Outcome::skipped(requests.into_iter().collect());
        }
        self.send_all(requests, deadline).await
    }

    async fn send_all(
        &self,
        requests: impl IntoIterator<Item = D::Request>,
        deadline: &Deadline,
    ) -> Outcome<D::Request> {
        let mut outcomes = std::pin::pin!(
            stream::iter(requests)
                .map(|request| self.destination.send(request, deadline))
                .buffer_unordered(D::CONCURRENCY)
        );
        let mut total: Option<Outcome<D::Request>> = None;
        while let Some(outcome) = outcomes.next().await {
            total = Some(total.unwrap_or_default().merge(outcome));
        }
        // Without requests, the state of the destination is unchanged.
        let Some(total) = total else { return Outcome::default() };
        self.circuit.record(total.undelivered.is_empty(), deadline.now_ms());
        total
    }
}
