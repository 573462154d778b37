//! metrics/v1 and collector/metrics/v1.

use serde::de::MapAccess;

use super::read::{FieldValue, FromJson};
use crate::model::otlp::metric::Data;
use crate::model::otlp::{
    Buckets, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, ValueAtQuantile, exemplar, number_data_point,
};

const TEMPORALITIES: &[&str] =
    &["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"];

impl FromJson for ExportMetricsServiceRequest {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "resourceMetrics" | "resource_metrics" => value.messages(&mut self.resource_metrics),
            "scopeMetrics" | "scope_metrics" | "instrumentationLibraryMetrics" | "instrumentation_library_metrics" => {
                value.of_level("resourceMetrics[]")
            }
            "metrics" => value.of_level("resourceMetrics[].scopeMetrics[]"),
            "resourceSpans" | "resource_spans" => value.of_signal("traces"),
            "resourceLogs" | "resource_logs" => value.of_signal("logs"),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ResourceMetrics {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "resource" => value.message(&mut self.resource),
            "scopeMetrics" | "scope_metrics" => value.new_messages(&mut self.scope_metrics),
            "instrumentationLibraryMetrics" | "instrumentation_library_metrics" => {
                value.old_messages(&mut self.scope_metrics)
            }
            "metrics" => value.of_level("scopeMetrics[]"),
            "schemaUrl" | "schema_url" => value.text(&mut self.schema_url),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ScopeMetrics {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "scope" | "instrumentationLibrary" | "instrumentation_library" => value.message(&mut self.scope),
            "metrics" => value.messages(&mut self.metrics),
            "schemaUrl" | "schema_url" => value.text(&mut self.schema_url),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Metric {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        let data = &mut self.data;
        match name {
            "name" => value.text(&mut self.name),
            "description" => value.text(&mut self.description),
            "unit" => value.text(&mut self.unit),
            "gauge" | "intGauge" | "int_gauge" | "doubleGauge" | "double_gauge" => {
                value.message_with(|gauge| *data = Some(Data::Gauge(gauge)))
            }
            "sum" | "intSum" | "int_sum" | "doubleSum" | "double_sum" => {
                value.message_with(|sum| *data = Some(Data::Sum(sum)))
            }
            "histogram" | "intHistogram" | "int_histogram" | "doubleHistogram" | "double_histogram" => {
                value.message_with(|histogram| *data = Some(Data::Histogram(histogram)))
            }
            "exponentialHistogram" | "exponential_histogram" => {
                value.message_with(|histogram| *data = Some(Data::ExponentialHistogram(histogram)))
            }
            "summary" | "doubleSummary" | "double_summary" => {
                value.message_with(|summary| *data = Some(Data::Summary(summary)))
            }
            "metadata" => value.messages(&mut self.metadata),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Gauge {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "dataPoints" | "data_points" => value.messages(&mut self.data_points),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Sum {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "dataPoints" | "data_points" => value.messages(&mut self.data_points),
            "aggregationTemporality" | "aggregation_temporality" => {
                value.choice(TEMPORALITIES, &mut self.aggregation_temporality)
            }
            "isMonotonic" | "is_monotonic" => value.boolean_with(|flag| self.is_monotonic = flag),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Histogram {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "dataPoints" | "data_points" => value.messages(&mut self.data_points),
            "aggregationTemporality" | "aggregation_temporality" => {
                value.choice(TEMPORALITIES, &mut self.aggregation_temporality)
            }
            _ => value.ignored(),
        }
    }
}

impl FromJson for ExponentialHistogram {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "dataPoints" | "data_points" => value.messages(&mut self.data_points),
            "aggregationTemporality" | "aggregation_temporality" => {
                value.choice(TEMPORALITIES, &mut self.aggregation_temporality)
            }
            _ => value.ignored(),
        }
    }
}

impl FromJson for Summary {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "dataPoints" | "data_points" => value.messages(&mut self.data_points),
            _ => value.ignored(),
        }
    }
}

impl FromJson for NumberDataPoint {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        use number_data_point::Value;
        let target = &mut self.value;
        match name {
            "attributes" => value.messages(&mut self.attributes),
            "labels" => value.labels(&mut self.attributes),
            "startTimeUnixNano" | "start_time_unix_nano" => value.integer(&mut self.start_time_unix_nano),
            "timeUnixNano" | "time_unix_nano" => value.integer(&mut self.time_unix_nano),
            "asDouble" | "as_double" => value.double_with(|double| *target = Some(Value::Double(double))),
            "asInt" | "as_int" => value.integer_with(|whole| *target = Some(Value::Int(whole))),
            "value" => value.number_with(|number| *target = Some(number)),
            "exemplars" => value.messages(&mut self.exemplars),
            "flags" => value.integer(&mut self.flags),
            _ => value.ignored(),
        }
    }
}

