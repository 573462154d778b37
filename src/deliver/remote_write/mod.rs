//! Prometheus remote write to Amazon Managed Service for Prometheus.
//!
//! Series go out in requests under AMP's size limit, several at a time; a series never travels in two requests of one
//! batch. A request that fails for a reason that passes is tried again for as long as the invocation has time for; what is
//! left then is handed back whole, to be spooled or to be sent again by the client. (Prometheus Remote-Write 1.0
//! specification; Amazon Managed Service for Prometheus User Guide, "RemoteWrite" and "Service quotas".)

mod request;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

pub use request::{EncodedRequest, requests};

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

/// Writes series to one workspace.
#[derive(Clone, Debug)]
pub struct RemoteWriteClient {
    endpoint: Url,
    post: SigV4Client,
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
    pub fn new(endpoint: Url, post: SigV4Client) -> Self {
        Self { endpoint, post }
    }

    /// Sends all series of `batch`.
    pub async fn write(&self, batch: &SeriesBatch, deadline: &Deadline) -> WriteResult {
        self.send_requests(requests(batch), deadline).await
    }

    /// Makes the requests of a batch and sends none of them.
    pub fn encode_only(&self, batch: &SeriesBatch, why: &str) -> WriteResult {
        let undelivered =
            requests(batch).map(|request| FailedRequest { request, error: why.to_owned(), retry_after: None });
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

    async fn send_request(&self, request: EncodedRequest, deadline: &Deadline) -> WriteResult {
        match self.post.post_with_retry(SERVICE, &self.endpoint, &headers(), &request.snappy, deadline).await {
            PostResult::Success { .. } => WriteResult { delivered: request.points, ..WriteResult::default() },
            PostResult::Rejected { status, body, .. } => self.handle_rejection(&request, status, &body, deadline).await,
            PostResult::Retryable { error, retry_after } => {
                WriteResult::undelivered(request, error.detail, retry_after)
            }
        }
    }

    /// Splits a request that is too large (413); any other error is counted by what it means.
    async fn handle_rejection(
        &self,
        request: &EncodedRequest,
        status: StatusCode,
        reason: &str,
        deadline: &Deadline,
    ) -> WriteResult {
        let error = remote_write_error::parse(status.as_u16(), reason);
        if error.kind == ErrorKind::TooLarge
            && let Some(halves) = request.split()
        {
            return Box::pin(self.send_requests(halves.into_iter(), deadline)).await;
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

/// Remote-Write 1.0 specification, "Protocol".
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static("0.1.0"));
    headers
}
