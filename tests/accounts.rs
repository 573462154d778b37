//! The function's own metrics: whatever happens, what came in is accounted for, and the workspace is told.

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

/// The newest value of every series of ours, by name and by the labels that are not of all.
fn own(sandbox: &Sandbox) -> BTreeMap<String, f64> {
    let mut newest = BTreeMap::new();
    for (labels, value, at_ms) in sandbox.amp.samples() {
        if labels.get("job").is_none_or(|job| job != "sidecarless") {
            continue;
        }
        let of_all = ["__name__", "job", "instance", "version"];
        let rest = labels.iter().filter(|(name, _)| !of_all.contains(&name.as_str()));
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
async fn a_push_and_a_tick_are_told_to_the_workspace() {
    let sandbox = Sandbox::start(&[ON, ANY_AGE, NO_INFO, SHOP, ("SIDECARLESS_EXTERNAL_LABELS", "env=test")]).await;
    sandbox.push(&Push::new("/v1/metrics", &gauges(3))).await;
    let own = own(&sandbox);
    for (series, value) in [
        ("sidecarless_received_total{env=test,signal=data_points}", 3.0),
        ("sidecarless_translated_total{env=test,signal=data_points}", 3.0),
        ("sidecarless_received_total{env=test,signal=samples}", 3.0),
        ("sidecarless_delivered_total{destination=amp,env=test,signal=samples}", 3.0),
        ("sidecarless_invocation_duration_seconds_count{env=test,trigger=push}", 1.0),
        ("sidecarless_build_info{env=test}", 1.0),
    ] {
        assert_eq!(own.get(series), Some(&value), "{series} in {own:#?}");
    }
    let zeros = sandbox
        .amp
        .samples()
        .iter()
        .filter(|(labels, value, _)| labels["job"] == "sidecarless" && *value == 0.0)
        .count();
    assert_eq!(zeros, 6, "each counter begins at zero");

    // Less than a minute later nothing is written, but what happened is not forgotten.
    let requests = sandbox.amp.requests();
    sandbox.push(&Push::new("/v1/metrics", &gauges(2))).await;
    assert_eq!(sandbox.amp.requests(), requests + 1);
    assert_eq!(sandbox.pipeline.ledger().total(ItemStatus::Delivered, ItemKind::Samples), 5);
}

#[tokio::test]
async fn a_tick_says_how_many_targets_it_scraped() {
    let sandbox = Sandbox::start(&[ON, SHOP]).await;
    let task = Task::start().await;
    for port in [task.port(), task.port(), 1] {
        sandbox.aws.ecs().add_task("shop", "cart", Some(port));
        sandbox.aws.ecs().add_task("shop", &format!("cart-{port}"), Some(port));
    }
    sandbox.tick().await.unwrap();
    let own = own(&sandbox);
    let states = ["up", "down", "dropped"].map(|state| own[&format!("sidecarless_targets{{state={state}}}")]);
    assert_eq!(states.iter().sum::<f64>(), 6.0, "{own:#?}");
    assert!(states[0] > 0.0 && states[1] > 0.0, "{states:?}");
}

#[tokio::test]
async fn two_environments_never_write_one_series() {
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
async fn without_the_setting_nothing_is_written() {
    for off in ["off", "emf"] {
        let sandbox = Sandbox::start(&[("SIDECARLESS_SELF_METRICS", off)]).await;
        sandbox.push(&Push::new("/v1/traces", b"")).await;
        assert_eq!(sandbox.amp.requests(), 0, "{off}");
    }
}

#[tokio::test]
async fn an_own_write_that_fails_costs_no_push() {
    let sandbox = Sandbox::start(&[ON]).await;
    sandbox.amp.fail([Fault::status(500, "busy")]);
    assert_eq!(sandbox.push(&Push::new("/v1/traces", b"")).await.status, 200);
    assert_eq!(sandbox.amp.requests(), 0, "a single attempt");
}

fn spans(count: u64) -> Vec<u8> {
    // The last has no name and no trace id: it is refused here.
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
async fn the_accounts_balance_on_every_path() {
    let points = gauges(10);
    let raw = br#"{"TraceSegmentDocuments":["{\"id\":\"194fcc8747581230\",\"trace_id\":\"1-65630000-000000000000000000000007\",\"name\":\"a\",\"start_time\":1.0,\"end_time\":2.0}","{"]}"#;
    let delta = with_temporality(sum("hits", "", true, vec![number(1.0, &[])]), Temporality::Delta);
    let delta = request(resource(), None, vec![delta]).encode_to_vec();
    for (case, settings, path, body, signal) in [
        ("all is well", &[ANY_AGE][..], "/v1/metrics", &points[..], ItemKind::DataPoints),
        ("too old", &[], "/v1/metrics", &points, ItemKind::DataPoints),
        ("delta", &[ANY_AGE], "/v1/metrics", &delta, ItemKind::DataPoints),
        ("no workspace", &[("AWS_PROMETHEUS_ENDPOINT", "")], "/v1/metrics", &points, ItemKind::DataPoints),
        (
            "left out by a rule",
            &[ANY_AGE, ("SIDECARLESS_RELABEL", "drop shelf")],
            "/v1/metrics",
            &points,
            ItemKind::DataPoints,
        ),
        (
            "over a cap",
            &[ANY_AGE, ("SIDECARLESS_RELABEL", "max-series 4")],
            "/v1/metrics",
            &points,
            ItemKind::DataPoints,
        ),
        ("made one", &[ANY_AGE, ("SIDECARLESS_RELABEL", "drop-label n")], "/v1/metrics", &points, ItemKind::DataPoints),
        ("spans", &[], "/v1/traces", &spans(5), ItemKind::Spans),
        (
            "spans as OTLP, too old",
            &[("SIDECARLESS_TRACE_DESTINATION", "xray-otlp")],
            "/v1/traces",
            &spans(5),
            ItemKind::Spans,
        ),
        ("segments", &[], "/TraceSegments", raw, ItemKind::Segments),
    ] {
        let sandbox = Sandbox::start(settings).await;
        let reply = sandbox.push(&Push::new(path, body)).await;
        assert_eq!(reply.status, 200, "{case}");
        let ledger = sandbox.pipeline.ledger();
        assert!(ledger.total(ItemStatus::Received, signal) > 0, "{case}: {ledger:?}");
        assert_eq!(ledger.unbalanced(), [], "{case}: {ledger:?}");
    }
}
