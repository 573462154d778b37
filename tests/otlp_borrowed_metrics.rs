//! Metrics and points that borrow from the body, compared with what prost decodes.

use proptest::prelude::*;
use prost::Message as _;
use sidecarless::model::otlp::borrowed::{self, DataKind, DataPoint, Metric, MetricData, check_attribute};
use sidecarless::model::otlp::{self, ExportMetricsServiceRequest, MetricsRequest, metric::Data};

use crate::otlp_json::telemetry::metrics;

/// Returns the metric that prost decodes, in the other form. Numbers that are not equal to themselves have the same text.
fn by_prost(encoded: &[u8]) -> Option<String> {
    let metric = otlp::Metric::decode(encoded).ok()?;
    let head = (&metric.name[..], &metric.description[..], &metric.unit[..], metric.metadata.len());
    let mut data = None;
    let mut points = Vec::new();
    match &metric.data {
        None => {}
        Some(Data::Gauge(gauge)) => {
            data = Some((DataKind::Gauge, 0, false));
            points.extend(gauge.data_points.iter().map(|point| format!("{:?}", number(point))));
        }
        Some(Data::Sum(sum)) => {
            data = Some((DataKind::Sum, sum.aggregation_temporality, sum.is_monotonic));
            points.extend(sum.data_points.iter().map(|point| format!("{:?}", number(point))));
        }
        Some(Data::Histogram(histogram)) => {
            data = Some((DataKind::Histogram, histogram.aggregation_temporality, false));
            points.extend(histogram.data_points.iter().map(|point| format!("{:?}", self::histogram(point))));
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            data = Some((DataKind::ExponentialHistogram, histogram.aggregation_temporality, false));
            points.extend(histogram.data_points.iter().map(|point| format!("{:?}", exponential(point))));
        }
        Some(Data::Summary(summary)) => {
            data = Some((DataKind::Summary, 0, false));
            points.extend(summary.data_points.iter().map(|point| format!("{:?}", self::summary(point))));
        }
    }
    Some(format!("{head:?} {data:?} {points:#?}"))
}

fn number(point: &otlp::NumberDataPoint) -> borrowed::NumberDataPoint<'_> {
    borrowed::NumberDataPoint {
        attributes: borrowed::attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        value: point.value,
        exemplars: point.exemplars.iter().map(exemplar).collect(),
        flags: point.flags,
    }
}

fn exemplar(exemplar: &otlp::Exemplar) -> borrowed::Exemplar<'_> {
    borrowed::Exemplar {
        filtered_attributes: borrowed::attributes(&exemplar.filtered_attributes),
        time_unix_nano: exemplar.time_unix_nano,
        value: exemplar.value,
        span_id: &exemplar.span_id,
        trace_id: &exemplar.trace_id,
    }
}

fn histogram(point: &otlp::HistogramDataPoint) -> borrowed::HistogramDataPoint<'_> {
    borrowed::HistogramDataPoint {
        attributes: borrowed::attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        bucket_counts: point.bucket_counts.clone(),
        explicit_bounds: point.explicit_bounds.clone(),
        exemplars: point.exemplars.iter().map(exemplar).collect(),
        flags: point.flags,
        min: point.min,
        max: point.max,
    }
}

fn exponential(point: &otlp::ExponentialHistogramDataPoint) -> borrowed::ExponentialHistogramDataPoint<'_> {
    borrowed::ExponentialHistogramDataPoint {
        attributes: borrowed::attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        scale: point.scale,
        zero_count: point.zero_count,
        positive: point.positive.clone().unwrap_or_default(),
        negative: point.negative.clone().unwrap_or_default(),
        flags: point.flags,
        exemplars: point.exemplars.iter().map(exemplar).collect(),
        min: point.min,
        max: point.max,
        zero_threshold: point.zero_threshold,
    }
}

fn summary(point: &otlp::SummaryDataPoint) -> borrowed::SummaryDataPoint<'_> {
    borrowed::SummaryDataPoint {
        attributes: borrowed::attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        quantile_values: point.quantile_values.clone(),
        flags: point.flags,
    }
}

fn borrowed(encoded: &[u8]) -> Option<String> {
    let metric = Metric::decode(encoded).ok()?;
    metric.metadata().try_for_each(check_attribute).ok()?;
    let head = (metric.name, metric.description, metric.unit, metric.metadata().count());
    let mut points = Vec::new();
    if let Some(data) = &metric.data {
        points = match data.kind {
            DataKind::Gauge | DataKind::Sum => decoded::<borrowed::NumberDataPoint<'_>>(data),
            DataKind::Histogram => decoded::<borrowed::HistogramDataPoint<'_>>(data),
            DataKind::ExponentialHistogram => decoded::<borrowed::ExponentialHistogramDataPoint<'_>>(data),
            DataKind::Summary => decoded::<borrowed::SummaryDataPoint<'_>>(data),
        }?;
        assert_eq!(data.count, points.len() as u64);
    }
    let data = metric.data.map(|data| (data.kind, data.aggregation_temporality, data.is_monotonic));
    Some(format!("{head:?} {data:?} {points:#?}"))
}

