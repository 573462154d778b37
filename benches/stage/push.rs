//! Stages of an OTLP request, up to the translation.

use bytes::Bytes;
use prost::Message as _;
use sidecarless::lambda::Invocation;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::{MetricsRequest, TraceRequest};
use sidecarless::model::series::SeriesBatch;
use sidecarless::receiver;
use sidecarless::translate::{metrics, spans};

use super::{Work, work};
use crate::payload;

const TRACES: &str = "/v1/traces";
const METRICS: &str = "/v1/metrics";

fn traces(items: usize) -> Vec<u8> {
    payload::traces(items).encode_to_vec()
}

fn points(items: usize) -> Vec<u8> {
    payload::metrics(items).encode_to_vec()
}

pub(super) fn event_traces(items: usize) -> Work {
    parse(payload::event(TRACES, &traces(items), false))
}

pub(super) fn event_metrics(items: usize) -> Work {
    parse(payload::event(METRICS, &points(items), false))
}

/// Parses the JSON of an event and the base64 of its body.
fn parse(event: String) -> Work {
    work(move || Invocation::parse(&event).map(drop))
}

pub(super) fn gunzip_traces(items: usize) -> Work {
    gunzip(payload::compressed(&traces(items)))
}

pub(super) fn gunzip_metrics(items: usize) -> Work {
    gunzip(payload::compressed(&points(items)))
}

fn gunzip(body: Vec<u8>) -> Work {
    let body = Bytes::from(body);
    work(move || receiver::decompress(body.clone(), Some("gzip"), &Unlimited))
}

pub(super) fn decode_traces(items: usize) -> Work {
    let body = Bytes::from(traces(items));
    work(move || TraceRequest::decode(body.clone()))
}

pub(super) fn decode_metrics(items: usize) -> Work {
    let body = Bytes::from(points(items));
    work(move || MetricsRequest::from_protobuf(body.clone()))
}

/// Translates a decoded request, whose strings are slices of the body.
pub(super) fn translate_traces(items: usize) -> Work {
    let request = TraceRequest::decode(Bytes::from(traces(items))).expect("a request");
    let options = spans::Options::default();
    work(move || spans::segments(&request, &options, &Unlimited).expect("no limit"))
}

pub(super) fn translate_metrics(items: usize) -> Work {
    let request = MetricsRequest::from_protobuf(Bytes::from(points(items))).expect("a request");
    work(move || to_series(&request))
}

pub(super) fn to_series(request: &MetricsRequest) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    let options = metrics::Options { metadata: false, ..metrics::Options::default() };
    let client = metrics::ClientIdentity::default();
    let result = metrics::series(request, &options, &client, payload::NOW_MS, &Unlimited, &mut batch);
    let result = result.expect("no limit");
    assert!(result.rejected.is_empty(), "{}", result.rejected);
    batch
}
