//! Reads of response bodies. A target that hardly sends anything, while others wait for the memory of its body, is given up.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use reqwest::Response;

use super::body::BodyPermits;
use super::target_time::TargetTime;
use super::{ScrapeError, failed};

/// Time in which a body must grow if others wait for its memory. A collection of garbage or a lost packet takes less.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// A steady target needs at most its time limit for a body, so it sends at least this part of it in each period: at the average
/// rate, with a margin of two, because the memory of a body is up to twice what was sent, and another of two for variations.
const RATE_MARGIN: u32 = 4;

/// Reader of one body.
pub(super) struct BodyReader {
    response: Response,
    /// Start of the period in which the body must grow, in time of the target.
    period_started: Duration,
    /// Bytes received in this period.
    received: usize,
}

impl BodyReader {
    pub(super) fn new(response: Response, time: &TargetTime<'_>) -> Self {
        Self { response, period_started: time.used(), received: 0 }
    }

    /// Returns the next part of the body; `None` at its end.
    pub(super) async fn next(
        &mut self,
        permits: &BodyPermits,
        time: &mut TargetTime<'_>,
    ) -> Result<Option<Bytes>, ScrapeError> {
        let patience = STALLED_AFTER.saturating_sub(time.used().saturating_sub(self.period_started));
        let mut chunk = pin!(self.response.chunk());
        let chunk = match time.wait_at_most(patience, &mut chunk).await? {
            Some(chunk) => chunk,
            None => match time.wait(select(chunk, pin!(permits.wanted()))).await? {
                Either::Left((chunk, _)) => chunk,
                Either::Right(_) => return Err(ScrapeError::Stalled(STALLED_AFTER)),
            },
        };
        let chunk = chunk.map_err(failed)?;
        self.received += chunk.as_ref().map_or(0, Bytes::len);
        if self.received >= least_progress(permits.bytes(), time.limit()) {
            (self.period_started, self.received) = (time.used(), 0);
        }
        Ok(chunk)
    }
}

/// Returns the bytes that a target with `bytes` of memory must send in each period.
fn least_progress(bytes: usize, limit: Duration) -> usize {
    let periods = limit.as_millis().div_ceil(STALLED_AFTER.as_millis()).saturating_mul(RATE_MARGIN.into());
    (bytes / usize::try_from(periods).unwrap_or(usize::MAX).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_target_always_makes_progress() {
        for (bytes_per_s, limit_s) in [(1, 5), (20_000, 5), (3_000_000, 5), (100, 1), (50_000, 30)] {
            let largest_body = bytes_per_s * limit_s;
            let least = least_progress(2 * largest_body, Duration::from_secs(limit_s as u64));
            assert!(least <= bytes_per_s, "{bytes_per_s} B/s for {limit_s} s: {least}");
        }
        assert_eq!(least_progress(4_000_000, Duration::from_secs(5)), 200_000, "a drop is no progress");
        assert_eq!(least_progress(4_000_000, Duration::from_millis(200)), 1_000_000);
    }
}
