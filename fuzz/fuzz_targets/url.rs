//! Builds a URL from any parts, for both sides of a call. The parts are the lines of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::any_value::Value;
use sidecarless::model::otlp::{
    AnyValue, ExportTraceServiceRequest, KeyValue, ResourceSpans, ScopeSpans, Span, SpanKind,
};
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Options, segments};

const KEYS: [&str; 17] = [
    "http.method",
    "url.scheme",
    "http.host",
    "http.target",
    "url.path",
    "url.query",
    "server.address",
    "server.port",
    "net.peer.name",
    "net.peer.ip",
    "net.peer.port",
    "net.host.name",
    "net.host.port",
    "url.full",
    "client.address",
    "network.peer.address",
    "db.connection_string",
];

fuzz_target!(|data: &[u8]| {
    let attributes: Vec<KeyValue> = KEYS
        .iter()
        .zip(data.split(|byte| *byte == b'\n'))
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| KeyValue {
            key: (*key).into(),
            value: Some(AnyValue { value: Some(Value::String(text.to_vec().into())) }),
        })
        .collect();
    for kind in [SpanKind::Server, SpanKind::Client] {
        let span = Span {
            trace_id: vec![1; 16].into(),
            span_id: vec![1; 8].into(),
            kind: kind as i32,
            start_time_unix_nano: 1,
            end_time_unix_nano: 2,
            attributes: attributes.clone(),
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let request = ExportTraceServiceRequest { resource_spans };
        for compat in [Compat::Corrected, Compat::Adot] {
            let segments = segments(&(&request).into(), &Options { compat, ..Options::default() }, &Unlimited).unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(&segments.documents[0].text()).is_ok());
        }
    }
});
