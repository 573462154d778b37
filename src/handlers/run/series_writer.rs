//! Relabels series and delivers them to AMP.

use std::sync::Arc;

use super::context::RunContext;
use crate::deadline::Deadline;
use crate::deliver::remote_write::{RemoteWriteClient, encoded_len, requests};
use crate::deliver::{Delivery, Outcome};
use crate::handlers::delivery::{DeliveryResult, DeliverySummary, DeliveryTracker, ItemCounts};
use crate::handlers::self_metrics::SelfMetrics;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::rules::relabel::{RelabelResult, Rules};
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

impl SeriesWriter {
    /// Delivers the series of a run, and counts the inputs that the run rejected.
    pub(in crate::handlers) async fn deliver_run(&self, run: &mut RunContext<'_>) -> DeliverySummary {
        let skipped = run.stats.take_rejected();
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, ItemKind::ScrapeInputs, skipped.total());
            counters.add_all(ItemStatus::Rejected, ItemKind::ScrapeInputs, &skipped);
        });
        if let Some(targets) = run.target_counts() {
            self.self_metrics.observe(|gauges| gauges.targets = Some(targets));
        }
        let batch = std::mem::take(&mut run.batch);
        let points = batch.point_count();
        // Without time, the samples are spooled.
        let result = match self.prepare(batch, &self.memory) {
            Ok(prepared) => self.send(prepared, None, run.deadline).await,
            Err(error) => rejected(points, error),
        };
        self.tracker.complete(DeliveryResult { skipped, is_retried: !run.is_scheduled(), ..result }, run.deadline).await
    }

    /// Relabels series, and checks the memory and time for their delivery.
    pub(in crate::handlers) fn prepare(
        &self,
        batch: SeriesBatch,
        budget: &dyn Budget,
    ) -> Result<PreparedSeries, BudgetExceeded> {
        let count = batch.point_count();
        let relabelled = self.relabel.apply(batch, budget)?;
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
        let RelabelResult { batch, filtered: removed, rejected, warnings: mut filtered } = relabelled;
        filtered.add("metric_rule", removed, String::new);
        let outcome = self.amp.deliver(requests(&batch), deadline).await.into_payloads();
        let output = ItemCounts { kind: ItemKind::Samples, count, rejected, modified: Rejections::default() };
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
