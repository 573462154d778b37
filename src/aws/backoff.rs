//! Exponential backoff, the same for every destination.
//!
//! The wait doubles from 100 ms to 5 s. Jitter over its upper half prevents many functions from retrying at the same time
//! after an outage. `Retry-After` is the minimum wait. There is no retry if the wait exceeds the remaining time: the caller
//! then spools the request, or refuses it so that the sender retries.

use std::time::Duration;

/// First wait: about one and a half slow round trips within a region.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// Maximum wait without `Retry-After`, as the default `max_backoff` of Prometheus.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Backoff of one request.
#[derive(Clone, Debug)]
pub struct Backoff {
    attempts: u32,
    random: u64,
}

impl Backoff {
    /// Creates the backoff of one request. `seed` makes the waits of different requests differ.
    pub fn new(seed: u64) -> Self {
        Self { attempts: 0, random: seed }
    }

    /// Returns the wait before the next attempt, or `None` if it does not fit into `remaining`.
    pub fn next(&mut self, retry_after: Option<Duration>, remaining: Duration) -> Option<Duration> {
        let ceiling = INITIAL_BACKOFF.saturating_mul(1 << self.attempts.min(16)).min(MAX_BACKOFF);
        self.attempts += 1;
        let wait = (ceiling / 2 + (ceiling / 2).mul_f64(self.next_random())).max(retry_after.unwrap_or_default());
        (wait < remaining).then_some(wait)
    }

    /// Returns the number of failed attempts.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the next pseudo-random number from 0 to 1 (SplitMix64).
    fn next_random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        f64::from(bits) / f64::from(u32::MAX)
    }
}

/// Parses a `Retry-After` header in seconds. The date format is ignored, because no destination sends it.
pub fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Duration = Duration::from_secs(900);

    #[test]
    fn waits_double_with_jitter_up_to_the_maximum() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(seed);
            for ceiling_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
                let wait = backoff.next(None, AMPLE).expect("enough time");
                let ceiling = Duration::from_millis(ceiling_ms);
                assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?}, maximum {ceiling:?}");
            }
        }
        assert_ne!(Backoff::new(1).next(None, AMPLE), Backoff::new(2).next(None, AMPLE));
    }

    #[test]
    fn retry_after_is_the_minimum_wait() {
        let mut backoff = Backoff::new(7);
        assert_eq!(backoff.next(Some(Duration::from_secs(2)), AMPLE), Some(Duration::from_secs(2)));
        assert_eq!(backoff.next(Some(Duration::from_secs(2)), Duration::from_secs(2)), None);
    }

    #[test]
    fn no_retry_if_the_wait_exceeds_the_remaining_time() {
        assert_eq!(Backoff::new(7).next(None, Duration::from_millis(40)), None);
        assert_eq!(Backoff::new(7).next(None, Duration::ZERO), None);
    }

    #[test]
    fn retry_after_accepts_whole_seconds_only() {
        for (value, expected) in
            [(None, None), (Some("2"), Some(2)), (Some(" 0 "), Some(0)), (Some("soon"), None), (Some("-1"), None)]
        {
            assert_eq!(retry_after(value), expected.map(Duration::from_secs), "{value:?}");
        }
    }
}
