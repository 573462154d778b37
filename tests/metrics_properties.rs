//! Properties of the translation of any metrics request.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;
use sidecarless::model::budget::{Budget, BudgetExceeded, Unlimited};
use sidecarless::model::otlp::{
    AnyValue, ArrayValue, Buckets, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint,
    ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint, InstrumentationScope, KeyValue, Metric,
    MetricsRequest, NumberDataPoint, Resource, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    ValueAtQuantile, any_value, exemplar, metric, number_data_point,
};
use sidecarless::model::remote_write::{WriteRequest, encode_metadata, encode_series};
use sidecarless::model::series::{SeriesBatch, SeriesView};
use sidecarless::rules::relabel::{RelabelConfigs, Rules};
use sidecarless::translate::Compat;
use sidecarless::translate::limits::{self, LongLabels};
use sidecarless::translate::metrics::{
    ClientIdentity, DeltaPolicy, ExponentialHistogramFormat, Options, TranslationResult, series,
};
use sidecarless::translate::names::{Naming, Strategy as NameStrategy, is_legacy_label, is_legacy_metric};

const NANOS: u64 = 1_700_000_000_000_000_000;
const NOW_MS: i64 = 1_700_000_000_500;

const KEYS: [&str; 22] = [
    "a",
    "b",
    "a.b",
    "a_b",
    "a-b",
    "UPPER",
    "__name__",
    "le",
    "quantile",
    "job",
    "instance",
    "____",
    "",
    ".",
    "5xx",
    "_x",
    "__x.y__",
    "service.name",
    "service.instance.id",
    "otel_scope_name",
    "é",
    "otel.metric.temporality",
];

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        8 => select(vec!["", "x", "y", "1", "é"]).prop_map(|value| any_value::Value::String(text(value))),
        1 => select(vec![1_500, 2_048, 2_049, 9_000]).prop_map(|size| any_value::Value::String("é".repeat(size / 2).into())),
        1 => vec(any::<u8>(), 0..4).prop_map(|bytes| any_value::Value::String(bytes.into())),
        1 => any::<bool>().prop_map(any_value::Value::Bool),
        1 => any::<i64>().prop_map(any_value::Value::Int),
        1 => any::<f64>().prop_map(any_value::Value::Double),
        1 => vec(any::<u8>(), 0..4).prop_map(|bytes| any_value::Value::Bytes(bytes.into())),
    ];
    let nested = leaf.prop_recursive(2, 8, 3, |inner| {
        vec(inner.prop_map(|value| AnyValue { value: Some(value) }), 0..3)
            .prop_map(|values| any_value::Value::Array(ArrayValue { values }))
    });
    prop::option::weighted(0.9, nested).prop_map(|value| AnyValue { value })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (select(&KEYS[..]), prop::option::weighted(0.95, any_value()))
        .prop_map(|(key, value)| KeyValue { key: text(key), value });
    vec(attribute, 0..7)
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![8 => (0..3u64).prop_map(|step| NANOS + step * 1_000_000), 1 => Just(0), 1 => any::<u64>()]
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let exemplar = (attributes(), nanos(), any::<f64>(), vec(any::<u8>(), 0..17), vec(any::<u8>(), 0..9));
    vec(
        exemplar.prop_map(|(filtered_attributes, time_unix_nano, value, trace_id, span_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            value: Some(exemplar::Value::Double(value)),
            span_id: span_id.into(),
            trace_id: trace_id.into(),
        }),
        0..2,
    )
}

fn numbers() -> impl Strategy<Value = Vec<NumberDataPoint>> {
    let value = prop_oneof![
        any::<f64>().prop_map(|value| Some(number_data_point::Value::Double(value))),
        any::<i64>().prop_map(|value| Some(number_data_point::Value::Int(value))),
        Just(None),
    ];
    let point = (attributes(), nanos(), nanos(), value, exemplars(), 0..2u32).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, value, exemplars, flags)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            value,
            exemplars,
            flags,
        },
    );
    vec(point, 0..4)
}

