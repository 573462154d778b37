//! Pushed metrics.

use std::sync::Arc;

use futures_util::future;

use super::identity::attribute_bytes;
use super::load_shed::{DELIVERY_SHARE, LoadShedder};
use super::{DELIVERY_TIMEOUT, SPOOL_TIMEOUT};
use crate::deadline::Deadline;
use crate::deliver::Delivery;
use crate::deliver::cloudwatch::{self, OtlpMetricsClient};
use crate::handlers::delivery::{DeliveryResult, DeliveryTracker, ItemCounts, Reported};
use crate::handlers::run::series_writer::{PreparedSeries, SeriesWriter};
use crate::handlers::self_metrics::SelfMetrics;
use crate::lambda::HttpResponse;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::otlp::MetricsRequest;
use crate::model::otlp::json::RejectedItems;
use crate::model::otlp::limits::SplitExport;
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::receiver::{self, Encoding, ErrorResponse};
use crate::translate::metrics::{self, ClientIdentity, TranslationResult};
use crate::work_budget::MemoryLimit;

/// Delivers pushed metrics to AMP and CloudWatch.
#[derive(Debug)]
pub(in crate::handlers) struct MetricsHandler {
    pub(in crate::handlers) options: metrics::Options,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set, or the metrics do not go to AMP.
    pub(in crate::handlers) writer: Option<Arc<SeriesWriter>>,
    /// `None` if the metrics do not go to CloudWatch. Without any destination, all data points are rejected.
    pub(in crate::handlers) cloudwatch: Option<Arc<Delivery<OtlpMetricsClient>>>,
    pub(in crate::handlers) tracker: Arc<DeliveryTracker>,
    pub(in crate::handlers) load: Arc<LoadShedder>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
    pub(in crate::handlers) memory: MemoryLimit,
}

/// What a push becomes for each destination.
struct Outputs {
    series: Option<(PreparedSeries, ItemCounts)>,
    exports: Option<SplitExport>,
}

