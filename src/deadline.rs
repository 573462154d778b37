//! Time: what is left of this invocation, and what the clock says. The only reader of clocks, so that everything else takes
//! time as an argument and can be tested without waiting.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The longest a Lambda function may run (AWS Lambda quotas, "Function timeout").
const MAX_TIMEOUT: Duration = Duration::from_secs(900);

/// Budget when the runtime names no deadline, or one that lies in the past: `cargo lambda watch` sends 1970.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Kept back from every network call for what must follow it: spooling what could not be delivered, and the answer.
/// An SQS SendMessageBatch of 1 MiB takes some 100 ms; twenty of them at once, with a retry, stay well under this.
const RESERVE: Duration = Duration::from_millis(1_500);

/// Of the reserve, for the answer itself, which goes over loopback: Lambda counts the time until it has it.
const RESPONSE_RESERVE: Duration = Duration::from_millis(250);

/// The end of an invocation, and its start.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    ends: Instant,
    started_wall_ms: i64,
    reserve: Duration,
    retries: bool,
}

impl Deadline {
    /// From the `Lambda-Runtime-Deadline-Ms` of an invocation: milliseconds since the epoch.
    pub fn from_epoch_ms(deadline_epoch_ms: u64) -> Self {
        let now_ms = epoch_ms();
        let left = i64::try_from(deadline_epoch_ms).unwrap_or(0).saturating_sub(now_ms);
        let left = match u64::try_from(left) {
            Ok(ms) if ms > 0 => Duration::from_millis(ms).min(MAX_TIMEOUT),
            _ => DEFAULT_TIMEOUT,
        };
        Self::after(left)
    }

    /// A deadline that lies `left` from now.
    pub fn after(left: Duration) -> Self {
        let started = now();
        // A short invocation keeps a quarter of its time back rather than all of it.
        Self {
            started,
            ends: started + left,
            started_wall_ms: epoch_ms(),
            reserve: RESERVE.min(left / 4),
            retries: true,
        }
    }

    /// The same invocation with less time for work: `left` from now at most, without a reserve of its own.
    pub fn capped(&self, left: Duration) -> Self {
        let work_ends = now() + left.min(self.remaining());
        Self { ends: work_ends + self.reserve, ..*self }
    }

    /// The same invocation without a second attempt at anything.
    pub fn single_attempt(&self) -> Self {
        Self { retries: false, ..*self }
    }

    /// Time that may be spent on waiting for another attempt.
    pub fn retry_budget(&self) -> Duration {
        if self.retries { self.remaining() } else { Duration::ZERO }
    }

    /// Milliseconds since the epoch when this invocation began.
    pub fn started_ms(&self) -> i64 {
        self.started_wall_ms
    }

    /// Milliseconds since the epoch now, never before the invocation began.
    pub fn now_ms(&self) -> i64 {
        self.started_wall_ms + i64::try_from(self.elapsed().as_millis()).unwrap_or(0)
    }

    /// Time since the invocation began.
    pub fn elapsed(&self) -> Duration {
        now() - self.started
    }

    /// Time left for work: until the end, less the reserve for spooling and answering.
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(now()).saturating_sub(self.reserve)
    }

    /// Time left until the answer has to leave, the reserve included: for spooling only.
    pub fn remaining_for_spool(&self) -> Duration {
        self.ends.saturating_duration_since(now()).saturating_sub(RESPONSE_RESERVE.min(self.reserve / 2))
    }

    /// Waits for `work`, at most `limit` and at most what is left; `None` when time ran out.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        tokio::time::timeout(limit.min(self.remaining()), work).await.ok()
    }

    /// Sleeps, at most for what is left.
    pub async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause.min(self.remaining())).await;
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
    fn a_deadline_in_the_past_or_absurdly_far_is_clamped() {
        for (case, epoch_ms, least, most) in [
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
            let left = Deadline::from_epoch_ms(epoch_ms).remaining();
            assert!(left > least && left <= most, "{case}: {left:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn less_time_for_work_leaves_the_reserve_alone() {
        let whole = Deadline::after(Duration::from_secs(50));
        let part = whole.capped(Duration::from_secs(1));
        assert_eq!(part.remaining(), Duration::from_secs(1));
        assert_eq!(whole.capped(Duration::from_secs(500)).remaining(), whole.remaining());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(part.remaining(), Duration::ZERO);
        assert_eq!(part.started_ms(), whole.started_ms());
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_cut_off_early_enough_to_answer() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let outcome = deadline.timeout(Duration::from_secs(60), std::future::pending::<()>()).await;
        assert_eq!(outcome, None);
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert_eq!(deadline.remaining_for_spool(), RESERVE - RESPONSE_RESERVE);
    }
}
