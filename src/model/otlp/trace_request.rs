//! Export requests whose spans are decoded one at a time.
//!
//! A decoded span takes several times the memory of its bytes, and its memory can be used again for the next one. The bytes of a span are
//! a slice of the body.

use bytes::Bytes;
use prost::Message as _;

use super::common::{InstrumentationScope, Resource};
use super::encoded_attribute::{EncodedAttribute, has_attribute, without_attributes};
use super::trace::ExportTraceServiceRequest;

/// `ExportTraceServiceRequest` with encoded spans.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TraceRequest {
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpanRequest>,
}

/// `ResourceSpans` with encoded spans.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceSpanRequest {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpanRequest>,
    #[prost(bytes = "bytes", tag = "3")]
    pub schema_url: Bytes,
}

/// `ScopeSpans` with encoded spans.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeSpanRequest {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Each is a [`Span`](super::borrowed::Span).
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub spans: Vec<Bytes>,
    #[prost(bytes = "bytes", tag = "3")]
    pub schema_url: Bytes,
}

impl TraceRequest {
    /// Returns the number of spans, including malformed ones.
    pub fn spans(&self) -> u64 {
        let scopes = self.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.map(|scope| scope.spans.len() as u64).sum()
    }

    /// Removes attributes of spans. Malformed spans are unchanged.
    pub fn remove_span_attributes(&mut self, removed: impl Fn(EncodedAttribute<'_>) -> bool) {
        let scopes = self.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
        for encoded in scopes.flat_map(|scope| &mut scope.spans) {
            if has_attribute(encoded, ATTRIBUTES, &removed)
                && let Some(kept) = without_attributes(encoded, ATTRIBUTES, &removed)
            {
                *encoded = kept.into();
            }
        }
    }
}

/// Number of the field with the attributes of a span.
const ATTRIBUTES: u32 = 9;

impl ResourceSpanRequest {
    pub fn has_spans(&self) -> bool {
        self.scope_spans.iter().any(|scope| !scope.spans.is_empty())
    }
}

impl From<&ExportTraceServiceRequest> for TraceRequest {
    /// Encodes the spans.
    fn from(request: &ExportTraceServiceRequest) -> Self {
        // Cannot fail, because the request was just encoded.
        Self::decode(Bytes::from(request.encode_to_vec())).unwrap_or_default()
    }
}
