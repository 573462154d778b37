//! Signed POST requests to endpoints without an SDK client.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderValue, RETRY_AFTER};
use url::Url;

use super::backoff::{Backoff, retry_after};
use super::error::{AwsError, one_line};
use super::sign::Signer;
use crate::deadline::Deadline;

/// Time limit of one attempt. AWS normally responds within a second; an attempt without a response must leave time for retries.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Limit on a response body: enough for sampling rules (25 documents) and for every error body.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Header of requests with telemetry. It is not signed.
pub(super) const USER_AGENT: &str = concat!("sidecarless/", env!("CARGO_PKG_VERSION"));

/// HTTP client that signs POST requests with SigV4.
#[derive(Clone, Debug)]
pub struct SigV4Client {
    http: reqwest::Client,
    signer: Signer,
    is_permanent: fn(StatusCode, &str) -> bool,
}

/// Result of a POST.
#[derive(Debug)]
#[must_use]
pub enum PostResult {
    /// 2xx.
    Success { status: StatusCode, headers: HeaderMap, body: Bytes },
    /// 3xx or 4xx except 429: the same request would get the same response. `body` is shortened and on one line.
    Rejected { status: StatusCode, body: String, error: AwsError },
    /// 429, 5xx, no connection, no response in time, no credentials: another attempt may succeed.
    Retryable { error: AwsError, retry_after: Option<Duration> },
}

impl SigV4Client {
    pub fn new(http: reqwest::Client, signer: Signer) -> Self {
        Self { http, signer, is_permanent: |_, _| false }
    }

    /// Returns the same client for a service that sends retryable statuses for permanent errors. `is_permanent` gets the status
    /// and the body of a response.
    #[must_use]
    pub fn with_permanent_errors(self, is_permanent: fn(StatusCode, &str) -> bool) -> Self {
        Self { is_permanent, ..self }
    }

    /// Posts until the request succeeds, is rejected, or there is no time for another attempt. [`PostResult::Retryable`]
    /// contains the error of the last attempt.
    pub async fn post_with_retry(
        &self,
        service: &str,
        url: &Url,
        headers: &HeaderMap,
        body: &Bytes,
        deadline: &Deadline,
    ) -> PostResult {
        let mut backoff = Backoff::new(body.len() as u64 ^ deadline.now_ms().cast_unsigned());
        loop {
            let result = self.post(service, url, headers.clone(), body.clone(), deadline).await;
            let PostResult::Retryable { retry_after, error } = &result else { return result };
            if error.kind.is_access_denied() {
                return result;
            }
            match backoff.next(*retry_after, deadline.retry_budget()) {
                Some(wait) => deadline.sleep(wait).await,
                None => return result,
            }
        }
    }

    /// Signs the request for `service` and posts it once; a second time, without a wait and with new credentials, if the
    /// signature has expired. All headers except `user-agent` are signed.
    pub async fn post(
        &self,
        service: &str,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        deadline: &Deadline,
    ) -> PostResult {
        let result = self.sign_and_post(service, url, headers.clone(), body.clone(), deadline).await;
        match &result {
            PostResult::Rejected { error, .. } if error.kind.needs_new_signature() => {
                self.signer.discard_credentials();
                self.sign_and_post(service, url, headers, body, deadline).await
            }
            _ => result,
        }
    }

    /// Posts a second time if the connection turns out to be closed.
    async fn sign_and_post(
        &self,
        service: &str,
        url: &Url,
        mut headers: HeaderMap,
        body: Bytes,
        deadline: &Deadline,
    ) -> PostResult {
        let failed = |error| PostResult::Retryable { error, retry_after: None };
        // Signing calls STS if a role has to be assumed.
        let signing = self.signer.sign(service, url, &mut headers, &body, deadline.now_ms());
        match deadline.timeout(ATTEMPT_TIMEOUT, signing).await {
            Some(Ok(())) => {}
            Some(Err(error)) => return failed(error),
            None => return failed(AwsError::timeout()),
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let request = || self.read_response(self.http.post(url.clone()).headers(headers.clone()).body(body.clone()));
        let mut response = deadline.timeout(ATTEMPT_TIMEOUT, request()).await;
        if matches!(&response, Some(Err(error)) if is_connection_closed(error)) {
            response = deadline.timeout(ATTEMPT_TIMEOUT, request()).await;
        }
        match response {
            Some(Ok(result)) => result,
            Some(Err(error)) => failed(AwsError::from(&error.without_url())),
            None => failed(AwsError::timeout()),
        }
    }

    async fn read_response(&self, request: reqwest::RequestBuilder) -> Result<PostResult, reqwest::Error> {
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
        let body = one_line(&body);
        let error = AwsError::from_response(status, &headers, &body);
        if is_retryable(status, &error) && !(self.is_permanent)(status, &body) {
            let retry_after = retry_after(headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()));
            return Ok(PostResult::Retryable { error, retry_after });
        }
        Ok(PostResult::Rejected { status, body, error })
    }
}

/// Whether the connection broke during the request. It may have been closed while Lambda had the environment frozen, so
/// the server may be available. Because of the second attempt, each request may arrive twice.
fn is_connection_closed(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// Whether the same request may succeed later. Some services throttle with status 400, so the status alone does not decide.
pub(super) fn is_retryable(status: StatusCode, error: &AwsError) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || error.kind.is_retryable()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_retryable_with_any_status() {
        for (status, body, expected) in [
            (400, r#"{"__type":"ThrottlingException"}"#, true),
            (400, r#"{"message":"invalid label value: Rate exceeded"}"#, false),
            (403, r#"{"__type":"TooManyRequestsException"}"#, true),
            (429, "", true),
            (503, r#"{"__type":"AccessDeniedException"}"#, true),
            (400, r#"{"__type":"InvalidRequestException"}"#, false),
            (403, r#"{"__type":"AccessDeniedException"}"#, false),
            (404, "not found", false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = AwsError::from_response(status, &HeaderMap::new(), body);
            assert_eq!(is_retryable(status, &error), expected, "{status} {body}");
        }
    }
}
