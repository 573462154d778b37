//! What the collector leaves out: a metadata namespace `otel` with the parts of a span that X-Ray has no field for.

use super::cause::CauseOutcome;
use super::ids;
use super::json::JsonWriter;
use super::{links, value};
use crate::model::otlp::{Event, InstrumentationScope, Span, SpanKind, text};

/// The scope as JSON, once for all its spans; nothing for one that says nothing.
pub(super) fn scope(scope: Option<&InstrumentationScope>) -> String {
    let Some(scope) = scope else { return String::new() };
    let mut json = JsonWriter::default();
    json.object_unless_empty("scope", |json| {
        json.text_field_unless_empty("name", &text(&scope.name));
        json.text_field_unless_empty("version", &text(&scope.version));
        json.object_unless_empty("attributes", |json| value::write_members(json, &scope.attributes));
    });
    json.into_escaped()
}

/// Writes the members of the namespace.
pub(super) struct Extras<'e> {
    pub(super) span: &'e Span,
    /// The name of the document: the span's own is written where it is another.
    pub(super) name: &'e str,
    /// See [`scope`].
    pub(super) scope: &'e str,
    pub(super) cause: &'e CauseOutcome,
    /// The end that the span states, where the document has another.
    pub(super) original_end: Option<f64>,
}

impl Extras<'_> {
    pub(super) fn write(&self, json: &mut JsonWriter) {
        let span = self.span;
        let name = text(&span.name);
        if name != self.name {
            json.text_field_unless_empty("name", &name);
        }
        // A document shows servers, clients and what is neither; it makes these two look like them.
        match value::kind(span) {
            SpanKind::Producer => json.text_field("kind", "PRODUCER"),
            SpanKind::Consumer => json.text_field("kind", "CONSUMER"),
            _ => {}
        }
        json.raw_escaped(self.scope);
        if let Some(status) = span.status.as_ref().filter(|_| !self.cause.status_message) {
            json.text_field_unless_empty("status_message", &text(&status.message));
        }
        json.text_field_unless_empty("trace_state", &text(&span.trace_state));
        if let Some(end) = self.original_end {
            json.key("end_time");
            json.float(end);
        }
        self.write_events(json);
        links::write_invalid(json, span);
        for (key, count) in [
            ("dropped_attributes_count", span.dropped_attributes_count),
            ("dropped_events_count", span.dropped_events_count),
            ("dropped_links_count", span.dropped_links_count),
        ] {
            if count > 0 {
                json.key(key);
                json.int(i64::from(count));
            }
        }
    }

    fn write_events(&self, json: &mut JsonWriter) {
        json.array_unless_empty("events", |json| {
            for (at, event) in self.span.events.iter().enumerate() {
                if self.cause.events.binary_search(&at).is_err() {
                    write_event(json, event);
                }
            }
        });
    }
}

fn write_event(json: &mut JsonWriter, event: &Event) {
    json.open('{');
    json.text_field("name", &text(&event.name));
    json.key("time");
    json.float(ids::seconds(event.time_unix_nano));
    json.object_unless_empty("attributes", |json| value::write_members(json, &event.attributes));
    json.close('}');
}
