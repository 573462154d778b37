//! Completes a delivery: spools undelivered items, or returns them to the sender, updates the item counters and logs the
//! result.

use std::sync::Arc;
use std::time::Duration;

use tracing::Level;

use super::self_metrics::SelfMetrics;
use crate::deadline::Deadline;
use crate::deliver::spool::{EnqueueResult, Spool};
use crate::deliver::{DeliveryError, Outcome};
use crate::model::item_counters::{ItemCounters, ItemKind, ItemStatus};
use crate::model::rejection::{Rejections, join};
use crate::model::spool::{Payload, SpoolMessage};
use crate::receiver::ErrorResponse;

/// Trace IDs or metric names in the log line of dropped items.
pub(super) const MAX_LOGGED_NAMES: usize = 5;

/// `Retry-After` of a response if the destination did not send one.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Reasons of items that the destination would have accepted, but that are lost.
const LOSSES: [&str; 2] = ["too_large_for_spool", "not_stored"];

/// Items of one kind, before they are sent.
#[derive(Debug)]
pub(super) struct ItemCounts {
    pub(super) kind: ItemKind,
    pub(super) count: u64,
    /// Items rejected by the function, included in `count`.
    pub(super) rejected: Rejections,
    /// Items that were changed before they were stored, included in `count`.
    pub(super) modified: Rejections,
}

/// Item counts of one batch: input items, the output items produced from them, and the outcome of the delivery.
#[derive(Debug)]
pub(super) struct DeliveryResult {
    /// `None` if the output items were not translated from items that are counted.
    pub(super) input: Option<ItemCounts>,
    pub(super) output: ItemCounts,
    /// Targets, events and values that never became items.
    pub(super) skipped: Rejections,
    /// Output items removed or merged by relabelling rules. They are not reported to the sender.
    pub(super) filtered: Rejections,
    pub(super) outcome: Outcome<Payload>,
    /// Whether the sender retries items that are neither delivered nor spooled.
    pub(super) is_retried: bool,
}

/// Totals of one delivery, in items of the destination.
#[must_use]
#[derive(Debug)]
pub(super) struct DeliverySummary {
    pub(super) delivered: u64,
    /// Stored or not: the destination did not say.
    pub(super) unconfirmed: u64,
    pub(super) spooled: u64,
    /// Neither delivered nor spooled.
    pub(super) undelivered: u64,
    pub(super) reported: Reported,
    /// Error of the destination, or of the spool. Empty if everything was delivered.
    pub(super) error: String,
    retry_after: Duration,
}

/// Items reported to the sender.
#[must_use]
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// Rejected by the function or by the destination.
    pub(super) rejected: Rejections,
    /// Stored otherwise than they were sent.
    pub(super) modified: Rejections,
}

/// Delivery whose undelivered items are in the spool, or failed.
#[must_use]
#[derive(Debug)]
pub(super) struct SettledDelivery {
    /// Without undelivered items.
    result: DeliveryResult,
    spooled: EnqueueResult,
    /// Error of the destination; empty if everything was delivered.
    error: String,
}

/// Spools undelivered items, and counts and logs all items.
#[derive(Debug)]
pub(super) struct DeliveryTracker {
    /// `None`: undelivered items are returned to the sender.
    pub(super) spool: Option<Spool>,
    pub(super) self_metrics: Arc<SelfMetrics>,
}

impl DeliveryResult {
    pub(super) fn new(input: Option<ItemCounts>, output: ItemCounts, outcome: Outcome<Payload>) -> Self {
        let (skipped, filtered) = (Rejections::default(), Rejections::default());
        Self { input, output, skipped, filtered, outcome, is_retried: true }
    }

    /// Returns everything that the function rejected before it sent anything.
    fn rejected_locally(&self) -> Rejections {
        let mut rejected = self.input.as_ref().map(|input| input.rejected.clone()).unwrap_or_default();
        rejected.merge(self.skipped.clone());
        rejected.merge(self.output.rejected.clone());
        rejected
    }

    /// Whether the destination rejected the caller.
    fn is_access_denied(&self) -> bool {
        self.outcome.error.as_ref().is_some_and(DeliveryError::is_access_denied)
    }

    /// Rejects what was neither delivered nor spooled, if the sender would repeat what was, and CloudWatch Logs would store that
    /// twice. AMP and X-Ray recognize a repeated item. OTLP cannot ask for a part of a request.
    fn reject_rest(&mut self, spooled: &mut EnqueueResult, error: &str) {
        let is_partial = self.outcome.delivered + spooled.enqueued > 0;
        if self.output.kind != ItemKind::LogRecords || !is_partial {
            spooled.failed += std::mem::take(&mut spooled.too_large);
            return;
        }
        let [too_large, not_stored] = LOSSES;
        self.output.rejected.add(too_large, std::mem::take(&mut spooled.too_large), || {
            format!("a log record that was not delivered is too large for a message of the spool: {error}")
        });
        self.output.rejected.add(not_stored, std::mem::take(&mut spooled.failed), || {
            format!("other log records of the request were stored, and a retry would store them twice: {error}")
        });
    }

