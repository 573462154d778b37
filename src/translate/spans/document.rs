//! One document of one span: every block in turn.

use std::borrow::Cow;

use super::annotations::{self, AnnotationSelector};
use super::cause::{CauseOutcome, CauseWriter};
use super::extras::Extras;
use super::ids::{self, SpanId, TraceId};
use super::json::JsonWriter;
use super::key::{Attributes, Key, KeySet};
use super::metadata::Metadata;
use super::name::{self, SegmentName};
use super::resource::{ResourceContext, ResourceEntries};
use super::{Options, aws, flags, http, links, sql, value};
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{Span, SpanKind, text};
use crate::model::segment::SegmentDocument;
use crate::translate::Compat;

/// What a document is of its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentKind {
    /// All of it.
    Full,
    /// All of it, as a segment even where it has a parent.
    LocalRoot,
    /// Of a local root that calls out: the call.
    Dependency,
    /// Of a local root that calls out: the service that calls.
    Service,
}

/// A shape, and whether the resource's attributes go with it: they do with the first document of a service.
#[derive(Clone, Copy)]
struct DocumentPart {
    shape: DocumentKind,
    stores_resource: bool,
}

/// The ids of one document.
#[derive(Clone, Copy)]
pub(super) struct DocumentIds {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
}

/// All that a document is made from.
pub(super) struct DocumentInput<'s, 'a> {
    pub(super) span: &'a Span,
    pub(super) resource: &'s ResourceContext<'a>,
    /// See [`super::extras::scope`].
    pub(super) scope: &'s str,
    pub(super) options: &'a Options,
}

/// Attributes of a call that the segment of the calling service does not have.
const CALL_ATTRIBUTES: KeySet =
    KeySet::from_keys(&[Key::AwsRemoteService, Key::AwsRemoteOperation, Key::RemoteTarget, Key::K8sRemoteNamespace]);

