//! Back-pressure: a push that would not finish within the invocation is refused before any work is done for it. The memory
//! that a request may take is limited before it is decoded.

use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::handlers::run::series_writer::TOO_LARGE;
use crate::handlers::self_metrics::SelfMetrics;
use crate::model::budget::BudgetExceeded;
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::receiver::{ErrorResponse, RETRY_AFTER_S};

/// Spans per second that X-Ray accepts: calls with 50 documents, four at a time, of up to 200 ms each.
const SPANS_PER_SECOND: u64 = 1_000;

/// Data points per second that AMP accepts: a fraction of its ingestion quota of 70,000 samples per second, because a data
/// point may become several samples.
const POINTS_PER_SECOND: u64 = 10_000;

/// Log records per second that CloudWatch Logs accepts: requests of 1 MB, four at a time, of up to 400 ms each, with records of 1 kB.
const LOG_RECORDS_PER_SECOND: u64 = 10_000;

/// Items per second that are translated, and spooled if their destination is slow. Measured at about 100,000 with a full
/// vCPU; the memory size of the template provides less than a third of one.
const SPOOLED_PER_SECOND: u64 = 20_000;

/// Part of the remaining time that the translation of a push leaves for its delivery, as a divisor.
pub(super) const DELIVERY_SHARE: u32 = 4;

/// Refuses pushes that would time out.
#[derive(Debug)]
pub(in crate::handlers) struct LoadShedder {
    pub(in crate::handlers) has_spool: bool,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
}

impl LoadShedder {
    /// Returns an error, and counts the items as refused, if there is not enough time for them.
    pub(super) fn check(&self, kind: ItemKind, items: u64, deadline: &Deadline) -> Result<(), ErrorResponse> {
        let rate = match kind {
            _ if self.has_spool => SPOOLED_PER_SECOND,
            ItemKind::DataPoints => POINTS_PER_SECOND,
            ItemKind::LogRecords => LOG_RECORDS_PER_SECOND,
            _ => SPANS_PER_SECOND,
        };
        let Some(message) = time_shortage(kind, items, rate, deadline.remaining()) else { return Ok(()) };
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, kind, items);
            counters.add(ItemStatus::Refused, kind, items);
        });
        Err(ErrorResponse::unavailable(message, RETRY_AFTER_S))
    }

    /// Counts the items of a request that did not fit into its budget, and returns the error for the client: it sends the request again
    /// if there was no time, and must not send it again if the request is too large.
    pub(super) fn exceeded(&self, kind: ItemKind, items: u64, error: BudgetExceeded) -> ErrorResponse {
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, kind, items);
            if error.is_permanent() {
                counters.add_with_reason(ItemStatus::Rejected, kind, TOO_LARGE, items);
            } else {
                counters.add(ItemStatus::Refused, kind, items);
            }
        });
        ErrorResponse::budget_exceeded(error)
    }
}

/// Returns an error message if `remaining` is not enough for the items.
fn time_shortage(kind: ItemKind, items: u64, per_second: u64, remaining: Duration) -> Option<String> {
    let needed = Duration::from_millis(items.saturating_mul(1_000) / per_second);
    let (needed_s, remaining_s) = (needed.as_secs_f64(), remaining.as_secs_f64());
    (needed > remaining).then(|| {
        format!(
            "{items} {} need about {needed_s:.1} s, but the invocation has {remaining_s:.1} s left: send smaller batches, or \
             raise the timeout of the function",
            kind.as_str()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_that_would_not_finish_in_time_is_refused() {
        for (items, remaining_ms, expected) in [
            (0, 0, true),
            (1_000, 1_000, true),
            (1_001, 1_000, false),
            (48_000, 48_500, true),
            (49_000, 48_500, false),
            (u64::MAX, 900_000, false),
        ] {
            let error = time_shortage(ItemKind::Spans, items, SPANS_PER_SECOND, Duration::from_millis(remaining_ms));
            assert_eq!(error.is_none(), expected, "{items} in {remaining_ms} ms: {error:?}");
        }
        let error = time_shortage(ItemKind::Spans, 6_000, SPANS_PER_SECOND, Duration::from_millis(2_250)).unwrap();
        assert!(error.starts_with("6000 spans need about 6.0 s, but the invocation has 2.2 s left"), "{error}");
    }
}
