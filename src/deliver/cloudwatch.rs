//! OTLP metrics to the OTLP endpoint of CloudWatch (Amazon CloudWatch User Guide, "Send metrics using OpenTelemetry").
//!
//! A request that is repeated contains the same points with the same times and values.

use reqwest::header::HeaderMap;
use url::Url;

use super::destination::Destination;
use super::otlp::{self, ExportKind, OtlpEndpoint, OtlpRequest};
use super::outcome::Outcome;
use crate::aws::client::SigV4Client;
use crate::deadline::Deadline;
use crate::model::otlp::split::{EncodedExport, RequestLimits};
use crate::model::otlp::split_metrics::MetricLimits;

/// Limits of the endpoint (Amazon CloudWatch User Guide, "OTLP Endpoints" and "CloudWatch OpenTelemetry Metrics"): 1,000 data points
/// and 1 MB for each request, and 150 labels for each data point. Labels of its resource and its scope are left to the endpoint.
pub const LIMITS: MetricLimits =
    MetricLimits { request: RequestLimits { items: 1_000, bytes: 1_000_000 }, attributes: 150 };

/// The OTLP endpoint of CloudWatch in one region.
#[derive(Debug)]
pub struct OtlpMetricsClient {
    endpoint: OtlpEndpoint,
}

/// Returns the requests for a batch of exports.
pub fn requests(exports: Vec<EncodedExport>) -> impl Iterator<Item = OtlpRequest> {
    otlp::requests(ExportKind::DataPoints, exports)
}

impl OtlpMetricsClient {
    /// `base` is the endpoint of the region.
    pub fn new(mut base: Url, post: SigV4Client) -> Self {
        base.set_path("/v1/metrics");
        let endpoint = OtlpEndpoint {
            url: base,
            post,
            service: "monitoring",
            name: Self::NAME,
            rejected: "rejected_by_cloudwatch",
            headers: HeaderMap::new(),
            is_unknown_address: |_| false,
        };
        Self { endpoint }
    }
}

impl Destination for OtlpMetricsClient {
    type Request = OtlpRequest;

    const NAME: &'static str = "CloudWatch";

    const CONCURRENCY: usize = 4;

    async fn send(&self, request: OtlpRequest, deadline: &Deadline) -> Outcome<OtlpRequest> {
        self.endpoint.send(request, deadline).await
    }
}
