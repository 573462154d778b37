//! Pushed metrics at a workspace that has limits, rejects series, lacks features or is unavailable for a time.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use sidecarless::lambda::HttpResponse;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::otlp::{ExportResponse, Metric, PartialSuccess, Temporality};
use sidecarless::work_budget::MemoryLimit;

use crate::otlp_builder::{self, gauge, histogram, histograms, number, request, resource, sum, with_temporality};
use crate::sandbox::http::Fault;
use crate::sandbox::{Push, Sandbox};

/// The data points are from 2023.
const ANY_AGE: (&str, &str) = ("SIDECARLESS_MAX_SAMPLE_AGE", "off");
const NO_INFO: (&str, &str) = ("SIDECARLESS_TARGET_INFO", "off");

fn pushed(metrics: Vec<Metric>) -> Vec<u8> {
    request(resource(), None, metrics).encode_to_vec()
}

fn gauges(count: usize) -> Vec<u8> {
    pushed(vec![gauge("shelf", "", (0..count).map(|n| number(1.0, &[("n", n.to_string().as_str().into())])).collect())])
}

async fn push(sandbox: &Sandbox, body: &[u8]) -> (HttpResponse, Option<PartialSuccess>) {
    let push = Push { time: Duration::from_secs(30), ..Push::new("/v1/metrics", body) };
    let response = sandbox.push(&push).await;
    assert_eq!(response.status, 200);
    let partial = ExportResponse::decode(response.body.as_slice()).unwrap().partial_success;
    (response, partial)
}

#[tokio::test]
async fn rejections_are_counted_by_kind_and_not_retried() {
    let many = 10;
    for (status, body, reason, lost) in [
        (400, "err: out of order sample. timestamp=2023, series={__name__=\"shelf\"}", "out_of_order", 1),
        (400, "err: duplicate sample for timestamp. series={__name__=\"shelf\"}", "duplicate_sample", 1),
        (400, "per-user series limit of 50000000 exceeded", "series_limit", 1),
        (
            429,
            "per-user series limit of 50000000 exceeded, please contact administrator to raise it",
            "series_limit",
            1,
        ),
        (400, "snappy: corrupt input", "malformed_request", many),
        (400, "Bad Request", "rejected_by_amp", many),
        (400, "", "rejected_by_amp", many),
        (422, "cannot process", "", many),
    ] {
        let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO]).await;
        sandbox.amp.fail([Fault::status(status, body)]);
        let (_, partial) = push(&sandbox, &gauges(10)).await;
        let partial = partial.unwrap();
        assert_eq!(partial.rejected, lost, "{status} {body}: {}", partial.error_message);
        assert!(partial.error_message.contains(reason), "{status} {body}: {}", partial.error_message);
        assert!(partial.error_message.contains(&status.to_string()), "{}", partial.error_message);
        assert_eq!(sandbox.amp.requests(), 0, "{status}: it is not sent again");
        let counters = sandbox.handlers.counters();
        let total = |status| counters.total(status, ItemKind::Samples);
        let samples = (total(ItemStatus::Rejected), total(ItemStatus::Unconfirmed), total(ItemStatus::Delivered));
        assert_eq!(samples, (lost.unsigned_abs(), (many - lost).unsigned_abs(), 0), "{status} {body}");
        assert!(counters.unbalanced().is_empty(), "{counters:?}");
    }
}

#[tokio::test]
async fn series_limit_does_not_open_the_circuit() {
    let spool = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.invalid/123456789012/spool");
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO, spool]).await;
    sandbox.amp.fail([Fault::status(429, "per-user series limit of 50000000 exceeded")]);
    let (_, partial) = push(&sandbox, &gauges(10)).await;
    assert_eq!(partial.unwrap().rejected, 1);
    assert_eq!(push(&sandbox, &gauges(10)).await.1, None);
    assert_eq!((sandbox.amp.samples().len(), sandbox.aws.sqs().bodies.len()), (10, 0));
}

#[tokio::test]
async fn samples_of_a_denied_write_are_spooled() {
    let spool = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.invalid/123456789012/spool");
    for (status, body) in [(403, "{\"message\":\"Forbidden\"}"), (404, "workspace not found")] {
        let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO, spool]).await;
        sandbox.amp.fail_always(Fault::status(status, body));
        assert_eq!(push(&sandbox, &gauges(10)).await.1, None, "{status}");
        let counters = sandbox.handlers.counters();
        let total = |status| counters.total(status, ItemKind::Samples);
        assert_eq!((total(ItemStatus::Spooled), total(ItemStatus::AccessDenied)), (10, 10), "{status}: {counters:?}");
        assert_eq!(sandbox.aws.sqs().bodies.len(), 1, "{status}");
    }
}

