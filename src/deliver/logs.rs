//! OTLP logs to the OTLP endpoint of CloudWatch Logs (Amazon CloudWatch Logs User Guide, "Sending logs using the OTLP endpoint").
//!
//! CloudWatch Logs stores a record that is sent twice two times. This happens if the response to the first request was lost, and if
//! a message of the spool was delivered in part and the spool did not accept its rest.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::destination::Destination;
use super::otlp::{self, ExportKind, OtlpEndpoint, OtlpRequest};
use super::outcome::Outcome;
use crate::aws::client::SigV4Client;
use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::model::otlp::limits::{EndpointLimits, log_record_head};
use crate::model::otlp::split::{EncodedExport, RequestLimits};

/// Limits of the endpoint: those of PutLogEvents (Amazon CloudWatch Logs API Reference) and the size of resource and scope. The size of
/// a record is our limit: the spool reads messages of up to 8 MB. A record of more than 1 MB is sent alone, because CloudWatch Logs
/// stores it as a large log object in some regions, and rejects it in others.
pub const LIMITS: EndpointLimits = EndpointLimits {
    noun: "log record",
    head: log_record_head,
    request: RequestLimits { items: 10_000, bytes: 1_000_000 },
    item_bytes: 4_000_000,
    resource_bytes: 16_000,
    max_ahead_ms: 2 * 3_600_000,
    max_age_ms: 14 * 86_400_000,
    max_spread_ms: 86_400_000,
};

const LOG_GROUP: HeaderName = HeaderName::from_static("x-aws-log-group");
const LOG_STREAM: HeaderName = HeaderName::from_static("x-aws-log-stream");

/// Log stream that receives OTLP logs. Its group and the stream must exist.
#[derive(Debug)]
pub struct OtlpLogsClient {
    endpoint: OtlpEndpoint,
}

/// Returns the requests for a batch of exports.
pub fn requests(exports: Vec<EncodedExport>) -> impl Iterator<Item = OtlpRequest> {
    otlp::requests(ExportKind::LogRecords, exports)
}

impl OtlpLogsClient {
    /// `base` is the endpoint of the region. Returns `None` if the names are not valid in a header.
    pub fn new(mut base: Url, post: SigV4Client, group: &str, stream: &str) -> Option<Self> {
        base.set_path("/v1/logs");
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(LOG_GROUP, HeaderValue::from_str(group).ok()?);
        headers.insert(LOG_STREAM, HeaderValue::from_str(stream).ok()?);
        let endpoint = OtlpEndpoint {
            url: base,
            post,
            service: "logs",
            name: Self::NAME,
            rejected: "rejected_by_logs",
            headers,
            is_unknown_address,
        };
        Some(Self { endpoint })
    }
}

impl Destination for OtlpLogsClient {
    type Request = OtlpRequest;

    const NAME: &'static str = "CloudWatch Logs";

    const CONCURRENCY: usize = 4;

    async fn send(&self, request: OtlpRequest, deadline: &Deadline) -> Outcome<OtlpRequest> {
        self.endpoint.send(request, deadline).await
    }
}

/// Whether the log group or the log stream does not exist.
fn is_unknown_address(error: &AwsError) -> bool {
    error.code.as_deref() == Some("ResourceNotFoundException")
}
