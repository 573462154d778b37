//! The front door: from a request to decoded telemetry, or to a refusal that says what is wrong.
//!
//! The order is the order of cost: route, then caller, then decompression and decoding, so that nothing is spent on a caller
//! who may not push. (OpenTelemetry Protocol Specification 1.x, "OTLP/HTTP".)

mod auth;
mod client_id;
mod decompress;
mod health;
mod response;
mod route;

use bytes::Bytes;
use prost::Message;

pub use auth::Authenticator;
pub use decompress::decompress;
pub use health::{EnabledSignals, health_response};
pub use response::{ErrorResponse, export_response, partial_success, passed_on, put_trace_segments_response};

use route::Route;

use crate::lambda::Request;
use crate::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest, decoded_size, json};
use crate::model::sampling::SamplingCall;
use crate::model::signal::Signal;

/// What a JSON object stands for in memory: an attribute is two objects, a span or a data point is one of some hundred
/// bytes and holds several.
const JSON_OBJECT_BYTES: usize = 160;

/// What a request asks for.
#[derive(Debug)]
pub enum DecodedRequest {
    Traces(ExportTraceServiceRequest, Encoding),
    Metrics {
        metrics: ExportMetricsServiceRequest,
        encoding: Encoding,
        /// Something that tells the sender from every other; `None` when nothing is known of it.
        sender: Option<String>,
    },
    /// A request to export logs, to be passed on as it is.
    Logs(Bytes, Encoding),
    /// Segment documents of X-Ray SDKs, not yet read.
    SdkSegments(Bytes),
    /// A call of a remote sampler, to be passed on as it is.
    Sampling(SamplingCall, Bytes),
    /// Somebody looks whether this function is there.
    HealthCheck,
}

/// The encoding of a request, and so of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Protobuf,
    Json,
}

impl Encoding {
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// Routes, authenticates and decodes a request. `takes_logs`: there is somewhere to send them.
pub fn decode_request(
    request: &Request,
    gate: &Authenticator,
    takes_logs: bool,
) -> Result<DecodedRequest, ErrorResponse> {
    let encoding = encoding(request);
    let refuse = |refused: ErrorResponse| refused.with_encoding(encoding);
    let route = route::route(request).map_err(refuse)?;
    match route {
        Route::HealthCheck => return Ok(DecodedRequest::HealthCheck),
        Route::Logs if !takes_logs => return Err(refuse(ErrorResponse::logs_disabled())),
        _ => {}
    }
    gate.authenticate(request).map_err(refuse)?;
    let body = request.body.bytes().map_err(|reason| refuse(ErrorResponse::malformed(reason)))?;
    let body = decompress(body, request.header("content-encoding")).map_err(refuse)?;
    match route {
        Route::Signal(signal) => {
            check_decoded_size(signal, encoding, &body, gate.decoded_limit).map_err(refuse)?;
            decode(signal, encoding, body, request).map_err(refuse)
        }
        Route::Logs => Ok(DecodedRequest::Logs(body, encoding)),
        Route::SdkSegments => Ok(DecodedRequest::SdkSegments(body)),
        Route::Sampling(call) => Ok(DecodedRequest::Sampling(call, body)),
        Route::HealthCheck => Ok(DecodedRequest::HealthCheck),
    }
}

/// The encoding that the content type names.
fn encoding(request: &Request) -> Encoding {
    let media_type = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") { Encoding::Json } else { Encoding::Protobuf }
}

/// Refuses what would take more memory than there is for it.
fn check_decoded_size(signal: Signal, encoding: Encoding, body: &[u8], limit: usize) -> Result<(), ErrorResponse> {
    let weight = match (encoding, signal) {
        // As nearly every push is: weighing takes a third as long as decoding.
        (Encoding::Protobuf, _) if body.len() <= limit / decoded_size::MAX_EXPANSION => 0,
        (Encoding::Protobuf, Signal::Traces) => decoded_size::traces(body),
        (Encoding::Protobuf, Signal::Metrics) => decoded_size::metrics(body),
        (Encoding::Json, _) => body.iter().filter(|&&byte| byte == b'{').count() * JSON_OBJECT_BYTES,
    };
    if weight <= limit {
        return Ok(());
    }
    Err(ErrorResponse::too_large(format!("the request would take more than {limit} bytes: send smaller batches")))
}

fn decode(signal: Signal, encoding: Encoding, body: Bytes, request: &Request) -> Result<DecodedRequest, ErrorResponse> {
    let protobuf =
        |error: prost::DecodeError| ErrorResponse::malformed(format!("the body is no OTLP protobuf: {error}"));
    let json = |error: json::JsonError| ErrorResponse::malformed(format!("the body is no OTLP JSON: {error}"));
    let of_metrics = |metrics| DecodedRequest::Metrics { metrics, encoding, sender: client_id::client_id(request) };
    match (signal, encoding) {
        (Signal::Traces, Encoding::Protobuf) => ExportTraceServiceRequest::decode(body)
            .map_err(protobuf)
            .map(|traces| DecodedRequest::Traces(traces, encoding)),
        (Signal::Traces, Encoding::Json) => {
            json::traces(&body).map_err(json).map(|traces| DecodedRequest::Traces(traces, encoding))
        }
        (Signal::Metrics, Encoding::Protobuf) => {
            ExportMetricsServiceRequest::decode(body).map_err(protobuf).map(of_metrics)
        }
        (Signal::Metrics, Encoding::Json) => json::metrics(&body).map_err(json).map(of_metrics),
    }
}
