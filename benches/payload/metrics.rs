//! Metrics of a service: a third of the points are sums, a third gauges, a third histograms of 15 buckets.

use sidecarless::model::otlp::{
    ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint, KeyValue, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Temporality, metric::Data, number_data_point::Value,
};

use super::resource::{resource, scope};
use super::{AT_NANOS, Numbers, number, text};

/// Points of one metric: routes times methods times statuses of a service.
const POINTS_PER_METRIC: usize = 34;
/// 15 buckets with the one above the last bound.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const STARTED: u64 = AT_NANOS - 3_600_000_000_000;
const ROUTES: [&str; 6] =
    ["/cart/{id}", "/checkout", "/orders/{id}/items", "/products/{sku}/price", "/users/{id}", "/health"];
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

/// A request of so many data points of one service.
pub(crate) fn metrics(points: usize) -> ExportMetricsServiceRequest {
    let mut numbers = Numbers(2);
    let (sums, gauges) = (points.div_ceil(3), (points + 1) / 3);
    let histograms = points - sums - gauges;
    let mut metrics = Vec::new();
    for (of, points) in split(sums) {
        metrics.push(metric("http.server.requests", of, "{request}", sum(points, &mut numbers)));
    }
    for (of, points) in split(gauges) {
        metrics.push(metric("jvm.memory.used", of, "By", gauge(points, &mut numbers)));
    }
    for (of, points) in split(histograms) {
        metrics.push(metric("http.server.request.duration", of, "s", histogram(points, &mut numbers)));
    }
    let scope_metrics = vec![ScopeMetrics {
        scope: Some(scope("io.opentelemetry.spring-webmvc-6.0")),
        metrics,
        ..ScopeMetrics::default()
    }];
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource()), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// Metrics by number, with how many points each has.
fn split(points: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..points.div_ceil(POINTS_PER_METRIC)).map(move |of| (of, POINTS_PER_METRIC.min(points - of * POINTS_PER_METRIC)))
}

fn metric(name: &str, of: usize, unit: &'static str, data: Data) -> Metric {
    let name = if of == 0 { name.to_owned() } else { format!("{name}.{of}") };
    let description = "What the instrumentation library says of it.".into();
    Metric { name: name.into_bytes().into(), description, unit: unit.into(), data: Some(data), ..Metric::default() }
}

/// Attributes that no other point of the metric has.
fn attributes(at: usize) -> Vec<KeyValue> {
    let route = ROUTES.get(at % ROUTES.len()).copied().unwrap_or_default();
    let method = METHODS.get(at / ROUTES.len() % METHODS.len()).copied().unwrap_or_default();
    let status = if at < ROUTES.len() * METHODS.len() { 200 } else { 404 };
    vec![text("http.request.method", method), text("http.route", route), number("http.response.status_code", status)]
}

fn points(count: usize, mut value: impl FnMut() -> Value) -> Vec<NumberDataPoint> {
    let point = |at| NumberDataPoint {
        attributes: attributes(at),
        start_time_unix_nano: STARTED,
        time_unix_nano: AT_NANOS,
        value: Some(value()),
        ..NumberDataPoint::default()
    };
    (0..count).map(point).collect()
}

fn sum(count: usize, numbers: &mut Numbers) -> Data {
    let data_points = points(count, || Value::Int(numbers.below(1_000_000).cast_signed()));
    Data::Sum(Sum { data_points, aggregation_temporality: Temporality::Cumulative.into(), is_monotonic: true })
}

fn gauge(count: usize, numbers: &mut Numbers) -> Data {
    Data::Gauge(Gauge { data_points: points(count, || Value::Double(numbers.below(1 << 33) as f64 / 8.0)) })
}

fn histogram(count: usize, numbers: &mut Numbers) -> Data {
    let mut point = |at| {
        let bucket_counts: Vec<u64> = (0..=BOUNDS.len()).map(|_| numbers.below(5_000)).collect();
        HistogramDataPoint {
            attributes: attributes(at),
            start_time_unix_nano: STARTED,
            time_unix_nano: AT_NANOS,
            count: bucket_counts.iter().sum(),
            sum: Some(numbers.below(1 << 30) as f64 / 1024.0),
            bucket_counts,
            explicit_bounds: BOUNDS.to_vec(),
            ..HistogramDataPoint::default()
        }
    };
    let data_points = (0..count).map(&mut point).collect();
    Data::Histogram(Histogram { data_points, aggregation_temporality: Temporality::Cumulative.into() })
}
