//! Relabels series and delivers them to AMP.

use std::sync::Arc;

use crate::deadline::Deadline;
use crate::deliver::remote_write::{RemoteWriteClient, encoded_len};
use crate::deliver::{Delivery, Outcome};
use crate::handlers::delivery::{DeliveryResult, DeliverySummary, DeliveryTracker, ItemCounts, SettledDelivery};
use crate::handlers::self_metrics::SelfMetrics;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::rules::relabel::{RelabelResult, Rules};
use crate::translate::self_metrics::TargetCounts;
use crate::work_budget::MemoryLimit;

/// Reason why series are not written, where there is no `SeriesWriter`.
pub(in crate::handlers) const REMOTE_WRITE_DISABLED: &str = "AWS_PROMETHEUS_ENDPOINT is not set";

/// Reason of items that were rejected because they do not fit into the memory of the function.
pub(in crate::handlers) const TOO_LARGE: &str = "too_large";

/// Minimum ratio of the size of requests to their size after compression. All of them are kept if AMP is unavailable. Series of a
/// batch share most of their labels, and are compressed to a tenth in the benchmarks.
const MIN_COMPRESSION: usize = 8;

/// Relabelled series, whose delivery fits into the budget.
#[derive(Debug)]
pub(in crate::handlers) struct PreparedSeries {
    /// Samples and native histograms before relabelling.
    count: u64,
    relabelled: RelabelResult,
}

/// Relabels series and delivers them to AMP.
#[derive(Debug)]
pub(in crate::handlers) struct SeriesWriter {
    pub(in crate::handlers) relabel: Arc<Rules>,
    pub(in crate::handlers) amp: Arc<Delivery<RemoteWriteClient>>,
    pub(in crate::handlers) tracker: Arc<DeliveryTracker>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
    pub(in crate::handlers) memory: MemoryLimit,
}

/// Part of the series of a run.
#[derive(Debug)]
pub(super) struct RunPart {
    /// Number of series of the parts before, after the rules.
    pub(super) series_before: usize,
    pub(super) batch: SeriesBatch,
    /// Inputs of the run that were rejected.
    pub(super) skipped: Rejections,
    /// Sending and spooling may each take this share of the time that remains when they start.
    pub(super) time_share: u32,
    /// Whether the sender retries undelivered series.
    pub(super) is_retried: bool,
}

/// Result of a part.
#[must_use]
#[derive(Debug)]
pub(super) struct DeliveredPart {
    /// Number of its series after the rules.
    pub(super) series: usize,
    pub(super) settled: SettledDelivery,
}

impl SeriesWriter {
    /// Counts the inputs that a run rejected, and its targets.
    pub(in crate::handlers) fn count_inputs(&self, rejected: &Rejections, targets: Option<TargetCounts>) {
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, ItemKind::ScrapeInputs, rejected.total());
            counters.add_all(ItemStatus::Rejected, ItemKind::ScrapeInputs, rejected);
        });
        if let Some(targets) = targets {
            self.self_metrics.observe(|gauges| gauges.targets = Some(targets));
        }
    }

    /// Counts and logs all series of a run.
    pub(super) fn report(&self, settled: SettledDelivery, deadline: &Deadline) -> DeliverySummary {
        self.tracker.report(settled, deadline)
    }

    /// Delivers a part of the series of a run.
    pub(super) async fn deliver_part(&self, part: RunPart, deadline: &Deadline) -> DeliveredPart {
        let RunPart { series_before, batch, skipped, time_share, is_retried } = part;
        let points = batch.point_count();
        let share_ends = || deadline.capped(deadline.remaining() / time_share);
        // Without time, the samples are spooled.
        let (series, result) = match self.prepare_after(series_before, batch, &self.memory) {
            Ok(prepared) => (prepared.relabelled.batch.len(), self.send(prepared, None, &share_ends()).await),
            Err(error) => {
                // An error, because an alarm counts those: the part has series of many targets.
                tracing::error!(samples = points, error = error.to_string(), "series of a run rejected");
                (0, rejected(points, error))
            }
        };
        let result = DeliveryResult { skipped, is_retried, ..result };
        DeliveredPart { series, settled: self.tracker.settle(result, &share_ends()).await }
    }

    /// Relabels series, and checks the memory and time for their delivery.
    pub(in crate::handlers) fn prepare(
        &self,
        batch: SeriesBatch,
        budget: &dyn Budget,
    ) -> Result<PreparedSeries, BudgetExceeded> {
        self.prepare_after(0, batch, budget)
    }

    fn prepare_after(
        &self,
        series_before: usize,
        batch: SeriesBatch,
        budget: &dyn Budget,
    ) -> Result<PreparedSeries, BudgetExceeded> {
        let count = batch.point_count();
        let relabelled = self.relabel.apply_after(series_before, batch, budget)?;
        budget.reserve(encoded_len(&relabelled.batch) / MIN_COMPRESSION)?;
        Ok(PreparedSeries { count, relabelled })
    }

    /// Delivers series. `input` counts the items that they were translated from; `None` if there are none.
    pub(in crate::handlers) async fn send(
        &self,
        series: PreparedSeries,
        input: Option<ItemCounts>,
        deadline: &Deadline,
    ) -> DeliveryResult {
        let PreparedSeries { count, relabelled } = series;
        let RelabelResult { batch, filtered: removed, rejected, warnings: mut filtered, modified } = relabelled;
        filtered.add("dropped_by_rule", removed, String::new);
        let outcome = self.amp.deliver(self.amp.destination().requests(&batch), deadline).await.into_payloads();
        let output = ItemCounts { kind: ItemKind::Samples, count, rejected, modified };
        DeliveryResult { filtered, ..DeliveryResult::new(input, output, outcome) }
    }
}

/// Returns the result of samples that do not fit into the memory of the function.
fn rejected(points: u64, error: BudgetExceeded) -> DeliveryResult {
    let mut rejected = Rejections::default();
    rejected.add(TOO_LARGE, points, || error.to_string());
    let output = ItemCounts { kind: ItemKind::Samples, count: points, rejected, modified: Rejections::default() };
    DeliveryResult::new(None, output, Outcome::default())
}
