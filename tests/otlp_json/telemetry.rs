//! Generators of requests with every type of message, for property tests.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use sidecarless::model::otlp::any_value::Value;
use sidecarless::model::otlp::{
    AnyValue, ArrayValue, Buckets, Event, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint,
    ExportLogsServiceRequest, ExportMetricsServiceRequest, ExportTraceServiceRequest, Gauge, Histogram,
    HistogramDataPoint, InstrumentationScope, KeyValue, KeyValueList, Link, LogRecord, Metric, NumberDataPoint,
    Resource, ResourceLogs, ResourceMetrics, ResourceSpans, ScopeLogs, ScopeMetrics, ScopeSpans, Span, Status, Sum,
    Summary, SummaryDataPoint, ValueAtQuantile, exemplar, metric, number_data_point,
};

fn text() -> impl Strategy<Value = Bytes> {
    prop_oneof!["[a-z.]{0,8}", any::<String>()].prop_map(Bytes::from)
}

fn bytes(lengths: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), lengths).prop_map(Bytes::from)
}

/// Every number except NaN, which does not equal itself.
fn double() -> impl Strategy<Value = f64> {
    any::<f64>().prop_map(|value| if value.is_nan() { 0.0 } else { value })
}

fn value() -> impl Strategy<Value = AnyValue> {
    let scalar = prop_oneof![
        text().prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        double().prop_map(Value::Double),
        bytes(0..6).prop_map(Value::Bytes),
    ];
    let leaf = of(scalar).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 8, 3, |inner| {
        let pair = (text(), of(inner.clone())).prop_map(|(key, value)| KeyValue { key, value });
        let value = prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::Array(ArrayValue { values })),
            vec(pair, 0..3).prop_map(|values| Value::KvList(KeyValueList { values })),
        ];
        value.prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((text(), of(value())).prop_map(|(key, value)| KeyValue { key, value }), 0..3)
}

fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), any::<u32>())
        .prop_map(|(attributes, dropped_attributes_count)| Resource { attributes, dropped_attributes_count })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), any::<u32>()).prop_map(|(name, version, attributes, dropped_attributes_count)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    })
}

pub(crate) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (of(scope()), vec(span(), 0..3), text());
    let scope_spans = scope_spans.prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource_spans = (of(resource()), vec(scope_spans, 0..3), text());
    let resource_spans = resource_spans.prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
        resource,
        scope_spans,
        schema_url,
    });
    vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(crate) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs = (of(scope()), vec(log_record(), 0..3), text());
    let scope_logs =
        scope_logs.prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resource_logs = (of(resource()), vec(scope_logs, 0..3), text());
    let resource_logs =
        resource_logs.prop_map(|(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url });
    vec(resource_logs, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let numbers = (any::<[u64; 2]>(), any::<i32>(), any::<[u32; 2]>());
    let ids = (bytes(0..17), bytes(0..9));
    (numbers, ids, text(), of(value()), attributes(), text()).prop_map(
        |((times, severity_number, counts), (trace_id, span_id), severity_text, body, attributes, event_name)| {
            let ([time_unix_nano, observed_time_unix_nano], [dropped_attributes_count, flags]) = (times, counts);
            LogRecord {
                time_unix_nano,
                severity_number,
                severity_text,
                body,
                attributes,
                dropped_attributes_count,
                flags,
                trace_id,
                span_id,
                observed_time_unix_nano,
                event_name,
            }
        },
    )
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (bytes(0..17), bytes(0..9), bytes(0..9), text());
    let numbers = (any::<u32>(), any::<i32>(), any::<u64>(), any::<u64>(), any::<[u32; 3]>());
    let lists = (attributes(), vec(event(), 0..2), vec(link(), 0..2));
    let status = of((text(), any::<i32>()).prop_map(|(message, code)| Status { message, code }));
    (ids, text(), numbers, lists, status).prop_map(|(ids, name, numbers, (attributes, events, links), status)| {
        let (trace_id, span_id, parent_span_id, trace_state) = ids;
        let (flags, kind, start_time_unix_nano, end_time_unix_nano, dropped) = numbers;
        let [dropped_attributes_count, dropped_events_count, dropped_links_count] = dropped;
        Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id,
            flags,
            name,
            kind,
            start_time_unix_nano,
            end_time_unix_nano,
            attributes,
            dropped_attributes_count,
            events,
            dropped_events_count,
            links,
            dropped_links_count,
            status,
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (bytes(0..17), bytes(0..9), text(), attributes(), any::<[u32; 2]>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, [dropped_attributes_count, flags])| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

pub(crate) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope_metrics = (of(scope()), vec(metric(), 0..4), text());
    let scope_metrics =
        scope_metrics.prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resource_metrics = (of(resource()), vec(scope_metrics, 0..2), text());
    let resource_metrics = resource_metrics.prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics {
        resource,
        scope_metrics,
        schema_url,
    });
    vec(resource_metrics, 0..2).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

fn metric() -> impl Strategy<Value = Metric> {
    (text(), text(), text(), of(data()), attributes()).prop_map(|(name, description, unit, data, metadata)| Metric {
        name,
        description,
        unit,
        data,
        metadata,
    })
}

fn data() -> impl Strategy<Value = metric::Data> {
    prop_oneof![
        vec(number(), 0..3).prop_map(|data_points| metric::Data::Gauge(Gauge { data_points })),
        (vec(number(), 0..3), any::<i32>(), any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }
        ),
        (vec(histogram(), 0..3), any::<i32>()).prop_map(|(data_points, aggregation_temporality)| {
            metric::Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (vec(exponential(), 0..3), any::<i32>()).prop_map(|(data_points, aggregation_temporality)| {
            metric::Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }),
        vec(summary(), 0..3).prop_map(|data_points| metric::Data::Summary(Summary { data_points })),
    ]
}

fn number() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        double().prop_map(number_data_point::Value::Double),
        any::<i64>().prop_map(number_data_point::Value::Int),
    ];
    (attributes(), any::<[u64; 2]>(), of(value), vec(exemplar(), 0..2), any::<u32>()).prop_map(
        |(attributes, [start_time_unix_nano, time_unix_nano], value, exemplars, flags)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            value,
            exemplars,
            flags,
        },
    )
}

