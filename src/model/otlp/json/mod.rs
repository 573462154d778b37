//! JSON encoding of OTLP: decodes requests to the messages that protobuf uses, and encodes responses.
//!
//! The encoding is the JSON mapping of protobuf with the changes of OTLP ("JSON Protobuf Encoding" of the OTLP
//! specification): ids are hexadecimal, enums are numbers, and unknown fields are ignored. As the mapping requires of readers,
//! names are in lowerCamelCase or as in the .proto files, 64-bit integers are strings or numbers, and `null` is an absent field.
//! Enums are also accepted by name, which the specification forbids, but some writers use. Fields of OTLP 0.x that were renamed
//! later, such as `instrumentationLibrarySpans`, are read: exporters of that time are still in use. A list of both names is read once,
//! from the new name. Items of another signal or at the wrong level are an error, because a request without any known field would be
//! acknowledged and lost.
//!
//! The decoder writes each value directly to its field, and a string without escapes is a slice of the body. `serde_json`
//! limits the depth to 128 nested values. An id of the wrong length is kept, as in protobuf: only its span is rejected, not
//! the request.

mod common;
mod key;
mod logs;
mod metrics;
mod misplaced;
mod read;
mod repair;
mod response;
mod trace;
mod value;

use bytes::Bytes;

pub(crate) use repair::{repaired, unicode};
pub use response::{RejectedItems, export_response, rpc_status};

use super::{ExportLogsServiceRequest, ExportMetricsServiceRequest, ExportTraceServiceRequest};
use crate::model::budget::{Budget, BudgetExceeded};

/// Error in a request, with its location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem} (line {line}, column {column})")]
pub struct JsonError {
    /// For example `resourceSpans[0].scopeSpans[0].spans[3].traceId`, or `request` for the full request.
    pub path: String,
    pub problem: String,
    /// The first line is 1.
    pub line: usize,
    /// Bytes of the line before the error.
    pub column: usize,
}

/// The reason why a request was not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonDecodeError {
    #[error(transparent)]
    Invalid(#[from] JsonError),
    #[error(transparent)]
    BudgetExceeded(#[from] BudgetExceeded),
}

/// Decodes an `ExportTraceServiceRequest`. Memory is reserved from the budget before it is allocated.
pub fn traces(body: &Bytes, budget: &dyn Budget) -> Result<ExportTraceServiceRequest, JsonDecodeError> {
    read::request(body, budget)
}

/// Decodes an `ExportMetricsServiceRequest`. Memory is reserved from the budget before it is allocated.
pub fn metrics(body: &Bytes, budget: &dyn Budget) -> Result<ExportMetricsServiceRequest, JsonDecodeError> {
    read::request(body, budget)
}

/// Decodes an `ExportLogsServiceRequest`. Memory is reserved from the budget before it is allocated.
pub fn logs(body: &Bytes, budget: &dyn Budget) -> Result<ExportLogsServiceRequest, JsonDecodeError> {
    read::request(body, budget)
}
