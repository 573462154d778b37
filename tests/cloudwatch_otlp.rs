//! Pushed metrics for CloudWatch: every data point is delivered, spooled or rejected for each destination by itself.

use std::time::Duration;

use prost::Message as _;
use sidecarless::deadline::Deadline;
use sidecarless::lambda::HttpResponse;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::otlp::{ExportMetricsServiceRequest, ExportResponse, PartialSuccess, metric};
use sidecarless::model::spool::{Payload, SpoolMessage};

use crate::otlp_builder::{Point, attributes, gauge, number, request};
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::{Push, Sandbox};

pub(crate) const BOTH: (&str, &str) = ("SIDECARLESS_METRICS_TO", "amp,cloudwatch");
const CLOUDWATCH: (&str, &str) = ("SIDECARLESS_METRICS_TO", "cloudwatch");
pub(crate) const SPOOL: (&str, &str) = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.invalid/123456789012/spool");

pub(crate) fn is_otlp(request: &RecordedRequest) -> bool {
    request.path == "/v1/metrics"
}

/// Whether a request contains the point 13.
fn has_unlucky_point(request: &RecordedRequest) -> bool {
    is_otlp(request) && values(&request.body).contains(&13.0)
}

/// Returns a push of gauges with these values, one series each.
pub(crate) fn push_of(count: u32) -> Vec<u8> {
    let nanos = u64::try_from(Deadline::after(Duration::from_secs(1)).now_ms()).unwrap() * 1_000_000;
    let point = |n: u32| Point { nanos, ..number(f64::from(n), &[("n", n.to_string().as_str().into())]) };
    let resource = attributes(&[("service.name", "cart".into()), ("service.instance.id", "i".into())]);
    request(resource, None, vec![gauge("g.x", "s", (0..count).map(point).collect())]).encode_to_vec()
}

fn values(body: &[u8]) -> Vec<f64> {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let points = scopes.flat_map(|scope| scope.metrics).flat_map(|metric| match metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points,
        other => panic!("{other:?}"),
    });
    let value = |value| match value {
        sidecarless::model::otlp::number_data_point::Value::Double(value) => value,
        other => panic!("{other:?}"),
    };
    points.map(|point| value(point.value.unwrap())).collect()
}

/// Returns the values in each request that CloudWatch accepted.
pub(crate) fn taken(sandbox: &Sandbox) -> Vec<Vec<f64>> {
    sandbox.aws.cloudwatch().otlp.iter().map(|request| values(&request.body)).collect()
}

fn in_amp(sandbox: &Sandbox) -> usize {
    sandbox
        .amp
        .samples()
        .iter()
        .filter(|(labels, ..)| labels.get("__name__").is_some_and(|name| name == "g_x_seconds"))
        .count()
}

async fn push(sandbox: &Sandbox, count: u32) -> HttpResponse {
    sandbox.push(&Push::new("/v1/metrics", &push_of(count))).await
}

fn partial_success(response: &HttpResponse) -> Option<PartialSuccess> {
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    ExportResponse::decode(response.body.as_slice()).unwrap().partial_success
}

fn counts<const N: usize>(sandbox: &Sandbox, kind: ItemKind, statuses: [ItemStatus; N]) -> [u64; N] {
    let counters = sandbox.handlers.counters();
    assert!(counters.unbalanced().is_empty(), "{counters:?}");
    statuses.map(|status| counters.total(status, kind))
}

#[tokio::test]
async fn points_are_delivered_to_both_destinations_and_counted_once() {
    let sandbox = Sandbox::start(&[BOTH]).await;
    let body = push_of(3);
    let response = sandbox.push(&Push::new("/v1/metrics", &body)).await;
    assert_eq!(partial_success(&response), None);
    assert_eq!(taken(&sandbox), [[0.0, 1.0, 2.0]]);
    assert_eq!(in_amp(&sandbox), 3);
    let cloudwatch = sandbox.aws.cloudwatch();
    assert_eq!(cloudwatch.otlp[0].body, body, "it is forwarded unchanged");
    assert_eq!(cloudwatch.otlp[0].header("content-type"), "application/x-protobuf");
    let signed = cloudwatch.otlp[0].header("authorization").to_owned();
    assert!(signed.contains("/eu-west-1/monitoring/aws4_request"), "{signed}");
    drop(cloudwatch);
    let statuses = [ItemStatus::Received, ItemStatus::Translated, ItemStatus::Delivered];
    assert_eq!(counts(&sandbox, ItemKind::DataPoints, statuses), [3, 3, 0]);
    assert_eq!(counts(&sandbox, ItemKind::CloudWatchPoints, statuses), [3, 0, 3]);
}

#[tokio::test]
async fn cloudwatch_alone_needs_no_workspace() {
    for settings in [vec![CLOUDWATCH], vec![CLOUDWATCH, ("AWS_PROMETHEUS_ENDPOINT", "")]] {
        let sandbox = Sandbox::start(&settings).await;
        assert_eq!(partial_success(&push(&sandbox, 2).await), None);
        assert_eq!((taken(&sandbox), in_amp(&sandbox)), (vec![vec![0.0, 1.0]], 0));
        let statuses = [ItemStatus::Received, ItemStatus::Translated, ItemStatus::Delivered];
        assert_eq!(counts(&sandbox, ItemKind::DataPoints, statuses), [2, 2, 0]);
        assert_eq!(counts(&sandbox, ItemKind::CloudWatchPoints, statuses), [2, 0, 2]);
    }
}

