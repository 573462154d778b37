//! Builders of OTLP requests for tests. The default time of points is 1700000000123456789 ns.

use bytes::Bytes;
use sidecarless::model::otlp::{
    AnyValue, ArrayValue, Buckets, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint,
    ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint, InstrumentationScope, KeyValue, Metric,
    NumberDataPoint, Resource, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, Temporality,
    ValueAtQuantile, any_value, exemplar, metric, number_data_point,
};

pub(crate) const NANOS: u64 = 1_700_000_000_123_456_789;

/// Value of an attribute, converted from a literal.
#[derive(Clone)]
pub(crate) struct Value(any_value::Value);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value(any_value::Value::String(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value(any_value::Value::Bool(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value(any_value::Value::Int(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value(any_value::Value::Double(value))
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        let values = values.into_iter().map(|value| AnyValue { value: Some(value.0) }).collect();
        Value(any_value::Value::Array(ArrayValue { values }))
    }
}

/// Data point of a gauge or a sum.
#[derive(Clone)]
pub(crate) struct Point {
    pub(crate) value: f64,
    pub(crate) nanos: u64,
    pub(crate) attributes: Vec<KeyValue>,
}

pub(crate) fn attributes(pairs: &[(&str, Value)]) -> Vec<KeyValue> {
    let attribute = |(key, value): &(&str, Value)| KeyValue {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Some(AnyValue { value: Some(value.0.clone()) }),
    };
    pairs.iter().map(attribute).collect()
}

/// Returns a resource with service name, instance and one more attribute.
pub(crate) fn resource() -> Vec<KeyValue> {
    attributes(&[
        ("service.namespace", "shop".into()),
        ("service.name", "cart".into()),
        ("service.instance.id", "i1".into()),
        ("cloud.region", "eu".into()),
    ])
}

pub(crate) fn number(value: f64, pairs: &[(&str, Value)]) -> Point {
    Point { value, nanos: NANOS, attributes: attributes(pairs) }
}

fn number_points(points: Vec<Point>) -> Vec<NumberDataPoint> {
    let point = |point: Point| NumberDataPoint {
        attributes: point.attributes,
        time_unix_nano: point.nanos,
        value: Some(number_data_point::Value::Double(point.value)),
        ..NumberDataPoint::default()
    };
    points.into_iter().map(point).collect()
}

fn metric(name: &str, unit: &str, data: metric::Data) -> Metric {
    Metric {
        name: Bytes::copy_from_slice(name.as_bytes()),
        unit: Bytes::copy_from_slice(unit.as_bytes()),
        data: Some(data),
        ..Metric::default()
    }
}

pub(crate) fn gauge(name: &str, unit: &str, points: Vec<Point>) -> Metric {
    metric(name, unit, metric::Data::Gauge(Gauge { data_points: number_points(points) }))
}

pub(crate) fn sum(name: &str, unit: &str, is_monotonic: bool, points: Vec<Point>) -> Metric {
    let data_points = number_points(points);
    let aggregation_temporality = Temporality::Cumulative.into();
    metric(name, unit, metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
}

pub(crate) fn with_temporality(mut metric: Metric, temporality: Temporality) -> Metric {
    match &mut metric.data {
        Some(metric::Data::Sum(sum)) => sum.aggregation_temporality = temporality.into(),
        Some(metric::Data::Histogram(histogram)) => histogram.aggregation_temporality = temporality.into(),
        _ => {}
    }
    metric
}

pub(crate) fn histogram(bounds: &[f64], counts: &[u64], count: u64, sum: Option<f64>) -> HistogramDataPoint {
    HistogramDataPoint {
        time_unix_nano: NANOS,
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        count,
        sum,
        ..HistogramDataPoint::default()
    }
}

pub(crate) fn histograms(
    name: &str,
    unit: &str,
    temporality: Temporality,
    data_points: Vec<HistogramDataPoint>,
) -> Metric {
    let aggregation_temporality = temporality.into();
    metric(name, unit, metric::Data::Histogram(Histogram { data_points, aggregation_temporality }))
}

/// Returns an exponential histogram of one point with a sum of 20 and positive buckets only.
pub(crate) fn exponential(
    name: &str,
    (scale, offset): (i32, i32),
    counts: &[u64],
    count: u64,
    zero_count: u64,
) -> Metric {
    let point = ExponentialHistogramDataPoint {
        time_unix_nano: NANOS,
        scale,
        count,
        zero_count,
        sum: Some(20.0),
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..ExponentialHistogramDataPoint::default()
    };
    let aggregation_temporality = Temporality::Cumulative.into();
    let data = ExponentialHistogram { data_points: vec![point], aggregation_temporality };
    metric(name, "", metric::Data::ExponentialHistogram(data))
}

pub(crate) fn summary(name: &str, count: u64, sum: f64, quantiles: &[(f64, f64)]) -> Metric {
    let quantile_values = quantiles.iter().map(|&(quantile, value)| ValueAtQuantile { quantile, value }).collect();
    let point = SummaryDataPoint { time_unix_nano: NANOS, count, sum, quantile_values, ..SummaryDataPoint::default() };
    metric(name, "", metric::Data::Summary(Summary { data_points: vec![point] }))
}

/// Returns an exemplar with or without the ids of a span.
pub(crate) fn exemplar(value: f64, has_ids: bool, pairs: &[(&str, Value)]) -> Exemplar {
    let id = |size: u8| if has_ids { (1..=size).collect::<Vec<u8>>() } else { Vec::new() };
    Exemplar {
        filtered_attributes: attributes(pairs),
        time_unix_nano: NANOS,
        value: Some(exemplar::Value::Double(value)),
        trace_id: id(16).into(),
        span_id: id(8).into(),
    }
}

pub(crate) fn scope(name: &str, version: &str, pairs: &[(&str, Value)]) -> InstrumentationScope {
    InstrumentationScope {
        name: Bytes::copy_from_slice(name.as_bytes()),
        version: Bytes::copy_from_slice(version.as_bytes()),
        attributes: attributes(pairs),
        ..InstrumentationScope::default()
    }
}

pub(crate) fn request(
    resource: Vec<KeyValue>,
    scope: Option<InstrumentationScope>,
    metrics: Vec<Metric>,
) -> ExportMetricsServiceRequest {
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let scope_metrics = vec![ScopeMetrics { scope, metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
    }
}
