//! Builds one document of a span from its blocks. segment.rs has the order and the shape of the fields.

use std::borrow::Cow;

use super::annotations::{self, AnnotationSelector};
use super::aws;
use super::cause::CauseReader;
use super::extras::Extras;
use super::ids::{self, DocumentIds};
use super::key::{Attributes, Key, KeySet};
use super::limits::{self, Omitted};
use super::metadata::Metadata;
use super::name::{self, Role, SegmentName};
use super::options::Options;
use super::resource::{ResourceContext, ResourceEntries};
use super::segment::{Aws, Segment, SegmentTimes};
use super::{flags, http, links, sql, value};
use crate::model::escaped_json::{EscapedJson, JsonWriter};
use crate::model::otlp::SpanKind;
use crate::model::otlp::borrowed::Value;
use crate::model::otlp::borrowed::{Span, text};
use crate::translate::Compat;

/// The part of a span that a document represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentKind {
    /// The full span.
    Full,
    /// The full span, as a segment even if it has a parent.
    LocalRoot,
    /// The call of a local root that is an outgoing call.
    Dependency,
    /// The service of a local root that is an outgoing call.
    Service,
}

/// The input of a document, except its attributes.
pub(super) struct DocumentInput<'s, 'a> {
    pub(super) span: &'a Span<'a>,
    pub(super) resource: &'s ResourceContext<'a>,
    /// See [`super::extras::scope`].
    pub(super) scope: &'s EscapedJson,
    pub(super) options: &'a Options,
}

/// Attributes of a call that the segment of the calling service does not contain.
const CALL_ATTRIBUTES: KeySet =
    KeySet::from_keys(&[Key::AwsRemoteService, Key::AwsRemoteOperation, Key::RemoteTarget, Key::K8sRemoteNamespace]);

