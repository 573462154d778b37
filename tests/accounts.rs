//! Self metrics: every received item has a status, and the counters are written to the workspace.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::otlp::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Temporality};

use crate::otlp_builder::{self, gauge, number, request, resource, sum, with_temporality};
use crate::sandbox::http::Fault;
use crate::sandbox::task::Task;
use crate::sandbox::{Push, Sandbox};

const ON: (&str, &str) = ("SIDECARLESS_SELF_METRICS", "amp");
const ANY_AGE: (&str, &str) = ("SIDECARLESS_MAX_SAMPLE_AGE", "off");
const NO_INFO: (&str, &str) = ("SIDECARLESS_TARGET_INFO", "off");
const SHOP: (&str, &str) = ("SIDECARLESS_CLUSTERS", "shop");

fn gauges(count: usize) -> Vec<u8> {
    let points = (0..count).map(|n| number(1.0, &[("n", n.to_string().as_str().into())])).collect();
    request(resource(), None, vec![gauge("shelf", "", points)]).encode_to_vec()
}

/// Returns the newest value of every self metric, by name and by the labels that not all of them have.
fn self_metrics(sandbox: &Sandbox) -> BTreeMap<String, f64> {
    let mut newest = BTreeMap::new();
    for (labels, value, at_ms) in sandbox.amp.samples() {
        if labels.get("job").is_none_or(|job| job != "sidecarless") {
            continue;
        }
        let common = ["__name__", "job", "instance", "version"];
        let rest = labels.iter().filter(|(name, _)| !common.contains(&name.as_str()));
        let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
        let key = format!("{}{{{}}}", labels["__name__"], rest.join(","));
        let entry = newest.entry(key).or_insert((at_ms, value));
        if at_ms >= entry.0 {
            *entry = (at_ms, value);
        }
    }
    newest.into_iter().map(|(key, (_, value))| (key, value)).collect()
}

#[tokio::test]
async fn push_counters_are_written_at_most_once_a_minute() {
    let sandbox = Sandbox::start(&[ON, ANY_AGE, NO_INFO, SHOP, ("SIDECARLESS_EXTERNAL_LABELS", "env=test")]).await;
    sandbox.push(&Push::new("/v1/metrics", &gauges(3))).await;
    let metrics = self_metrics(&sandbox);
    for (series, value) in [
        ("sidecarless_received_total{env=test,item=data_points}", 3.0),
        ("sidecarless_translated_total{env=test,item=data_points}", 3.0),
        ("sidecarless_received_total{env=test,item=samples}", 3.0),
        ("sidecarless_delivered_total{destination=amp,env=test,item=samples}", 3.0),
        ("sidecarless_invocation_duration_seconds_count{env=test,trigger=http}", 1.0),
        ("sidecarless_build_info{env=test}", 1.0),
    ] {
        assert_eq!(metrics.get(series), Some(&value), "{series} in {metrics:#?}");
    }
    let zeros = sandbox
        .amp
        .samples()
        .iter()
        .filter(|(labels, value, _)| labels["job"] == "sidecarless" && *value == 0.0)
        .count();
    assert_eq!(zeros, 6, "a zero precedes each counter");

    // Within a minute of the last write, counters increase but are not written.
    let requests = sandbox.amp.requests();
    sandbox.push(&Push::new("/v1/metrics", &gauges(2))).await;
    assert_eq!(sandbox.amp.requests(), requests + 1);
    assert_eq!(sandbox.handlers.counters().total(ItemStatus::Delivered, ItemKind::Samples), 5);
}

#[tokio::test]
async fn scheduled_run_reports_target_states() {
    let sandbox = Sandbox::start(&[ON, SHOP]).await;
    let task = Task::start().await;
    for port in [task.port(), task.port(), 1] {
        sandbox.aws.ecs().add_task("shop", "cart", Some(port));
        sandbox.aws.ecs().add_task("shop", &format!("cart-{port}"), Some(port));
    }
    sandbox.tick().await.unwrap();
    let metrics = self_metrics(&sandbox);
    let states = ["up", "down", "skipped"].map(|state| metrics[&format!("sidecarless_targets{{state={state}}}")]);
    assert_eq!(states.iter().sum::<f64>(), 6.0, "{metrics:#?}");
    assert!(states[0] > 0.0 && states[1] > 0.0, "{states:?}");
}

