//! Relabels series and delivers them to AMP.

use std::sync::Arc;

use super::context::RunContext;
use crate::deadline::Deadline;
use crate::deliver::Delivery;
use crate::deliver::remote_write::{RemoteWriteClient, requests};
use crate::handlers::delivery::{DeliveryResult, DeliverySummary, DeliveryTracker, ItemCounts};
use crate::handlers::self_metrics::SelfMetrics;
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::rules::relabel::{RelabelResult, Rules};

/// Reason why series are not written, where there is no `SeriesWriter`.
pub(in crate::handlers) const REMOTE_WRITE_DISABLED: &str = "AWS_PROMETHEUS_ENDPOINT is not set";

/// Relabels series and delivers them to AMP.
#[derive(Debug)]
pub(in crate::handlers) struct SeriesWriter {
    pub(in crate::handlers) relabel: Arc<Rules>,
    pub(in crate::handlers) amp: Arc<Delivery<RemoteWriteClient>>,
    pub(in crate::handlers) tracker: Arc<DeliveryTracker>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
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
        let result = self.deliver(batch, None, run.deadline).await;
        self.tracker.complete(DeliveryResult { skipped, is_retried: !run.is_scheduled(), ..result }, run.deadline).await
    }

    /// Delivers series. `input` counts the items that they were translated from; `None` if there are none.
    pub(in crate::handlers) async fn deliver(
        &self,
        batch: SeriesBatch,
        input: Option<ItemCounts>,
        deadline: &Deadline,
    ) -> DeliveryResult {
        let count = batch.point_count();
        let RelabelResult { batch, filtered: removed, rejected, warnings: mut filtered } = self.relabel.apply(batch);
        filtered.add("metric_rule", removed, String::new);
        let outcome = self.amp.deliver(requests(&batch), deadline).await.into_payloads();
        let output = ItemCounts { kind: ItemKind::Samples, count, rejected, modified: Rejections::default() };
        DeliveryResult { filtered, ..DeliveryResult::new(input, output, outcome) }
    }
}