impl<'a> DocumentInput<'_, 'a> {
    /// Writes one document; its size is not looked at. `json` is room to write in, so that the text needs to be moved
    /// once only, when its length is known.
    pub(super) fn document(
        &self,
        json: &mut JsonWriter,
        attributes: &mut Attributes<'a>,
        shape: DocumentKind,
        ids: DocumentIds,
    ) -> SegmentDocument {
        json.clear();
        attributes.reset(if shape == DocumentKind::Service { CALL_ATTRIBUTES } else { KeySet::default() });
        let (span, compat) = (self.span, self.options.compat);
        let is_subsegment = !matches!(value::kind(span), SpanKind::Server | SpanKind::Consumer) && ids.parent.is_some();
        let base = name::base(attributes, span, self.resource, compat);
        let (name, namespace) = self.name(attributes, shape, base);
        json.open('{');
        json.text_field_unless_empty("name", &name);
        write_ids(json, &ids);
        if shape == DocumentKind::Dependency || (shape == DocumentKind::Full && is_subsegment) {
            json.text_field("type", "subsegment");
        }
        if let Some(namespace) = namespace {
            json.text_field("namespace", namespace);
        }
        let mended_end = self.write_times(json, attributes);
        flags::flags(attributes, span, compat).write(json);
        let told = self.write_blocks(json, attributes, shape, &ids);
        let extras = Extras { span, name: &name, scope: self.scope, cause: &told, original_end: mended_end };
        self.write_attributes(json, attributes, DocumentPart { shape, stores_resource: !is_subsegment }, &extras);
        let is_consumer = value::kind(span) == SpanKind::Consumer;
        if !matches!((shape, is_consumer), (DocumentKind::Dependency, true) | (DocumentKind::Service, false)) {
            links::write(json, span, compat);
        }
        json.close('}');
        SegmentDocument::from_escaped(json.as_escaped().to_owned())
    }

    fn name(
        &self,
        attributes: &Attributes<'a>,
        shape: DocumentKind,
        base: SegmentName<'a>,
    ) -> (Cow<'a, str>, Option<&'static str>) {
        let compat = self.options.compat;
        match shape {
            DocumentKind::Full => (base.text, base.namespace),
            DocumentKind::LocalRoot => (base.text, None),
            DocumentKind::Dependency => {
                let remote = attributes.has(Key::AwsRemoteService).then(|| name::remote_service(attributes, compat));
                (segment_name(remote, base.text, compat), base.namespace.or(Some("remote")))
            }
            DocumentKind::Service => {
                let local = attributes.has(Key::AwsLocalService).then(|| attributes.text(Key::AwsLocalService));
                (segment_name(local.or_else(|| self.resource.service_name.clone()), base.text, compat), None)
            }
        }
    }

    /// Writes the times, or `in_progress` in place of the end. Gives back an end that X-Ray could make no sense of.
    fn write_times(&self, json: &mut JsonWriter, attributes: &mut Attributes<'a>) -> Option<f64> {
        let (start, end) = (self.span.start_time_unix_nano, self.span.end_time_unix_nano);
        json.key("start_time");
        json.float(ids::seconds(start));
        let stated = match attributes.value(Key::AwsXrayInProgress) {
            Some(Value::Bool(in_progress)) => {
                attributes.consumed.insert(Key::AwsXrayInProgress);
                *in_progress
            }
            _ => false,
        };
        let best = self.options.compat == Compat::Corrected;
        if stated || (best && end == 0) {
            json.boolean_field("in_progress", true);
            return None;
        }
        let is_mended = best && end < start;
        json.key("end_time");
        json.float(ids::seconds(if is_mended { start } else { end }));
        is_mended.then(|| ids::seconds(end))
    }

    fn write_blocks(
        &self,
        json: &mut JsonWriter,
        attributes: &mut Attributes<'a>,
        shape: DocumentKind,
        ids: &DocumentIds,
    ) -> CauseOutcome {
        let (span, compat) = (self.span, self.options.compat);
        let http = http::read(attributes, span, compat);
        if let Some(http) = http.filter(|_| shape != DocumentKind::Service) {
            http.write(json);
        }
        let language = self.resource.language;
        let told = CauseWriter { span, language, compat, trace: &ids.trace, document: &ids.id }.write(json, attributes);
        if let Some(origin) = self.resource.origin {
            json.text_field("origin", origin);
        }
        match &self.resource.aws {
            Some(resource) => {
                let operation = aws::Operation::read(attributes, resource, compat);
                aws::write(json, resource, Some(&operation).filter(|_| shape != DocumentKind::Service), compat);
            }
            None if compat == Compat::Adot => attributes.consumed.add(aws::CONSUMED),
            None => {}
        }
        if let Some(service) = &self.resource.service {
            json.key("service");
            json.raw_escaped(service);
        }
        if let Some(sql) = sql::read(attributes, span, compat) {
            sql.write(json);
        }
        told
    }

    /// User, annotations and metadata.
    fn write_attributes(
        &self,
        json: &mut JsonWriter,
        attributes: &mut Attributes<'a>,
        part: DocumentPart,
        extras: &Extras<'_>,
    ) {
        let options = self.options;
        let mut gone = attributes.consumed;
        annotations::restore_indexed(&mut gone, attributes, &options.indexed);
        write_user(json, attributes, &mut gone, options.compat);
        if matches!(attributes.value(Key::AwsXrayAnnotations), Some(Value::Array(_))) {
            gone.insert(Key::AwsXrayAnnotations);
        }
        let indexing = AnnotationSelector::for_span(options, attributes);
        let own_entries = (part.stores_resource && (indexing.reaches_resource() || attributes.has(Key::OtelResource)))
            .then(|| {
                ResourceEntries::write(self.resource.attributes.0, &indexing, &|key| attributes.contains_key(key))
            });
        let resource = part.stores_resource.then(|| own_entries.as_ref().unwrap_or(&self.resource.entries));
        let annotated = annotations::write(json, attributes, gone, &indexing, resource);
        let metadata = Metadata {
            attributes,
            consumed: gone,
            annotated: &annotated,
            resource,
            resource_only: part.shape == DocumentKind::Service,
            compat: options.compat,
        };
        let has_extras = options.compat == Compat::Corrected && part.shape != DocumentKind::Service;
        metadata.write(json, |json| {
            if has_extras {
                extras.write(json);
            }
        });
    }
}

/// A name that a local root states. The collector takes it even when it is empty, and writes none then.
fn segment_name<'a>(stated: Option<Cow<'a, str>>, base: Cow<'a, str>, compat: Compat) -> Cow<'a, str> {
    match stated {
        Some(name) if compat == Compat::Adot => name,
        Some(name) => name::sanitize_name(name, compat).unwrap_or(base),
        None => base,
    }
}

/// Writes the ids. An all-zero id, which only the collector writes, is left out.
fn write_ids(json: &mut JsonWriter, ids: &DocumentIds) {
    if ids.id != SpanId::default() {
        json.text_field("id", &ids::span_id_text(&ids.id));
    }
    json.text_field("trace_id", &ids::trace_id_text(&ids.trace));
    if let Some(parent) = &ids.parent {
        json.text_field("parent_id", &ids::span_id_text(parent));
    }
}

/// Longest `user` (AWS X-Ray Developer Guide, "Optional segment fields").
const LONGEST_USER: usize = 250;

/// `user`: the attribute never shows up elsewhere, except at best where it does not fit.
fn write_user(json: &mut JsonWriter, attributes: &Attributes<'_>, gone: &mut KeySet, compat: Compat) {
    gone.insert(Key::EndUserId);
    let Some(Value::String(bytes)) = attributes.value(Key::EndUserId) else {
        if compat == Compat::Corrected {
            gone.remove(Key::EndUserId);
        }
        return;
    };
    let user = text(bytes);
    let end = user.char_indices().nth(LONGEST_USER).map(|(at, _)| at).filter(|_| compat == Compat::Corrected);
    if end.is_some() {
        gone.remove(Key::EndUserId);
    }
    json.text_field_unless_empty("user", user.get(..end.unwrap_or(user.len())).unwrap_or_default());
}
