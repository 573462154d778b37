//! Prometheus remote write to Amazon Managed Service for Prometheus.
//!
//! Series go out in requests under AMP's size limit, several at a time; a series never travels in two requests of one
//! batch. A request that fails for a reason that passes is tried again for as long as the invocation has time for; what is
//! left then is handed back whole, to be spooled or to be sent again by the client. (Prometheus Remote-Write 1.0 and 2.0
//! specifications; Amazon Managed Service for Prometheus User Guide, "RemoteWrite" and "Service quotas".)

mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

pub use request::{EncodedRequest, ProtocolVersion, requests};

use super::remote_write_error::{self, ErrorKind};
use crate::aws::client::{PostResult, SigV4Client};
use crate::deadline::Deadline;
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;

/// Requests of one batch under way at the same time. AMP takes thousands of calls per second; this bounds memory and
/// connections.
const CONCURRENCY: usize = 8;

/// The service name of AMP in SigV4.
const SERVICE: &str = "aps";

/// What a request of version 2 fails with, before it is made anew in version 1.
const NO_V2: &str = "remote write 2.0 is not known there";

/// Writes series to one workspace.
#[derive(Clone, Debug)]
pub struct RemoteWriteClient {
    endpoint: Url,
    post: SigV4Client,
    version: ProtocolVersion,
    /// The backend has said that it does not know version 2.
    v2_unsupported: Arc<AtomicBool>,
}

/// What became of a batch: `delivered` + `rejected` + the points of `undelivered` are the points of the batch.
#[derive(Debug, Default)]
pub struct WriteResult {
    /// Points (samples and native histograms) that were answered with success.
    pub delivered: u64,
    /// Points refused for good, by reason.
    pub rejected: Rejections,
    /// Requests that could not be delivered in time.
    pub undelivered: Vec<FailedRequest>,
}

/// A request that could not be delivered now and may be delivered later.
#[derive(Debug)]
pub struct FailedRequest {
    pub request: EncodedRequest,
    /// What the last attempt failed with.
    pub error: String,
    /// What the server asked to wait, in the last answer.
    pub retry_after: Option<Duration>,
}

impl RemoteWriteClient {
    pub fn new(endpoint: Url, post: SigV4Client, version: ProtocolVersion) -> Self {
        Self { endpoint, post, version, v2_unsupported: Arc::default() }
    }

    /// Sends all series of `batch`.
    pub async fn write(&self, batch: &SeriesBatch, deadline: &Deadline) -> WriteResult {
        let version = self.version();
        let written = self.send_requests(requests(batch, version), deadline).await;
        if version == self.version() {
            return written;
        }
        // Sending a sample twice does no harm, so nothing has to be known of what arrived before the refusal.
        self.send_requests(requests(batch, ProtocolVersion::V1), deadline).await
    }

    /// Makes the requests of a batch and sends none of them.
    pub fn encode_only(&self, batch: &SeriesBatch, why: &str) -> WriteResult {
        let undelivered = requests(batch, self.version()).map(|request| FailedRequest {
            request,
            error: why.to_owned(),
            retry_after: None,
        });
        WriteResult { undelivered: undelivered.collect(), ..WriteResult::default() }
    }

    /// Sends requests until each is delivered, refused, or out of time.
    pub async fn send_requests(
        &self,
        requests: impl Iterator<Item = EncodedRequest>,
        deadline: &Deadline,
    ) -> WriteResult {
        let outcomes =
            stream::iter(requests).map(|request| self.send_request(request, deadline)).buffer_unordered(CONCURRENCY);
        outcomes.fold(WriteResult::default(), async |written, outcome| written.merge(outcome)).await
    }

    fn version(&self) -> ProtocolVersion {
        if self.v2_unsupported.load(Ordering::Relaxed) { ProtocolVersion::V1 } else { self.version }
    }

    async fn send_request(&self, request: EncodedRequest, deadline: &Deadline) -> WriteResult {
        let headers = headers(request.version);
        match self.post.post_with_retry(SERVICE, &self.endpoint, &headers, &request.snappy, deadline).await {
            PostResult::Success { headers, .. }
                if request.version == ProtocolVersion::V2 && !has_write_stats(&headers) =>
            {
                self.v2_unsupported.store(true, Ordering::Relaxed);
                WriteResult::undelivered(request, NO_V2.into(), None)
            }
            PostResult::Success { .. } => WriteResult { delivered: request.points, ..WriteResult::default() },
            PostResult::Rejected { status, reason, .. } => {
                self.handle_rejection(&request, status, &reason, deadline).await
            }
            PostResult::Retryable { why, retry_after } => WriteResult::undelivered(request, why, retry_after),
        }
    }

    /// 413 is mended by splitting and 415 by speaking the older version; everything else is counted by what it means.
    async fn handle_rejection(
        &self,
        request: &EncodedRequest,
        status: StatusCode,
        reason: &str,
        deadline: &Deadline,
    ) -> WriteResult {
        let error = remote_write_error::parse(status.as_u16(), reason);
        match error.kind {
            ErrorKind::TooLarge => {
                if request.version == ProtocolVersion::V2 {
                    // Only requests of version 1 can be split without their batch: it is made anew in that.
                    self.v2_unsupported.store(true, Ordering::Relaxed);
                    return WriteResult::undelivered(
                        request.clone(),
                        "a request of version 2 is too large".into(),
                        None,
                    );
                }
                if let Some(halves) = request.split() {
                    return Box::pin(self.send_requests(halves.into_iter(), deadline)).await;
                }
            }
            ErrorKind::Unsupported if request.version == ProtocolVersion::V2 => {
                self.v2_unsupported.store(true, Ordering::Relaxed);
                return WriteResult::undelivered(request.clone(), NO_V2.into(), None);
            }
            _ => {}
        }
        let mut written = WriteResult::default();
        // AMP answers 400 when it has stored what it could, and names the first series that it could not: the others count
        // as delivered, as nothing else is known of them. Any other status is about the request as a whole.
        let lost = if status == StatusCode::BAD_REQUEST { request.points.min(1) } else { request.points };
        written.rejected.add(error.kind.reason(), lost, || format!("AMP answered {status}: {}", error.message));
        written.delivered = request.points - lost;
        written
    }
}

impl WriteResult {
    fn merge(mut self, other: Self) -> Self {
        self.delivered += other.delivered;
        self.rejected.merge(other.rejected);
        self.undelivered.extend(other.undelivered);
        self
    }

    fn undelivered(request: EncodedRequest, why: String, retry_after: Option<Duration>) -> Self {
        Self { undelivered: vec![FailedRequest { request, error: why, retry_after }], ..Self::default() }
    }
}

/// Whether an answer says how much was written, as every receiver of version 2 must (Remote-Write 2.0 specification,
/// "Required Written Response Headers"): one that does not has read the request as an empty one of version 1.
fn has_write_stats(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("x-prometheus-remote-write-"))
}

/// Remote-Write specifications, "Protocol".
fn headers(version: ProtocolVersion) -> HeaderMap {
    let (content_type, number) = match version {
        ProtocolVersion::V1 => ("application/x-protobuf", "0.1.0"),
        ProtocolVersion::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static(number));
    headers
}