fn explicit() -> impl Strategy<Value = HistogramDataPoint> {
    let bounds = prop_oneof![Just(vec![0.5, 1.0]), Just(vec![]), vec(any::<f64>(), 0..4)];
    let counts = prop_oneof![3 => vec(0..9u64, 3), 1 => vec(any::<u64>(), 0..4)];
    (attributes(), nanos(), any::<u64>(), any::<Option<f64>>(), counts, bounds, exemplars(), 0..2u32).prop_map(
        |(attributes, time_unix_nano, count, sum, bucket_counts, explicit_bounds, exemplars, flags)| {
            HistogramDataPoint {
                attributes,
                time_unix_nano,
                count,
                sum,
                bucket_counts,
                explicit_bounds,
                exemplars,
                flags,
                ..HistogramDataPoint::default()
            }
        },
    )
}

fn buckets() -> impl Strategy<Value = Option<Buckets>> {
    let offset = prop_oneof![4 => -20..20i32, 1 => any::<i32>()];
    let counts = prop_oneof![4 => vec(0..4u64, 0..12), 1 => vec(any::<u64>(), 0..4)];
    prop::option::of((offset, counts).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
}

fn exponential() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let scale = prop_oneof![4 => -6..22i32, 1 => any::<i32>()];
    let zero = prop_oneof![3 => 0..5u64, 1 => any::<u64>()];
    (attributes(), nanos(), any::<u64>(), any::<Option<f64>>(), scale, zero, (buckets(), buckets()), 0..2u32).prop_map(
        |(attributes, time_unix_nano, count, sum, scale, zero_count, (positive, negative), flags)| {
            ExponentialHistogramDataPoint {
                attributes,
                time_unix_nano,
                count,
                sum,
                scale,
                zero_count,
                positive,
                negative,
                flags,
                ..ExponentialHistogramDataPoint::default()
            }
        },
    )
}

fn data() -> impl Strategy<Value = Option<metric::Data>> {
    let quantiles = vec((any::<f64>(), any::<f64>()), 0..3);
    let summary = (attributes(), nanos(), any::<u64>(), quantiles).prop_map(|(attributes, nanos, count, quantiles)| {
        let quantile_values =
            quantiles.into_iter().map(|(quantile, value)| ValueAtQuantile { quantile, value }).collect();
        SummaryDataPoint { attributes, time_unix_nano: nanos, count, quantile_values, ..SummaryDataPoint::default() }
    });
    prop_oneof![
        Just(None),
        numbers().prop_map(|data_points| Some(metric::Data::Gauge(Gauge { data_points }))),
        (numbers(), 0..4i32, any::<bool>()).prop_map(|(data_points, aggregation_temporality, is_monotonic)| {
            Some(metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
        }),
        (vec(explicit(), 0..3), 0..4i32).prop_map(|(data_points, aggregation_temporality)| {
            Some(metric::Data::Histogram(Histogram { data_points, aggregation_temporality }))
        }),
        (vec(exponential(), 0..3), 1..3i32).prop_map(|(data_points, aggregation_temporality)| {
            Some(metric::Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
        }),
        vec(summary, 0..3).prop_map(|data_points| Some(metric::Data::Summary(Summary { data_points }))),
    ]
}

fn request() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let name = select(vec!["m", "http.server.duration", "", "...", "5xx", "a__b", "é", "m_total"]);
    let unit = select(vec!["", "1", "s", "By/s", "{x}", "°C"]);
    let metric = (name, unit, data()).prop_map(|(name, unit, data)| Metric {
        name: text(name),
        unit: text(unit),
        data,
        ..Metric::default()
    });
    let scope = (select(vec!["", "lib"]), attributes()).prop_map(|(name, attributes)| InstrumentationScope {
        name: text(name),
        attributes,
        ..InstrumentationScope::default()
    });
    let schema_url = select(vec!["", "https://a/1", "https://a/2"]);
    let resource = attributes().prop_map(|attributes| Resource { attributes, ..Resource::default() });
    let scope_metrics = (prop::option::of(scope), vec(metric, 0..5), schema_url)
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url: text(schema_url) });
    let resource_metrics =
        (prop::option::of(resource), vec(scope_metrics, 1..3)).prop_map(|(resource, scope_metrics)| ResourceMetrics {
            resource,
            scope_metrics,
            ..ResourceMetrics::default()
        });
    vec(resource_metrics, 1..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

fn options() -> impl Strategy<Value = Options> {
    let long_labels = select(vec![LongLabels::Drop, LongLabels::Cut, LongLabels::Reject]);
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), long_labels).prop_map(
        |(is_adot, resource_labels, classic, as_is, created, ages, long_labels)| Options {
            long_labels,
            naming: Naming { compat: if is_adot { Compat::Adot } else { Compat::Corrected }, ..Naming::default() },
            resource_labels,
            exponential: if classic { ExponentialHistogramFormat::Classic } else { ExponentialHistogramFormat::Native },
            delta: if as_is { DeltaPolicy::Keep } else { DeltaPolicy::Reject },
            created,
            max_age_ms: ages.then_some(3_600_000),
            external_labels: vec![("cluster".into(), "c".into()), ("a_b".into(), "x".into())],
            ..Options::default()
        },
    )
}

