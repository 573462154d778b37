//! Export requests of spans and log records whose resources, scopes and items are not decoded.
//!
//! `ExportTraceServiceRequest` and `ExportLogsServiceRequest` have the same structure and the same field numbers
//! (opentelemetry-proto v1.x, trace/v1 and logs/v1), and a message has the wire format of a byte string. A request can therefore be
//! counted, checked and split without decoding its items: they are slices of the body, and keep fields that this function does not
//! know.

use bytes::Bytes;

/// Export request of spans or log records.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireRequest {
    #[prost(message, repeated, tag = "1")]
    pub resources: Vec<WireResource>,
}

/// Scopes of one resource.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireResource {
    #[prost(bytes = "bytes", tag = "1")]
    pub resource: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub scopes: Vec<WireScope>,
    #[prost(bytes = "bytes", tag = "3")]
    pub schema_url: Bytes,
}

/// Items of one scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireScope {
    #[prost(bytes = "bytes", tag = "1")]
    pub scope: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub items: Vec<Bytes>,
    #[prost(bytes = "bytes", tag = "3")]
    pub schema_url: Bytes,
}

impl WireRequest {
    /// Returns the number of spans or log records.
    pub fn items(&self) -> u64 {
        let scopes = self.resources.iter().flat_map(|resource| &resource.scopes);
        scopes.map(|scope| scope.items.len() as u64).sum()
    }
}

/// The fields of a span that limits apply to.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SpanHead {
    #[prost(bytes = "bytes", tag = "5")]
    pub name: Bytes,
    #[prost(fixed64, tag = "7")]
    pub start_time_unix_nano: u64,
}

/// The field of a span that identifies its trace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SpanTraceId {
    #[prost(bytes = "bytes", tag = "1")]
    pub trace_id: Bytes,
}

/// The field of a metric that identifies it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricHead {
    #[prost(bytes = "bytes", tag = "1")]
    pub name: Bytes,
}

/// The fields of a log record that limits apply to, and that identify it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogRecordHead {
    /// 0 if the source of the record does not know its time.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    #[prost(bytes = "bytes", tag = "9")]
    pub trace_id: Bytes,
    #[prost(fixed64, tag = "11")]
    pub observed_time_unix_nano: u64,
    #[prost(bytes = "bytes", tag = "12")]
    pub event_name: Bytes,
}
