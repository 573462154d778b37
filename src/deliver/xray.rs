//! Segment documents to AWS X-Ray, with PutTraceSegments.
//!
//! X-Ray answers 200 and names the documents it did not take: those it was too busy for are sent again, the others are
//! counted with X-Ray's reason. One bad document never costs the other 49. (AWS X-Ray API Reference, PutTraceSegments.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;

use crate::aws::backoff::Backoff;
use crate::aws::client::{PostResult, SigV4Client};
use crate::deadline::Deadline;
use crate::model::rejection::Rejections;
use crate::model::segment::{SegmentDocument, SegmentIds, put_trace_segments};

/// The service name of X-Ray in SigV4.
const SERVICE: &str = "xray";

/// The operation's path (AWS X-Ray API Reference, PutTraceSegments, "Request Syntax").
const PATH: &str = "/TraceSegments";

/// Documents per call, the service's limit.
const DOCUMENTS_PER_CALL: usize = 50;

/// Bytes of documents per call. X-Ray publishes no limit; documents of 64 KB each must not add up to megabytes that a slow
/// connection cannot carry within one attempt.
const BYTES_PER_CALL: usize = 1 << 20;

/// Calls under way at the same time. The quota of 2,600 segments per second and account, which is not adjustable, is 52
/// calls per second: at 50 to 150 ms a call this stays at or below it.
const CONCURRENCY: usize = 4;

/// How often calls that are refused as a whole are cut in two, for all documents sent at a time: one bad document among
/// fifty takes six cuts, and an X-Ray that refuses everything must not be asked once for each document.
const MAX_SPLITS: usize = 32;

/// Sends documents to the X-Ray of one region.
#[derive(Clone, Debug)]
pub struct XRayClient {
    url: Url,
    post: SigV4Client,
}

/// The part of an answer that says what was not taken.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PutTraceSegmentsOutput {
    unprocessed_trace_segments: Option<Vec<UnprocessedSegment>>,
}

/// A document that X-Ray did not take.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct UnprocessedSegment {
    id: Option<String>,
    error_code: Option<String>,
    message: Option<String>,
}

/// What became of some documents: `delivered` + `rejected` + `undelivered` are the documents handed in.
#[derive(Debug, Default)]
pub struct SendResult {
    pub delivered: u64,
    /// Documents refused for good, by X-Ray's code.
    pub rejected: Rejections,
    /// Documents that could not be delivered in time.
    pub undelivered: Vec<SegmentDocument>,
    /// What the last attempt failed with, when some are undelivered.
    pub error: Option<String>,
    /// What the service asked to wait.
    pub retry_after: Option<Duration>,
}

impl XRayClient {
    /// `endpoint` is X-Ray's in one region.
    pub fn new(endpoint: &Url, post: SigV4Client) -> Self {
        let mut url = endpoint.clone();
        url.set_path(PATH);
        Self { url, post }
    }

    /// Sends all documents.
    pub async fn send(&self, documents: Vec<SegmentDocument>, deadline: &Deadline) -> SendResult {
        let cuts = AtomicUsize::new(0);
        let outcomes = stream::iter(chunk(documents))
            .map(|call| self.deliver(call, &cuts, deadline))
            .buffer_unordered(CONCURRENCY)
            .collect::<Vec<_>>();
        outcomes.await.into_iter().fold(SendResult::default(), SendResult::merge)
    }

    /// Sends the documents of one call. A call that is refused as a whole is cut in two until what is wrong is alone in one.
    async fn deliver(&self, documents: Vec<SegmentDocument>, cuts: &AtomicUsize, deadline: &Deadline) -> SendResult {
        let (mut sent, mut calls) = (SendResult::default(), vec![documents]);
        while let Some(documents) = calls.pop() {
            let (came, refused) = self.send_with_retry(documents, deadline).await;
            sent = sent.merge(came);
            let Some(RejectedBatch { mut documents, error, is_document_specific }) = refused else { continue };
            if is_document_specific && documents.len() > 1 && cuts.fetch_add(1, Ordering::Relaxed) < MAX_SPLITS {
                let second = documents.split_off(documents.len() / 2);
                calls.extend([second, documents]);
            } else {
                sent.rejected.add("rejected_by_xray", documents.len() as u64, || error);
            }
        }
        sent
    }

    /// Makes one call until all of its documents are delivered, refused one by one, or out of time; or until it is
    /// refused as a whole.
    async fn send_with_retry(
        &self,
        mut documents: Vec<SegmentDocument>,
        deadline: &Deadline,
    ) -> (SendResult, Option<RejectedBatch>) {
        let bytes: usize = documents.iter().map(SegmentDocument::escaped_len).sum();
        let mut retry = Backoff::new(bytes as u64 ^ deadline.now_ms().cast_unsigned());
        let mut sent = SendResult::default();
        loop {
            let before = documents.len();
            match self.attempt(&documents, deadline).await {
                Ok(unprocessed) => {
                    let refused_before = sent.rejected.total();
                    documents = sent.classify_unprocessed(documents, &unprocessed);
                    let refused = sent.rejected.total() - refused_before;
                    sent.delivered += (before as u64).saturating_sub(refused + documents.len() as u64);
                    sent.error = Some("X-Ray was too busy for some of the documents of a call".into());
                }
                Err(SendError::Rejected { why, is_of_a_document }) => {
                    return (
                        sent,
                        Some(RejectedBatch { documents, error: why, is_document_specific: is_of_a_document }),
                    );
                }
                Err(SendError::Retryable { why, retry_after }) => {
                    sent.error = Some(why);
                    sent.retry_after = retry_after;
                }
            }
            if documents.is_empty() {
                return (sent, None);
            }
            match retry.next(sent.retry_after, deadline.retry_budget()) {
                Some(wait) => deadline.sleep(wait).await,
                None => return (SendResult { undelivered: documents, ..sent }, None),
            }
        }
    }

