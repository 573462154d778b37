//! trace/v1 and collector/trace/v1.

use serde::de::MapAccess;

use super::read::{FieldValue, FromJson};
use crate::model::otlp::{Event, ExportTraceServiceRequest, Link, ResourceSpans, ScopeSpans, Span, Status};

const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

impl FromJson for ExportTraceServiceRequest {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "resourceSpans" | "resource_spans" => value.messages(&mut self.resource_spans),
            "scopeSpans" | "scope_spans" | "instrumentationLibrarySpans" | "instrumentation_library_spans" => {
                value.of_level("resourceSpans[]")
            }
            "spans" => value.of_level("resourceSpans[].scopeSpans[]"),
            "resourceMetrics" | "resource_metrics" => value.of_signal("metrics"),
            "resourceLogs" | "resource_logs" => value.of_signal("logs"),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ResourceSpans {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "resource" => value.message(&mut self.resource),
            "scopeSpans" | "scope_spans" => value.new_messages(&mut self.scope_spans),
            "instrumentationLibrarySpans" | "instrumentation_library_spans" => {
                value.old_messages(&mut self.scope_spans)
            }
            "spans" => value.of_level("scopeSpans[]"),
            "schemaUrl" | "schema_url" => value.text(&mut self.schema_url),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ScopeSpans {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "scope" | "instrumentationLibrary" | "instrumentation_library" => value.message(&mut self.scope),
            "spans" => value.messages(&mut self.spans),
            "schemaUrl" | "schema_url" => value.text(&mut self.schema_url),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Span {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "traceId" | "trace_id" => value.id(&mut self.trace_id),
            "spanId" | "span_id" => value.id(&mut self.span_id),
            "traceState" | "trace_state" => value.text(&mut self.trace_state),
            "parentSpanId" | "parent_span_id" => value.id(&mut self.parent_span_id),
            "flags" => value.integer(&mut self.flags),
            "name" => value.text(&mut self.name),
            "kind" => value.choice(KINDS, &mut self.kind),
            "startTimeUnixNano" | "start_time_unix_nano" => value.integer(&mut self.start_time_unix_nano),
            "endTimeUnixNano" | "end_time_unix_nano" => value.integer(&mut self.end_time_unix_nano),
            "attributes" => value.messages(&mut self.attributes),
            "droppedAttributesCount" | "dropped_attributes_count" => value.integer(&mut self.dropped_attributes_count),
            "events" => value.messages(&mut self.events),
            "droppedEventsCount" | "dropped_events_count" => value.integer(&mut self.dropped_events_count),
            "links" => value.messages(&mut self.links),
            "droppedLinksCount" | "dropped_links_count" => value.integer(&mut self.dropped_links_count),
            "status" => value.message(&mut self.status),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Event {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "timeUnixNano" | "time_unix_nano" => value.integer(&mut self.time_unix_nano),
            "name" => value.text(&mut self.name),
            "attributes" => value.messages(&mut self.attributes),
            "droppedAttributesCount" | "dropped_attributes_count" => value.integer(&mut self.dropped_attributes_count),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Link {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "traceId" | "trace_id" => value.id(&mut self.trace_id),
            "spanId" | "span_id" => value.id(&mut self.span_id),
            "traceState" | "trace_state" => value.text(&mut self.trace_state),
            "attributes" => value.messages(&mut self.attributes),
            "droppedAttributesCount" | "dropped_attributes_count" => value.integer(&mut self.dropped_attributes_count),
            "flags" => value.integer(&mut self.flags),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Status {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "message" => value.text(&mut self.message),
            "code" => value.choice(STATUS_CODES, &mut self.code),
            _ => value.ignored(),
        }
    }
}