fn histogram() -> impl Strategy<Value = HistogramDataPoint> {
    let about = (attributes(), any::<[u64; 3]>(), vec(exemplar(), 0..2), any::<u32>());
    let of_values = (of(double()), of(double()), of(double()), vec(any::<u64>(), 0..4), vec(double(), 0..3));
    (about, of_values).prop_map(|((attributes, wholes, exemplars, flags), of_values)| {
        let [start_time_unix_nano, time_unix_nano, count] = wholes;
        let (sum, min, max, bucket_counts, explicit_bounds) = of_values;
        HistogramDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            bucket_counts,
            explicit_bounds,
            exemplars,
            flags,
            min,
            max,
        }
    })
}

fn exponential() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        of((any::<i32>(), vec(any::<u64>(), 0..4))
            .prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
    };
    let about = (attributes(), any::<[u64; 4]>(), vec(exemplar(), 0..2), any::<u32>(), any::<i32>());
    let of_values = (of(double()), of(double()), of(double()), double(), buckets(), buckets());
    (about, of_values).prop_map(|((attributes, wholes, exemplars, flags, scale), of_values)| {
        let [start_time_unix_nano, time_unix_nano, count, zero_count] = wholes;
        let (sum, min, max, zero_threshold, positive, negative) = of_values;
        ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            scale,
            zero_count,
            positive,
            negative,
            flags,
            exemplars,
            min,
            max,
            zero_threshold,
        }
    })
}

fn summary() -> impl Strategy<Value = SummaryDataPoint> {
    let at = (double(), double()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), any::<[u64; 3]>(), double(), vec(at, 0..3), any::<u32>()).prop_map(
        |(attributes, [start_time_unix_nano, time_unix_nano, count], sum, quantile_values, flags)| SummaryDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            quantile_values,
            flags,
        },
    )
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let value = prop_oneof![double().prop_map(exemplar::Value::Double), any::<i64>().prop_map(exemplar::Value::Int)];
    (attributes(), any::<u64>(), of(value), bytes(0..9), bytes(0..17)).prop_map(
        |(filtered_attributes, time_unix_nano, value, span_id, trace_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            value,
            span_id,
            trace_id,
        },
    )
}
