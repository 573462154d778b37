//! OTLP's JSON encoding, read into the very messages that protobuf gives, and the answers in it.
//!
//! The encoding is protobuf's JSON mapping with OTLP's changes ("JSON Protobuf Encoding" of the OTLP specification): ids
//! are hexadecimal, enums are numbers, unknown fields are ignored. Read more widely than written, as that mapping asks of
//! readers: names in lowerCamelCase or as in the .proto files, 64-bit integers as strings or numbers, `null` for absent;
//! and enums also by name, which the specification forbids writers but some write.
//!
//! No tree is built: fields are written where they belong while the text is read, and a string without escapes is a
//! slice of the body. Depth is bounded by `serde_json`'s limit of 128 nested values. An id of the wrong length is kept,
//! as protobuf keeps it: it costs its span, not the request.

mod common;
mod metrics;
mod read;
mod response;
mod trace;
mod value;

use bytes::Bytes;

pub use response::{RejectedItems, export_response, rpc_status};

use super::{ExportMetricsServiceRequest, ExportTraceServiceRequest};

/// Why a request is malformed, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem} (line {line}, column {column})")]
pub struct JsonError {
    /// As in `resourceSpans[0].scopeSpans[0].spans[3].traceId`; `request` for the whole.
    pub path: String,
    pub problem: String,
    /// Counted from 1.
    pub line: usize,
    /// Bytes of the line that were read.
    pub column: usize,
}

/// Reads an `ExportTraceServiceRequest`.
pub fn traces(body: &Bytes) -> Result<ExportTraceServiceRequest, JsonError> {
    read::request(body)
}

/// Reads an `ExportMetricsServiceRequest`.
pub fn metrics(body: &Bytes) -> Result<ExportMetricsServiceRequest, JsonError> {
    read::request(body)
}