/// Decodes all points into the memory of one.
fn decoded<'a, P: DataPoint<'a> + std::fmt::Debug>(data: &MetricData<'a>) -> Option<Vec<String>> {
    let mut point = P::default();
    data.points()
        .map(|encoded| {
            point.decode_again(encoded).ok()?;
            Some(format!("{point:?}"))
        })
        .collect()
}

fn encoded(request: &ExportMetricsServiceRequest) -> Vec<Vec<u8>> {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics).map(otlp::Metric::encode_to_vec).collect()
}

proptest! {
    #[test]
    fn borrowed_metric_is_the_decoded_metric(request in metrics()) {
        for metric in encoded(&request) {
            prop_assert_eq!(borrowed(&metric), by_prost(&metric));
        }
    }

    /// Two encoded metrics after one another are one metric: points of the same kind are one list, and another kind replaces them.
    #[test]
    fn repeated_data_is_merged_or_replaced(first in metrics(), second in metrics()) {
        for first in encoded(&first) {
            for second in encoded(&second) {
                for both in [[&first[..], &first].concat(), [&first[..], &second].concat(), [&first[..], &second, &first].concat()] {
                    prop_assert_eq!(borrowed(&both), by_prost(&both));
                }
            }
        }
    }

    #[test]
    fn damaged_metric_is_accepted_by_both_or_by_neither(
        request in metrics(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        for mut metric in encoded(&request) {
            if metric.is_empty() {
                continue;
            }
            for (at, byte) in &damage {
                let at = at.index(metric.len());
                metric[at] = *byte;
            }
            prop_assert_eq!(borrowed(&metric), by_prost(&metric));
            metric.truncate(cut.index(metric.len()));
            prop_assert_eq!(borrowed(&metric), by_prost(&metric));
        }
    }
}

/// Returns a field with a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    [field, content.to_vec()].concat()
}

#[test]
fn numbers_of_lists_are_packed_or_single() {
    let fixed = |number: u8, value: u8| [&[number << 3 | 1][..], &[value, 0, 0, 0, 0, 0, 0, 0]].concat();
    let packed = field(6, &[[1; 8], [2; 8]].concat());
    let histogram = [packed, fixed(6, 3), fixed(7, 4), field(7, &[5; 8]), field(6, &[])].concat();
    let buckets = [field(2, &[1, 0x80, 0x02]), vec![0x10, 0x07], vec![0x08, 0x03]].concat();
    let exponential = [field(8, &buckets), field(9, &buckets), field(8, &buckets)].concat();
    for (kind, point) in [(9, &histogram), (10, &exponential)] {
        let metric = field(kind, &field(1, point));
        assert!(by_prost(&metric).is_some());
        assert_eq!(borrowed(&metric), by_prost(&metric));
    }
    for point in [field(6, &[0; 7]), field(7, &[0; 9]), field(8, &[1]), vec![6 << 3 | 5, 0, 0, 0, 0]] {
        let metric = field(9, &field(1, &point));
        assert_eq!((borrowed(&metric), by_prost(&metric)), (None, None), "{point:?}");
    }
}

#[test]
fn memory_of_another_point_leaves_no_trace() {
    fn check<'a, P: DataPoint<'a> + PartialEq + std::fmt::Debug>(encoded: &'a [u8]) {
        let mut point = P::default();
        point.decode_again(encoded).unwrap();
        assert_ne!(point, P::default());
        point.decode_again(&[]).unwrap();
        assert_eq!(point, P::default());
    }
    let attributes = vec![otlp::KeyValue::default()];
    let (time_unix_nano, count) = (7, 3);
    let exemplars = vec![otlp::Exemplar::default()];
    let buckets = Some(otlp::Buckets { offset: 1, bucket_counts: vec![1] });
    let number = otlp::NumberDataPoint { attributes: attributes.clone(), time_unix_nano, ..Default::default() };
    let histogram = otlp::HistogramDataPoint {
        bucket_counts: vec![1],
        explicit_bounds: vec![1.0],
        sum: Some(0.0),
        ..Default::default()
    };
    let exponential =
        otlp::ExponentialHistogramDataPoint { positive: buckets, exemplars, scale: 1, ..Default::default() };
    let quantile_values = vec![otlp::ValueAtQuantile::default()];
    let summary = otlp::SummaryDataPoint { quantile_values, count, ..Default::default() };
    check::<borrowed::NumberDataPoint<'_>>(&number.encode_to_vec());
    check::<borrowed::HistogramDataPoint<'_>>(&histogram.encode_to_vec());
    check::<borrowed::ExponentialHistogramDataPoint<'_>>(&exponential.encode_to_vec());
    check::<borrowed::SummaryDataPoint<'_>>(&summary.encode_to_vec());
}