impl<'a> DocumentInput<'_, 'a> {
    /// Writes one document, without the size limit of X-Ray, and returns what is missing from it. `json` is a buffer that all
    /// documents share, so that each document is copied only once, when its length is known.
    pub(super) fn document(
        &self,
        json: &mut JsonWriter,
        attributes: &mut Attributes<'a>,
        kind: DocumentKind,
        ids: DocumentIds,
    ) -> Omitted {
        attributes.reset(if kind == DocumentKind::Service { CALL_ATTRIBUTES } else { KeySet::default() });
        let (span, compat) = (self.span, self.options.compat);
        let role = self.role(attributes, kind, &ids);
        let is_child = ids.parent.is_some() && self.is_part(kind, role);
        let SegmentName { text: name, namespace } = self.name(attributes, kind, role);
        let (times, original_end) = self.times(attributes);
        let http = http::read(attributes, span, compat);
        let language = self.resource.language;
        let cause = CauseReader { span, language, compat, ids: &ids }.read(attributes);
        let aws = self.aws(attributes, kind);
        let sql = sql::read(attributes, span, compat);
        let mut consumed = attributes.consumed;
        annotations::restore_indexed(&mut consumed, attributes, &self.options.indexed);
        let segment = Segment {
            name: &name,
            ids,
            is_subsegment: kind == DocumentKind::Dependency || (kind == DocumentKind::Full && is_child),
            namespace,
            times,
            flags: flags::read(attributes, span, compat),
            http: http.filter(|_| kind != DocumentKind::Service),
            exceptions: cause.exceptions.as_deref(),
            origin: self.resource.origin,
            aws,
            service: self.resource.service.as_ref(),
            sql,
            user: &read_user(attributes, &mut consumed, compat),
            links: if self.has_links(kind) { links::valid(span, compat) } else { Vec::new() },
            writes_defaults: compat.writes_defaults(),
        };
        let links = span.links.len().saturating_sub(limits::LINKS) as u64;
        let mut omitted = Omitted { links: if self.has_links(kind) { links } else { 0 }, ..cause.omitted };
        let extras = Extras { span, name: &name, scope: self.scope, cause: &cause, original_end };
        json.clear();
        json.object(|json| self.write(json, segment, attributes, &Remaining { kind, is_child, consumed, extras }));
        omitted.items += json.omitted();
        omitted
    }

    /// Writes the segment, with the attributes that are not in it as annotations and metadata.
    fn write(
        &self,
        json: &mut JsonWriter,
        segment: Segment<'_, '_>,
        attributes: &Attributes<'a>,
        remaining: &Remaining<'_, '_>,
    ) {
        let (options, is_service) = (self.options, remaining.kind == DocumentKind::Service);
        let mut consumed = remaining.consumed;
        if matches!(attributes.value(Key::AwsXrayAnnotations), Some(Value::Array(_))) {
            consumed.insert(Key::AwsXrayAnnotations);
        }
        let selector = AnnotationSelector::for_span(options, attributes);
        // The first document of a service stores the resource attributes.
        let stores_resource = !remaining.is_child;
        let needs_own_entries = selector.span_lists_resource() || attributes.has(Key::OtelResource);
        let own_entries = (stores_resource && needs_own_entries).then(|| {
            let replaced = attributes.replaced_resource_keys();
            ResourceEntries::write(&self.resource.unique, &selector, &|key| replaced.contains(key.as_bytes()))
        });
        let resource = stores_resource.then(|| own_entries.as_ref().unwrap_or(&self.resource.entries));
        let indexed = resource.map(|entries| &entries.annotations);
        segment.write(
            json,
            |json| annotations::write(json, attributes, consumed, &selector, indexed),
            |json, annotated| {
                let resource = resource.map(|entries| &entries.metadata);
                let (resource_only, compat) = (is_service, options.compat);
                let metadata =
                    Metadata { attributes, consumed, annotated: &annotated, resource, resource_only, compat };
                let extras = (!compat.omits_unmapped_fields() && !is_service).then_some(&remaining.extras);
                metadata.write(json, extras);
            },
        );
    }

    /// A consumer is a service, except in the document of its call. The receipt of messages with an AWS SDK, whose kind is
    /// CONSUMER or CLIENT, is a call if it is a part of a trace, and otherwise the first work of the service.
    fn role(&self, attributes: &Attributes<'a>, kind: DocumentKind, ids: &DocumentIds) -> Role {
        let compat = self.options.compat;
        let receives = || kind == DocumentKind::Full && ids.parent.is_some() && aws::receives(attributes, compat);
        match value::kind(self.span) {
            SpanKind::Server => Role::Service,
            SpanKind::Consumer if kind != DocumentKind::Dependency && !receives() => Role::Service,
            SpanKind::Client if kind == DocumentKind::Full && ids.parent.is_none() => {
                if aws::is_receive(attributes, compat) { Role::Service } else { Role::Call }
            }
            _ => Role::Call,
        }
    }

    /// Whether the document is a part of its parent's, if it has a parent.
    fn is_part(&self, kind: DocumentKind, role: Role) -> bool {
        match value::kind(self.span) {
            SpanKind::Server => false,
            SpanKind::Consumer => kind == DocumentKind::Full && role == Role::Call,
            _ => true,
        }
    }

    fn name(&self, attributes: &Attributes<'a>, kind: DocumentKind, role: Role) -> SegmentName<'a> {
        let compat = self.options.compat;
        let base = name::base(attributes, self.span, self.resource, role, compat);
        let (text, namespace) = match kind {
            DocumentKind::Full => return base,
            DocumentKind::LocalRoot => (base.text, None),
            DocumentKind::Dependency => {
                let remote = attributes.has(Key::AwsRemoteService).then(|| name::remote_service(attributes, compat));
                (segment_name(remote, base.text, compat), base.namespace.or(Some("remote")))
            }
            DocumentKind::Service => {
                let local = attributes.has(Key::AwsLocalService).then(|| attributes.text(Key::AwsLocalService));
                (segment_name(local.or_else(|| self.resource.service_name.clone()), base.text, compat), None)
            }
        };
        SegmentName { text, namespace }
    }

    /// Returns the times and, if X-Ray would reject it, the original end.
    fn times(&self, attributes: &mut Attributes<'a>) -> (SegmentTimes, Option<f64>) {
        let (start_nano, end_nano) = (self.span.start_time_unix_nano, self.span.end_time_unix_nano);
        let (start, end) = (ids::seconds(start_nano), ids::seconds(end_nano));
        let mut in_progress = false;
        if let Some(Value::Bool(value)) = attributes.value(Key::AwsXrayInProgress) {
            attributes.consumed.insert(Key::AwsXrayInProgress);
            in_progress = *value;
        }
        let is_valid = |is_valid: bool| is_valid || self.options.compat.writes_invalid_times();
        if in_progress || !is_valid(end_nano != 0) {
            (SegmentTimes { start, end: None }, None)
        } else if is_valid(end_nano >= start_nano) {
            (SegmentTimes { start, end: Some(end) }, None)
        } else {
            (SegmentTimes { start, end: Some(start) }, Some(end))
        }
    }

    fn aws<'d>(&'d self, attributes: &mut Attributes<'a>, kind: DocumentKind) -> Option<Aws<'d, 'a>> {
        let compat = self.options.compat;
        let Some(resource) = &self.resource.aws else {
            if compat.consumes_unused_keys() {
                attributes.consumed.add(aws::CONSUMED);
            }
            return None;
        };
        let aws = aws::read(attributes, resource, compat);
        Some(if kind == DocumentKind::Service { aws::of_service(resource, compat) } else { aws })
    }

    /// Whether the document contains the links. If a local root has two documents, the links of a consumer are in the
    /// service, and other links in the dependency.
    fn has_links(&self, kind: DocumentKind) -> bool {
        match kind {
            DocumentKind::Full | DocumentKind::LocalRoot => true,
            DocumentKind::Dependency => value::kind(self.span) != SpanKind::Consumer,
            DocumentKind::Service => value::kind(self.span) == SpanKind::Consumer,
        }
    }
}

/// The parts of a span that are not in the blocks of its document.
struct Remaining<'r, 'a> {
    kind: DocumentKind,
    /// Whether the document belongs to another document, which stores the resource attributes.
    is_child: bool,
    consumed: KeySet,
    extras: Extras<'r, 'a>,
}

/// Returns the name that the attributes of a local root contain, or `base`.
fn segment_name<'a>(name: Option<Cow<'a, str>>, base: Cow<'a, str>, compat: Compat) -> Cow<'a, str> {
    match name {
        Some(name) if compat.accepts_empty_names() => name,
        Some(name) => name::sanitize_name(name, compat).unwrap_or(base),
        None => base,
    }
}

/// Maximum length of `user`, in characters (AWS X-Ray Developer Guide, "Optional segment fields").
const MAX_USER_CHARS: usize = 250;

/// Returns the user, and marks the attribute as consumed if the field contains it in full.
fn read_user<'a>(attributes: &Attributes<'a>, consumed: &mut KeySet, compat: Compat) -> Cow<'a, str> {
    consumed.insert(Key::EndUserId);
    let Some(Value::String(bytes)) = attributes.value(Key::EndUserId) else {
        if !compat.writes_user_unchecked() {
            consumed.remove(Key::EndUserId);
        }
        return Cow::Borrowed("");
    };
    let user = text(bytes);
    match user.char_indices().nth(MAX_USER_CHARS) {
        Some((end, _)) if !compat.writes_user_unchecked() => {
            consumed.remove(Key::EndUserId);
            Cow::Owned(user.get(..end).unwrap_or_default().to_owned())
        }
        _ => user,
    }
}
