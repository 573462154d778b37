//! Pushed log records.

use std::sync::Arc;

use super::load_shed::{DELIVERY_SHARE, LoadShedder};
use super::{DELIVERY_TIMEOUT, SPOOL_TIMEOUT};
use crate::deadline::Deadline;
use crate::deliver::Delivery;
use crate::deliver::logs::{self, OtlpLogsClient};
use crate::handlers::delivery::{DeliveryResult, DeliveryTracker, ItemCounts, Reported};
use crate::lambda::HttpResponse;
use crate::model::item_counters::ItemKind;
use crate::model::otlp::json::RejectedItems;
use crate::model::otlp::limits::SplitExport;
use crate::model::otlp::wire::WireRequest;
use crate::model::rejection::Rejections;
use crate::receiver::{self, Encoding, ErrorResponse};
use crate::work_budget::MemoryLimit;

/// Delivers pushed log records to CloudWatch Logs.
#[derive(Debug)]
pub(in crate::handlers) struct LogsHandler {
    /// `None` if `SIDECARLESS_LOG_GROUP` is not set: log requests get a 404 response.
    pub(in crate::handlers) logs: Option<Arc<Delivery<OtlpLogsClient>>>,
    pub(in crate::handlers) load: Arc<LoadShedder>,
    pub(in crate::handlers) tracker: Arc<DeliveryTracker>,
    pub(in crate::handlers) memory: MemoryLimit,
}

impl LogsHandler {
    pub(super) fn accepts_logs(&self) -> bool {
        self.logs.is_some()
    }

    /// Delivers pushed log records.
    pub(super) async fn push(
        &self,
        records: WireRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let encode = |error: ErrorResponse| error.with_encoding(encoding);
        let Some(logs) = &self.logs else { return Err(encode(ErrorResponse::logs_disabled())) };
        let received = records.items();
        self.load.check(ItemKind::LogRecords, received, deadline).map_err(encode)?;
        let result = self.deliver(logs, records, deadline).await.map_err(encode)?;
        let summary = self.tracker.complete(result, &deadline.capped(SPOOL_TIMEOUT)).await;
        let Reported { rejected, modified } = summary.into_result().map_err(encode)?;
        Ok(receiver::partial_success(encoding, RejectedItems::LogRecords, received, &rejected, &modified))
    }

    async fn deliver(
        &self,
        logs: &Delivery<OtlpLogsClient>,
        records: WireRequest,
        deadline: &Deadline,
    ) -> Result<DeliveryResult, ErrorResponse> {
        let count = records.items();
        let budget = self.memory.budget(deadline, deadline.remaining() / DELIVERY_SHARE);
        let SplitExport { exports, rejected } = logs::LIMITS
            .split(records, deadline.now_ms(), &budget)
            .map_err(|exceeded| self.load.exceeded(ItemKind::LogRecords, count, exceeded))?;
        let outcome = logs.deliver(logs::requests(exports), &deadline.capped(DELIVERY_TIMEOUT)).await.into_payloads();
        let output = ItemCounts { kind: ItemKind::LogRecords, count, rejected, modified: Rejections::default() };
        Ok(DeliveryResult::new(None, output, outcome))
    }
}
