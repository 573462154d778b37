//! The OTLP endpoints of AWS: X-Ray's for spans, CloudWatch's for data points, and CloudWatch Logs' for log records (Amazon
//! CloudWatch User Guide, "OTLP Endpoint").
//!
//! An endpoint rejects a whole request because of one item. Items beyond its known limits are removed before they are sent
//! ([`EndpointLimits`](crate::model::otlp::limits::EndpointLimits)); a request that is rejected all the same is split in half until
//! the invalid item is alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message as _;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use super::outcome::{DeliveryError, Outcome, Spoolable};
use crate::aws::client::{PostResult, SigV4Client};
use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::model::otlp::ExportResponse;
use crate::model::otlp::split::EncodedExport;
use crate::model::otlp::split_metrics;
use crate::model::spool::Payload;

/// Number of rejected requests that are split in half, for all requests of a batch. One invalid item among 10,000 takes fourteen
/// splits, and an endpoint that rejects everything must not get a request for every item.
const MAX_SPLITS: usize = 32;

/// Kind of the items of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    Spans,
    DataPoints,
    LogRecords,
}

/// Request of a batch.
#[derive(Debug)]
pub struct OtlpRequest {
    kind: ExportKind,
    export: EncodedExport,
    /// Requests of the batch that were split, shared by all of them.
    splits: Arc<AtomicUsize>,
}

/// An OTLP endpoint.
#[derive(Debug)]
pub(super) struct OtlpEndpoint {
    pub(super) url: Url,
    pub(super) post: SigV4Client,
    /// Name of the service in SigV4.
    pub(super) service: &'static str,
    /// Name of the service in errors.
    pub(super) name: &'static str,
    /// Reason of rejected items.
    pub(super) rejected: &'static str,
    /// Headers in addition to the content type.
    pub(super) headers: HeaderMap,
    /// Whether an error means that the endpoint does not know its address, such as a log group.
    pub(super) is_unknown_address: fn(&AwsError) -> bool,
}

/// Returns the requests for a batch of exports.
pub(super) fn requests(kind: ExportKind, exports: Vec<EncodedExport>) -> impl Iterator<Item = OtlpRequest> {
    let splits = Arc::<AtomicUsize>::default();
    exports.into_iter().map(move |export| OtlpRequest { kind, export, splits: Arc::clone(&splits) })
}

impl Spoolable for OtlpRequest {
    fn into_payloads(requests: Vec<Self>) -> Vec<Payload> {
        let (mut spans, mut points, mut log_records) = (Vec::new(), Vec::new(), Vec::new());
        for OtlpRequest { kind, export, .. } in requests {
            match kind {
                ExportKind::Spans => spans.push(export),
                ExportKind::DataPoints => points.push(export),
                ExportKind::LogRecords => log_records.push(export),
            }
        }
        let payloads = [Payload::OtlpTraces(spans), Payload::OtlpMetrics(points), Payload::OtlpLogs(log_records)];
        payloads.into_iter().filter(|payload| payload.items() > 0).collect()
    }
}

impl OtlpEndpoint {
    /// Sends a request until each item is delivered or rejected, or there is no time left.
    pub(super) async fn send(&self, request: OtlpRequest, deadline: &Deadline) -> Outcome<OtlpRequest> {
        let OtlpRequest { kind, export, splits } = request;
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let mut total = Outcome::default();
        let mut open = vec![export];
        while let Some(export) = open.pop() {
            match self.post.post_with_retry(self.service, &self.url, &headers, &export.body, deadline).await {
                PostResult::Success { body, .. } => total = total.merge(self.accepted(export.items, body)),
                PostResult::Rejected { status, error, .. } if self.rejects_caller(&error) => {
                    open.push(export);
                    let requests = open.into_iter().map(|export| request_of(kind, export, &splits));
                    return total.merge(Outcome::access_denied(requests.collect(), status, error));
                }
                PostResult::Rejected { status, error, .. } => match halves(kind, &export, status, &splits) {
                    Some(halves) => open.extend(halves),
                    None => total = total.merge(self.rejected(export.items, status, error)),
                },
                PostResult::Retryable { error, retry_after } => {
                    open.push(export);
                    let requests = open.into_iter().map(|export| request_of(kind, export, &splits));
                    return total.merge(Outcome::retryable(requests.collect(), error, retry_after));
                }
            }
        }
        total
    }

    /// Whether the request may be accepted after a policy, the credentials or an address is corrected.
    fn rejects_caller(&self, error: &AwsError) -> bool {
        error.kind.is_access_denied() || (self.is_unknown_address)(error)
    }

    /// Returns the outcome of a successful response, which may contain the number of rejected items.
    fn accepted(&self, items: u64, body: bytes::Bytes) -> Outcome<OtlpRequest> {
        let partial = ExportResponse::decode(body).ok().and_then(|response| response.partial_success);
        let partial = partial.unwrap_or_default();
        let rejected = u64::try_from(partial.rejected).unwrap_or_default().min(items);
        let mut outcome = Outcome { delivered: items - rejected, ..Outcome::default() };
        outcome.rejected.add(self.rejected, rejected, || partial.error_message);
        outcome
    }

    fn rejected(&self, items: u64, status: StatusCode, error: AwsError) -> Outcome<OtlpRequest> {
        let mut outcome = Outcome::default();
        outcome.rejected.add(self.rejected, items, || format!("{} returned {error}", self.name));
        outcome.error = Some(DeliveryError::Rejected { status, error });
        outcome
    }
}

fn request_of(kind: ExportKind, export: EncodedExport, splits: &Arc<AtomicUsize>) -> OtlpRequest {
    OtlpRequest { kind, export, splits: Arc::clone(splits) }
}

/// Returns the halves of a rejected request, if one of them may be accepted and the batch has not been split too often.
fn halves(
    kind: ExportKind,
    export: &EncodedExport,
    status: StatusCode,
    splits: &AtomicUsize,
) -> Option<Vec<EncodedExport>> {
    let is_about_items = matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
    if !is_about_items || splits.load(Ordering::Relaxed) >= MAX_SPLITS {
        return None;
    }
    let halves = match kind {
        ExportKind::DataPoints => split_metrics::halves(export)?,
        ExportKind::Spans | ExportKind::LogRecords => export.halves()?,
    };
    splits.fetch_add(1, Ordering::Relaxed);
    Some(halves)
}
