//! A token bucket over the calls of one environment, so that a tick leaves most of the account's bucket to deployments and
//! consoles.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::deadline::Deadline;

/// So many calls a second in the long run, and a burst of more at once.
#[derive(Debug)]
pub struct RateLimiter {
    per_second: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Below zero: calls that have been promised to those who wait.
    tokens: f64,
    at_ms: i64,
}

impl RateLimiter {
    pub fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { per_second: f64::from(per_second), burst, state: Mutex::new(State { tokens: burst, at_ms: 0 }) }
    }

    /// Waits for a call's turn. `false`: its turn comes after the end of the invocation, and is given back.
    pub async fn acquire(&self, deadline: &Deadline) -> bool {
        let Some(wait) = self.reserve(deadline.now_ms(), deadline.remaining()) else { return false };
        if !wait.is_zero() {
            deadline.sleep(wait).await;
        }
        true
    }

    fn reserve(&self, now_ms: i64, left: Duration) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now_ms.saturating_sub(state.at_ms).max(0) as f64 / 1_000.0;
        state.tokens = passed.mul_add(self.per_second, state.tokens).min(self.burst);
        state.at_ms = state.at_ms.max(now_ms);
        let wait = Duration::from_secs_f64(((1.0 - state.tokens) / self.per_second).max(0.0));
        if wait >= left {
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
    fn a_burst_goes_at_once_and_then_calls_wait_for_their_turn() {
        let rate = RateLimiter::new(5, 3);
        let left = Duration::from_secs(10);
        let waits: Vec<u128> = (0..5).map(|_| rate.reserve(1_000_000, left).expect("time").as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 200, 400]);
        assert_eq!(rate.reserve(1_000_000, Duration::from_millis(500)), None, "the sixth would come too late");
        assert_eq!(rate.reserve(1_001_000, left), Some(Duration::ZERO), "five turns have passed");
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let rate = RateLimiter::new(1, 1);
        assert_eq!(rate.reserve(1_000_000, Duration::from_secs(5)), Some(Duration::ZERO));
        assert_eq!(rate.reserve(0, Duration::from_secs(5)), Some(Duration::from_secs(1)));
    }
}
