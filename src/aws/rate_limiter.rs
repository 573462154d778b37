//! Token bucket for the calls of one execution environment, so that a scheduled run leaves most of the account's API quota to
//! deployments and consoles.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::deadline::Deadline;

/// Limits calls to a sustained rate with a burst.
#[derive(Debug)]
pub struct RateLimiter {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Negative if callers are waiting: each has reserved a token that is not yet available.
    tokens: f64,
    at_ms: i64,
}

impl RateLimiter {
    /// Creates a full bucket of `burst` tokens, refilled at `per_second`.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { per_second: f64::from(per_second), burst, state: Mutex::new(State { tokens: burst, at_ms: 0 }) }
    }

    /// Waits for a token. Returns false, without taking one, if the wait would exceed the remaining time.
    pub async fn acquire(&self, deadline: &Deadline) -> bool {
        let Some(wait) = self.reserve(deadline.now_ms(), deadline.remaining()) else { return false };
        if !wait.is_zero() {
            deadline.sleep(wait).await;
        }
        true
    }

    /// Takes tokens without waiting. Returns false, without taking any, if there are too few.
    pub fn try_acquire(&self, tokens: u32, now_ms: i64) -> bool {
        let (mut state, tokens) = (self.refilled(now_ms), f64::from(tokens));
        let is_available = state.tokens >= tokens;
        if is_available {
            state.tokens -= tokens;
        }
        is_available
    }

    /// Returns tokens that were taken, up to a full bucket.
    pub fn release(&self, tokens: u32, now_ms: i64) {
        let mut state = self.refilled(now_ms);
        state.tokens = (state.tokens + f64::from(tokens)).min(self.burst);
    }

    fn refilled(&self, now_ms: i64) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_s = now_ms.saturating_sub(state.at_ms).max(0) as f64 / 1_000.0;
        state.tokens = elapsed_s.mul_add(self.per_second, state.tokens).min(self.burst);
        // Also back, if the clock stepped back: otherwise the bucket would not be refilled for as long as the step.
        state.at_ms = now_ms;
        state
    }

    fn reserve(&self, now_ms: i64, remaining: Duration) -> Option<Duration> {
        let mut state = self.refilled(now_ms);
        let wait = Duration::from_secs_f64(((1.0 - state.tokens) / self.per_second).max(0.0));
        if wait >= remaining {
            return None;
        }
        state.tokens -= 1.0;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_wait_for_tokens_after_the_burst() {
        let rate = RateLimiter::new(5, 3);
        let remaining = Duration::from_secs(10);
        let waits: Vec<u128> =
            (0..5).map(|_| rate.reserve(1_000_000, remaining).expect("enough time").as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 200, 400]);
        assert_eq!(
            rate.reserve(1_000_000, Duration::from_millis(500)),
            None,
            "the sixth call does not fit into the remaining time"
        );
        assert_eq!(rate.reserve(1_001_000, remaining), Some(Duration::ZERO), "five tokens have been refilled");
    }

    #[test]
    fn clock_that_steps_back_adds_no_tokens_and_stops_no_refill() {
        let rate = RateLimiter::new(1, 1);
        assert_eq!(rate.reserve(1_000_000, Duration::from_secs(5)), Some(Duration::ZERO));
        assert_eq!(rate.reserve(0, Duration::from_secs(5)), Some(Duration::from_secs(1)));
        assert_eq!(
            rate.reserve(2_000, Duration::from_secs(5)),
            Some(Duration::ZERO),
            "the bucket is refilled from then on"
        );
    }
}
