//! Back-pressure: a push that this invocation has no time for is sent back before any work is done with it, so that it is
//! never broken off in the middle. What it may weigh in memory is bounded before it is decoded.

use std::time::Duration;

use super::Pipeline;
use crate::deadline::Deadline;
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::receiver::ErrorResponse;

/// Spans per second that reach X-Ray: calls of fifty documents, four at a time, each within 200 ms.
const SPANS_PER_SECOND: u64 = 1_000;

/// Data points per second that reach AMP: a fraction of its ingestion quota of 70,000 samples per second, since a point may
/// be several samples.
const POINTS_PER_SECOND: u64 = 10_000;

/// Items per second that are translated, and go to the spool when their destination is slow: measured at some 100,000 with
/// a whole processor, of which the template's memory gives less than a third.
const SPOOLED_PER_SECOND: u64 = 20_000;

/// What a client is asked to wait: another environment may have more time, this one will not.
const RETRY_AFTER_S: u64 = 5;

impl Pipeline {
    /// An error: there is no time for so many spans or data points. They are entered as sent back.
    pub(super) fn check_time_budget(
        &self,
        signal: ItemKind,
        items: u64,
        deadline: &Deadline,
    ) -> Result<(), ErrorResponse> {
        let rate = match signal {
            _ if self.spool.is_some() => SPOOLED_PER_SECOND,
            ItemKind::DataPoints => POINTS_PER_SECOND,
            _ => SPANS_PER_SECOND,
        };
        check_estimate(signal.as_str(), items, rate, deadline.remaining()).map_err(|why| {
            self.self_metrics.record(|ledger| {
                ledger.add(ItemStatus::Received, signal, items);
                ledger.add(ItemStatus::Refused, signal, items);
            });
            ErrorResponse::unavailable(why, RETRY_AFTER_S)
        })
    }
}

/// An error says how much time is missing, and what can be done.
fn check_estimate(what: &str, items: u64, per_second: u64, left: Duration) -> Result<(), String> {
    let needed = Duration::from_millis(items.saturating_mul(1_000) / per_second);
    if needed <= left {
        return Ok(());
    }
    let (needed_s, left_s) = (needed.as_secs_f64(), left.as_secs_f64());
    Err(format!(
        "{items} {what} take some {needed_s:.1} s, and this invocation has {left_s:.1} s left: send smaller batches, or \
         raise the function's timeout"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_done_in_time_is_not_begun() {
        for (items, left_ms, expected) in [
            (0, 0, true),
            (1_000, 1_000, true),
            (1_001, 1_000, false),
            (48_000, 48_500, true),
            (49_000, 48_500, false),
            (u64::MAX, 900_000, false),
        ] {
            let fits = check_estimate("spans", items, SPANS_PER_SECOND, Duration::from_millis(left_ms));
            assert_eq!(fits.is_ok(), expected, "{items} in {left_ms} ms: {fits:?}");
        }
        let why = check_estimate("spans", 6_000, SPANS_PER_SECOND, Duration::from_millis(2_250)).unwrap_err();
        assert!(why.starts_with("6000 spans take some 6.0 s, and this invocation has 2.2 s left"), "{why}");
    }
}
