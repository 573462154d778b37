//! Encodes OTLP messages as JSON according to the specification: with fields that have their default value, 64-bit integers as
//! strings, and ids in hexadecimal.

use base64::Engine as _;
use serde_json::{Value as Json, json};
use sidecarless::model::otlp::any_value::Value;
use sidecarless::model::otlp::{
    AnyValue, Buckets, Event, Exemplar, ExponentialHistogramDataPoint, ExportLogsServiceRequest,
    ExportMetricsServiceRequest, ExportTraceServiceRequest, HistogramDataPoint, InstrumentationScope, KeyValue, Link,
    LogRecord, Metric, NumberDataPoint, Resource, Span, Status, SummaryDataPoint, exemplar, metric, number_data_point,
    text,
};

pub(crate) fn traces(request: &ExportTraceServiceRequest) -> String {
    let resources = request.resource_spans.iter().map(|resource| {
        let scopes = resource.scope_spans.iter().map(|scope| {
            json!({
                "scope": scope.scope.as_ref().map(instrumentation_scope),
                "spans": list(&scope.spans, span),
                "schemaUrl": text(&scope.schema_url),
            })
        });
        json!({
            "resource": resource.resource.as_ref().map(self::resource),
            "scopeSpans": Json::from_iter(scopes),
            "schemaUrl": text(&resource.schema_url),
        })
    });
    json!({ "resourceSpans": Json::from_iter(resources) }).to_string()
}

pub(crate) fn metrics(request: &ExportMetricsServiceRequest) -> String {
    let resources = request.resource_metrics.iter().map(|resource| {
        let scopes = resource.scope_metrics.iter().map(|scope| {
            json!({
                "scope": scope.scope.as_ref().map(instrumentation_scope),
                "metrics": list(&scope.metrics, self::metric),
                "schemaUrl": text(&scope.schema_url),
            })
        });
        json!({
            "resource": resource.resource.as_ref().map(self::resource),
            "scopeMetrics": Json::from_iter(scopes),
            "schemaUrl": text(&resource.schema_url),
        })
    });
    json!({ "resourceMetrics": Json::from_iter(resources) }).to_string()
}

pub(crate) fn logs(request: &ExportLogsServiceRequest) -> String {
    let resources = request.resource_logs.iter().map(|resource| {
        let scopes = resource.scope_logs.iter().map(|scope| {
            json!({
                "scope": scope.scope.as_ref().map(instrumentation_scope),
                "logRecords": list(&scope.log_records, log_record),
                "schemaUrl": text(&scope.schema_url),
            })
        });
        json!({
            "resource": resource.resource.as_ref().map(self::resource),
            "scopeLogs": Json::from_iter(scopes),
            "schemaUrl": text(&resource.schema_url),
        })
    });
    json!({ "resourceLogs": Json::from_iter(resources) }).to_string()
}

