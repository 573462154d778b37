//! A stack trace that is larger than a document may be.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::Value;
use sidecarless::model::otlp::{
    AnyValue, Event, ExportTraceServiceRequest, KeyValue, Resource, ResourceSpans, ScopeSpans, Span, any_value,
};
use sidecarless::translate::spans::{Options, segments};

/// AWS X-Ray Developer Guide, "X-Ray segment documents".
const DOCUMENT_BYTES: usize = 64 * 1024;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::String(Bytes::copy_from_slice(value.as_bytes()));
    KeyValue { key: Bytes::copy_from_slice(key.as_bytes()), value: Some(AnyValue { value: Some(value) }) }
}

fn frames(class: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut text, line| {
        writeln!(text, "\tat com.example.shop.{class}.step{line}({class}.java:{line})").unwrap();
        text
    })
}

#[test]
fn a_stack_trace_of_300_kilobytes_still_names_exception_cause_and_top_frames() {
    let stack = format!(
        "com.example.OrderFailed: the order failed\n{}Caused by: java.io.IOException: the disk is full\n{}",
        frames("Checkout", 3_000),
        frames("Disk", 3_000),
    );
    assert!(stack.len() > 300_000, "{}", stack.len());
    let event = Event {
        name: "exception".into(),
        attributes: vec![
            attribute("exception.type", "com.example.OrderFailed"),
            attribute("exception.message", "the order failed"),
            attribute("exception.stacktrace", &stack),
        ],
        ..Event::default()
    };
    let span = Span {
        trace_id: vec![7; 16].into(),
        span_id: vec![9; 8].into(),
        name: "POST /orders".into(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_001_000_000_000,
        events: vec![event],
        ..Span::default()
    };
    let resource = Resource { attributes: vec![attribute("telemetry.sdk.language", "java")], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
    };

    let made = segments(&request, &Options::default());

    assert_eq!((made.received, made.documents.len(), made.truncated, made.rejected.total()), (1, 1, 1, 0));
    let json = &made.documents[0].text();
    assert!(json.len() < DOCUMENT_BYTES, "{} bytes", json.len());
    let document: Value = serde_json::from_str(json).unwrap();
    let exceptions = document["cause"]["exceptions"].as_array().unwrap();
    for (exception, kind, message, top) in [
        (&exceptions[0], "com.example.OrderFailed", "the order failed", "com.example.shop.Checkout.step0"),
        (&exceptions[1], "java.io.IOException", "the disk is full", "com.example.shop.Disk.step0"),
    ] {
        assert_eq!((exception["type"].as_str(), exception["message"].as_str()), (Some(kind), Some(message)));
        assert_eq!(exception["stack"][0]["label"], top);
        assert!(exception["truncated"].as_u64().unwrap() > 0, "it says that frames were left out");
    }
    assert_eq!(exceptions[0]["cause"], exceptions[1]["id"]);
}
