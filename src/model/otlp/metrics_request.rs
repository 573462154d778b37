//! Export requests whose data points are decoded one at a time.
//!
//! A decoded point takes several times the memory of its bytes, and its memory can be used again for the next one. The bytes of a metric
//! are a slice of the body.

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;

use super::borrowed::{Metric, check_attribute};
use super::common::{InstrumentationScope, Resource};
use super::encoded_attribute::EncodedAttribute;
use super::encoded_metric::without_point_attributes;
use super::metrics::ExportMetricsServiceRequest;
use super::protobuf::MalformedMessage;

/// `ExportMetricsServiceRequest` with encoded metrics.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricsRequest {
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetricsRequest>,
}

/// `ResourceMetrics` with encoded metrics.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceMetricsRequest {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetricsRequest>,
    #[prost(bytes = "bytes", tag = "3")]
    pub schema_url: Bytes,
}

/// `ScopeMetrics` with encoded metrics.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeMetricsRequest {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Each is a [`Metric`].
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub metrics: Vec<Bytes>,
    #[prost(bytes = "bytes", tag = "3")]
    pub schema_url: Bytes,
}

/// Bytes that are not a request.
#[derive(Debug, Error)]
pub enum InvalidMetrics {
    #[error(transparent)]
    Request(#[from] prost::DecodeError),
    #[error("malformed metric: {0}")]
    Metric(#[from] MalformedMessage),
}

impl MetricsRequest {
    /// Decodes a request up to its points, which may be malformed.
    pub fn from_protobuf(body: Bytes) -> Result<Self, InvalidMetrics> {
        let request = Self::decode(body)?;
        request.scopes().flat_map(|scope| &scope.metrics).try_for_each(|metric| check_metric(metric))?;
        Ok(request)
    }

    /// Returns the number of data points, including malformed ones.
    pub fn points(&self) -> u64 {
        self.scopes().map(ScopeMetricsRequest::points).sum()
    }

    /// Removes attributes of points. Malformed points are unchanged.
    pub fn remove_point_attributes(&mut self, removed: impl Fn(EncodedAttribute<'_>) -> bool) {
        let scopes = self.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &mut scope.metrics) {
            if let Some(rewritten) = without_point_attributes(metric, &removed) {
                *metric = rewritten;
            }
        }
    }

    fn scopes(&self) -> impl Iterator<Item = &ScopeMetricsRequest> {
        self.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics)
    }
}

/// Checks the fields of a metric, except for its points.
fn check_metric(metric: &[u8]) -> Result<(), MalformedMessage> {
    Metric::decode(metric)?.metadata().try_for_each(check_attribute)
}

impl ResourceMetricsRequest {
    /// Returns the number of data points, including malformed ones.
    pub fn points(&self) -> u64 {
        self.scope_metrics.iter().map(ScopeMetricsRequest::points).sum()
    }

    pub fn has_points(&self) -> bool {
        self.scope_metrics.iter().any(|scope| scope.has_points(1))
    }
}

impl ScopeMetricsRequest {
    /// Returns the number of data points, including malformed ones.
    pub fn points(&self) -> u64 {
        self.counts().sum()
    }

    /// Returns whether there are at least this many data points.
    pub fn has_points(&self, at_least: u64) -> bool {
        let mut missing = at_least;
        self.counts().any(|count| {
            missing = missing.saturating_sub(count);
            missing == 0
        })
    }

    /// Returns the number of points of each metric with data.
    fn counts(&self) -> impl Iterator<Item = u64> {
        self.metrics.iter().filter_map(|metric| Some(Metric::decode(metric).ok()?.data?.count))
    }
}

impl From<&ExportMetricsServiceRequest> for MetricsRequest {
    /// Encodes the metrics.
    fn from(request: &ExportMetricsServiceRequest) -> Self {
        // Cannot fail, because the request was just encoded.
        Self::decode(Bytes::from(request.encode_to_vec())).unwrap_or_default()
    }
}
