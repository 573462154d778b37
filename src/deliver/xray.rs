//! Segment documents to AWS X-Ray, with PutTraceSegments.
//!
//! X-Ray responds with 200 and lists the documents that it did not store: throttled documents are sent again, and rejected
//! documents are counted with X-Ray's error. One invalid document does not affect the other 49. (AWS X-Ray API Reference,
//! PutTraceSegments.)

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_xray::types::UnprocessedTraceSegment;
use reqwest::StatusCode;

use super::destination::Destination;
use super::outcome::{DeliveryError, Outcome, Spoolable};
use crate::aws::backoff::Backoff;
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::aws::xray::XRayApi;
use crate::deadline::Deadline;
use crate::model::rejection::Rejections;
use crate::model::segment::{SegmentDocument, SegmentIds, put_trace_segments};
use crate::model::spool::Payload;

/// Documents per call, the limit of the service.
const DOCUMENTS_PER_CALL: usize = 50;

/// Bytes of documents per call. X-Ray does not document a limit. Documents of 64 KB each must not add up to megabytes, which a
/// slow connection cannot send within one attempt.
const BYTES_PER_CALL: usize = 1 << 20;

/// Number of rejected calls that are split in half, for all documents of a batch. One invalid document among fifty takes six
/// splits, and an X-Ray that rejects everything must not get a call for every document.
const MAX_SPLITS: usize = 32;

/// Reason of documents that X-Ray rejected.
const REJECTED: &str = "rejected_by_xray";

/// Codes of documents that X-Ray does not accept. The API reference does not list them: they are from public reports and from peers
/// for tests. Other codes that are not retryable are treated alike.
pub const DOCUMENT_ERRORS: [&str; 8] = [
    "InvalidSegment",
    "InvalidTraceId",
    "InvalidName",
    "InvalidId",
    "MissingId",
    "MissingEndTime",
    "MissingParam",
    "JSONFormatError",
];

/// Sends segment documents to X-Ray in one region.
#[derive(Clone, Debug)]
pub struct XRayClient {
    api: XRayApi,
}

/// Documents of one PutTraceSegments call.
#[derive(Debug)]
pub struct SegmentRequest {
    documents: Vec<SegmentDocument>,
    /// Calls of the batch that were split, shared by all requests of the batch.
    splits: Arc<AtomicUsize>,
}

/// Result of one attempt.
enum Attempt {
    /// X-Ray stored all documents except these.
    Processed(Vec<UnprocessedTraceSegment>),
    Retryable {
        error: AwsError,
        retry_after: Option<Duration>,
    },
    Rejected {
        status: StatusCode,
        error: AwsError,
    },
}

/// Result of one call with its retries.
struct CallResult {
    outcome: Outcome<SegmentRequest>,
    rejected: Option<RejectedCall>,
}

/// Call that X-Ray rejected as a whole.
struct RejectedCall {
    documents: Vec<SegmentDocument>,
    status: StatusCode,
    error: AwsError,
}

/// Returns the requests for a batch of documents.
pub fn requests(documents: Vec<SegmentDocument>) -> impl Iterator<Item = SegmentRequest> {
    let splits = Arc::<AtomicUsize>::default();
    chunk(documents).into_iter().map(move |documents| SegmentRequest { documents, splits: Arc::clone(&splits) })
}

impl Spoolable for SegmentRequest {
    fn into_payloads(requests: Vec<Self>) -> Vec<Payload> {
        let documents: Vec<_> = requests.into_iter().flat_map(|request| request.documents).collect();
        if documents.is_empty() { Vec::new() } else { vec![Payload::Segments(documents)] }
    }
}

impl XRayClient {
    pub fn new(api: XRayApi) -> Self {
        Self { api }
    }

    /// Returns the client, for calls that are not deliveries.
    pub fn api(&self) -> &XRayApi {
        &self.api
    }

