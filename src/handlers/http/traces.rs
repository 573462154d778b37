//! Pushed spans and X-Ray SDK segments.

use std::sync::Arc;

use super::identity::attribute_bytes;
use super::load_shed::{DELIVERY_SHARE, LoadShedder};
use super::{DELIVERY_TIMEOUT, SPOOL_TIMEOUT};
use crate::deadline::Deadline;
use crate::deliver::Delivery;
use crate::deliver::xray::{self, XRayClient};
use crate::deliver::xray_otlp::{self, XRayOtlpClient};
use crate::handlers::delivery::{DeliveryResult, DeliveryTracker, ItemCounts};
use crate::lambda::HttpResponse;
use crate::model::budget::Budget as _;
use crate::model::item_counters::ItemKind;
use crate::model::otlp::TraceRequest;
use crate::model::otlp::json::RejectedItems;
use crate::model::otlp::limits::SplitExport;
use crate::model::rejection::Rejections;
use crate::model::segment::SegmentDocument;
use crate::receiver::{self, Encoding, ErrorResponse};
use crate::translate::sdk_segments::{self, BodyError};
use crate::translate::spans;
use crate::work_budget::{MemoryLimit, WorkBudget};

/// Delivers pushed spans and segments to X-Ray.
#[derive(Debug)]
pub(in crate::handlers) struct TraceHandler {
    pub(in crate::handlers) options: spans::Options,
    pub(in crate::handlers) xray: Arc<Delivery<XRayClient>>,
    /// `None`: spans are converted to segments.
    pub(in crate::handlers) xray_otlp: Option<Arc<Delivery<XRayOtlpClient>>>,
    pub(in crate::handlers) load: Arc<LoadShedder>,
    pub(in crate::handlers) tracker: Arc<DeliveryTracker>,
    pub(in crate::handlers) memory: MemoryLimit,
}

impl TraceHandler {
    /// Refuses spans that would not be delivered in time.
    pub(super) fn check_load(
        &self,
        traces: &TraceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<(), ErrorResponse> {
        self.load.check(ItemKind::Spans, traces.spans(), deadline).map_err(|error| error.with_encoding(encoding))
    }

    /// Rejects spans of so many resources that the attributes of their tasks would not fit into the memory.
    pub(super) fn reserve_attributes(&self, traces: &TraceRequest, encoding: Encoding) -> Result<(), ErrorResponse> {
        let used = traces.resource_spans.iter().filter(|spans| spans.has_spans());
        self.memory
            .reserve(attribute_bytes(used.map(|spans| &spans.resource)))
            .map_err(|error| self.load.exceeded(ItemKind::Spans, traces.spans(), error).with_encoding(encoding))
    }

    /// Delivers pushed spans.
    pub(super) async fn push(
        &self,
        traces: TraceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let spans = traces.spans();
        let result = match &self.xray_otlp {
            Some(xray_otlp) => self.deliver_otlp(xray_otlp, traces, deadline).await,
            None => self.deliver_spans(traces, deadline).await,
        };
        let result = result.map_err(|error| error.with_encoding(encoding))?;
        let reported = self.tracker.complete(result, &deadline.capped(SPOOL_TIMEOUT)).await.into_result();
        let reported = reported.map_err(|error| error.with_encoding(encoding))?;
        Ok(receiver::partial_success(encoding, RejectedItems::Spans, spans, &reported.rejected, &reported.modified))
    }

    /// Delivers segments of X-Ray SDKs unchanged.
    pub(super) async fn push_segments(&self, body: &[u8], deadline: &Deadline) -> Result<HttpResponse, ErrorResponse> {
        let segments = sdk_segments::validate_body(body, &self.budget(deadline));
        let sdk_segments::SdkSegments { documents, received, rejected } = segments.map_err(|error| match error {
            BodyError::BudgetExceeded { received, exceeded } => {
                self.load.exceeded(ItemKind::Segments, received, exceeded)
            }
            error => ErrorResponse::malformed(error.to_string()),
        })?;
        self.load.check(ItemKind::Segments, received, deadline)?;
        let output =
            ItemCounts { kind: ItemKind::Segments, count: received, rejected, modified: Rejections::default() };
        let result = self.deliver_segments(documents, None, output, deadline).await;
        let reported = self.tracker.complete(result, &deadline.capped(SPOOL_TIMEOUT)).await.into_result()?;
        Ok(receiver::put_trace_segments_response(&reported.rejected))
    }

    /// Converts spans to segments and delivers those.
    async fn deliver_spans(&self, traces: TraceRequest, deadline: &Deadline) -> Result<DeliveryResult, ErrorResponse> {
        let segments = spans::segments(&traces, &self.options, &self.budget(deadline));
        let spans::Segments { documents, received, rejected, truncated } =
            segments.map_err(|exceeded| self.load.exceeded(ItemKind::Spans, traces.spans(), exceeded))?;
        // Frees the memory for the delivery.
        drop(traces);
        let mut modified = Rejections::default();
        modified.add("segment_truncated", truncated, || "a segment document was larger than 64 KB".into());
        let input = ItemCounts { kind: ItemKind::Spans, count: received, rejected, modified: Rejections::default() };
        let count = documents.len() as u64;
        let output = ItemCounts { kind: ItemKind::Segments, count, rejected: Rejections::default(), modified };
        Ok(self.deliver_segments(documents, Some(input), output, deadline).await)
    }

    async fn deliver_segments(
        &self,
        documents: Vec<SegmentDocument>,
        input: Option<ItemCounts>,
        output: ItemCounts,
        deadline: &Deadline,
    ) -> DeliveryResult {
        let deadline = &deadline.capped(DELIVERY_TIMEOUT);
        let outcome = self.xray.deliver(xray::requests(documents), deadline).await.into_payloads();
        DeliveryResult::new(input, output, outcome)
    }

    /// Delivers spans as OTLP.
    async fn deliver_otlp(
        &self,
        xray_otlp: &Delivery<XRayOtlpClient>,
        traces: TraceRequest,
        deadline: &Deadline,
    ) -> Result<DeliveryResult, ErrorResponse> {
        let count = traces.spans();
        let split = xray_otlp::split(traces, deadline.now_ms(), &self.budget(deadline));
        let SplitExport { exports, rejected } =
            split.map_err(|exceeded| self.load.exceeded(ItemKind::Spans, count, exceeded))?;
        let requests = xray_otlp::requests(exports);
        let outcome = xray_otlp.deliver(requests, &deadline.capped(DELIVERY_TIMEOUT)).await.into_payloads();
        let output = ItemCounts { kind: ItemKind::Spans, count, rejected, modified: Rejections::default() };
        Ok(DeliveryResult::new(None, output, outcome))
    }

    fn budget<'d>(&self, deadline: &'d Deadline) -> WorkBudget<'d> {
        self.memory.budget(deadline, deadline.remaining() / DELIVERY_SHARE)
    }
}
