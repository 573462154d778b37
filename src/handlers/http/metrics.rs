//! Pushed metrics.

use std::sync::Arc;

use super::load_shed::LoadShedder;
use crate::deadline::Deadline;
use crate::handlers::delivery::ItemCounts;
use crate::handlers::run::series_writer::SeriesWriter;
use crate::handlers::self_metrics::SelfMetrics;
use crate::lambda::HttpResponse;
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::otlp::ExportMetricsServiceRequest;
use crate::model::otlp::json::RejectedItems;
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::receiver::{self, Encoding, ErrorResponse};
use crate::translate::metrics::{self, ClientIdentity, TranslationResult};

/// Delivers pushed metrics to AMP.
#[derive(Debug)]
pub(in crate::handlers) struct MetricsHandler {
    pub(in crate::handlers) options: metrics::Options,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set: all data points are rejected.
    pub(in crate::handlers) writer: Option<Arc<SeriesWriter>>,
    pub(in crate::handlers) load: Arc<LoadShedder>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
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

    /// Converts pushed data points to series and delivers those.
    pub(super) async fn push(
        &self,
        metrics: ExportMetricsServiceRequest,
        encoding: Encoding,
        client: &ClientIdentity,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let Some(writer) = &self.writer else { return Ok(self.reject_all(metrics.points(), encoding)) };
        let mut batch = SeriesBatch::default();
        let result = metrics::series(&metrics, &self.options, client, deadline.started_ms(), &mut batch);
        // Frees the memory for the delivery.
        drop(metrics);
        // All data points are either written or rejected.
        let TranslationResult { received, written: _, rejected, warnings: modified } = result;
        let input = ItemCounts { kind: ItemKind::DataPoints, count: received, rejected, modified };
        let result = writer.deliver(batch, Some(input), deadline).await;
        let reported = writer.tracker.complete(result, deadline).await.into_result();
        let reported = reported.map_err(|error| error.with_encoding(encoding))?;
        Ok(receiver::partial_success(encoding, RejectedItems::DataPoints, &reported.rejected, &reported.modified))
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
