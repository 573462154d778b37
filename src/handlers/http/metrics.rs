//! Pushed metrics.

use std::sync::Arc;

use super::DELIVERY_TIMEOUT;
use super::identity::attribute_bytes;
use super::load_shed::{DELIVERY_SHARE, LoadShedder};
use crate::deadline::Deadline;
use crate::handlers::delivery::ItemCounts;
use crate::handlers::run::series_writer::{PreparedSeries, SeriesWriter};
use crate::handlers::self_metrics::SelfMetrics;
use crate::lambda::HttpResponse;
use crate::model::budget::{Budget as _, BudgetExceeded};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::otlp::ExportMetricsServiceRequest;
use crate::model::otlp::json::RejectedItems;
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::receiver::{self, Encoding, ErrorResponse};
use crate::translate::metrics::{self, ClientIdentity, TranslationResult};
use crate::work_budget::MemoryLimit;

/// Delivers pushed metrics to AMP.
#[derive(Debug)]
pub(in crate::handlers) struct MetricsHandler {
    pub(in crate::handlers) options: metrics::Options,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set: all data points are rejected.
    pub(in crate::handlers) writer: Option<Arc<SeriesWriter>>,
    pub(in crate::handlers) load: Arc<LoadShedder>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
    pub(in crate::handlers) memory: MemoryLimit,
}

impl MetricsHandler {
    /// Refuses data points that would not be delivered in time.
    pub(super) fn check_load(
        &self,
        metrics: &ExportMetricsServiceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<(), ErrorResponse> {
        if self.writer.is_none() {
            return Ok(());
        }
        self.load.check(ItemKind::DataPoints, metrics.points(), deadline).map_err(|error| error.with_encoding(encoding))
    }

    /// Rejects data points of so many resources that the attributes of their tasks would not fit into the memory.
    pub(super) fn reserve_attributes(
        &self,
        metrics: &ExportMetricsServiceRequest,
        encoding: Encoding,
    ) -> Result<(), ErrorResponse> {
        let used = metrics.resource_metrics.iter().filter(|metrics| metrics.points() > 0);
        self.memory
            .reserve(attribute_bytes(used.map(|metrics| &metrics.resource)))
            .map_err(|error| self.load.exceeded(ItemKind::DataPoints, metrics.points(), error).with_encoding(encoding))
    }

    /// Converts pushed data points to series and delivers those.
    pub(super) async fn push(
        &self,
        metrics: ExportMetricsServiceRequest,
        encoding: Encoding,
        client: &ClientIdentity,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let Some(writer) = &self.writer else { return Ok(self.reject_all(metrics.points(), encoding)) };
        let points = metrics.points();
        let (series, input) = self
            .translate(metrics, writer, client, deadline)
            .map_err(|error| self.load.exceeded(ItemKind::DataPoints, points, error).with_encoding(encoding))?;
        let result = writer.send(series, Some(input), &deadline.capped(DELIVERY_TIMEOUT)).await;
        let reported = writer.tracker.complete(result, deadline).await.into_result();
        let reported = reported.map_err(|error| error.with_encoding(encoding))?;
        Ok(receiver::partial_success(encoding, RejectedItems::DataPoints, &reported.rejected, &reported.modified))
    }

    /// Converts data points to relabelled series.
    fn translate(
        &self,
        metrics: ExportMetricsServiceRequest,
        writer: &SeriesWriter,
        client: &ClientIdentity,
        deadline: &Deadline,
    ) -> Result<(PreparedSeries, ItemCounts), BudgetExceeded> {
        let budget = self.memory.budget(deadline, deadline.remaining() / DELIVERY_SHARE);
        let mut batch = SeriesBatch::default();
        let result = metrics::series(&metrics, &self.options, client, deadline.started_ms(), &budget, &mut batch)?;
        // Frees the memory for the delivery.
        drop(metrics);
        // All data points are either written or rejected.
        let TranslationResult { received, written: _, rejected, warnings: modified } = result;
        let input = ItemCounts { kind: ItemKind::DataPoints, count: received, rejected, modified };
        Ok((writer.prepare(batch, &budget)?, input))
    }

    fn reject_all(&self, points: u64, encoding: Encoding) -> HttpResponse {
        let mut rejected = Rejections::default();
        let example = "this function does not write metrics: set AWS_PROMETHEUS_ENDPOINT on it";
        rejected.add("remote_write_disabled", points, || example.into());
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, ItemKind::DataPoints, points);
            counters.add_all(ItemStatus::Rejected, ItemKind::DataPoints, &rejected);
        });
        tracing::warn!(
            item = ItemKind::DataPoints.as_str(),
            received = points,
            rejected = points,
            rejections = rejected.to_string(),
            "items rejected"
        );
        receiver::partial_success(encoding, RejectedItems::DataPoints, &rejected, &Rejections::default())
    }
}
