//! Metrics of a service: one third each of sums, gauges, and histograms with 15 buckets.

use sidecarless::model::otlp::{
    ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint, KeyValue, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Temporality, metric::Data, number_data_point::Value,
};

use super::resource::{resource, scope};
use super::{AT_NANOS, Numbers, int, text};

/// Points of one metric: the combinations of routes, methods and statuses.
const POINTS_PER_METRIC: usize = 34;
/// 15 buckets, with the bucket above the last bound.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const STARTED: u64 = AT_NANOS - 3_600_000_000_000;
const ROUTES: [&str; 6] =
    ["/cart/{id}", "/checkout", "/orders/{id}/items", "/products/{sku}/price", "/users/{id}", "/health"];
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

/// Returns a request with data points of one service.
pub(crate) fn metrics(points: usize) -> ExportMetricsServiceRequest {
    let mut numbers = Numbers(2);
    let (sums, gauges) = (points.div_ceil(3), (points + 1) / 3);
    let histograms = points - sums - gauges;
    let mut metrics = Vec::new();
    for (number, points) in split(sums) {
        metrics.push(metric("http.server.requests", number, "{request}", sum(points, &mut numbers)));
    }
    for (number, points) in split(gauges) {
        metrics.push(metric("jvm.memory.used", number, "By", gauge(points, &mut numbers)));
    }
    for (number, points) in split(histograms) {
        metrics.push(metric("http.server.request.duration", number, "s", histogram(points, &mut numbers)));
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

/// Splits points into metrics. Returns the number of each metric, and the count of its points.
fn split(points: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..points.div_ceil(POINTS_PER_METRIC))
        .map(move |number| (number, POINTS_PER_METRIC.min(points - number * POINTS_PER_METRIC)))
}

fn metric(name: &str, number: usize, unit: &'static str, data: Data) -> Metric {
    let name = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
    let description = "Description from the instrumentation library".into();
    Metric { name: name.into_bytes().into(), description, unit: unit.into(), data: Some(data), ..Metric::default() }
}

/// Returns the attributes of a point, which are unique in the metric.
fn attributes(point: usize) -> Vec<KeyValue> {
    let route = ROUTES.get(point % ROUTES.len()).copied().unwrap_or_default();
    let method = METHODS.get(point / ROUTES.len() % METHODS.len()).copied().unwrap_or_default();
    let status = if point < ROUTES.len() * METHODS.len() { 200 } else { 404 };
    vec![text("http.request.method", method), text("http.route", route), int("http.response.status_code", status)]
}

fn points(count: usize, mut value: impl FnMut() -> Value) -> Vec<NumberDataPoint> {
    let point = |number| NumberDataPoint {
        attributes: attributes(number),
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
    let mut point = |number| {
        let bucket_counts: Vec<u64> = (0..=BOUNDS.len()).map(|_| numbers.below(5_000)).collect();
        HistogramDataPoint {
            attributes: attributes(number),
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
