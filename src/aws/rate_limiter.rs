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
        Self::refilled_at(f64::from(per_second), burst)
    }

    /// Creates a full bucket of `burst` tokens, refilled at `per_minute`.
    pub fn per_minute(per_minute: u32, burst: u32) -> Self {
        Self::refilled_at(f64::from(per_minute) / 60.0, burst)
    }

    fn refilled_at(per_second: f64, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { per_second, burst, state: Mutex::new(State { tokens: burst, at_ms: 0 }) }
    }

    /// Waits for a token. Returns false, without taking one, if the wait would exceed the remaining time.
    pub async fn acquire(&self, deadline: &Deadline) -> bool {
        self.acquire_within(1, deadline.remaining(), deadline).await
    }

    /// Waits for tokens. Returns false, without taking any, if the wait would exceed `max_wait` or the remaining time. More tokens than
    /// the bucket holds are taken when it is full, and are missing afterwards.
    pub async fn acquire_within(&self, tokens: u32, max_wait: Duration, deadline: &Deadline) -> bool {
        // A call needs time after the wait.
        let max_wait = max_wait.min(deadline.remaining().saturating_sub(Duration::from_millis(1)));
        let Some(wait) = self.reserve(tokens, deadline.now_ms(), max_wait) else { return false };
        if !wait.is_zero() {
            deadline.sleep(wait).await;
        }
        true
    }

    /// Returns the number of whole tokens that can be taken without waiting.
    pub fn available(&self, now_ms: i64) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the conversion saturates")]
        let tokens = self.refilled(now_ms).tokens as u32;
        tokens
    }

    /// Takes tokens even if there are too few: the next caller waits longer.
    pub fn charge(&self, tokens: u32, now_ms: i64) {
        self.refilled(now_ms).tokens -= f64::from(tokens);
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

    fn reserve(&self, tokens: u32, now_ms: i64, max_wait: Duration) -> Option<Duration> {
        let mut state = self.refilled(now_ms);
        let tokens = f64::from(tokens);
        let missing = tokens.min(self.burst) - state.tokens;
        let wait = Duration::from_secs_f64((missing / self.per_second).max(0.0));
        if wait > max_wait {
            return None;
        }
        state.tokens -= tokens;
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
            (0..5).map(|_| rate.reserve(1, 1_000_000, remaining).expect("enough time").as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 200, 400]);
        assert_eq!(
            rate.reserve(1, 1_000_000, Duration::from_millis(500)),
            None,
            "the sixth call does not fit into the remaining time"
        );
        assert_eq!(rate.reserve(1, 1_001_000, remaining), Some(Duration::ZERO), "five tokens have been refilled");
    }

    #[test]
    fn calls_that_exceed_the_bucket_are_paid_for_later() {
        let rate = RateLimiter::per_minute(60, 5);
        let second = Duration::from_secs(1);
        assert_eq!(rate.reserve(8, 1_000_000, Duration::ZERO), Some(Duration::ZERO), "a full bucket");
        assert_eq!(rate.reserve(1, 1_003_000, second), Some(second), "three are missing");
        rate.charge(1, 1_004_000);
        assert_eq!(rate.reserve(1, 1_004_000, second), None);
        assert_eq!(rate.reserve(1, 1_005_000, second), Some(second));
    }

    #[tokio::test(start_paused = true)]
    async fn refused_wait_takes_no_token() {
        let (rate, deadline) = (RateLimiter::new(1, 1), Deadline::after(Duration::from_secs(10)));
        assert!(rate.acquire_within(1, Duration::ZERO, &deadline).await);
        assert!(!rate.acquire_within(1, Duration::from_millis(900), &deadline).await);
        assert!(!rate.acquire_within(1, Duration::from_secs(2), &deadline.capped(Duration::from_millis(900))).await);
        assert!(rate.acquire_within(1, Duration::from_millis(1_100), &deadline).await);
    }

    #[test]
    fn clock_that_steps_back_adds_no_tokens_and_stops_no_refill() {
        let rate = RateLimiter::new(1, 1);
        assert_eq!(rate.reserve(1, 1_000_000, Duration::from_secs(5)), Some(Duration::ZERO));
        assert_eq!(rate.reserve(1, 0, Duration::from_secs(5)), Some(Duration::from_secs(1)));
        assert_eq!(
            rate.reserve(1, 2_000, Duration::from_secs(5)),
            Some(Duration::ZERO),
            "the bucket is refilled from then on"
        );
    }
}