fn list<T>(items: &[T], print: impl Fn(&T) -> Json) -> Json {
    items.iter().map(print).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn double(value: f64) -> Json {
    match value {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

fn any(value: &AnyValue) -> Json {
    match &value.value {
        None => json!({}),
        Some(Value::String(value)) => json!({ "stringValue": text(value) }),
        Some(Value::Bool(value)) => json!({ "boolValue": value }),
        Some(Value::Int(value)) => json!({ "intValue": value.to_string() }),
        Some(Value::Double(value)) => json!({ "doubleValue": double(*value) }),
        Some(Value::Array(array)) => json!({ "arrayValue": { "values": list(&array.values, any) } }),
        Some(Value::KvList(pairs)) => json!({ "kvlistValue": { "values": list(&pairs.values, key_value) } }),
        Some(Value::Bytes(value)) => {
            json!({ "bytesValue": base64::engine::general_purpose::STANDARD.encode(value) })
        }
    }
}

fn key_value(pair: &KeyValue) -> Json {
    json!({ "key": text(&pair.key), "value": pair.value.as_ref().map(any) })
}

fn resource(resource: &Resource) -> Json {
    json!({
        "attributes": list(&resource.attributes, key_value),
        "droppedAttributesCount": resource.dropped_attributes_count,
    })
}

fn instrumentation_scope(scope: &InstrumentationScope) -> Json {
    json!({
        "name": text(&scope.name),
        "version": text(&scope.version),
        "attributes": list(&scope.attributes, key_value),
        "droppedAttributesCount": scope.dropped_attributes_count,
    })
}

fn span(span: &Span) -> Json {
    json!({
        "traceId": hex(&span.trace_id),
        "spanId": hex(&span.span_id),
        "traceState": text(&span.trace_state),
        "parentSpanId": hex(&span.parent_span_id),
        "flags": span.flags,
        "name": text(&span.name),
        "kind": span.kind,
        "startTimeUnixNano": span.start_time_unix_nano.to_string(),
        "endTimeUnixNano": span.end_time_unix_nano.to_string(),
        "attributes": list(&span.attributes, key_value),
        "droppedAttributesCount": span.dropped_attributes_count,
        "events": list(&span.events, event),
        "droppedEventsCount": span.dropped_events_count,
        "links": list(&span.links, link),
        "droppedLinksCount": span.dropped_links_count,
        "status": span.status.as_ref().map(status),
    })
}

fn log_record(record: &LogRecord) -> Json {
    json!({
        "timeUnixNano": record.time_unix_nano.to_string(),
        "observedTimeUnixNano": record.observed_time_unix_nano.to_string(),
        "severityNumber": record.severity_number,
        "severityText": text(&record.severity_text),
        "body": record.body.as_ref().map(any),
        "attributes": list(&record.attributes, key_value),
        "droppedAttributesCount": record.dropped_attributes_count,
        "flags": record.flags,
        "traceId": hex(&record.trace_id),
        "spanId": hex(&record.span_id),
        "eventName": text(&record.event_name),
    })
}

fn event(event: &Event) -> Json {
    json!({
        "timeUnixNano": event.time_unix_nano.to_string(),
        "name": text(&event.name),
        "attributes": list(&event.attributes, key_value),
        "droppedAttributesCount": event.dropped_attributes_count,
    })
}

fn link(link: &Link) -> Json {
    json!({
        "traceId": hex(&link.trace_id),
        "spanId": hex(&link.span_id),
        "traceState": text(&link.trace_state),
        "attributes": list(&link.attributes, key_value),
        "droppedAttributesCount": link.dropped_attributes_count,
        "flags": link.flags,
    })
}

fn status(status: &Status) -> Json {
    json!({ "message": text(&status.message), "code": status.code })
}

fn metric(metric: &Metric) -> Json {
    let mut json = json!({
        "name": text(&metric.name),
        "description": text(&metric.description),
        "unit": text(&metric.unit),
        "metadata": list(&metric.metadata, key_value),
    });
    match &metric.data {
        None => {}
        Some(metric::Data::Gauge(gauge)) => json["gauge"] = json!({ "dataPoints": list(&gauge.data_points, number) }),
        Some(metric::Data::Sum(sum)) => {
            json["sum"] = json!({
                "dataPoints": list(&sum.data_points, number),
                "aggregationTemporality": sum.aggregation_temporality,
                "isMonotonic": sum.is_monotonic,
            });
        }
        Some(metric::Data::Histogram(histogram)) => {
            json["histogram"] = json!({
                "dataPoints": list(&histogram.data_points, histogram_point),
                "aggregationTemporality": histogram.aggregation_temporality,
            });
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            json["exponentialHistogram"] = json!({
                "dataPoints": list(&histogram.data_points, exponential_point),
                "aggregationTemporality": histogram.aggregation_temporality,
            });
        }
        Some(metric::Data::Summary(summary)) => {
            json["summary"] = json!({ "dataPoints": list(&summary.data_points, summary_point) });
        }
    }
    json
}

fn number(point: &NumberDataPoint) -> Json {
    let mut json = json!({
        "attributes": list(&point.attributes, key_value),
        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
        "timeUnixNano": point.time_unix_nano.to_string(),
        "exemplars": list(&point.exemplars, exemplar),
        "flags": point.flags,
    });
    match point.value {
        None => {}
        Some(number_data_point::Value::Double(value)) => json["asDouble"] = double(value),
        Some(number_data_point::Value::Int(value)) => json["asInt"] = json!(value.to_string()),
    }
    json
}

fn histogram_point(point: &HistogramDataPoint) -> Json {
    json!({
        "attributes": list(&point.attributes, key_value),
        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
        "timeUnixNano": point.time_unix_nano.to_string(),
        "count": point.count.to_string(),
        "sum": point.sum.map(double),
        "bucketCounts": list(&point.bucket_counts, |count| json!(count.to_string())),
        "explicitBounds": list(&point.explicit_bounds, |bound| double(*bound)),
        "exemplars": list(&point.exemplars, exemplar),
        "flags": point.flags,
        "min": point.min.map(double),
        "max": point.max.map(double),
    })
}

fn exponential_point(point: &ExponentialHistogramDataPoint) -> Json {
    json!({
        "attributes": list(&point.attributes, key_value),
        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
        "timeUnixNano": point.time_unix_nano.to_string(),
        "count": point.count.to_string(),
        "sum": point.sum.map(double),
        "scale": point.scale,
        "zeroCount": point.zero_count.to_string(),
        "positive": point.positive.as_ref().map(buckets),
        "negative": point.negative.as_ref().map(buckets),
        "flags": point.flags,
        "exemplars": list(&point.exemplars, exemplar),
        "min": point.min.map(double),
        "max": point.max.map(double),
        "zeroThreshold": double(point.zero_threshold),
    })
}

fn buckets(buckets: &Buckets) -> Json {
    json!({
        "offset": buckets.offset,
        "bucketCounts": list(&buckets.bucket_counts, |count| json!(count.to_string())),
    })
}

fn summary_point(point: &SummaryDataPoint) -> Json {
    json!({
        "attributes": list(&point.attributes, key_value),
        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
        "timeUnixNano": point.time_unix_nano.to_string(),
        "count": point.count.to_string(),
        "sum": double(point.sum),
        "quantileValues": list(&point.quantile_values, |at| {
            json!({ "quantile": double(at.quantile), "value": double(at.value) })
        }),
        "flags": point.flags,
    })
}

fn exemplar(exemplar: &Exemplar) -> Json {
    let mut json = json!({
        "filteredAttributes": list(&exemplar.filtered_attributes, key_value),
        "timeUnixNano": exemplar.time_unix_nano.to_string(),
        "spanId": hex(&exemplar.span_id),
        "traceId": hex(&exemplar.trace_id),
    });
    match exemplar.value {
        None => {}
        Some(exemplar::Value::Double(value)) => json["asDouble"] = double(value),
        Some(exemplar::Value::Int(value)) => json["asInt"] = json!(value.to_string()),
    }
    json
}
