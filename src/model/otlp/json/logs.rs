//! logs/v1 and collector/logs/v1.

use serde::de::MapAccess;

use super::read::{FieldValue, FromJson};
use crate::model::otlp::{ExportLogsServiceRequest, LogRecord, ResourceLogs, ScopeLogs};

const SEVERITIES: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

impl FromJson for ExportLogsServiceRequest {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "resourceLogs" | "resource_logs" => value.messages(&mut self.resource_logs),
            "scopeLogs" | "scope_logs" | "instrumentationLibraryLogs" | "instrumentation_library_logs" => {
                value.of_level("resourceLogs[]")
            }
            "logRecords" | "log_records" | "logs" => value.of_level("resourceLogs[].scopeLogs[]"),
            "resourceSpans" | "resource_spans" => value.of_signal("traces"),
            "resourceMetrics" | "resource_metrics" => value.of_signal("metrics"),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ResourceLogs {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "resource" => value.message(&mut self.resource),
            "scopeLogs" | "scope_logs" => value.new_messages(&mut self.scope_logs),
            "instrumentationLibraryLogs" | "instrumentation_library_logs" => value.old_messages(&mut self.scope_logs),
            "logRecords" | "log_records" | "logs" => value.of_level("scopeLogs[]"),
            "schemaUrl" | "schema_url" => value.text(&mut self.schema_url),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ScopeLogs {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "scope" | "instrumentationLibrary" | "instrumentation_library" => value.message(&mut self.scope),
            "logRecords" | "log_records" => value.new_messages(&mut self.log_records),
            "logs" => value.old_messages(&mut self.log_records),
            "schemaUrl" | "schema_url" => value.text(&mut self.schema_url),
            _ => value.ignored(),
        }
    }
}

impl FromJson for LogRecord {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "timeUnixNano" | "time_unix_nano" => value.integer(&mut self.time_unix_nano),
            "observedTimeUnixNano" | "observed_time_unix_nano" => value.integer(&mut self.observed_time_unix_nano),
            "severityNumber" | "severity_number" => value.choice(SEVERITIES, &mut self.severity_number),
            "severityText" | "severity_text" => value.text(&mut self.severity_text),
            "body" => value.message(&mut self.body),
            "attributes" => value.messages(&mut self.attributes),
            "droppedAttributesCount" | "dropped_attributes_count" => value.integer(&mut self.dropped_attributes_count),
            "flags" => value.integer(&mut self.flags),
            "traceId" | "trace_id" => value.id(&mut self.trace_id),
            "spanId" | "span_id" => value.id(&mut self.span_id),
            "eventName" | "event_name" | "name" => value.text(&mut self.event_name),
            _ => value.ignored(),
        }
    }
}
