//! `links`: other traces that a span belongs with.

use super::ids::{self, SpanId, TraceId};
use super::json::JsonWriter;
use super::value;
use crate::model::otlp::{Link, Span};
use crate::translate::Compat;

/// Trace and span that a link names; nothing where they are no ids.
fn target(link: &Link, compat: Compat) -> Option<(TraceId, SpanId)> {
    let trace = ids::trace_id(&link.trace_id, compat)?;
    let span = ids::span_id(&link.span_id, compat)?;
    Some((trace, span))
}

pub(super) fn write(json: &mut JsonWriter, span: &Span, compat: Compat) {
    json.array_unless_empty("links", |json| {
        for link in &span.links {
            let Some((trace, id)) = target(link, compat) else { continue };
            json.open('{');
            json.text_field("trace_id", &ids::trace_id_text(&trace));
            json.text_field("id", &if id == SpanId::default() { String::new() } else { ids::hex(&id) });
            json.object_unless_empty("attributes", |json| value::write_members(json, &link.attributes));
            json.close('}');
        }
    });
}

/// Links that name no trace, as the span has them: X-Ray would refuse the document for them.
pub(super) fn write_invalid(json: &mut JsonWriter, span: &Span) {
    json.array_unless_empty("links", |json| {
        for link in span.links.iter().filter(|link| target(link, Compat::Corrected).is_none()) {
            json.open('{');
            json.text_field("trace_id", &ids::hex(&link.trace_id));
            json.text_field("span_id", &ids::hex(&link.span_id));
            json.object_unless_empty("attributes", |json| value::write_members(json, &link.attributes));
            json.close('}');
        }
    });
}
