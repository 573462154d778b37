//! OTLP 1.x messages, with the fields that the function uses.
//!
//! Field numbers match opentelemetry-proto v1.x (`opentelemetry/proto/{common,resource,trace,metrics,logs}/v1`).
//! Every `string` field is declared as `bytes` and stored as [`Bytes`], so that decoding slices the body of the request instead
//! of copying it. Invalid UTF-8 in a string is replaced with U+FFFD by [`text`] and does not invalidate the request, as in the
//! Go collector.

pub mod borrowed;
mod common;
pub mod decoded_size;
mod encoded_attribute;
mod encoded_metric;
pub mod json;
pub mod limits;
mod logs;
mod metrics;
mod metrics_request;
pub mod protobuf;
mod response;
pub mod split;
pub mod split_metrics;
mod trace;
mod trace_request;
pub mod wire;

pub use common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, Resource, any_value};
pub use encoded_attribute::EncodedAttribute;
pub use logs::{ExportLogsServiceRequest, LogRecord, ResourceLogs, ScopeLogs};
pub use metrics::{
    Buckets, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, Gauge,
    Histogram, HistogramDataPoint, Metric, NO_RECORDED_VALUE, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    Summary, SummaryDataPoint, Temporality, ValueAtQuantile, exemplar, metric, number_data_point,
};
pub use metrics_request::{InvalidMetrics, MetricsRequest, ResourceMetricsRequest, ScopeMetricsRequest};
pub use response::{ExportResponse, PartialSuccess, RpcStatus};
pub use trace::{
    Event, ExportTraceServiceRequest, Link, ResourceSpans, ScopeSpans, Span, SpanKind, Status, StatusCode,
};
pub use trace_request::{ResourceSpanRequest, ScopeSpanRequest, TraceRequest};

use std::borrow::Cow;

/// Maximum length of a string that is converted. The conversion can take three times the memory, and no destination accepts a
/// longer one.
const MAX_CONVERTED_BYTES: usize = 256 << 10;

/// Returns the text of a string field. Invalid UTF-8 is replaced with U+FFFD, in which case the text is limited to the first 256 KiB.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    // The strict conversion checks words of ASCII at a time, and the lossy one each byte.
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes.get(..MAX_CONVERTED_BYTES).unwrap_or(bytes)),
    }
}
