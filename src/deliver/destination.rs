//! The interface that all destinations have in common.

use std::future::Future;

use super::outcome::Outcome;
use crate::deadline::Deadline;

/// Service that telemetry is delivered to.
pub trait Destination {
    /// Encoded request with the number of its items.
    type Request;

    /// Name in errors.
    const NAME: &'static str;

    /// Requests of one batch that are sent at the same time.
    const CONCURRENCY: usize;

    /// Sends one request, and retries it as long as the deadline allows.
    fn send(&self, request: Self::Request, deadline: &Deadline) -> impl Future<Output = Outcome<Self::Request>>;
}
