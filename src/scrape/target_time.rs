//! Time that one target takes, without the time in which the run was busy with other targets.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::ScrapeError;
use crate::deadline::Deadline;

/// Time in which a run translated or delivered and did not wait for targets.
#[derive(Debug, Default)]
pub struct BusyTime(AtomicU64);

/// Time limit of one target.
#[derive(Debug)]
pub struct TargetTime<'a> {
    deadline: &'a Deadline,
    busy: &'a BusyTime,
    limit: Duration,
    left: Duration,
}

impl BusyTime {
    /// Adds time in which the run was busy.
    pub fn add(&self, duration: Duration) {
        self.0.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl<'a> TargetTime<'a> {
    pub fn new(deadline: &'a Deadline, busy: &'a BusyTime, limit: Duration) -> Self {
        Self { deadline, busy, limit, left: limit }
    }

    /// Returns the time that the target took so far.
    pub fn used(&self) -> Duration {
        self.limit - self.left
    }

    /// Returns the time that the target has in all.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits for the target.
    pub(super) async fn wait<F: Future>(&mut self, work: F) -> Result<F::Output, ScrapeError> {
        self.wait_at_most(self.left, work).await?.ok_or(ScrapeError::TimedOut(self.limit))
    }

    /// Waits for the target until it has used `patience` more of its time. Returns `None` if it did not respond by then.
    pub(super) async fn wait_at_most<F: Future>(
        &mut self,
        patience: Duration,
        work: F,
    ) -> Result<Option<F::Output>, ScrapeError> {
        let mut work = pin!(work);
        let until = self.left.saturating_sub(patience);
        loop {
            // Work that is always ready would never time out.
            if self.left.is_zero() {
                return Err(ScrapeError::TimedOut(self.limit));
            }
            if self.deadline.remaining().is_zero() {
                return Err(ScrapeError::RunEnded);
            }
            let (started, busy) = (self.deadline.elapsed(), self.busy.total());
            let output = self.deadline.timeout(self.left - until, &mut work).await;
            let waited = self.deadline.elapsed().saturating_sub(started);
            self.left = self.left.saturating_sub(waited.saturating_sub(self.busy.total().saturating_sub(busy)));
            match output {
                Some(output) => return Ok(Some(output)),
                None if self.left.is_zero() => return Err(ScrapeError::TimedOut(self.limit)),
                None if self.deadline.remaining().is_zero() => return Err(ScrapeError::RunEnded),
                None if self.left <= until => return Ok(None),
                None => {}
            }
        }
    }

    /// Waits for memory or for another target, which does not count as time of this target.
    pub(super) async fn wait_for_run<F: Future>(&self, work: F) -> Result<F::Output, ScrapeError> {
        self.deadline.timeout(self.deadline.remaining(), work).await.ok_or(ScrapeError::RunEnded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn busy_time_of_the_run_does_not_count() {
        let (deadline, busy) = (Deadline::after(100 * SECOND), BusyTime::default());
        let mut time = TargetTime::new(&deadline, &busy, 5 * SECOND);
        let slow_run = async {
            tokio::time::advance(20 * SECOND).await;
            busy.add(20 * SECOND);
            tokio::time::sleep(3 * SECOND).await;
        };
        assert!(time.wait(slow_run).await.is_ok());
        assert!((3 * SECOND..4 * SECOND).contains(&time.used()), "{:?}", time.used());
        assert!(matches!(time.wait(tokio::time::sleep(3 * SECOND)).await, Err(ScrapeError::TimedOut(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn end_of_the_run_is_not_a_timeout_of_the_target() {
        let (deadline, busy) = (Deadline::after(4 * SECOND), BusyTime::default());
        let mut time = TargetTime::new(&deadline, &busy, 5 * SECOND);
        assert!(matches!(time.wait(tokio::time::sleep(9 * SECOND)).await, Err(ScrapeError::RunEnded)));
        assert!(matches!(time.wait_for_run(tokio::time::sleep(9 * SECOND)).await, Err(ScrapeError::RunEnded)));
    }
}
