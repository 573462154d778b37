//! When to try again: one small, pure policy for every destination.
//!
//! Waiting doubles from 100 ms to 5 s, with jitter over the upper half, so that many functions that met the same outage do
//! not come back together. A Retry-After is honoured as the least to wait. What does not fit into the time left is not
//! waited for: the caller spools it, or tells its client to come again.

use std::time::Duration;

/// The first wait, about one round trip and a half within a region at its slowest.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// The longest wait that is not asked for: Prometheus' own default `max_backoff`.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Waits between the attempts at one request.
#[derive(Clone, Debug)]
pub struct Backoff {
    attempts: u32,
    random: u64,
}

impl Backoff {
    /// `seed` spreads the waits of different requests.
    pub fn new(seed: u64) -> Self {
        Self { attempts: 0, random: seed }
    }

    /// How long to wait before the next attempt, or `None` when it would not fit into `left`.
    pub fn next(&mut self, retry_after: Option<Duration>, left: Duration) -> Option<Duration> {
        let ceiling = INITIAL_BACKOFF.saturating_mul(1 << self.attempts.min(16)).min(MAX_BACKOFF);
        self.attempts += 1;
        let wait = (ceiling / 2 + (ceiling / 2).mul_f64(self.next_random())).max(retry_after.unwrap_or_default());
        (wait < left).then_some(wait)
    }

    /// Attempts that have failed so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The next of a sequence of numbers in 0..1 (SplitMix64).
    fn next_random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        f64::from(bits) / f64::from(u32::MAX)
    }
}

/// A `Retry-After` in whole seconds. The date form is not read: none of our destinations sends it.
pub fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUCH: Duration = Duration::from_secs(900);

    #[test]
    fn waits_grow_with_jitter_up_to_a_ceiling() {
        for seed in 0..100 {
            let mut retry = Backoff::new(seed);
            for ceiling_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
                let wait = retry.next(None, MUCH).expect("there is time");
                let ceiling = Duration::from_millis(ceiling_ms);
                assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} of {ceiling:?}");
            }
        }
        assert_ne!(Backoff::new(1).next(None, MUCH), Backoff::new(2).next(None, MUCH));
    }

    #[test]
    fn a_retry_after_is_the_least_to_wait() {
        let mut retry = Backoff::new(7);
        assert_eq!(retry.next(Some(Duration::from_secs(2)), MUCH), Some(Duration::from_secs(2)));
        assert_eq!(retry.next(Some(Duration::from_secs(2)), Duration::from_secs(2)), None);
    }

    #[test]
    fn nothing_is_waited_for_that_does_not_fit() {
        assert_eq!(Backoff::new(7).next(None, Duration::from_millis(40)), None);
        assert_eq!(Backoff::new(7).next(None, Duration::ZERO), None);
    }

    #[test]
    fn only_whole_seconds_are_read() {
        for (value, expected) in
            [(None, None), (Some("2"), Some(2)), (Some(" 0 "), Some(0)), (Some("soon"), None), (Some("-1"), None)]
        {
            assert_eq!(retry_after(value), expected.map(Duration::from_secs), "{value:?}");
        }
    }
}
