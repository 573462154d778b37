//! Prometheus remote write to Amazon Managed Service for Prometheus.
//!
//! A batch is sent as requests below AMP's size limit; the samples of one series stay in one request. (Prometheus Remote-Write
//! 1.0 specification; Amazon Managed Service for Prometheus User Guide, "RemoteWrite" and "Service quotas".)

mod region;
mod request;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

pub use region::workspace_region;
pub use request::{EncodedRequest, RequestEncoder, encoded_len, requests};

use super::destination::Destination;
use super::outcome::{DeliveryError, Outcome};
use super::remote_write_error::{self, Effect, RemoteWriteError};
use crate::aws::client::{PostResult, SigV4Client};
use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::model::series::SeriesBatch;

/// The service name of AMP in SigV4.
const SERVICE: &str = "aps";

/// Writes series to one workspace.
#[derive(Clone, Debug)]
pub struct RemoteWriteClient {
    endpoint: Url,
    post: SigV4Client,
    encoder: RequestEncoder,
}

impl RemoteWriteClient {
    pub fn new(endpoint: Url, post: SigV4Client) -> Self {
        let post = post.with_permanent_errors(remote_write_error::is_permanent);
        Self { endpoint, post, encoder: RequestEncoder::default() }
    }

    /// Returns the requests for a batch. See [`RequestEncoder::requests`].
    pub fn requests<'a>(&self, batch: &'a SeriesBatch) -> impl Iterator<Item = EncodedRequest> + use<'a> {
        self.encoder.requests(batch)
    }
}

impl Destination for RemoteWriteClient {
    type Request = EncodedRequest;

    const NAME: &'static str = "AMP";

    /// AMP accepts thousands of requests per second; this limits memory and connections.
    const CONCURRENCY: usize = 8;

    /// Sends a request. If it is too large (413), sends it in parts.
    async fn send(&self, request: EncodedRequest, deadline: &Deadline) -> Outcome<EncodedRequest> {
        let (mut total, mut requests) = (Outcome::default(), vec![request]);
        while let Some(request) = requests.pop() {
            let result =
                self.post.post_with_retry(SERVICE, &self.endpoint, &headers(), &request.snappy, deadline).await;
            let outcome = match result {
                PostResult::Success { .. } => Outcome { delivered: request.points, ..Outcome::default() },
                PostResult::Retryable { error, retry_after } => Outcome::retryable(vec![request], error, retry_after),
                PostResult::Rejected { status, body, error } => {
                    let parsed = remote_write_error::parse(status.as_u16(), &body);
                    match parsed.effect(status.as_u16()) {
                        Effect::TooLarge => match request.split() {
                            Some(halves) => {
                                requests.extend(halves);
                                continue;
                            }
                            None => rejected(&request, request.points, status, &parsed, error),
                        },
                        Effect::AccessDenied => Outcome::access_denied(vec![request], status, error),
                        Effect::NothingStored => rejected(&request, request.points, status, &parsed, error),
                        Effect::PartlyStored => rejected(&request, request.points.min(1), status, &parsed, error),
                    }
                }
            };
            total = total.merge(outcome);
        }
        total
    }
}

/// Returns the outcome of a request of which AMP certainly rejected `count` points.
fn rejected(
    request: &EncodedRequest,
    count: u64,
    status: StatusCode,
    parsed: &RemoteWriteError,
    error: AwsError,
) -> Outcome<EncodedRequest> {
    let mut outcome = Outcome { unconfirmed: request.points - count, ..Outcome::default() };
    outcome.rejected.add(parsed.kind.reason(), count, || format!("AMP returned {status}: {}", parsed.message));
    outcome.error = Some(DeliveryError::Rejected { status, error });
    outcome
}

/// Remote-Write 1.0 specification, "Protocol".
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static("0.1.0"));
    headers
}