impl FromJson for HistogramDataPoint {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "attributes" => value.messages(&mut self.attributes),
            "labels" => value.labels(&mut self.attributes),
            "startTimeUnixNano" | "start_time_unix_nano" => value.integer(&mut self.start_time_unix_nano),
            "timeUnixNano" | "time_unix_nano" => value.integer(&mut self.time_unix_nano),
            "count" => value.integer(&mut self.count),
            "sum" => value.double_with(|sum| self.sum = Some(sum)),
            "bucketCounts" | "bucket_counts" => value.integers(&mut self.bucket_counts),
            "explicitBounds" | "explicit_bounds" => value.doubles(&mut self.explicit_bounds),
            "exemplars" => value.messages(&mut self.exemplars),
            "flags" => value.integer(&mut self.flags),
            "min" => value.double_with(|min| self.min = Some(min)),
            "max" => value.double_with(|max| self.max = Some(max)),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ExponentialHistogramDataPoint {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "attributes" => value.messages(&mut self.attributes),
            "startTimeUnixNano" | "start_time_unix_nano" => value.integer(&mut self.start_time_unix_nano),
            "timeUnixNano" | "time_unix_nano" => value.integer(&mut self.time_unix_nano),
            "count" => value.integer(&mut self.count),
            "sum" => value.double_with(|sum| self.sum = Some(sum)),
            "scale" => value.integer(&mut self.scale),
            "zeroCount" | "zero_count" => value.integer(&mut self.zero_count),
            "positive" => value.message(&mut self.positive),
            "negative" => value.message(&mut self.negative),
            "flags" => value.integer(&mut self.flags),
            "exemplars" => value.messages(&mut self.exemplars),
            "min" => value.double_with(|min| self.min = Some(min)),
            "max" => value.double_with(|max| self.max = Some(max)),
            "zeroThreshold" | "zero_threshold" => value.double(&mut self.zero_threshold),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Buckets {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "offset" => value.integer(&mut self.offset),
            "bucketCounts" | "bucket_counts" => value.integers(&mut self.bucket_counts),
            _ => value.ignored(),
        }
    }
}

impl FromJson for SummaryDataPoint {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "attributes" => value.messages(&mut self.attributes),
            "labels" => value.labels(&mut self.attributes),
            "startTimeUnixNano" | "start_time_unix_nano" => value.integer(&mut self.start_time_unix_nano),
            "timeUnixNano" | "time_unix_nano" => value.integer(&mut self.time_unix_nano),
            "count" => value.integer(&mut self.count),
            "sum" => value.double(&mut self.sum),
            "quantileValues" | "quantile_values" => value.messages(&mut self.quantile_values),
            "flags" => value.integer(&mut self.flags),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ValueAtQuantile {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "quantile" => value.double(&mut self.quantile),
            "value" => value.double(&mut self.value),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Exemplar {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        use exemplar::Value;
        let target = &mut self.value;
        match name {
            "filteredAttributes" | "filtered_attributes" => value.messages(&mut self.filtered_attributes),
            "timeUnixNano" | "time_unix_nano" => value.integer(&mut self.time_unix_nano),
            "asDouble" | "as_double" => value.double_with(|double| *target = Some(Value::Double(double))),
            "asInt" | "as_int" => value.integer_with(|whole| *target = Some(Value::Int(whole))),
            "spanId" | "span_id" => value.id(&mut self.span_id),
            "traceId" | "trace_id" => value.id(&mut self.trace_id),
            _ => value.ignored(),
        }
    }
}
