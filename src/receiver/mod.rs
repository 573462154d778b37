//! HTTP receiver: converts a request to decoded telemetry or to an error response.
//!
//! The steps are ordered by cost: routing, authentication, decompression, decoding. A client that is not allowed to push costs
//! as little as possible. (OpenTelemetry Protocol Specification 1.x, "OTLP/HTTP".)

mod auth;
mod client_id;
mod cors;
mod decompress;
mod health;
mod response;
mod route;

use std::fmt::Display;

use bytes::Bytes;
use prost::Message;

pub use auth::Authenticator;
pub use client_id::sender;
pub use cors::Cors;
pub use decompress::decompress;
pub use health::health_response;
pub use response::{
    ErrorResponse, RETRY_AFTER_S, json_response, partial_success, passed_on, put_trace_segments_response,
};

pub use route::logged_path;

use route::Route;

use crate::lambda::Request;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::otlp::json::{self, JsonDecodeError};
use crate::model::otlp::wire::WireRequest;
use crate::model::otlp::{MetricsRequest, TraceRequest, decoded_size};
use crate::model::sampling::SamplingCall;
use crate::model::signal::Signal;

/// Decoded request.
#[derive(Debug)]
pub enum DecodedRequest {
    /// Export request for spans, which are not decoded.
    Traces(TraceRequest, Encoding),
    /// Export request for metrics, whose data points are not decoded.
    Metrics {
        metrics: MetricsRequest,
        encoding: Encoding,
        /// Id of the client, or `None` if its address is unknown.
        sender: Option<String>,
    },
    /// Export request for logs, whose records are not decoded.
    Logs(WireRequest, Encoding),
    /// Metadata documents of a task, unparsed.
    TaskStats(Bytes),
    /// Segment documents of X-Ray SDKs, unparsed.
    SdkSegments(Bytes),
    /// Call of a remote sampler, which is forwarded unparsed.
    Sampling(SamplingCall, Bytes),
    HealthCheck,
}

/// Encoding of a request and its response.
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

/// Routes, authenticates and decodes a request. Without `accepts_logs`, logs are rejected. A request that does not fit into the
/// budget is rejected before the memory is allocated.
pub fn decode_request(
    request: &Request,
    authenticator: &Authenticator,
    accepts_logs: bool,
    budget: &dyn Budget,
) -> Result<DecodedRequest, ErrorResponse> {
    let encoding = response_encoding(request);
    let encode = |error: ErrorResponse| error.with_encoding(encoding);
    let route = route::route(request).map_err(encode)?;
    match route {
        Route::HealthCheck => return Ok(DecodedRequest::HealthCheck),
        Route::Signal(Signal::Logs) if !accepts_logs => return Err(encode(ErrorResponse::logs_disabled())),
        _ => {}
    }
    authenticator.authenticate(request, route).map_err(encode)?;
    let body = request.body.bytes().map_err(|error| encode(ErrorResponse::malformed(error.to_string())))?;
    let body = decompress(body, request.header("content-encoding"), budget).map_err(encode)?;
    match route {
        Route::Signal(signal) => decode(signal, encoding, body, request, budget).map_err(encode),
        Route::TaskStats => task_stats(body).map_err(encode),
        Route::SdkSegments => Ok(DecodedRequest::SdkSegments(body)),
        Route::Sampling(call) => Ok(DecodedRequest::Sampling(call, body)),
        Route::HealthCheck => Ok(DecodedRequest::HealthCheck),
    }
}

/// Maximum size of pushed task stats after decompression. The documents take about 5 kB for each container, and a task has at most
/// ten containers (Amazon ECS Developer Guide, "Service quotas").
const MAX_TASK_STATS_BYTES: usize = 1 << 20;

fn task_stats(body: Bytes) -> Result<DecodedRequest, ErrorResponse> {
    if body.len() > MAX_TASK_STATS_BYTES {
        return Err(ErrorResponse::too_large(format!(
            "task stats of {} bytes: the limit is {MAX_TASK_STATS_BYTES}",
            body.len()
        )));
    }
    Ok(DecodedRequest::TaskStats(body))
}

