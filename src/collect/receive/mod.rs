//! The front door: from a request to decoded telemetry, or to a refusal that says what is wrong.
//!
//! The order is the order of cost: route, then caller, then decompression and decoding, so that nothing is spent on a caller
//! who may not push. (OpenTelemetry Protocol Specification 1.x, "OTLP/HTTP".)

mod answer;
mod auth;
mod health;
mod inflate;
mod route;
mod sender;

use bytes::Bytes;
use prost::Message;

pub use answer::{Refused, accepted, export_response, passed_on, segments_taken};
pub use auth::Gate;
pub use health::{Signals, page};
pub use inflate::inflate;

use route::{Route, Signal};

use crate::invocation::Request;
use crate::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest, json, weigh};
use crate::model::sampling::SamplingCall;

/// What a JSON object stands for in memory: an attribute is two objects, a span or a data point is one of some hundred
/// bytes and holds several.
const JSON_OBJECT_BYTES: usize = 160;

/// What a request asks for.
#[derive(Debug)]
pub enum Received {
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
    RawSegments(Bytes),
    /// A call of a remote sampler, to be passed on as it is.
    Sampling(SamplingCall, Bytes),
    /// Somebody looks whether this function is there.
    Look,
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
pub fn receive(request: &Request, gate: &Gate, takes_logs: bool) -> Result<Received, Refused> {
    let encoding = encoding(request);
    let refuse = |refused: Refused| refused.encoded(encoding);
    let route = route::route(request).map_err(refuse)?;
    match route {
        Route::Look => return Ok(Received::Look),
        Route::Logs if !takes_logs => return Err(refuse(Refused::no_logs())),
        _ => {}
    }
    gate.admit(request).map_err(refuse)?;
    let body = request.body.bytes().map_err(|reason| refuse(Refused::malformed(reason)))?;
    let body = inflate(body, request.header("content-encoding")).map_err(refuse)?;
    match route {
        Route::Signal(signal) => {
            weigh(signal, encoding, &body, gate.decoded_limit).map_err(refuse)?;
            decode(signal, encoding, body, request).map_err(refuse)
        }
        Route::Logs => Ok(Received::Logs(body, encoding)),
        Route::RawSegments => Ok(Received::RawSegments(body)),
        Route::Sampling(call) => Ok(Received::Sampling(call, body)),
        Route::Look => Ok(Received::Look),
    }
}

/// The encoding that the content type names.
fn encoding(request: &Request) -> Encoding {
    let media_type = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") { Encoding::Json } else { Encoding::Protobuf }
}

/// Refuses what would take more memory than there is for it.
fn weigh(signal: Signal, encoding: Encoding, body: &[u8], limit: usize) -> Result<(), Refused> {
    let weight = match (encoding, signal) {
        // As nearly every push is: weighing takes a third as long as decoding.
        (Encoding::Protobuf, _) if body.len() <= limit / weigh::MOST_PER_BYTE => 0,
        (Encoding::Protobuf, Signal::Traces) => weigh::traces(body),
        (Encoding::Protobuf, Signal::Metrics) => weigh::metrics(body),
        (Encoding::Json, _) => body.iter().filter(|&&byte| byte == b'{').count() * JSON_OBJECT_BYTES,
    };
    if weight <= limit {
        return Ok(());
    }
    Err(Refused::too_large(format!("the request would take more than {limit} bytes: send smaller batches")))
}

fn decode(signal: Signal, encoding: Encoding, body: Bytes, request: &Request) -> Result<Received, Refused> {
    let protobuf = |error: prost::DecodeError| Refused::malformed(format!("the body is no OTLP protobuf: {error}"));
    let json = |error: json::JsonError| Refused::malformed(format!("the body is no OTLP JSON: {error}"));
    let of_metrics = |metrics| Received::Metrics { metrics, encoding, sender: sender::sender(request) };
    match (signal, encoding) {
        (Signal::Traces, Encoding::Protobuf) => {
            ExportTraceServiceRequest::decode(body).map_err(protobuf).map(|traces| Received::Traces(traces, encoding))
        }
        (Signal::Traces, Encoding::Json) => {
            json::traces(&body).map_err(json).map(|traces| Received::Traces(traces, encoding))
        }
        (Signal::Metrics, Encoding::Protobuf) => {
            ExportMetricsServiceRequest::decode(body).map_err(protobuf).map(of_metrics)
        }
        (Signal::Metrics, Encoding::Json) => json::metrics(&body).map_err(json).map(of_metrics),
    }
}
