//! Links of a span to spans of other traces.

use super::ids;
use super::segment::SpanLink;
use crate::model::otlp::{Link, Span};
use crate::translate::Compat;

/// Returns the links that X-Ray accepts.
pub(super) fn valid(span: &Span, compat: Compat) -> Vec<SpanLink<'_>> {
    span.links.iter().filter_map(|link| read(link, compat)).collect()
}

/// Returns the links whose ids are not valid.
pub(super) fn invalid(span: &Span) -> impl Iterator<Item = &Link> {
    span.links.iter().filter(|link| read(link, Compat::Corrected).is_none())
}

fn read(link: &Link, compat: Compat) -> Option<SpanLink<'_>> {
    let trace = ids::trace_id(&link.trace_id, compat)?;
    let id = ids::span_id(&link.span_id, compat)?;
    Some(SpanLink { trace, id, attributes: &link.attributes })
}
