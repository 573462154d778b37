//! Compares the cost of metrics in CloudWatch with manual calculations, and its assumptions with the code of the function.

use prost::Message as _;
use sidecarless::model::otlp::{
    AnyValue, KeyValue, Metric, NumberDataPoint, Resource, Sum, any_value, metric, number_data_point,
};
use sidecarless::model::signal::Signal;
use sidecarless::model::task::Task;
use sidecarless::translate::identity::{IdentitySource, TaskAttributes};

use super::emf::EmfLines;
use super::tests::{estimate, near, options};
use super::{CostSection, workload};

/// Returns the cost of the line that starts with this text.
fn cost(section: &CostSection, start: &str) -> Option<f64> {
    section.lines.iter().find(|line| line.description.starts_with(start)).and_then(|line| line.usd)
}

#[test]
fn data_points_cost_their_size_in_cloudwatch() {
    for (words, cloudwatch, amp) in [
        // AMP: 12 scraped and 100 pushed samples, 43,800 times, at 0.90 per 10 million.
        ("--tasks 1", None, 0.441_504),
        // 100 points * 43,800 minutes * 1,000 bytes = 4.38 GB at 0.50; AMP has the 12 scraped samples.
        ("--tasks 1 --metrics-to cloudwatch", Some(2.19), 0.047_304),
        ("--tasks 1 --metrics-to amp,cloudwatch", Some(2.19), 0.441_504),
        // 100 tasks * 20 points * 43,800 * 400 bytes = 35.04 GB; AMP: 1,200 + 2,000 samples, 43,800 times.
        ("--tasks 100 --points 20 --point-bytes 400 --metrics-to cloudwatch,amp", Some(17.52), 12.614_4),
        ("--tasks 1 --points 0 --metrics-to cloudwatch", Some(0.0), 0.047_304),
    ] {
        let shared = estimate(words).shared;
        let actual = (cost(&shared, "CloudWatch: "), cost(&shared, "AMP: ").unwrap());
        assert_eq!(actual.0.is_some(), cloudwatch.is_some(), "{words}: {actual:?}");
        assert!(near(actual.0.unwrap_or(0.0), cloudwatch.unwrap_or(0.0)) && near(actual.1, amp), "{words}: {actual:?}");
    }
}

#[test]
fn destination_of_data_points_is_in_the_text() {
    let text = estimate("--tasks 100 --metrics-to amp,cloudwatch").text();
    let line = "  CloudWatch: 438 GB, 438,000,000 OTLP data points of 1,000 bytes, at $0.50";
    assert!(text.lines().any(|shown| shown.starts_with(line) && shown.ends_with(" $219.00")), "{text}");
    assert!(text.contains("List prices in USD of US East (N. Virginia), 20"), "{text}");
    assert!(text.contains("$0.01 per million samples scanned"), "{text}");
    assert!(!estimate("--tasks 100").text().contains("samples scanned"), "CloudWatch is not a destination");
    let value: serde_json::Value =
        serde_json::from_str(&estimate("--tasks 1 --metrics-to cloudwatch --json").json()).unwrap();
    assert_eq!(value["options"]["metrics_to"], serde_json::json!({"amp": false, "cloudwatch": true}));
}

fn attribute(key: &'static str, value: &'static str) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(any_value::Value::String(value.into())) }) }
}

/// Returns the resource of a task with the Python SDK, with the attributes that the function adds.
fn resource() -> Resource {
    let arn = |name: &str| format!("arn:aws:ecs:eu-west-1:111122223333:{name}").into();
    let task = Task {
        region: "eu-west-1".into(),
        account: "111122223333".into(),
        availability_zone: "eu-west-1a".into(),
        cluster_arn: arn("cluster/shop"),
        cluster: "shop".into(),
        service: Some("checkout".into()),
        arn: arn("task/shop/0123456789abcdef0123456789abcdef"),
        id: "0123456789abcdef0123456789abcdef".into(),
        family: "checkout".into(),
        revision: "7".into(),
        launch_type: "FARGATE".into(),
        private_dns_name: Some("ip-10-0-1-17.eu-west-1.compute.internal".into()),
        ..Task::default()
    };
    let attributes = vec![
        attribute("service.name", "checkout"),
        attribute("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"),
        attribute("telemetry.sdk.language", "python"),
        attribute("telemetry.sdk.name", "opentelemetry"),
        attribute("telemetry.sdk.version", "1.40.0"),
    ];
    let mut resource = Resource { attributes, dropped_attributes_count: 0 };
    TaskAttributes::from_task(&task).apply(&mut resource, IdentitySource::Signature, Signal::Metrics);
    resource
}