#[tokio::test]
async fn requests_are_within_the_limits() {
    let sandbox = Sandbox::start(&[CLOUDWATCH]).await;
    assert_eq!(partial_success(&push(&sandbox, 2_500).await), None);
    let mut sizes: Vec<_> = taken(&sandbox).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [500, 1_000, 1_000]);
}

#[tokio::test]
async fn destination_that_fails_is_spooled_for_itself() {
    for (fault, is_denied) in [
        (Fault::status(503, "busy"), false),
        (Fault::status(429, "slow down"), false),
        (Fault::Response(StubResponse::of(403, "application/json", r#"{"__type":"AccessDeniedException"}"#)), true),
    ] {
        let sandbox = Sandbox::start(&[BOTH, SPOOL]).await;
        sandbox.aws.fail_always(is_otlp, fault);
        assert_eq!(partial_success(&push(&sandbox, 3).await), None);
        assert_eq!((taken(&sandbox).len(), in_amp(&sandbox)), (0, 3));
        let bodies = sandbox.aws.sqs().bodies.clone();
        assert_eq!(bodies.len(), 1);
        let spooled = SpoolMessage::parse(&bodies[0]).unwrap();
        assert!(matches!(spooled.payload, Payload::OtlpMetrics(_)), "{spooled:?}");
        assert_eq!(spooled.payload.item_names(5), ["g.x"]);
        let statuses = [ItemStatus::Spooled, ItemStatus::AccessDenied];
        assert_eq!(counts(&sandbox, ItemKind::CloudWatchPoints, statuses), [3, if is_denied { 3 } else { 0 }]);
        assert_eq!(counts(&sandbox, ItemKind::Samples, [ItemStatus::Spooled]), [0]);

        // Another environment, whose circuit is closed.
        let fresh = Sandbox::start(&[BOTH, SPOOL]).await;
        assert!(!fresh.is_redelivered_again(&bodies[0]).await);
        assert_eq!((taken(&fresh), in_amp(&fresh)), (vec![vec![0.0, 1.0, 2.0]], 0));
        assert_eq!(counts(&fresh, ItemKind::CloudWatchPoints, [ItemStatus::Redelivered]), [3]);
    }
}

#[tokio::test]
async fn amp_that_fails_is_spooled_for_itself() {
    let sandbox = Sandbox::start(&[BOTH, SPOOL]).await;
    sandbox.amp.fail_always(Fault::status(503, "busy"));
    assert_eq!(partial_success(&push(&sandbox, 3).await), None);
    assert_eq!((taken(&sandbox).concat().len(), in_amp(&sandbox)), (3, 0));
    let bodies = sandbox.aws.sqs().bodies.clone();
    let payloads: Vec<_> = bodies.iter().map(|body| SpoolMessage::parse(body).unwrap().payload).collect();
    assert!(matches!(payloads[..], [Payload::RemoteWrite { .. }]), "{payloads:?}");
    assert_eq!(counts(&sandbox, ItemKind::CloudWatchPoints, [ItemStatus::Delivered, ItemStatus::Spooled]), [3, 0]);
}

#[tokio::test]
async fn retry_without_a_spool_repeats_nothing_in_cloudwatch() {
    let sandbox = Sandbox::start(&[BOTH]).await;
    sandbox.amp.fail_always(Fault::status(503, "busy"));
    assert_eq!(push(&sandbox, 3).await.status, 503);
    assert_eq!((taken(&sandbox).len(), in_amp(&sandbox)), (0, 0), "CloudWatch waits for AMP");
    sandbox.amp.clear_faults();
    assert_eq!(partial_success(&push(&sandbox, 3).await), None);
    assert_eq!((taken(&sandbox).concat().len(), in_amp(&sandbox)), (3, 3));
}

#[tokio::test]
async fn rejected_points_are_reported_and_counted() {
    let sandbox = Sandbox::start(&[BOTH]).await;
    let invalid = Fault::Response(StubResponse::of(400, "application/json", r#"{"message":"value 13"}"#));
    sandbox.aws.fail_always(has_unlucky_point, invalid);
    let partial = partial_success(&push(&sandbox, 20).await).unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("rejected_by_cloudwatch"), "{}", partial.error_message);
    assert!(partial.error_message.contains("CloudWatch returned"), "{}", partial.error_message);
    assert_eq!((taken(&sandbox).concat().len(), in_amp(&sandbox)), (19, 20));
    let statuses = [ItemStatus::Received, ItemStatus::Delivered, ItemStatus::Rejected];
    assert_eq!(counts(&sandbox, ItemKind::CloudWatchPoints, statuses), [20, 19, 1]);

    let sandbox = Sandbox::start(&[CLOUDWATCH]).await;
    let partial = PartialSuccess { rejected: 2, error_message: "no unit".into() };
    let body = ExportResponse { partial_success: Some(partial) }.encode_to_vec();
    sandbox.aws.cloudwatch().otlp_response = Some(StubResponse::of(200, "application/x-protobuf", body));
    let partial = partial_success(&push(&sandbox, 5).await).unwrap();
    assert_eq!((partial.rejected, partial.error_message.contains("no unit")), (2, true));
    assert_eq!(counts(&sandbox, ItemKind::CloudWatchPoints, statuses), [5, 3, 2]);
}

#[tokio::test]
async fn spooled_points_stay_if_they_do_not_go_to_cloudwatch() {
    let sandbox = Sandbox::start(&[BOTH, SPOOL]).await;
    sandbox.aws.fail_always(is_otlp, Fault::status(503, "busy"));
    assert_eq!(push(&sandbox, 3).await.status, 200);
    let body = sandbox.aws.sqs().bodies[0].clone();
    let other = Sandbox::start(&[SPOOL]).await;
    assert!(other.is_redelivered_again(&body).await);
}