    /// Sends the documents of one call until each is delivered or rejected, there is no time left, or X-Ray rejects the call as
    /// a whole.
    async fn send_with_retry(
        &self,
        mut documents: Vec<SegmentDocument>,
        splits: &Arc<AtomicUsize>,
        deadline: &Deadline,
    ) -> CallResult {
        let bytes: usize = documents.iter().map(SegmentDocument::escaped_len).sum();
        let mut backoff = Backoff::new(bytes as u64 ^ deadline.now_ms().cast_unsigned());
        let (mut outcome, mut is_denied) = (Outcome::default(), false);
        loop {
            match self.attempt(&documents, deadline).await {
                Attempt::Processed(unprocessed) => {
                    documents = record_unprocessed(&mut outcome, documents, &unprocessed);
                }
                Attempt::Retryable { error, retry_after } => {
                    is_denied = error.kind.is_access_denied();
                    outcome.error = Some(DeliveryError::Retryable { error });
                    outcome.retry_after = retry_after;
                }
                Attempt::Rejected { status, error } => {
                    (outcome.error, outcome.retry_after) = (None, None);
                    return CallResult { outcome, rejected: Some(RejectedCall { documents, status, error }) };
                }
            }
            if documents.is_empty() {
                return CallResult { outcome, rejected: None };
            }
            match backoff.next(outcome.retry_after, deadline.retry_budget()).filter(|_| !is_denied) {
                Some(wait) => deadline.sleep(wait).await,
                None => {
                    outcome.undelivered.push(SegmentRequest { documents, splits: Arc::clone(splits) });
                    return CallResult { outcome, rejected: None };
                }
            }
        }
    }

    async fn attempt(&self, documents: &[SegmentDocument], deadline: &Deadline) -> Attempt {
        match self.api.put_trace_segments(put_trace_segments(documents).into(), deadline).await {
            Ok(unprocessed) => Attempt::Processed(unprocessed),
            Err(failed) => match failed.permanent_status() {
                Some(status) => Attempt::Rejected { status, error: failed.error },
                None => Attempt::Retryable { error: failed.error, retry_after: failed.retry_after },
            },
        }
    }
}

impl Destination for XRayClient {
    type Request = SegmentRequest;

    const NAME: &'static str = "X-Ray";

    /// The quota of 2,600 segments per second and account, which is not adjustable, is 52 calls per second. At 50 to 150 ms a
    /// call, four calls stay at or below it.
    const CONCURRENCY: usize = 4;

    /// Sends the documents of one request. If X-Ray rejects the call as a whole, sends it in halves until the invalid document is
    /// alone in a call.
    async fn send(&self, request: SegmentRequest, deadline: &Deadline) -> Outcome<SegmentRequest> {
        let SegmentRequest { documents, splits } = request;
        let (mut total, mut calls) = (Outcome::default(), vec![documents]);
        while let Some(documents) = calls.pop() {
            let CallResult { outcome, rejected } = self.send_with_retry(documents, &splits, deadline).await;
            total = total.merge(outcome);
            let Some(RejectedCall { mut documents, status, error }) = rejected else { continue };
            if error.kind.is_access_denied() {
                let request = SegmentRequest { documents, splits: Arc::clone(&splits) };
                total = total.merge(Outcome::access_denied(vec![request], status, error));
                continue;
            }
            if can_be_split(status, &documents) && splits.fetch_add(1, Ordering::Relaxed) < MAX_SPLITS {
                let second = documents.split_off(documents.len() / 2);
                calls.extend([second, documents]);
            } else {
                total = total.merge(rejected_outcome(documents.len() as u64, status, error));
            }
        }
        total
    }
}

/// Whether X-Ray may accept fewer documents. It does not if it rejects the caller.
fn can_be_split(status: StatusCode, documents: &[SegmentDocument]) -> bool {
    documents.len() > 1 && matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE)
}

fn rejected_outcome(documents: u64, status: StatusCode, error: AwsError) -> Outcome<SegmentRequest> {
    let mut outcome = Outcome::default();
    outcome.rejected.add(REJECTED, documents, || format!("X-Ray returned {error}"));
    outcome.error = Some(DeliveryError::Rejected { status, error });
    outcome
}

