//! OTLP logs, passed on to the OTLP endpoint of CloudWatch Logs as they came.
//!
//! Nothing is read of them: the endpoint takes both encodings, and its answer is an export response of OTLP (Amazon
//! CloudWatch Logs User Guide, "Sending logs using the OTLP endpoint"). What it cannot take now is not spooled: the client
//! is told to send it again.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::aws::client::{PostResult, SigV4Client};
use crate::deadline::Deadline;

/// The service name of CloudWatch Logs in SigV4.
const SERVICE: &str = "logs";

const LOG_GROUP: HeaderName = HeaderName::from_static("x-aws-log-group");
const LOG_STREAM: HeaderName = HeaderName::from_static("x-aws-log-stream");

/// A log stream that takes OTLP. Group and stream have to exist.
#[derive(Debug)]
pub struct OtlpLogsClient {
    url: Url,
    post: SigV4Client,
    names: HeaderMap,
}

impl OtlpLogsClient {
    /// `base` is the endpoint of the region. `None`: the names cannot stand in a header.
    pub fn new(mut base: Url, post: SigV4Client, group: &str, stream: &str) -> Option<Self> {
        base.set_path("/v1/logs");
        let mut names = HeaderMap::with_capacity(8);
        names.insert(LOG_GROUP, HeaderValue::from_str(group).ok()?);
        names.insert(LOG_STREAM, HeaderValue::from_str(stream).ok()?);
        Some(Self { url: base, post, names })
    }

    /// Sends an export request, until it is taken, refused, or out of time.
    pub async fn export(&self, body: &Bytes, content_type: &'static str, deadline: &Deadline) -> PostResult {
        let mut headers = self.names.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.post.post_with_retry(SERVICE, &self.url, &headers, body, deadline).await
    }
}