#[tokio::test]
async fn each_environment_has_its_own_instance_label() {
    let mut instances = Vec::new();
    let stream = "2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef";
    for settings in
        [&[ON][..], &[ON, ("AWS_LAMBDA_LOG_STREAM_NAME", "$LATEST")], &[ON, ("AWS_LAMBDA_LOG_STREAM_NAME", stream)]]
    {
        let sandbox = Sandbox::start(settings).await;
        sandbox.push(&Push::new("/v1/traces", b"")).await;
        let samples = sandbox.amp.samples();
        assert!(samples.iter().all(|(labels, ..)| labels["instance"] == samples[0].0["instance"]));
        instances.push(samples[0].0["instance"].clone());
    }
    assert_eq!(instances[2], "0123456789abcdef0123456789abcdef");
    assert!(instances[0] != instances[1] && instances[0].len() == 16, "{instances:?}");
}

#[tokio::test]
async fn self_metrics_are_not_written_unless_enabled() {
    for off in ["off", "emf"] {
        let sandbox = Sandbox::start(&[("SIDECARLESS_SELF_METRICS", off)]).await;
        sandbox.push(&Push::new("/v1/traces", b"")).await;
        assert_eq!(sandbox.amp.requests(), 0, "{off}");
    }
}

#[tokio::test]
async fn failed_write_of_self_metrics_does_not_fail_the_push() {
    let sandbox = Sandbox::start(&[ON]).await;
    sandbox.amp.fail([Fault::status(500, "busy")]);
    assert_eq!(sandbox.push(&Push::new("/v1/traces", b"")).await.status, 200);
    assert_eq!(sandbox.amp.requests(), 0, "a single attempt");
}

fn spans(count: u64) -> Vec<u8> {
    // The last span is rejected: it has no trace ID.
    let span = |number: u64| Span {
        trace_id: if number == count {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&(0x6563_0000_u128 << 96 | 7).to_be_bytes())
        },
        span_id: Bytes::copy_from_slice(&number.to_be_bytes()),
        start_time_unix_nano: otlp_builder::NANOS,
        end_time_unix_nano: otlp_builder::NANOS + 1,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (1..=count).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

#[tokio::test]
async fn received_items_have_a_status_on_every_path() {
    let points = gauges(10);
    let segments = br#"{"TraceSegmentDocuments":["{\"id\":\"194fcc8747581230\",\"trace_id\":\"1-65630000-000000000000000000000007\",\"name\":\"a\",\"start_time\":1.0,\"end_time\":2.0}","{"]}"#;
    let delta = with_temporality(sum("hits", "", true, vec![number(1.0, &[])]), Temporality::Delta);
    let delta = request(resource(), None, vec![delta]).encode_to_vec();
    for (case, settings, path, body, item) in [
        ("delivered", &[ANY_AGE][..], "/v1/metrics", &points[..], ItemKind::DataPoints),
        ("too old", &[], "/v1/metrics", &points, ItemKind::DataPoints),
        ("delta", &[ANY_AGE], "/v1/metrics", &delta, ItemKind::DataPoints),
        ("no workspace", &[("AWS_PROMETHEUS_ENDPOINT", "")], "/v1/metrics", &points, ItemKind::DataPoints),
        (
            "filtered by a rule",
            &[
                ANY_AGE,
                ("SIDECARLESS_WRITE_RELABEL_CONFIGS", "[{action: drop, source_labels: [__name__], regex: shelf}]"),
            ],
            "/v1/metrics",
            &points,
            ItemKind::DataPoints,
        ),
        (
            "over the maximum of series",
            &[ANY_AGE, ("SIDECARLESS_MAX_SERIES", "4")],
            "/v1/metrics",
            &points,
            ItemKind::DataPoints,
        ),
        (
            "merged by a rule",
            &[ANY_AGE, ("SIDECARLESS_WRITE_RELABEL_CONFIGS", "[{action: labeldrop, regex: n}]")],
            "/v1/metrics",
            &points,
            ItemKind::DataPoints,
        ),
        ("spans", &[], "/v1/traces", &spans(5), ItemKind::Spans),
        (
            "spans as OTLP, too old",
            &[("SIDECARLESS_TRACE_DESTINATION", "xray-otlp")],
            "/v1/traces",
            &spans(5),
            ItemKind::Spans,
        ),
        ("segments", &[], "/TraceSegments", segments, ItemKind::Segments),
    ] {
        let sandbox = Sandbox::start(settings).await;
        let response = sandbox.push(&Push::new(path, body)).await;
        assert_eq!(response.status, 200, "{case}");
        let counters = sandbox.handlers.counters();
        assert!(counters.total(ItemStatus::Received, item) > 0, "{case}: {counters:?}");
        assert_eq!(counters.unbalanced(), [], "{case}: {counters:?}");
        let filtered = counters.total(ItemStatus::Filtered, ItemKind::Samples);
        assert_eq!(filtered > 0, case.ends_with("by a rule"), "{case}: {counters:?}");
    }
}
