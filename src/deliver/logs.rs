//! OTLP logs, forwarded unchanged to the OTLP endpoint of CloudWatch Logs.
//!
//! The endpoint accepts both OTLP encodings and responds with an OTLP export response, so nothing is decoded (Amazon CloudWatch
//! Logs User Guide, "Sending logs using the OTLP endpoint"). Logs are not spooled: the client retries them.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::destination::Destination;
use super::outcome::{DeliveryError, Outcome};
use crate::aws::client::{PostResult, SigV4Client};
use crate::deadline::Deadline;

/// The service name of CloudWatch Logs in SigV4.
const SERVICE: &str = "logs";

const LOG_GROUP: HeaderName = HeaderName::from_static("x-aws-log-group");
const LOG_STREAM: HeaderName = HeaderName::from_static("x-aws-log-stream");

/// Log stream that receives OTLP logs. Its group and the stream must exist.
#[derive(Debug)]
pub struct OtlpLogsClient {
    url: Url,
    post: SigV4Client,
    names: HeaderMap,
}

/// Export request, which is not decoded. It counts as one item.
#[derive(Debug)]
pub struct LogsRequest {
    pub body: Bytes,
    pub content_type: &'static str,
}

impl OtlpLogsClient {
    /// `base` is the endpoint of the region. Returns `None` if the names are not valid in a header.
    pub fn new(mut base: Url, post: SigV4Client, group: &str, stream: &str) -> Option<Self> {
        base.set_path("/v1/logs");
        let mut names = HeaderMap::with_capacity(8);
        names.insert(LOG_GROUP, HeaderValue::from_str(group).ok()?);
        names.insert(LOG_STREAM, HeaderValue::from_str(stream).ok()?);
        Some(Self { url: base, post, names })
    }
}

impl Destination for OtlpLogsClient {
    type Request = LogsRequest;

    const NAME: &'static str = "CloudWatch Logs";

    /// A push is one request.
    const CONCURRENCY: usize = 1;

    async fn send(&self, request: LogsRequest, deadline: &Deadline) -> Outcome<LogsRequest> {
        let mut headers = self.names.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
        match self.post.post_with_retry(SERVICE, &self.url, &headers, &request.body, deadline).await {
            PostResult::Success { body, .. } => Outcome { delivered: 1, response: body, ..Outcome::default() },
            PostResult::Retryable { error, retry_after } => Outcome::retryable(request, error, retry_after),
            PostResult::Rejected { status, error, .. } => {
                let mut outcome = Outcome::default();
                outcome.rejected.add("rejected_by_logs", 1, || format!("CloudWatch Logs returned {error}"));
                outcome.error = Some(DeliveryError::Rejected { status, error });
                outcome
            }
        }
    }
}