    /// Whether items were lost that the destination would have accepted.
    fn has_losses(&self) -> bool {
        self.output.rejected.iter().any(|rejection| LOSSES.contains(&rejection.reason))
    }

    fn modified(&self) -> Rejections {
        let mut modified = self.input.as_ref().map(|input| input.modified.clone()).unwrap_or_default();
        modified.merge(self.output.modified.clone());
        modified
    }

    /// Adds another part of the same output. Parts have no input of their own.
    fn merge(mut self, part: Self) -> Self {
        let Self { input: _, output, skipped, filtered, outcome, is_retried } = part;
        self.output.count += output.count;
        self.output.rejected.merge(output.rejected);
        self.output.modified.merge(output.modified);
        self.skipped.merge(skipped);
        self.filtered.merge(filtered);
        Self { outcome: self.outcome.merge(outcome), is_retried, ..self }
    }
}

impl SettledDelivery {
    /// Adds another part of the same output.
    pub(super) fn merge(mut self, part: Self) -> Self {
        let Self { result, spooled, error } = part;
        let EnqueueResult { enqueued, failed, too_large, failed_names, error: spool_error } = spooled;
        self.spooled.enqueued += enqueued;
        self.spooled.failed += failed;
        self.spooled.too_large += too_large;
        self.spooled.failed_names.extend(failed_names);
        self.spooled.failed_names.truncate(MAX_LOGGED_NAMES);
        self.spooled.error = self.spooled.error.or(spool_error);
        let error = if self.error.is_empty() { error } else { self.error };
        Self { result: self.result.merge(result), spooled: self.spooled, error }
    }
}

impl DeliverySummary {
    /// Returns the rejected and modified items for the sender, or an error if the sender must retry.
    pub(super) fn into_result(self) -> Result<Reported, ErrorResponse> {
        if self.undelivered == 0 {
            return Ok(self.reported);
        }
        Err(ErrorResponse::unavailable(self.error, self.retry_after.as_secs()))
    }
}

impl DeliveryTracker {
    pub(super) async fn complete(&self, result: DeliveryResult, deadline: &Deadline) -> DeliverySummary {
        let settled = self.settle(result, deadline).await;
        self.report(settled, deadline)
    }

    /// Spools the undelivered items of a delivery, or of a part of one.
    pub(super) async fn settle(&self, mut result: DeliveryResult, deadline: &Deadline) -> SettledDelivery {
        let payloads = std::mem::take(&mut result.outcome.undelivered);
        let error = result.outcome.error.as_ref().filter(|_| !payloads.is_empty());
        let error = error.map(ToString::to_string).unwrap_or_default();
        let mut spooled = self.spool(payloads, &error, deadline).await;
        result.reject_rest(&mut spooled, &error);
        SettledDelivery { result, spooled, error }
    }

    /// Counts and logs the items of a delivery.
    pub(super) fn report(&self, settled: SettledDelivery, deadline: &Deadline) -> DeliverySummary {
        let SettledDelivery { result, spooled, error } = settled;
        let destination = result.output.kind.destination_name();
        let summary = DeliverySummary {
            delivered: result.outcome.delivered,
            unconfirmed: result.outcome.unconfirmed,
            spooled: spooled.enqueued,
            undelivered: spooled.failed,
            error: match spooled.error {
                Some(error) => format!("spool unavailable: {error}"),
                None if error.is_empty() => error,
                None if result.is_access_denied() => format!("{destination} denied access: {error}"),
                None => format!("{destination} unavailable: {error}"),
            },
            retry_after: result.outcome.retry_after.unwrap_or(RETRY_AFTER).max(Duration::from_secs(1)),
            reported: Reported::default(),
        };
        self.self_metrics.record(|counters| record_items(&result, &summary, counters));
        LogLine { result: &result, summary: &summary, examples: &spooled.failed_names }.write(deadline);
        let mut reported = Reported { rejected: result.rejected_locally(), modified: result.modified() };
        reported.rejected.merge(result.outcome.rejected);
        DeliverySummary { reported, ..summary }
    }