/// Counts the documents that X-Ray stored or rejected. Returns the documents to send again.
///
/// If X-Ray does not identify a document that may be stored later, all documents that the response does not identify are
/// sent again. Those that X-Ray stored arrive twice with the same ID, as after a timeout.
fn record_unprocessed(
    outcome: &mut Outcome<SegmentRequest>,
    documents: Vec<SegmentDocument>,
    unprocessed: &[UnprocessedTraceSegment],
) -> Vec<SegmentDocument> {
    let sent = documents.len() as u64;
    let by_id: HashMap<&str, &UnprocessedTraceSegment> =
        unprocessed.iter().filter_map(|segment| Some((segment.id.as_deref()?, segment))).collect();
    let (mut rejected, mut retry, mut unconfirmed) = (Rejections::default(), Vec::new(), Vec::new());
    let mut identified = HashSet::new();
    // Parsing the IDs of stored documents is not necessary if X-Ray stored all of them.
    for document in documents.into_iter().filter(|_| !unprocessed.is_empty()) {
        let SegmentIds { trace_id, id } = document.ids();
        let Some(segment) = by_id.get(id.as_str()) else {
            unconfirmed.push(document);
            continue;
        };
        let code = segment.error_code.as_deref().unwrap_or("no code");
        if is_retryable(code) {
            retry.push(document);
        } else {
            rejected.add(REJECTED, 1, || {
                let message = segment.message.as_deref().unwrap_or("no message");
                format!("segment {id} of trace {trace_id}: {code}: {message}")
            });
        }
        identified.insert(id);
    }
    let is_unidentified =
        |segment: &&UnprocessedTraceSegment| !segment.id.as_ref().is_some_and(|id| identified.contains(id));
    let unidentified: Vec<_> = unprocessed.iter().filter(is_unidentified).collect();
    if unidentified.iter().any(|segment| segment.error_code.as_deref().is_some_and(is_retryable)) {
        retry.append(&mut unconfirmed);
    } else {
        let count = unidentified.len().min(unconfirmed.len()) as u64;
        rejected.add(REJECTED, count, || "X-Ray did not identify the rejected document".into());
    }
    outcome.delivered += sent.saturating_sub(rejected.total() + retry.len() as u64);
    outcome.rejected.merge(rejected);
    outcome.retry_after = None;
    outcome.error = (!retry.is_empty()).then(|| DeliveryError::Retryable {
        error: AwsError::new(AwsErrorKind::Throttled, "X-Ray throttled some segment documents of a call"),
    });
    retry
}

/// Whether X-Ray may store a document with this code later, because it was throttled or failed itself. Every other code is
/// about the document.
fn is_retryable(code: &str) -> bool {
    code.contains("Throttl") || code.contains("Internal") || code.contains("ServiceUnavailable")
}

/// Splits documents into calls, in their order.
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
    fn throttled_and_failed_documents_are_retried() {
        for (code, expected) in [
            ("ThrottledException", true),
            ("Throttled", true),
            ("ThrottlingException", true),
            ("InternalFailure", true),
            ("ServiceUnavailable", true),
            ("no code", false),
        ] {
            assert_eq!(is_retryable(code), expected, "{code}");
        }
        assert_eq!(DOCUMENT_ERRORS.map(is_retryable), [false; 8]);
    }

    #[test]
    fn unprocessed_segments_are_retried_or_rejected() {
        let segment = |id: Option<&str>, code: &str| {
            let segment = UnprocessedTraceSegment::builder().error_code(code);
            segment.set_id(id.map(str::to_owned)).build()
        };
        // The call contains the documents 1, 2 and 3. Expected: retried, delivered and rejected.
        for (unprocessed, expected) in [
            (vec![], (0, 3, 0)),
            (vec![segment(Some("1"), "ThrottledException")], (1, 2, 0)),
            (vec![segment(Some("1"), "InvalidSegment")], (0, 2, 1)),
            (vec![segment(None, "InvalidSegment")], (0, 2, 1)),
            (vec![segment(Some("9"), "InvalidSegment")], (0, 2, 1)),
            (vec![segment(None, "ThrottledException")], (3, 0, 0)),
            (vec![segment(None, "InternalFailure"), segment(None, "InvalidSegment")], (3, 0, 0)),
            (vec![segment(Some("1"), "InvalidSegment"), segment(None, "ThrottledException")], (2, 0, 1)),
        ] {
            let documents =
                ["1", "2", "3"].map(|id| SegmentDocument::new(&format!(r#"{{"id":"{id}","trace_id":"t"}}"#)));
            let mut outcome = Outcome { retry_after: Some(Duration::from_secs(9)), ..Outcome::default() };
            let retry = record_unprocessed(&mut outcome, documents.into(), &unprocessed);
            let counts = (retry.len(), outcome.delivered, outcome.rejected.total());
            assert_eq!(counts, expected, "{unprocessed:?}");
            assert_eq!(outcome.error.is_some(), !retry.is_empty(), "{unprocessed:?}");
            assert_eq!(outcome.retry_after, None, "only the last response counts");
        }
    }

    #[test]
    fn call_has_at_most_fifty_documents_and_one_megabyte() {
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