/// Returns the encoding of the response: JSON for task stats, whose clients are shells, otherwise that of the request.
fn response_encoding(request: &Request) -> Encoding {
    match route::route(request) {
        Ok(Route::TaskStats) => Encoding::Json,
        _ => encoding(request),
    }
}

/// Returns the encoding of the content type. The default is protobuf.
fn encoding(request: &Request) -> Encoding {
    let media_type = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") { Encoding::Json } else { Encoding::Protobuf }
}

fn decode(
    signal: Signal,
    encoding: Encoding,
    body: Bytes,
    request: &Request,
    budget: &dyn Budget,
) -> Result<DecodedRequest, ErrorResponse> {
    if encoding == Encoding::Protobuf {
        reserve_decoded(signal, &body, budget).map_err(ErrorResponse::budget_exceeded)?;
    }
    let protobuf = |error: &dyn Display| ErrorResponse::malformed(format!("invalid OTLP protobuf: {error}"));
    let json = |error: JsonDecodeError| match error {
        JsonDecodeError::Invalid(error) => ErrorResponse::malformed(format!("invalid OTLP JSON: {error}")),
        JsonDecodeError::BudgetExceeded(exceeded) => ErrorResponse::budget_exceeded(exceeded),
    };
    let decoded_metrics =
        |metrics| DecodedRequest::Metrics { metrics, encoding, sender: client_id::client_id(request) };
    match (signal, encoding) {
        (Signal::Traces, Encoding::Protobuf) => TraceRequest::decode(body)
            .map_err(|error| protobuf(&error))
            .map(|traces| DecodedRequest::Traces(traces, encoding)),
        (Signal::Traces, Encoding::Json) => {
            let body = to_protobuf(signal, json::traces(&body, budget).map_err(json)?, budget)?;
            // Cannot fail, because the request was just encoded. So for metrics and logs.
            Ok(DecodedRequest::Traces(TraceRequest::decode(body).unwrap_or_default(), encoding))
        }
        (Signal::Metrics, Encoding::Protobuf) => {
            MetricsRequest::from_protobuf(body).map_err(|error| protobuf(&error)).map(decoded_metrics)
        }
        (Signal::Metrics, Encoding::Json) => {
            let body = to_protobuf(signal, json::metrics(&body, budget).map_err(json)?, budget)?;
            Ok(decoded_metrics(MetricsRequest::from_protobuf(body).unwrap_or_default()))
        }
        (Signal::Logs, Encoding::Protobuf) => {
            WireRequest::decode(body).map_err(|error| protobuf(&error)).map(|logs| DecodedRequest::Logs(logs, encoding))
        }
        (Signal::Logs, Encoding::Json) => {
            let body = to_protobuf(signal, json::logs(&body, budget).map_err(json)?, budget)?;
            Ok(DecodedRequest::Logs(WireRequest::decode(body).unwrap_or_default(), encoding))
        }
    }
}

/// Encodes items from JSON as protobuf, the encoding from which they are translated or in which they are delivered, and reserves the
/// memory to decode the request again.
fn to_protobuf(signal: Signal, request: impl Message, budget: &dyn Budget) -> Result<Bytes, ErrorResponse> {
    budget.reserve(request.encoded_len()).map_err(ErrorResponse::budget_exceeded)?;
    let body = Bytes::from(request.encode_to_vec());
    drop(request);
    reserve_decoded(signal, &body, budget).map_err(ErrorResponse::budget_exceeded)?;
    Ok(body)
}

/// Reserves the memory for a protobuf message.
fn reserve_decoded(signal: Signal, body: &[u8], budget: &dyn Budget) -> Result<(), BudgetExceeded> {
    // Succeeds for nearly every request. Calculating the size takes a third as long as decoding.
    if budget.reserve(body.len().saturating_mul(decoded_size::MAX_EXPANSION)).is_ok() {
        return Ok(());
    }
    budget.reserve(match signal {
        Signal::Traces => decoded_size::traces(body),
        Signal::Metrics => decoded_size::metrics(body),
        Signal::Logs => decoded_size::wire(body),
    })
}