    /// Spools payloads. Without a spool, all of them fail.
    async fn spool(&self, payloads: Vec<Payload>, error: &str, deadline: &Deadline) -> EnqueueResult {
        let Some(spool) = self.spool.as_ref().filter(|_| !payloads.is_empty()) else {
            let names = payloads.iter().flat_map(|payload| payload.item_names(MAX_LOGGED_NAMES));
            return EnqueueResult {
                failed: payloads.iter().map(Payload::items).sum(),
                failed_names: names.take(MAX_LOGGED_NAMES).collect(),
                ..EnqueueResult::default()
            };
        };
        let first_attempt_ms = deadline.started_ms();
        let messages =
            payloads.into_iter().map(|payload| SpoolMessage { payload, error: error.to_owned(), first_attempt_ms });
        spool.enqueue(messages.collect(), deadline).await
    }
}

/// Counts every item once.
fn record_items(result: &DeliveryResult, summary: &DeliverySummary, counters: &mut ItemCounters) {
    let DeliveryResult { input, output, skipped: _, filtered, outcome, is_retried } = result;
    if let Some(ItemCounts { kind, count, rejected, modified }) = input {
        counters.add(ItemStatus::Received, *kind, *count);
        counters.add_all(ItemStatus::Rejected, *kind, rejected);
        counters.add(ItemStatus::Translated, *kind, count.saturating_sub(rejected.total()));
        counters.add_all(ItemStatus::Modified, *kind, modified);
    }
    let ItemCounts { kind, count, rejected, modified } = output;
    counters.add(ItemStatus::Received, *kind, *count);
    counters.add_all(ItemStatus::Rejected, *kind, rejected);
    counters.add_all(ItemStatus::Rejected, *kind, &outcome.rejected);
    counters.add_all(ItemStatus::Filtered, *kind, filtered);
    counters.add_all(ItemStatus::Modified, *kind, modified);
    counters.add(ItemStatus::Delivered, *kind, summary.delivered);
    counters.add_with_reason(ItemStatus::Unconfirmed, *kind, "partial_write", summary.unconfirmed);
    if result.is_access_denied() {
        counters.add(ItemStatus::AccessDenied, *kind, summary.spooled + summary.undelivered);
    }
    counters.add(ItemStatus::Spooled, *kind, summary.spooled);
    if *is_retried {
        counters.add(ItemStatus::Refused, *kind, summary.undelivered);
    } else {
        counters.add_with_reason(ItemStatus::Dropped, *kind, "undelivered", summary.undelivered);
    }
}

/// The log line of a delivery.
struct LogLine<'a> {
    result: &'a DeliveryResult,
    summary: &'a DeliverySummary,
    /// Names of items that were neither delivered nor spooled.
    examples: &'a [String],
}

impl LogLine<'_> {
    /// Logs the delivery once, at the level of the worst that happened to an item. A delivery without losses is in the summary of a minute,
    /// or in the line of its run.
    fn write(&self, deadline: &Deadline) {
        let (result, summary) = (self.result, self.summary);
        let received = result.input.as_ref().unwrap_or(&result.output);
        let (rejected, rejected_by_destination) = (result.rejected_locally(), &result.outcome.rejected);
        let modified = result.modified();
        let text = |reasons: &Rejections| (!reasons.is_empty()).then(|| reasons.to_string());
        let duration_ms = u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (level, event) = self.event();
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    item = received.kind.as_str(),
                    received = received.count,
                    delivered = summary.delivered,
                    unconfirmed = summary.unconfirmed,
                    spooled = summary.spooled,
                    undelivered = summary.undelivered,
                    filtered = result.filtered.total(),
                    rejected = rejected.total(),
                    rejected_by_destination = rejected_by_destination.total(),
                    modified = modified.total(),
                    duration_ms,
                    error = (!summary.error.is_empty()).then_some(summary.error.as_str()),
                    rejections = text(&rejected),
                    destination_rejections = text(rejected_by_destination),
                    modifications = text(&modified),
                    examples = (!self.examples.is_empty()).then(|| join(self.examples)),
                    "{event}"
                )
            };
        }
        match level {
            Level::ERROR => log!(error),
            Level::WARN => log!(warn),
            _ => log!(debug),
        }
    }

    /// Returns the worst that happened to an item, and its level.
    fn event(&self) -> (Level, &'static str) {
        let (result, summary) = (self.result, self.summary);
        if summary.undelivered > 0 && !result.is_retried || result.has_losses() {
            (Level::ERROR, "items dropped")
        } else if result.is_access_denied() {
            (Level::ERROR, "destination denied access")
        } else if !result.outcome.rejected.is_empty() {
            (Level::ERROR, "destination rejected items")
        } else if summary.undelivered > 0 {
            (Level::WARN, "items refused")
        } else if summary.spooled > 0 {
            (Level::WARN, "items spooled")
        } else if !result.rejected_locally().is_empty() {
            (Level::WARN, "items rejected")
        } else if !result.modified().is_empty() {
            (Level::WARN, "items modified")
        } else {
            (Level::DEBUG, "items delivered")
        }
    }
}
