//! Stages of a push, up to the translation.

use bytes::Bytes;
use prost::Message as _;
use sidecarless::lambda::Invocation;
use sidecarless::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};
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

pub(super) fn event_of_traces(items: usize) -> Work {
    read(payload::event(TRACES, &traces(items), false))
}

pub(super) fn event_of_metrics(items: usize) -> Work {
    read(payload::event(METRICS, &points(items), false))
}

/// The event's JSON, and the base64 of its body.
fn read(event: String) -> Work {
    work(move || Invocation::parse(&event).map(drop))
}

pub(super) fn gunzip_of_traces(items: usize) -> Work {
    gunzip(payload::compressed(&traces(items)))
}

pub(super) fn gunzip_of_metrics(items: usize) -> Work {
    gunzip(payload::compressed(&points(items)))
}

fn gunzip(body: Vec<u8>) -> Work {
    let body = Bytes::from(body);
    work(move || receiver::decompress(body.clone(), Some("gzip")))
}

pub(super) fn decode_of_traces(items: usize) -> Work {
    let body = Bytes::from(traces(items));
    work(move || ExportTraceServiceRequest::decode(body.clone()))
}

pub(super) fn decode_of_metrics(items: usize) -> Work {
    let body = Bytes::from(points(items));
    work(move || ExportMetricsServiceRequest::decode(body.clone()))
}

/// As it comes from the wire: strings are slices of the body.
pub(super) fn translate_traces(items: usize) -> Work {
    let request = ExportTraceServiceRequest::decode(Bytes::from(traces(items))).expect("a request");
    let options = spans::Options::default();
    work(move || spans::segments(&request, &options))
}

pub(super) fn translate_metrics(items: usize) -> Work {
    let request = ExportMetricsServiceRequest::decode(Bytes::from(points(items))).expect("a request");
    work(move || series_of(&request))
}

pub(super) fn series_of(request: &ExportMetricsServiceRequest) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    let options = metrics::Options { metadata: false, ..metrics::Options::default() };
    let result = metrics::series(request, &options, &metrics::ClientIdentity::default(), payload::NOW_MS, &mut batch);
    assert!(result.rejected.is_empty(), "{}", result.rejected);
    batch
}