#[test]
fn size_of_a_data_point_is_that_of_an_http_server_on_ecs() {
    let attributes = vec![
        attribute("http.request.method", "GET"),
        attribute("http.route", "/orders/{id}"),
        attribute("http.response.status_code", "200"),
        attribute("url.scheme", "https"),
        attribute("network.protocol.version", "1.1"),
    ];
    let point = NumberDataPoint {
        attributes,
        start_time_unix_nano: 1_795_389_900_000_000_000,
        time_unix_nano: 1_795_389_960_000_000_000,
        value: Some(number_data_point::Value::Int(7)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: false };
    let metric =
        Metric { name: "http.server.active_requests".into(), data: Some(metric::Data::Sum(sum)), ..Metric::default() };
    let bytes = (resource().encoded_len() + metric.encoded_len()) as f64;
    let assumed = f64::from(options("").point_bytes);
    assert!((bytes - assumed).abs() / assumed < 0.1, "{bytes} bytes instead of {assumed}");
    assert!(resource().encoded_len() as f64 > 0.75 * bytes, "most of it is the resource");
}

#[test]
fn metrics_about_the_function_cost_what_emf_creates() {
    let emf = |words: &str| {
        let options = options(words);
        EmfLines::new(&estimate(words).workloads, &options)
    };
    // received and delivered samples, and the duration; 43,800 lines of a scheduled run without tasks that send anything.
    let EmfLines { metrics, bytes } = emf("--tasks 1 --spans 0 --points 0");
    assert!(near(metrics, 3.0), "{metrics}");
    let line = r#"{"FunctionName":"sidecarless-Function-0123456789AB","_aws":{"CloudWatchMetrics":[{"Dimensions":[["FunctionName"]],"Metrics":[{"Name":"received_samples","Unit":"Count"},{"Name":"delivered_samples","Unit":"Count"},{"Name":"invocation_duration_seconds","Unit":"Seconds"}],"Namespace":"sidecarless"}],"Timestamp":1795389900000},"delivered_samples":100,"invocation_duration_seconds":0.618,"received_samples":100,"trigger":"schedule"}"#;
    assert!(near(bytes, 43_800.0 * (line.len() + 26) as f64), "{bytes} instead of lines of {} bytes", line.len());
    // Also received and translated spans and data points, and received and delivered segments.
    assert!(near(emf("--tasks 1").metrics, 9.0));
    // Also received and delivered points of CloudWatch.
    assert!(near(emf("--tasks 1 --metrics-to amp,cloudwatch").metrics, 11.0));
    for (words, amp, metrics) in [
        ("--tasks 1", Some(0.098_55), None),
        ("--tasks 1 --self-metrics off", None, None),
        // 9 metrics at 0.30.
        ("--tasks 1 --self-metrics emf", None, Some(2.7)),
        ("--tasks 1 --self-metrics amp,emf", Some(0.098_55), Some(2.7)),
    ] {
        let section = estimate(words).sidecarless;
        let of_metrics =
            section.lines.iter().find(|line| line.description.contains("in EMF")).and_then(|line| line.usd);
        let of_lines =
            section.lines.iter().find(|line| line.description.contains("EMF line")).and_then(|line| line.usd);
        let of_amp = section.lines.iter().find(|line| line.description.contains("sidecarless_*"));
        let of_amp = of_amp.and_then(|line| line.usd);
        assert_eq!(
            [of_amp.is_some(), of_metrics.is_some(), of_lines.is_some()],
            [amp.is_some(), metrics.is_some(), metrics.is_some()],
            "{words}"
        );
        assert!(near(of_amp.unwrap_or(0.0), amp.unwrap_or(0.0)), "{words}: {of_amp:?}");
        assert!(near(of_metrics.unwrap_or(0.0), metrics.unwrap_or(0.0)), "{words}: {of_metrics:?}");
    }
    assert_eq!(workload::Trigger::Metrics.label(), "http");
}
