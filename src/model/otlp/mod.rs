//! OTLP 1.x messages, as far as this function reads them.
//!
//! Field numbers are those of opentelemetry-proto v1.x (`opentelemetry/proto/{common,resource,trace,metrics}/v1`).
//! Every `string` field is declared as `bytes` and held as [`Bytes`]: decoding then slices the request's body instead of
//! copying it, and a string that is no UTF-8 costs its own characters (they become U+FFFD in [`text`]) instead of the
//! whole request, which is what the Go collector does too.

mod common;
pub mod decoded_size;
pub mod json;
mod metrics;
mod response;
pub mod split;
mod trace;

pub use common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, Resource, any_value};
pub use metrics::{
    Buckets, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, Gauge,
    Histogram, HistogramDataPoint, Metric, NO_RECORDED_VALUE, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    Summary, SummaryDataPoint, Temporality, ValueAtQuantile, exemplar, metric, number_data_point,
};
pub use response::{ExportResponse, PartialSuccess, RpcStatus};
pub use trace::{
    Event, ExportTraceServiceRequest, Link, ResourceSpans, ScopeSpans, Span, SpanKind, Status, StatusCode,
};

use std::borrow::Cow;

use bytes::Bytes;

/// The characters of a wire string; what is no UTF-8 becomes U+FFFD.
pub fn text(bytes: &Bytes) -> Cow<'_, str> {
    // The strict reading looks at whole words of ASCII at a time; the lossy one at every byte.
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}
