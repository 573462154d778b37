//! Links of a span to spans of other traces.

use super::ids::{self, SpanId, TraceId};
use super::{limits, value};
use crate::model::escaped_json::JsonWriter;
use crate::model::otlp::borrowed::{KeyValue, Link, Span};
use crate::translate::Compat;

/// An entry of `links`.
pub(super) struct SpanLink<'a> {
    trace: TraceId,
    /// Written as an empty string if it is all zero.
    id: SpanId,
    attributes: &'a [KeyValue<'a>],
}

impl SpanLink<'_> {
    pub(super) fn write(&self, json: &mut JsonWriter) {
        json.object(|json| {
            json.text_field("trace_id", &ids::trace_id_text(&self.trace));
            let id = (self.id != SpanId::default()).then(|| ids::span_id_text(&self.id));
            json.text_field("id", id.as_deref().unwrap_or_default());
            json.object_field_unless_empty("attributes", |json| value::write_members(json, self.attributes));
        });
    }
}

/// Returns the links that X-Ray accepts.
pub(super) fn valid<'a>(span: &'a Span<'a>, compat: Compat) -> Vec<SpanLink<'a>> {
    span.links.iter().take(limits::LINKS).filter_map(|link| read(link, compat)).collect()
}

/// Returns the links whose ids are not valid.
pub(super) fn invalid<'a>(span: &'a Span<'a>) -> impl Iterator<Item = &'a Link<'a>> {
    span.links.iter().filter(|link| read(link, Compat::Corrected).is_none())
}

fn read<'a>(link: &'a Link<'a>, compat: Compat) -> Option<SpanLink<'a>> {
    let trace = ids::trace_id(link.trace_id, compat)?;
    let id = ids::span_id(link.span_id, compat)?;
    Some(SpanLink { trace, id, attributes: &link.attributes })
}