impl MetricsHandler {
    /// Refuses data points that would not be delivered in time.
    pub(super) fn check_load(
        &self,
        metrics: &MetricsRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<(), ErrorResponse> {
        if !self.has_destination() {
            return Ok(());
        }
        self.load.check(ItemKind::DataPoints, metrics.points(), deadline).map_err(|error| error.with_encoding(encoding))
    }

    /// Rejects data points of so many resources that the attributes of their tasks would not fit into the memory.
    pub(super) fn reserve_attributes(&self, metrics: &MetricsRequest, encoding: Encoding) -> Result<(), ErrorResponse> {
        let used = metrics.resource_metrics.iter().filter(|metrics| metrics.has_points());
        self.memory
            .reserve(attribute_bytes(used.map(|metrics| &metrics.resource)))
            .map_err(|error| self.load.exceeded(ItemKind::DataPoints, metrics.points(), error).with_encoding(encoding))
    }

    /// Delivers pushed data points to each destination. What one of them does not accept is spooled for this one alone.
    pub(super) async fn push(
        &self,
        metrics: MetricsRequest,
        encoding: Encoding,
        client: &ClientIdentity,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let points = metrics.points();
        if !self.has_destination() {
            return Ok(self.reject_all(points, encoding));
        }
        let outputs = self
            .outputs(metrics, client, deadline)
            .map_err(|error| self.load.exceeded(ItemKind::DataPoints, points, error).with_encoding(encoding))?;
        let reported = self.deliver(outputs, points, deadline).await.map_err(|error| error.with_encoding(encoding))?;
        let Reported { rejected, modified } = reported;
        Ok(receiver::partial_success(encoding, RejectedItems::DataPoints, points, &rejected, &modified))
    }

    fn has_destination(&self) -> bool {
        self.writer.is_some() || self.cloudwatch.is_some()
    }

    /// Converts data points to relabelled series, and to requests for CloudWatch.
    fn outputs(
        &self,
        metrics: MetricsRequest,
        client: &ClientIdentity,
        deadline: &Deadline,
    ) -> Result<Outputs, BudgetExceeded> {
        let budget = self.memory.budget(deadline, deadline.remaining() / DELIVERY_SHARE);
        let exports = self.cloudwatch.as_ref().map(|_| cloudwatch::LIMITS.split(&metrics, &budget)).transpose()?;
        let series = self.writer.as_ref().map(|writer| self.translate(metrics, writer, client, &budget, deadline));
        Ok(Outputs { series: series.transpose()?, exports })
    }

    fn translate(
        &self,
        metrics: MetricsRequest,
        writer: &SeriesWriter,
        client: &ClientIdentity,
        budget: &dyn Budget,
        deadline: &Deadline,
    ) -> Result<(PreparedSeries, ItemCounts), BudgetExceeded> {
        let mut batch = SeriesBatch::default();
        let result = metrics::series(&metrics, &self.options, client, deadline.started_ms(), budget, &mut batch)?;
        // Frees the memory for the delivery.
        drop(metrics);
        // All data points are either written or rejected.
        let TranslationResult { received, written: _, rejected, warnings: modified } = result;
        let input = ItemCounts { kind: ItemKind::DataPoints, count: received, rejected, modified };
        Ok((writer.prepare(batch, budget)?, input))
    }

    async fn deliver(&self, outputs: Outputs, points: u64, deadline: &Deadline) -> Result<Reported, ErrorResponse> {
        let Outputs { series, exports } = outputs;
        let has_amp = series.is_some();
        // Both deliveries share the time limit, also one after the other.
        let limited = deadline.capped(DELIVERY_TIMEOUT);
        let amp = self.deliver_series(series, &limited, deadline);
        let (mut reported, of_cloudwatch) = if self.load.has_spool {
            let cloudwatch = self.deliver_exports(exports, points, has_amp, &limited, deadline);
            let (amp, cloudwatch) = future::join(amp, cloudwatch).await;
            (amp?, cloudwatch?)
        } else {
            // AMP recognizes repeated samples. If it accepts none, the sender repeats the push, and CloudWatch has nothing of it.
            match amp.await {
                Ok(amp) => (amp, self.deliver_exports(exports, points, has_amp, &limited, deadline).await?),
                Err(error) => {
                    self.refuse_exports(exports, points);
                    return Err(error);
                }
            }
        };
        reported.rejected.merge(of_cloudwatch.rejected);
        reported.modified.merge(of_cloudwatch.modified);
        Ok(reported)
    }

    async fn deliver_series(
        &self,
        series: Option<(PreparedSeries, ItemCounts)>,
        limited: &Deadline,
        deadline: &Deadline,
    ) -> Result<Reported, ErrorResponse> {
        let (Some(writer), Some((series, input))) = (&self.writer, series) else { return Ok(Reported::default()) };
        let result = writer.send(series, Some(input), limited).await;
        self.tracker.complete(result, &deadline.capped(SPOOL_TIMEOUT)).await.into_result()
    }

    /// Delivers requests to CloudWatch. The data points count as an input if they are not one of the series.
    async fn deliver_exports(
        &self,
        exports: Option<SplitExport>,
        points: u64,
        are_counted: bool,
        limited: &Deadline,
        deadline: &Deadline,
    ) -> Result<Reported, ErrorResponse> {
        let (Some(cloudwatch), Some(SplitExport { exports, rejected })) = (&self.cloudwatch, exports) else {
            return Ok(Reported::default());
        };
        let requests = cloudwatch::requests(exports);
        let outcome = cloudwatch.deliver(requests, limited).await.into_payloads();
        let counts = |kind, rejected| ItemCounts { kind, count: points, rejected, modified: Rejections::default() };
        let input = (!are_counted).then(|| counts(ItemKind::DataPoints, Rejections::default()));
        let output = counts(ItemKind::CloudWatchPoints, rejected);
        let result = DeliveryResult::new(input, output, outcome);
        self.tracker.complete(result, &deadline.capped(SPOOL_TIMEOUT)).await.into_result()
    }

    /// Counts the data points of a push that is not sent to CloudWatch, because the sender repeats it.
    fn refuse_exports(&self, exports: Option<SplitExport>, points: u64) {
        let Some(SplitExport { exports: _, rejected }) = exports else { return };
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, ItemKind::CloudWatchPoints, points);
            counters.add_all(ItemStatus::Rejected, ItemKind::CloudWatchPoints, &rejected);
            let refused = points.saturating_sub(rejected.total());
            counters.add(ItemStatus::Refused, ItemKind::CloudWatchPoints, refused);
        });
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
        receiver::partial_success(encoding, RejectedItems::DataPoints, points, &rejected, &Rejections::default())
    }
}
