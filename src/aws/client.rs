//! One signed POST, and what its answer means for sending it again.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use url::Url;

use super::backoff::{Backoff, retry_after};
use super::sign::{SignError, Signer};
use crate::deadline::Deadline;

/// Time for one attempt. AWS answers within a second when it is well; a hanging attempt must leave time for others.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is read of an answer: enough for sampling rules (25 documents) and for every error text.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// What is kept of an error's body, in characters: the reason stands in its first sentence.
const REASON_CHARS: usize = 1_024;

/// Posts to AWS endpoints that the SDK has no client for.
#[derive(Clone, Debug)]
pub struct SigV4Client {
    http: reqwest::Client,
    signer: Signer,
}

/// What one attempt came to.
#[derive(Debug)]
pub enum PostResult {
    /// 2xx.
    Success { status: StatusCode, headers: HeaderMap, body: Bytes },
    /// 3xx or 4xx but 429: the same request would be answered the same way.
    Rejected { status: StatusCode, headers: HeaderMap, reason: String },
    /// 429, 5xx, no connection, no answer in time: another attempt may succeed.
    Retryable { why: String, retry_after: Option<Duration> },
}

impl SigV4Client {
    pub fn new(http: reqwest::Client, signer: Signer) -> Self {
        Self { http, signer }
    }

    /// Whether there is anything to sign with; the error says where it was looked for.
    pub async fn credentials(&self) -> Result<(), SignError> {
        self.signer.credentials().await.map(|_| ())
    }

    /// Posts until the request is done, refused, or out of time; [`Posted::Failed`] then says what the last attempt
    /// failed with.
    pub async fn post_with_retry(
        &self,
        service: &str,
        url: &Url,
        headers: &HeaderMap,
        body: &Bytes,
        deadline: &Deadline,
    ) -> PostResult {
        let mut retry = Backoff::new(body.len() as u64 ^ deadline.now_ms().cast_unsigned());
        loop {
            let posted = self.post(service, url, headers.clone(), body.clone(), deadline).await;
            let PostResult::Retryable { retry_after, .. } = &posted else { return posted };
            match retry.next(*retry_after, deadline.retry_budget()) {
                Some(wait) => deadline.sleep(wait).await,
                None => return posted,
            }
        }
    }

    /// Signs for `service` and posts once; once more at once when the connection turns out to be dead. Every header is
    /// signed, but `user-agent`.
    pub async fn post(
        &self,
        service: &str,
        url: &Url,
        mut headers: HeaderMap,
        body: Bytes,
        deadline: &Deadline,
    ) -> PostResult {
        let failed = |why: String| PostResult::Retryable { why, retry_after: None };
        if let Err(error) = self.signer.sign(service, url, &mut headers, &body, deadline.now_ms()).await {
            return failed(error.to_string());
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("sidecarless/", env!("CARGO_PKG_VERSION"))));
        let request = || read_response(self.http.post(url.clone()).headers(headers.clone()).body(body.clone()));
        let mut answered = deadline.timeout(ATTEMPT_TIMEOUT, request()).await;
        if matches!(&answered, Some(Err(error)) if is_connection_closed(error)) {
            answered = deadline.timeout(ATTEMPT_TIMEOUT, request()).await;
        }
        match answered {
            Some(Ok(posted)) => posted,
            Some(Err(error)) => failed(error_chain(&error.without_url())),
            None => failed("no answer in time".into()),
        }
    }
}

/// Whether the connection ended under the request: it may have been dead since before Lambda froze the process, and says
/// nothing of the server. Everything that is posted may arrive twice.
fn is_connection_closed(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

async fn read_response(request: reqwest::RequestBuilder) -> Result<PostResult, reqwest::Error> {
    let mut response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_RESPONSE_BYTES {
            break;
        }
    }
    if status.is_success() {
        return Ok(PostResult::Success { status, headers, body: body.into() });
    }
    let reason = one_line(&body);
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        let retry_after = retry_after(headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()));
        return Ok(PostResult::Retryable { why: format!("{status}: {reason}"), retry_after });
    }
    Ok(PostResult::Rejected { status, headers, reason })
}

pub(super) fn one_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(REASON_CHARS).collect()
}

/// An error with what caused it, on one line.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
