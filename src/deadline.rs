//! Time left in the invocation. This is the only file that reads a clock: all other code receives the time as an argument and can
//! be tested without waiting.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Maximum timeout of a Lambda function (AWS Lambda quotas, "Function timeout").
const MAX_TIMEOUT: Duration = Duration::from_secs(900);

/// Timeout if the runtime sends no deadline, or one in the past: `cargo lambda watch` sends 1970.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Time reserved for spooling undelivered items and for the response. No other network call may use it. An SQS SendMessageBatch
/// of 1 MiB takes about 100 ms; twenty of them at once, with a retry, take much less than this.
const RESERVE: Duration = Duration::from_millis(1_500);

/// Part of the reserve for the response, which is sent over loopback. Lambda measures the time until it has received it.
const RESPONSE_RESERVE: Duration = Duration::from_millis(250);

/// Start and end of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    ends: Instant,
    started_wall_ms: i64,
    reserve: Duration,
    retries: bool,
}

impl Deadline {
    /// Returns the deadline for the `Lambda-Runtime-Deadline-Ms` of an invocation, in milliseconds since the epoch.
    pub fn from_epoch_ms(deadline_epoch_ms: u64) -> Self {
        let now_ms = epoch_ms();
        let remaining_ms = i64::try_from(deadline_epoch_ms).unwrap_or(0).saturating_sub(now_ms);
        let remaining = match u64::try_from(remaining_ms) {
            Ok(ms) if ms > 0 => Duration::from_millis(ms).min(MAX_TIMEOUT),
            _ => DEFAULT_TIMEOUT,
        };
        Self::after(remaining)
    }

    /// Returns a deadline `remaining` from now.
    pub fn after(remaining: Duration) -> Self {
        let started = now();
        // The reserve of a short invocation is a quarter of its time.
        Self {
            started,
            ends: started + remaining,
            started_wall_ms: epoch_ms(),
            reserve: RESERVE.min(remaining / 4),
            retries: true,
        }
    }

    /// Returns the deadline of the same invocation with at most `limit` left for work. It never ends later, even if the reserve has
    /// been used.
    pub fn capped(&self, limit: Duration) -> Self {
        let work_ends = now() + limit.min(self.remaining());
        Self { ends: self.ends.min(work_ends + self.reserve), ..*self }
    }

    /// Returns the deadline of the same invocation without retries.
    pub fn single_attempt(&self) -> Self {
        Self { retries: false, ..*self }
    }

    /// Returns the time that waits for further attempts may take.
    pub fn retry_budget(&self) -> Duration {
        if self.retries { self.remaining() } else { Duration::ZERO }
    }

    /// Returns when the invocation started, in milliseconds since the epoch.
    pub fn started_ms(&self) -> i64 {
        self.started_wall_ms
    }

    /// Returns the current time in milliseconds since the epoch, never before the start of the invocation.
    pub fn now_ms(&self) -> i64 {
        self.started_wall_ms + i64::try_from(self.elapsed().as_millis()).unwrap_or(0)
    }

    /// Returns the time since the invocation started.
    pub fn elapsed(&self) -> Duration {
        now() - self.started
    }

    /// Returns the time left for work: until the end, minus the reserve for spooling and the response.
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(now()).saturating_sub(self.reserve)
    }

    /// Returns the time left for spooling: until the response must be sent, including the reserve.
    pub fn remaining_for_spool(&self) -> Duration {
        self.ends.saturating_duration_since(now()).saturating_sub(RESPONSE_RESERVE.min(self.reserve / 2))
    }

    /// Waits for `work`, at most for `limit` and the remaining time; `None` if it did not finish.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        tokio::time::timeout(limit.min(self.remaining()), work).await.ok()
    }

    /// Sleeps, at most for the remaining time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.min(self.remaining())).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn epoch_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_in_the_past_or_far_future_is_clamped() {
        for (case, epoch_ms, min, max) in [
            ("1970, as cargo lambda sends it", 600_000, DEFAULT_TIMEOUT / 2, DEFAULT_TIMEOUT),
            ("none", 0, DEFAULT_TIMEOUT / 2, DEFAULT_TIMEOUT),
            ("the end of time", u64::MAX, DEFAULT_TIMEOUT / 2, DEFAULT_TIMEOUT),
            ("a year from now", u64::try_from(epoch_ms()).unwrap() + 31_536_000_000, MAX_TIMEOUT / 2, MAX_TIMEOUT),
            (
                "ten seconds from now",
                u64::try_from(epoch_ms()).unwrap() + 10_000,
                Duration::from_secs(8),
                Duration::from_secs(10),
            ),
        ] {
            let remaining = Deadline::from_epoch_ms(epoch_ms).remaining();
            assert!(remaining > min && remaining <= max, "{case}: {remaining:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn capped_deadline_keeps_the_reserve() {
        let full = Deadline::after(Duration::from_secs(50));
        let part = full.capped(Duration::from_secs(1));
        assert_eq!(part.remaining(), Duration::from_secs(1));
        assert_eq!(full.capped(Duration::from_secs(500)).remaining(), full.remaining());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(part.remaining(), Duration::ZERO);
        assert_eq!(part.started_ms(), full.started_ms());
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_cut_off_before_the_reserve() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let outcome = deadline.timeout(Duration::from_secs(60), std::future::pending::<()>()).await;
        assert_eq!(outcome, None);
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert_eq!(deadline.remaining_for_spool(), RESERVE - RESPONSE_RESERVE);
        tokio::time::advance(RESERVE / 2).await;
        let capped = deadline.capped(Duration::from_secs(1));
        assert_eq!(
            capped.remaining_for_spool(),
            deadline.remaining_for_spool(),
            "a capped deadline does not end later"
        );
    }
}