#[tokio::test]
async fn workspace_in_another_account_is_written_with_its_role() {
    let role = ("SIDECARLESS_AMP_ROLE_ARN", "arn:aws:iam::444455556666:role/metrics");
    let external_id = ("SIDECARLESS_AMP_EXTERNAL_ID", "shop");
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO, role, external_id]).await;
    for _ in 0..2 {
        assert_eq!(push(&sandbox, &gauges(1)).await.1, None);
    }
    let sts = sandbox.aws.sts();
    assert_eq!(sts.assumed, [("arn:aws:iam::444455556666:role/metrics".into(), "shop".into())], "cached");
    let keys = sandbox.amp.access_keys();
    assert!(keys.iter().all(|key| key == "ASIAASSUMED") && keys.len() == 2, "{keys:?}");
}

#[tokio::test]
async fn denied_role_is_reported_as_denied_access() {
    let role = ("SIDECARLESS_AMP_ROLE_ARN", "arn:aws:iam::444455556666:role/metrics");
    let sandbox = Sandbox::start(&[ANY_AGE, role]).await;
    sandbox.aws.sts().rejects_roles = true;
    let response = sandbox.push(&Push::new("/v1/metrics", &gauges(1))).await;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert_eq!(response.status, 503);
    assert!(text.contains("AMP denied access: cannot assume the role: AccessDenied"), "{text}");
    assert_eq!(sandbox.amp.samples().len(), 0);
}

#[tokio::test]
async fn too_large_request_is_split_until_it_fits() {
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO]).await;
    sandbox.amp.rules().max_bytes = Some(5_000);
    let (_, partial) = push(&sandbox, &gauges(200)).await;
    assert_eq!(partial, None);
    assert_eq!(sandbox.amp.named("shelf").len(), 200);
    assert!(sandbox.amp.requests() > 5);
}

#[tokio::test]
async fn metadata_is_split_from_a_too_large_request() {
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO, ("SIDECARLESS_METADATA", "on")]).await;
    let metrics = (0..100).map(|n| gauge(&format!("a.metric.with.a.name.{n}"), "By", vec![number(1.0, &[])])).collect();
    sandbox.amp.rules().max_bytes = Some(1_000);
    assert_eq!(push(&sandbox, &pushed(metrics)).await.1, None);
    assert_eq!(sandbox.amp.samples().len(), 100);
}

#[tokio::test]
async fn too_large_series_is_rejected_alone() {
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO]).await;
    sandbox.amp.rules().max_bytes = Some(1_500);
    let long = "x".repeat(2_000);
    let points =
        vec![number(1.0, &[]), number(2.0, &[("long", long.as_str().into())]), number(3.0, &[("b", "c".into())])];
    let (_, partial) = push(&sandbox, &pushed(vec![gauge("shelf", "", points)])).await;
    assert_eq!(partial.unwrap().rejected, 1);
    assert_eq!(sandbox.amp.named("shelf").len(), 2);
}

/// Six delays from 100 ms, doubled each time, with a jitter of half to full length: an outage of three to six seconds.
#[tokio::test]
async fn outage_shorter_than_the_deadline_loses_no_samples() {
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO]).await;
    // The waits after four failures add up to at most 1.5 s, a third of the time for a delivery.
    sandbox.amp.fail(vec![Fault::status(503, "down"); 4]);
    assert_eq!(push(&sandbox, &gauges(10)).await.1, None);
    assert_eq!((sandbox.amp.requests(), sandbox.amp.named("shelf").len()), (1, 10));
}

#[tokio::test]
async fn series_is_never_in_two_concurrent_requests() {
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO]).await;
    let long = "x".repeat(1_000);
    let attributes = |n: usize| [("n", n.to_string().as_str().into()), ("long", long.as_str().into())];
    // Each series has two points, far apart in the push.
    let mut points: Vec<_> = (0..2_000).map(|n| number(1.0, &attributes(n))).collect();
    points.extend(
        (0..2_000)
            .map(|n| otlp_builder::Point { nanos: otlp_builder::NANOS + 1_000_000_000, ..number(2.0, &attributes(n)) }),
    );
    assert_eq!(push(&sandbox, &pushed(vec![gauge("shelf", "", points)])).await.1, None);
    assert!(sandbox.amp.requests() > 1);
    assert_eq!(sandbox.amp.samples().len(), 4_000);
    assert_eq!(sandbox.amp.series_in_several_requests(), 0);
}