fn translated(request: &ExportMetricsServiceRequest, options: &Options) -> (SeriesBatch, TranslationResult) {
    translated_request(&MetricsRequest::from(request), options)
}

fn translated_request(request: &MetricsRequest, options: &Options) -> (SeriesBatch, TranslationResult) {
    let mut batch = SeriesBatch::default();
    let sender = ClientIdentity { instance: Some("sender".into()) };
    let outcome = series(request, options, &sender, NOW_MS, &Unlimited, &mut batch).expect("no limit");
    (batch, outcome)
}

fn assert_is_valid(series: SeriesView<'_>) {
    let labels: Vec<(&str, &str)> = series.labels().collect();
    assert!(labels.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted and unique: {labels:?}");
    assert!(labels.iter().all(|(name, value)| is_legacy_label(name) && !value.is_empty()), "{labels:?}");
    assert!(series.label("__name__").is_some_and(is_legacy_metric), "{labels:?}");
    assert!(!series.samples().is_empty() || !series.histograms().is_empty(), "no empty series: {labels:?}");
    assert!(series.samples().windows(2).all(|pair| pair[0].timestamp_ms < pair[1].timestamp_ms), "in order of time");
    assert_eq!(limits::exceeded_limit(series.labels()), None);
    for exemplar in series.exemplars() {
        assert!(!exemplar.labels.is_empty() && exemplar.timestamp_ms != 0);
    }
    for native in series.histograms() {
        assert!((-4..=8).contains(&native.schema));
        for side in [&native.positive, &native.negative] {
            let length: usize = side.spans.iter().map(|span| span.1 as usize).sum();
            assert_eq!(length, side.deltas.len());
            assert!(side.spans.iter().skip(1).all(|span| span.0 >= 0));
        }
    }
}

const FLOATS: [f64; 9] =
    [0.0, -0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];

/// Returns the samples of all series that belong to a point, by labels and time.
fn samples_of(batch: &SeriesBatch) -> BTreeMap<(String, i64), u64> {
    let series = batch.iter().filter(|series| series.label("__name__") != Some("target_info"));
    let samples = series.flat_map(|series| {
        let labels = format!("{:?}", series.labels().collect::<Vec<_>>());
        series.samples().iter().map(move |sample| ((labels.clone(), sample.timestamp_ms), sample.value.to_bits()))
    });
    samples.collect()
}

fn extreme_i32() -> impl Strategy<Value = i32> {
    prop_oneof![select(vec![i32::MIN, i32::MIN + 1, -4, -1, 0, 1, 8, i32::MAX - 1, i32::MAX]), any::<i32>()]
}

fn extreme_u64() -> impl Strategy<Value = u64> {
    let largest_signed = i64::MAX.unsigned_abs();
    prop_oneof![select(vec![0, 1, largest_signed, largest_signed + 1, u64::MAX - 1, u64::MAX]), any::<u64>()]
}

fn one_metric(data: metric::Data) -> ExportMetricsServiceRequest {
    let metric = Metric { name: text("m"), data: Some(data), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn gauge_of_resource(attributes: Vec<KeyValue>, points: usize) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: NANOS,
        value: Some(number_data_point::Value::Double(1.0)),
        ..NumberDataPoint::default()
    };
    let mut request = one_metric(metric::Data::Gauge(Gauge { data_points: vec![point; points] }));
    request.resource_metrics[0].resource = Some(Resource { attributes, ..Resource::default() });
    request
}

proptest! {
    #[test]
    fn utf8_strategies_write_valid_series(
        request in request(),
        options in options(),
        strategy in select(vec![NameStrategy::NoUtf8EscapingWithSuffixes, NameStrategy::NoTranslation]),
    ) {
        let naming = Naming { strategy, ..options.naming.clone() };
        let (batch, outcome) = translated(&request, &Options { naming, ..options });
        prop_assert_eq!(outcome.received, outcome.written + outcome.rejected.total());
        for series in batch.iter() {
            let labels: Vec<(&str, &str)> = series.labels().collect();
            prop_assert!(labels.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted and unique: {:?}", labels);
            prop_assert!(labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()), "{:?}", labels);
        }
    }
}

#[test]
fn labels_over_a_limit_are_not_copied() {
    let attribute = |key: &str, value: &str| {
        let value = Some(AnyValue { value: Some(any_value::Value::String(text(value))) });
        KeyValue { key: text(key), value }
    };
    let many = (0..151).map(|number| attribute(&format!("a{number}"), "v")).collect();
    let large = (0..8).map(|number| attribute(&format!("a{number}"), &"v".repeat(1024))).collect();
    for (attributes, reason) in [
        (vec![attribute("a", &"v".repeat(2049))], "label_value_too_long"),
        (vec![attribute(&"a".repeat(1025), "v")], "label_name_too_long"),
        (many, "too_many_labels"),
        (large, "labels_too_large"),
    ] {
        let options = Options { long_labels: LongLabels::Reject, ..Options::default() };
        let (batch, outcome) = translated(&gauge_of_resource(attributes, 9), &options);
        let rejected: Vec<_> = outcome.rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect();
        assert_eq!((batch.len(), rejected), (0, vec![(reason, 9)]));
    }
    let replaced = vec![attribute("job", &"v".repeat(9000)), attribute("service.name", "cart")];
    let (batch, _) = translated(&gauge_of_resource(replaced, 1), &Options::default());
    assert_eq!(batch.iter().next().and_then(|series| series.label("job")), Some("cart"));
}

#[test]
fn points_of_one_series_share_its_labels() {
    let bytes = |points| translated(&gauge_of_resource(Vec::new(), points), &Options::default()).0.label_bytes();
    assert_eq!(bytes(1), bytes(1_000));
}

#[test]
fn translation_and_relabelling_stop_if_the_budget_is_exceeded() {
    struct Exceeded;
    impl Budget for Exceeded {
        fn reserve(&self, _: usize) -> Result<(), BudgetExceeded> {
            Err(BudgetExceeded::Time)
        }
    }
    let request = gauge_of_resource(Vec::new(), 1);
    let (mut batch, client, options) = (SeriesBatch::default(), ClientIdentity::default(), Options::default());
    let result = series(&MetricsRequest::from(&request), &options, &client, NOW_MS, &Exceeded, &mut batch);
    assert_eq!(result.map(|result| result.received), Err(BudgetExceeded::Time));
    let (batch, _) = translated(&request, &options);
    let configs = RelabelConfigs::parse("[{action: labeldrop, regex: a}]").expect("rules");
    let rules = Rules { configs, ..Rules::default() };
    assert_eq!(rules.apply(batch, &Exceeded).map(|applied| applied.filtered), Err(BudgetExceeded::Time));
}

fn is_same(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits()
}

fn assert_decodes_unchanged(batch: &SeriesBatch) {
    let mut body = Vec::new();
    batch.iter().for_each(|series| encode_series(series, &mut body));
    batch.metadata().iter().for_each(|metadata| encode_metadata(metadata, &mut body));
    let read = WriteRequest::decode(body.as_slice()).expect("prost reads remote write 1.0");
    assert_eq!((read.timeseries.len(), read.metadata.len()), (batch.len(), batch.metadata().len()));
    for (series, read) in batch.iter().zip(&read.timeseries) {
        let labels = read.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
        assert!(series.labels().eq(labels));
        assert_eq!(series.samples().len(), read.samples.len());
        for (sample, read) in series.samples().iter().zip(&read.samples) {
            assert!(sample.timestamp_ms == read.timestamp && is_same(sample.value, read.value));
        }
        assert_eq!(series.exemplars().len(), read.exemplars.len());
        for (exemplar, read) in series.exemplars().iter().zip(&read.exemplars) {
            assert!(exemplar.timestamp_ms == read.timestamp && is_same(exemplar.value, read.value));
            assert_eq!(exemplar.labels.len(), read.labels.len());
        }
        assert_eq!(series.histograms().len(), read.histograms.len());
        for (native, read) in series.histograms().iter().zip(&read.histograms) {
            assert_eq!((Some(native.count), native.schema), (read.count_int, read.schema));
            assert_eq!(
                (&native.positive.deltas, &native.negative.deltas),
                (&read.positive_deltas, &read.negative_deltas)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_point_is_counted_and_every_series_is_valid(request in request(), options in options()) {
        let (batch, outcome) = translated(&request, &options);
        prop_assert_eq!(outcome.received, outcome.written + outcome.rejected.total());
        prop_assert_eq!(batch.point_count(), batch.iter().map(|s| (s.samples().len() + s.histograms().len()) as u64).sum::<u64>());
        batch.iter().for_each(assert_is_valid);
    }

    #[test]
    fn no_point_becomes_another_in_silence(request in request(), options in options()) {
        let mut request = request;
        // One series for each point.
        for scope in request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics) {
            scope.metrics.retain(|metric| matches!(metric.data, Some(metric::Data::Gauge(_) | metric::Data::Sum(_))));
        }
        let options = Options { target_info: false, created: false, ..options };
        let (batch, outcome) = translated(&request, &options);
        let merged: u64 = outcome.warnings.iter().filter(|one| one.reason == "duplicate_point").map(|one| one.count).sum();
        prop_assert_eq!(batch.point_count() + merged, outcome.written, "{}", outcome.warnings);
    }

    #[test]
    fn own_attribute_of_a_point_precedes_its_resource(
        (own, resource) in (attributes(), attributes()),
        long_labels in select(vec![LongLabels::Drop, LongLabels::Cut]),
    ) {
        let mut request = gauge_of_resource(resource, 1);
        let Some(metric::Data::Gauge(gauge)) = &mut request.resource_metrics[0].scope_metrics[0].metrics[0].data else {
            return Err(TestCaseError::fail("a gauge"));
        };
        gauge.data_points[0].attributes = own;
        let labels = |resource_labels| {
            let options = Options { resource_labels, long_labels, target_info: false, ..Options::default() };
            let (batch, outcome) = translated(&request, &options);
            // The labels of a series can be too long together.
            assert_eq!(batch.point_count() + outcome.rejected.total(), 1);
            let series = batch.iter().next()?;
            Some(series.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>())
        };
        let (Some(without), Some(with)) = (labels(false), labels(true)) else { return Ok(()) };
        for (name, value) in without.iter().filter(|(name, _)| *name != "instance") {
            prop_assert_eq!(with.get(name), Some(value), "{}", name);
        }
    }

    #[test]
    fn encoded_series_decode_unchanged(request in request(), options in options()) {
        let (batch, _) = translated(&request, &options);
        assert_decodes_unchanged(&batch);
    }

    #[test]
    fn order_of_attributes_does_not_affect_series(request in request(), options in options()) {
        let mut turned = request.clone();
        let unique = |attributes: &mut Vec<KeyValue>| {
            attributes.sort_by(|left, right| left.key.cmp(&right.key));
            attributes.dedup_by(|left, right| left.key == right.key);
        };
        let mut straight = request;
        for (request, is_turned) in [(&mut straight, false), (&mut turned, true)] {
            for resource in request.resource_metrics.iter_mut().filter_map(|metrics| metrics.resource.as_mut()) {
                unique(&mut resource.attributes);
                if is_turned {
                    resource.attributes.reverse();
                }
            }
            for metric in request.resource_metrics.iter_mut().flat_map(|metrics| &mut metrics.scope_metrics).flat_map(|scope| &mut scope.metrics) {
                if let Some(metric::Data::Gauge(gauge)) = &mut metric.data {
                    for point in &mut gauge.data_points {
                        unique(&mut point.attributes);
                        if is_turned {
                            point.attributes.reverse();
                        }
                    }
                }
            }
        }
        let labels = |request| {
            let (batch, _) = translated(request, &options);
            batch.iter().map(|series| series.labels().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        prop_assert_eq!(labels(&straight), labels(&turned));
    }

    /// Points of one scope with the same keys share the layout of their labels.
    #[test]
    fn labels_of_a_point_do_not_depend_on_other_points(
        keys in vec(vec(select(KEYS.to_vec()), 0..4), 1..3),
        points in vec((any::<prop::sample::Index>(), vec(any_value(), 4)), 1..12),
        options in options(),
    ) {
        let point = |(at, (keys_at, values)): (usize, &(prop::sample::Index, Vec<AnyValue>))| {
            let pairs = keys_at.get(&keys).iter().zip(values);
            let attributes = pairs.map(|(key, value)| KeyValue { key: text(key), value: Some(value.clone()) });
            let time_unix_nano = NANOS + at as u64 * 1_000_000;
            let value = Some(number_data_point::Value::Int(at as i64));
            NumberDataPoint { attributes: attributes.collect(), time_unix_nano, value, ..NumberDataPoint::default() }
        };
        let points: Vec<_> = points.iter().enumerate().map(point).collect();
        let request = |data_points: &[NumberDataPoint]| {
            let mut request = gauge_of_resource(vec![KeyValue { key: text("a.b"), value: Some(AnyValue::default()) }], 0);
            let data = metric::Data::Gauge(Gauge { data_points: data_points.to_vec() });
            request.resource_metrics[0].scope_metrics[0].metrics =
                vec![Metric { name: text("m"), data: Some(data), ..Metric::default() }];
            samples_of(&translated(&request, &options).0)
        };
        let alone = points.iter().flat_map(|point| request(std::slice::from_ref(point))).collect();
        prop_assert_eq!(request(&points), alone);
    }

    #[test]
    fn late_points_are_sorted_and_the_last_of_a_time_is_used(times in vec(0..300u64, 1..400)) {
        let numbers = |(number, &time): (u32, &u64)| NumberDataPoint {
            time_unix_nano: NANOS + time * 1_000_000,
            value: Some(number_data_point::Value::Double(f64::from(number))),
            ..NumberDataPoint::default()
        };
        let natives = |(number, &time): (u32, &u64)| ExponentialHistogramDataPoint {
            time_unix_nano: NANOS + time * 1_000_000,
            sum: Some(f64::from(number)),
            ..ExponentialHistogramDataPoint::default()
        };
        let expected: BTreeMap<u64, f64> = times.iter().copied().zip((0..).map(f64::from)).collect();
        let gauge = metric::Data::Gauge(Gauge { data_points: (0..).zip(&times).map(numbers).collect() });
        let native = metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: (0..).zip(&times).map(natives).collect(),
            aggregation_temporality: 2,
        });
        for data in [gauge, native] {
            let (batch, outcome) = translated(&one_metric(data), &Options { max_ahead_ms: None, ..Options::default() });
            let series = batch.iter().next().expect("one series");
            let samples = series.samples().iter().map(|sample| (sample.timestamp_ms, sample.value));
            let natives = series.histograms().iter().map(|native| (native.timestamp_ms, native.sum));
            let written: Vec<_> = samples.chain(natives).map(|(at_ms, value)| (at_ms.unsigned_abs() - NANOS / 1_000_000, value)).collect();
            prop_assert_eq!(written, expected.iter().map(|(&time, &value)| (time, value)).collect::<Vec<_>>());
            prop_assert_eq!(outcome.warnings.total(), (times.len() - expected.len()) as u64);
            prop_assert_eq!(batch.point_count(), expected.len() as u64);
        }
    }

    #[test]
    fn extreme_numbers_are_written_or_rejected(
        (scale, offsets, counts) in (extreme_i32(), [extreme_i32(), extreme_i32()], (vec(extreme_u64(), 0..200), vec(0..3u64, 0..200))),
        (count, zero_count, time, start) in (extreme_u64(), extreme_u64(), extreme_u64(), extreme_u64()),
        (float, flags, options) in (select(&FLOATS[..]), select(vec![0, 1, u32::MAX]), options()),
    ) {
        let buckets = |side: usize| Some(Buckets { offset: offsets[side], bucket_counts: if side == 0 { counts.0.clone() } else { counts.1.clone() } });
        let point = ExponentialHistogramDataPoint {
            start_time_unix_nano: start, time_unix_nano: time, count, sum: Some(float), scale, zero_count, flags,
            positive: buckets(0), negative: buckets(1), zero_threshold: float, ..ExponentialHistogramDataPoint::default()
        };
        let number = NumberDataPoint {
            start_time_unix_nano: start, time_unix_nano: time, flags,
            value: Some(number_data_point::Value::Int(count.cast_signed())), ..NumberDataPoint::default()
        };
        let explicit = HistogramDataPoint {
            start_time_unix_nano: start, time_unix_nano: time, count, sum: Some(float), flags,
            bucket_counts: vec![count, zero_count, u64::MAX], explicit_bounds: vec![-f64::MAX, float], ..HistogramDataPoint::default()
        };
        let summary = SummaryDataPoint {
            start_time_unix_nano: start, time_unix_nano: time, count, sum: float, flags,
            quantile_values: vec![ValueAtQuantile { quantile: float, value: float }], ..SummaryDataPoint::default()
        };
        for data in [
            metric::Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 }),
            metric::Data::Sum(Sum { data_points: vec![number], aggregation_temporality: 2, is_monotonic: true }),
            metric::Data::Histogram(Histogram { data_points: vec![explicit], aggregation_temporality: 2 }),
            metric::Data::Summary(Summary { data_points: vec![summary] }),
        ] {
            let (batch, outcome) = translated(&one_metric(data), &Options { max_age_ms: None, max_ahead_ms: None, ..options.clone() });
            prop_assert_eq!((outcome.received, outcome.written + outcome.rejected.total()), (1, 1));
            batch.iter().for_each(assert_is_valid);
            assert_decodes_unchanged(&batch);
        }
    }

    #[test]
    fn relabelling_counts_every_point(request in request(), options in options()) {
        let (batch, _) = translated(&request, &options);
        let configs = RelabelConfigs::parse(
            "[{action: drop, source_labels: [__name__], regex: m.*}, {action: labeldrop, regex: a.*}, {source_labels: [b], target_label: __name__}]",
        );
        let rules = Rules { configs: configs.expect("rules"), max_series: Some(5), ..Rules::default() };
        let points = batch.point_count();
        let applied = rules.apply(batch, &Unlimited).expect("no limit");
        prop_assert_eq!(points, applied.batch.point_count() + applied.filtered + applied.rejected.total() + applied.warnings.total());
        applied.batch.iter().for_each(assert_is_valid);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200), options in options()) {
        if let Ok(request) = MetricsRequest::from_protobuf(bytes.into()) {
            let (_, outcome) = translated_request(&request, &options);
            prop_assert_eq!(outcome.received, outcome.written + outcome.rejected.total());
        }
    }

    #[test]
    fn parsing_arbitrary_rules_does_not_panic(
        text in ".{0,40}",
        expression in "[ab().*+?|{},0-9^$\\\\pdQEx<>:P\\[\\]i-]{0,20}",
        field in select(vec!["regex: '", "target_label: ", "replacement: ", "action: ", "source_labels: ", "modulus: "]),
        labels in vec(("[a-c]{1,2}", ".{1,5}"), 0..5),
    ) {
        let _ = RelabelConfigs::parse(&text);
        let _ = RelabelConfigs::parse(&format!("- {{{field}{text}}}"));
        let labels: BTreeMap<String, String> = labels.into_iter().collect();
        if let Ok(rules) = RelabelConfigs::parse(&format!("- {{source_labels: [a, b], target_label: c, regex: '{expression}'}}")) {
            let _ = rules.relabel(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
    }
}
