//! The metadata namespace `otel`: the parts of a span that X-Ray has no field for.

use super::cause::CauseOutcome;
use super::{ids, limits, links, value};
use crate::model::escaped_json::{EscapedJson, JsonWriter, MAX_TEXT_BYTES};
use crate::model::otlp::borrowed::{Event, Span, attributes, text};
use crate::model::otlp::{InstrumentationScope, SpanKind};

/// Returns the member `scope`, which all spans of the scope share. It is empty if the scope has no content.
pub(super) fn scope(scope: Option<&InstrumentationScope>) -> EscapedJson {
    let Some(scope) = scope else { return EscapedJson::default() };
    let mut json = JsonWriter::with_limit(limits::BLOCK_BYTES);
    json.object_field_unless_empty("scope", |json| {
        json.text_field_unless_empty("name", &text(&scope.name));
        json.text_field_unless_empty("version", &text(&scope.version));
        json.object_field_unless_empty("attributes", |json| value::write_members(json, &attributes(&scope.attributes)));
    });
    json.into_escaped()
}

/// The content of the namespace.
pub(super) struct Extras<'e, 'a> {
    pub(super) span: &'a Span<'a>,
    /// Name of the document. The span name is written if it is different.
    pub(super) name: &'e str,
    /// See [`scope`].
    pub(super) scope: &'e EscapedJson,
    pub(super) cause: &'e CauseOutcome<'a>,
    /// End time of the span, if the document has another one.
    pub(super) original_end: Option<f64>,
}

impl Extras<'_, '_> {
    pub(super) fn write(&self, json: &mut JsonWriter) {
        let span = self.span;
        let name = text(span.name);
        if name != self.name {
            json.text_field_unless_empty("name", &name);
        }
        // A document cannot represent these two kinds: they look like a client and a server.
        match value::kind(span) {
            SpanKind::Producer => json.text_field("kind", "PRODUCER"),
            SpanKind::Consumer => json.text_field("kind", "CONSUMER"),
            _ => {}
        }
        json.raw_escaped(self.scope);
        if let Some(status) = span.status.as_ref().filter(|_| !self.cause.has_status_message) {
            json.text_field_unless_empty("status_message", &text(status.message));
        }
        json.text_field_unless_empty("trace_state", &text(span.trace_state));
        if let Some(end) = self.original_end {
            json.float_field("end_time", end);
        }
        self.write_events(json);
        self.write_invalid_links(json);
        for (field, count) in [
            ("dropped_attributes_count", span.dropped_attributes_count),
            ("dropped_events_count", span.dropped_events_count),
            ("dropped_links_count", span.dropped_links_count),
        ] {
            if count > 0 {
                json.int_field(field, i64::from(count));
            }
        }
    }

    /// Writes the events that `cause` does not contain.
    fn write_events(&self, json: &mut JsonWriter) {
        json.array_field_unless_empty("events", |json| {
            let events = self.span.events.iter().enumerate();
            let remaining = events.filter(|(position, _)| self.cause.events.binary_search(position).is_err());
            json.each(remaining, |json, (_, event)| write_event(json, event));
        });
    }

    /// Writes the links with invalid ids: in the field `links`, X-Ray would reject the document for them.
    fn write_invalid_links(&self, json: &mut JsonWriter) {
        json.array_field_unless_empty("links", |json| {
            json.each(links::invalid(self.span), |json, link| {
                json.object(|json| {
                    json.text_field("trace_id", &ids::hex(first(link.trace_id)));
                    json.text_field("span_id", &ids::hex(first(link.span_id)));
                    json.object_field_unless_empty("attributes", |json| value::write_members(json, &link.attributes));
                });
            });
        });
    }
}

/// Returns the part of an id of any length that a document can contain.
fn first(id: &[u8]) -> &[u8] {
    id.get(..MAX_TEXT_BYTES).unwrap_or(id)
}

fn write_event(json: &mut JsonWriter, event: &Event<'_>) {
    json.object(|json| {
        json.text_field("name", &text(event.name));
        json.float_field("time", ids::seconds(event.time_unix_nano));
        json.object_field_unless_empty("attributes", |json| value::write_members(json, &event.attributes));
    });
}
