//! Summary of the requests of an execution environment. It replaces a log line for each successful request, which would say what the
//! counters say: CloudWatch bills each line.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::self_metrics::SelfMetrics;
use crate::deadline::Deadline;
use crate::lambda::HTTP_TRIGGER;
use crate::model::age::is_younger;
use crate::model::item_counters::{ItemCounters, ItemKind, ItemStatus};

/// Minimum time between two summaries of an environment.
const INTERVAL_MS: i64 = 60_000;

/// Logs the requests and items of a minute, at the end of the first invocation after it.
#[derive(Debug, Default)]
pub(super) struct RequestSummary {
    last: Mutex<Option<Logged>>,
}

/// Counters that are in a summary, or that no summary needs.
#[derive(Debug)]
struct Logged {
    at_ms: i64,
    counters: ItemCounters,
}

impl RequestSummary {
    /// Logs a summary if it is due. Only environments that handled requests have one.
    pub(super) fn log_if_due(&self, self_metrics: &SelfMetrics, deadline: &Deadline) {
        let now_ms = deadline.now_ms();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last =
            last.get_or_insert_with(|| Logged { at_ms: deadline.started_ms(), counters: ItemCounters::default() });
        if is_younger(last.at_ms, INTERVAL_MS, now_ms) {
            return;
        }
        let elapsed_ms = (now_ms - last.at_ms).max(0);
        let earlier = std::mem::replace(last, Logged { at_ms: now_ms, counters: self_metrics.counters() });
        log(&last.counters, &earlier.counters, elapsed_ms / 1_000);
    }
}

/// Logs the requests and items that were counted between two states of the counters.
fn log(counters: &ItemCounters, earlier: &ItemCounters, seconds: i64) {
    let requests = requests(counters) - requests(earlier);
    if requests == 0 {
        return;
    }
    let items = counters.diff(earlier);
    let text = |status| items_by_kind(&items, status);
    tracing::info!(
        requests,
        failed_requests = failed_requests(counters) - failed_requests(earlier),
        received = text(ItemStatus::Received),
        delivered = text(ItemStatus::Delivered),
        unconfirmed = text(ItemStatus::Unconfirmed),
        spooled = text(ItemStatus::Spooled),
        rejected = text(ItemStatus::Rejected),
        refused = text(ItemStatus::Refused),
        filtered = text(ItemStatus::Filtered),
        modified = text(ItemStatus::Modified),
        dropped = text(ItemStatus::Dropped),
        seconds,
        "requests completed"
    );
}

fn requests(counters: &ItemCounters) -> u64 {
    let times = counters.invocation_time().filter(|(trigger, _)| *trigger == HTTP_TRIGGER);
    times.map(|(_, time)| time.invocations).sum()
}

fn failed_requests(counters: &ItemCounters) -> u64 {
    counters.http_errors().map(|(_, requests)| requests).sum()
}

/// Returns the counts of a status, such as `300 spans, 300 segments`. `None` if all are zero.
fn items_by_kind(items: &ItemCounters, status: ItemStatus) -> Option<String> {
    let mut text = String::new();
    for kind in ItemKind::ALL {
        let count = items.total(status, kind);
        if count > 0 {
            let separator = if text.is_empty() { "" } else { ", " };
            // A `String` accepts all text.
            let _ = write!(text, "{separator}{count} {}", kind.as_str());
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn items_of_a_status_are_listed_by_kind() {
        let mut counters = ItemCounters::default();
        counters.add(ItemStatus::Received, ItemKind::Spans, 300);
        counters.add(ItemStatus::Received, ItemKind::Segments, 300);
        counters.add_with_reason(ItemStatus::Rejected, ItemKind::Segments, "a", 1);
        counters.add_with_reason(ItemStatus::Rejected, ItemKind::Segments, "b", 2);
        let text = |status| items_by_kind(&counters, status);
        assert_eq!(text(ItemStatus::Received).as_deref(), Some("300 spans, 300 segments"));
        assert_eq!(text(ItemStatus::Rejected).as_deref(), Some("3 segments"));
        assert_eq!(text(ItemStatus::Dropped), None);
    }

    #[tokio::test(start_paused = true)]
    async fn summary_is_due_after_a_minute() {
        let (summary, self_metrics) = (RequestSummary::default(), SelfMetrics::new(&Settings::default()));
        let deadline = Deadline::after(Duration::from_secs(900));
        let mut at_ms = Vec::new();
        for seconds in [0, 59, 1, 10, 50] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            summary.log_if_due(&self_metrics, &deadline);
            let last = summary.last.lock().unwrap();
            at_ms.push(last.as_ref().unwrap().at_ms - deadline.started_ms());
        }
        assert_eq!(at_ms, [0, 0, 60_000, 60_000, 120_000]);
    }

    #[test]
    fn only_http_requests_are_counted() {
        let mut counters = ItemCounters::default();
        for trigger in [HTTP_TRIGGER, "schedule", HTTP_TRIGGER] {
            counters.record_invocation(trigger, 0.03);
        }
        counters.record_http_error(400);
        counters.record_http_error(503);
        assert_eq!((requests(&counters), failed_requests(&counters)), (2, 2));
    }
}