/// Returns a request with one metric.
fn request(metric: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, metric)))
}

#[test]
fn request_with_a_malformed_metric_is_invalid() {
    let point = field(1, &[]);
    let malformed_point = field(1, &[0xff]);
    let metadata = |value: &[u8]| field(12, &field(2, value));
    for (case, metric, points) in [
        ("no data", field(1, b"name"), Some(0)),
        ("points", field(5, &[&point[..], &point].concat()), Some(2)),
        ("a malformed point", field(5, &[&point[..], &malformed_point].concat()), Some(2)),
        ("unknown fields", [field(13, b"\xff"), field(5, &field(9, b"\xff"))].concat(), Some(0)),
        ("metadata", metadata(&field(5, &field(1, &field(1, b"text")))), Some(0)),
        ("data that is cut", field(5, &[0x0a, 0x05]), None),
        ("data that is a number", vec![5 << 3, 0x01], None),
        ("a point that is a number", field(7, &[0x08, 0x01]), None),
        ("temporality that is a text", field(7, &field(2, b"2")), None),
        ("monotonic that is a text", field(7, &field(3, b"2")), None),
        ("a name that is a number", vec![0x08, 0x01], None),
        ("metadata that is cut", field(12, &[0x12]), None),
        ("metadata with a malformed value", metadata(&field(5, &field(1, &field(6, &field(1, &[0x12]))))), None),
    ] {
        let decoded = MetricsRequest::from_protobuf(request(&metric).into());
        assert_eq!(decoded.map(|request| request.points()).ok(), points, "{case}");
    }
}

#[test]
fn attributes_are_removed_from_their_points_only() {
    let text =
        |text: &str| Some(otlp::AnyValue { value: Some(otlp::any_value::Value::String(text.to_owned().into())) });
    let pair = |key: &str| otlp::KeyValue { key: key.to_owned().into(), value: text("removed") };
    let metric = |keys: &[&str]| {
        let attributes: Vec<_> = keys.iter().map(|key| pair(key)).collect();
        let kept = otlp::Exemplar { filtered_attributes: vec![pair("removed")], ..Default::default() };
        let number = |time_unix_nano| otlp::NumberDataPoint {
            attributes: attributes.clone(),
            time_unix_nano,
            exemplars: vec![kept.clone()],
            ..Default::default()
        };
        let (a, e) = (attributes.clone(), attributes.clone());
        [
            Data::Gauge(otlp::Gauge { data_points: vec![number(1), number(2)] }),
            Data::Sum(otlp::Sum { data_points: vec![number(1)], aggregation_temporality: 2, is_monotonic: true }),
            Data::Histogram(otlp::Histogram {
                data_points: vec![otlp::HistogramDataPoint {
                    attributes: a,
                    bucket_counts: vec![1, 2],
                    ..Default::default()
                }],
                aggregation_temporality: 1,
            }),
            Data::ExponentialHistogram(otlp::ExponentialHistogram {
                data_points: vec![otlp::ExponentialHistogramDataPoint {
                    attributes: e,
                    scale: 3,
                    ..Default::default()
                }],
                aggregation_temporality: 2,
            }),
            Data::Summary(otlp::Summary {
                data_points: vec![otlp::SummaryDataPoint { attributes: attributes.clone(), ..Default::default() }],
            }),
        ]
        .map(|data| otlp::Metric {
            name: "m".into(),
            unit: "s".into(),
            data: Some(data),
            metadata: vec![pair("removed")],
            ..Default::default()
        })
    };
    let before = metric(&["removed", "a", "removed", "b"]);
    let after = metric(&["a", "b"]);
    for (before, after) in before.iter().zip(&after) {
        let mut removed = MetricsRequest::from_protobuf(request(&before.encode_to_vec()).into()).unwrap();
        removed.remove_point_attributes(|attribute| attribute.key() == b"other");
        assert_eq!(removed.encode_to_vec(), request(&before.encode_to_vec()));
        removed.remove_point_attributes(|attribute| attribute.key() == b"removed");
        assert_eq!(removed.encode_to_vec(), request(&after.encode_to_vec()));
    }
    // A malformed point stays, and so do unknown fields.
    let removed = field(7, &field(1, b"removed"));
    let metric = |points: [&[u8]; 3]| field(5, &points.map(|point| field(1, point)).concat());
    let unknown = field(9, b"unknown");
    let body = request(&metric([&removed, &[0xff], &[&unknown[..], &removed].concat()]));
    let mut decoded = MetricsRequest::from_protobuf(body.into()).unwrap();
    decoded.remove_point_attributes(|attribute| attribute.key() == b"removed");
    assert_eq!(decoded.encode_to_vec(), request(&metric([&[], &[0xff], &unknown])));
}