    async fn attempt(
        &self,
        documents: &[SegmentDocument],
        deadline: &Deadline,
    ) -> Result<Vec<UnprocessedSegment>, SendError> {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(put_trace_segments(documents));
        match self.post.post(SERVICE, &self.url, headers, body, deadline).await {
            PostResult::Success { body, .. } => parse(&body),
            PostResult::Rejected { status, error, .. } => Err(SendError::Rejected {
                why: format!("X-Ray answered {error}"),
                is_of_a_document: matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE),
            }),
            PostResult::Retryable { error, retry_after } => {
                Err(SendError::Retryable { why: error.detail, retry_after })
            }
        }
    }
}

enum SendError {
    Retryable { why: String, retry_after: Option<Duration> },
    Rejected { why: String, is_of_a_document: bool },
}

/// Documents of a call that X-Ray refused as a whole.
struct RejectedBatch {
    documents: Vec<SegmentDocument>,
    error: String,
    /// Whether fewer documents may be taken: not if it is the caller that X-Ray refuses.
    is_document_specific: bool,
}

/// What an answer names as not taken. An answer that cannot be read says nothing of the documents: they are sent again.
fn parse(answer: &[u8]) -> Result<Vec<UnprocessedSegment>, SendError> {
    if answer.is_empty() {
        return Ok(Vec::new());
    }
    let unreadable =
        |error| SendError::Retryable { why: format!("the answer cannot be read: {error}"), retry_after: None };
    let answer: PutTraceSegmentsOutput = serde_json::from_slice(answer).map_err(unreadable)?;
    Ok(answer.unprocessed_trace_segments.unwrap_or_default())
}

impl SendResult {
    fn merge(mut self, other: Self) -> Self {
        self.delivered += other.delivered;
        self.rejected.merge(other.rejected);
        if !other.undelivered.is_empty() {
            self.undelivered.extend(other.undelivered);
            self.error = other.error;
            self.retry_after = self.retry_after.max(other.retry_after);
        }
        self
    }

    /// Counts what X-Ray refused for good, and gives back what it was only too busy for.
    fn classify_unprocessed(
        &mut self,
        documents: Vec<SegmentDocument>,
        unprocessed: &[UnprocessedSegment],
    ) -> Vec<SegmentDocument> {
        if unprocessed.is_empty() {
            return Vec::new();
        }
        let by_id: HashMap<&str, &UnprocessedSegment> =
            unprocessed.iter().filter_map(|segment| Some((segment.id.as_deref()?, segment))).collect();
        let mut again = Vec::new();
        let mut named = 0;
        for document in documents {
            let SegmentIds { trace_id, id } = document.ids();
            let Some(segment) = by_id.get(id.as_str()) else { continue };
            named += 1;
            let code = segment.error_code.as_deref().unwrap_or("no code");
            if is_retryable(code) {
                again.push(document);
                continue;
            }
            let example = || {
                let message = segment.message.as_deref().unwrap_or("no message");
                format!("segment {id} of trace {trace_id}: {code}: {message}")
            };
            self.rejected.add("rejected_by_xray", 1, example);
        }
        let nameless = unprocessed.len().saturating_sub(named) as u64;
        self.rejected.add("rejected_by_xray", nameless, || "X-Ray did not say which document it refused".into());
        again
    }
}

/// Whether X-Ray would have taken a document with this code at another time: it was too busy, or failed itself. Every
/// other code is about the document.
fn is_retryable(code: &str) -> bool {
    code.contains("Throttl") || code.contains("Internal") || code.contains("ServiceUnavailable")
}

/// Cuts documents into calls, in their order.
fn chunk(documents: Vec<SegmentDocument>) -> Vec<Vec<SegmentDocument>> {
    let mut calls: Vec<Vec<SegmentDocument>> = Vec::with_capacity(documents.len() / DOCUMENTS_PER_CALL + 1);
    let mut bytes = 0;
    for document in documents {
        bytes += document.escaped_len();
        match calls.last_mut() {
            Some(call) if call.len() < DOCUMENTS_PER_CALL && bytes <= BYTES_PER_CALL => call.push(document),
            _ => {
                bytes = document.escaped_len();
                calls.push(vec![document]);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(count: usize, size: usize) -> Vec<SegmentDocument> {
        vec![SegmentDocument::new(&"x".repeat(size)); count]
    }

    #[test]
    fn only_what_is_not_the_documents_fault_is_sent_again() {
        for (code, expected) in [
            ("ThrottledException", true),
            ("Throttled", true),
            ("ThrottlingException", true),
            ("InternalFailure", true),
            ("ServiceUnavailable", true),
            ("InvalidSegment", false),
            ("InvalidTraceId", false),
            ("InvalidName", false),
            ("InvalidId", false),
            ("MissingId", false),
            ("MissingEndTime", false),
            ("MissingParam", false),
            ("JSONFormatError", false),
            ("no code", false),
        ] {
            assert_eq!(is_retryable(code), expected, "{code}");
        }
    }

    #[test]
    fn a_call_takes_fifty_documents_and_a_megabyte() {
        for (count, size, expected) in [
            (0, 10, vec![]),
            (50, 10, vec![50]),
            (121, 1_000, vec![50, 50, 21]),
            (40, 64 << 10, vec![16, 16, 8]),
            (2, 2 << 20, vec![1, 1]),
        ] {
            let lengths: Vec<_> = chunk(documents(count, size)).iter().map(Vec::len).collect();
            assert_eq!(lengths, expected, "{count} documents of {size} bytes");
        }
    }
}