#[tokio::test]
async fn invalid_points_do_not_affect_valid_points_of_a_large_push() {
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO, ("SIDECARLESS_LONG_LABELS", "reject")]).await;
    let good: Vec<_> = (0..99_000).map(|n| number(1.0, &[("n", n.to_string().as_str().into())])).collect();
    let bad =
        |count: usize| (0..count).map(|n| number(1.0, &[("n", n.to_string().as_str().into())])).collect::<Vec<_>>();
    let bomb: String = "x".repeat(8_000);
    let bombs = (0..200).map(|n| number(1.0, &[("n", n.to_string().as_str().into()), ("bomb", bomb.as_str().into())]));
    let unsorted = (0..200).map(|n| {
        let mut point = histogram(&[f64::NAN, 1.0], &[1, 1, 1], 3, None);
        point.attributes = otlp_builder::attributes(&[("n", n.to_string().as_str().into())]);
        point
    });
    let mismatched = (0..200).map(|n| {
        let mut point = histogram(&[0.1, 1.0], &[1, 1, 1, 1, 1], 5, None);
        point.attributes = otlp_builder::attributes(&[("n", n.to_string().as_str().into())]);
        point
    });
    let body = pushed(vec![
        gauge("shelf", "", good),
        with_temporality(sum("delta", "", true, bad(200)), Temporality::Delta),
        histograms("unsorted", "s", Temporality::Cumulative, unsorted.collect()),
        histograms("mismatched", "s", Temporality::Cumulative, mismatched.collect()),
        gauge("", "", bad(200)),
        gauge("bombs", "", bombs.collect()),
    ]);

    let partial = push(&sandbox, &body).await.1.unwrap();

    let _ = writeln!(std::io::stderr(), "show: 100,000 points, of which 1,000 bad: {}", partial.error_message);
    assert_eq!(partial.rejected, 1_000, "{}", partial.error_message);
    let arrived = sandbox.amp.samples();
    assert_eq!(arrived.len(), 99_000);
    let names: BTreeSet<&str> = arrived.iter().map(|(labels, _, _)| labels["__name__"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["shelf"]));
    assert!(partial.error_message.contains("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative"));
    assert!(partial.error_message.matches("200 ").count() >= 5, "each kind is counted: {}", partial.error_message);
}

#[tokio::test]
async fn metrics_without_identity_are_separated_by_sender() {
    let sandbox = Sandbox::start(&[ANY_AGE, NO_INFO]).await;
    let body = request(Vec::new(), None, vec![gauge("shelf", "", vec![number(1.0, &[])])]).encode_to_vec();
    for agent in ["OTel-Go", "OTel-Java", "OTel-Go"] {
        let response =
            sandbox.push(&Push::new("/v1/metrics", &Bytes::from(body.clone())).with("user-agent", agent)).await;
        assert_eq!(response.status, 200);
    }
    let instances: Vec<String> =
        sandbox.amp.named("shelf").into_iter().map(|(labels, _)| labels["instance"].clone()).collect();
    assert_eq!(instances[0], instances[2]);
    assert_ne!(instances[0], instances[1]);
}

#[tokio::test]
async fn push_over_the_memory_is_rejected_and_counts_each_point() {
    const MEMORY_MB: u64 = 1;
    let memory = MemoryLimit::new(|| 0, Some(MEMORY_MB));
    let sandbox = Sandbox::start_with_memory(memory, None, &[ANY_AGE, NO_INFO]).await;
    let names: Vec<String> = (0..2_000).map(|number| format!("a{number}")).collect();
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "v".into())).collect();
    let points = (0..7).map(|n| number(f64::from(n), &[])).collect();
    let body = request(otlp_builder::attributes(&pairs), None, vec![gauge("shelf", "", points)]).encode_to_vec();
    let response = sandbox.push(&Push::new("/v1/metrics", &body)).await;
    assert_eq!(response.status, 413, "{}", String::from_utf8_lossy(&response.body));
    let counters = sandbox.handlers.counters();
    let total = |status| counters.total(status, ItemKind::DataPoints);
    assert_eq!((total(ItemStatus::Received), total(ItemStatus::Rejected)), (7, 7));
    assert!(counters.unbalanced().is_empty());
    assert_eq!(push(&sandbox, &gauges(2)).await.1, None);
    assert_eq!(sandbox.amp.samples().len(), 2);
}
