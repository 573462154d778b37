//! Spans to X-Ray segment documents.
//!
//! A span becomes one document, or two where it is the first of its service in a trace and calls out at once: the call,
//! and the service that calls. The rules are those of the ADOT collector's awsxrayexporter (collector-contrib v0.156.0,
//! `exporter/awsxrayexporter/internal/translator`); [`Compat::Best`] keeps what the exporter loses and mends what X-Ray
//! would refuse. docs/xray-mapping.md says attribute by attribute what becomes what.

mod annotations;
mod aws;
mod cause;
mod document;
mod extras;
mod flags;
mod http;
mod ids;
mod json;
mod key;
mod links;
mod metadata;
mod name;
mod origin;
mod resource;
mod sql;
pub mod stack;
mod truncate;
mod url;
mod value;

use std::collections::BTreeSet;

use self::document::{DocumentIds, DocumentInput, DocumentKind};
use self::ids::SpanId;
use self::json::JsonWriter;
use self::key::{Attributes, Key};
use self::resource::ResourceContext;
use super::Compat;
use crate::model::otlp::{ExportTraceServiceRequest, Span, SpanKind, text};
use crate::model::rejection::Rejections;
use crate::model::segment::SegmentDocument;

/// How spans are translated.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub compat: Compat,
    pub indexed: Indexed,
    /// Log groups of the services, for those whose resource names none.
    pub log_groups: Vec<String>,
}

/// Which attributes become annotations, by which X-Ray can search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// These. A resource's attribute is named as `otel.resource.<key>`.
    Listed(BTreeSet<String>),
    /// Every one that an annotation can hold and that no other field took.
    All,
}

impl Default for Indexed {
    fn default() -> Self {
        Indexed::Listed(BTreeSet::new())
    }
}

/// Documents, and what became of the spans: received = those with documents + refused.
#[derive(Debug, Default)]
pub struct Segments {
    /// In the order of the spans; of a split span the call comes before the service.
    pub documents: Vec<SegmentDocument>,
    /// Spans.
    pub received: u64,
    pub rejected: Rejections,
    /// Documents that were made to fit into 64 KB.
    pub truncated: u64,
}

/// Translates a request. Every span becomes documents or is refused by name; none fails another.
pub fn segments(request: &ExportTraceServiceRequest, options: &Options) -> Segments {
    let mut segments = Segments::default();
    let mut desk = ScratchBuffers { json: JsonWriter::default(), attributes: Attributes::new() };
    for resource_spans in &request.resource_spans {
        let resource = ResourceContext::read(resource_spans.resource.as_ref(), options);
        for scope_spans in &resource_spans.scope_spans {
            let scope = extras::scope(scope_spans.scope.as_ref());
            for span in &scope_spans.spans {
                segments.received += 1;
                segments.add(&DocumentInput { span, resource: &resource, scope: &scope, options }, &mut desk);
            }
        }
    }
    segments
}

/// What is written on and read with, the same for all spans of a request.
struct ScratchBuffers<'a> {
    json: JsonWriter,
    attributes: Attributes<'a>,
}

impl Segments {
    fn add<'a>(&mut self, source: &DocumentInput<'_, 'a>, desk: &mut ScratchBuffers<'a>) {
        let (span, ScratchBuffers { json, attributes }) = (source.span, desk);
        let ids = match identity(span, source.options.compat) {
            Ok(ids) => ids,
            Err(reason) => return self.rejected.add(reason.code, 1, || reason.example(span)),
        };
        attributes.read(&span.attributes);
        let is_local_root = attributes.bytes(Key::AwsSpanKind) == b"LOCAL_ROOT";
        match value::kind(span) {
            _ if !is_local_root => self.push(source.document(json, attributes, DocumentKind::Full, ids)),
            SpanKind::Server | SpanKind::Internal => {
                self.push(source.document(json, attributes, DocumentKind::LocalRoot, ids));
            }
            _ => {
                let service: SpanId = ids::derive_id(&ids.trace, &ids.id, b"service", [0, 0]);
                let call = DocumentIds { parent: Some(service), ..ids };
                self.push(source.document(json, attributes, DocumentKind::Dependency, call));
                self.push(source.document(json, attributes, DocumentKind::Service, DocumentIds { id: service, ..ids }));
            }
        }
    }

    fn push(&mut self, mut document: SegmentDocument) {
        // Escaping only adds to a text, so that most need not be looked at closer.
        if document.escaped_len() > truncate::MAX_DOCUMENT_BYTES {
            let text = document.text();
            if text.len() > truncate::MAX_DOCUMENT_BYTES {
                document = SegmentDocument::new(&truncate::truncate_document(&text));
                self.truncated += 1;
            }
        }
        self.documents.push(document);
    }
}

/// Why a span can become no document.
struct RejectReason {
    code: &'static str,
    message: &'static str,
}

impl RejectReason {
    fn example(&self, span: &Span) -> String {
        let (name, id) = (text(&span.name), ids::hex(&span.span_id));
        format!("span \"{name}\" ({id}): {}", self.message)
    }
}

const TRACE_ID: RejectReason = RejectReason { code: "trace_id", message: "its trace id is not 16 bytes, or all zero" };
const SPAN_ID: RejectReason = RejectReason { code: "span_id", message: "its span id is not 8 bytes, or all zero" };
const PARENT_ID: RejectReason = RejectReason { code: "parent_span_id", message: "its parent's span id is not 8 bytes" };
const START_TIME: RejectReason = RejectReason { code: "start_time", message: "it has no start time" };

/// The ids of the span's own document. What X-Ray would refuse for its ids or times is refused here.
fn identity(span: &Span, compat: Compat) -> Result<DocumentIds, RejectReason> {
    let trace = ids::trace_id(&span.trace_id, compat).ok_or(TRACE_ID)?;
    let id = ids::span_id(&span.span_id, compat).ok_or(SPAN_ID)?;
    let parent: Option<SpanId> = match span.parent_span_id.as_ref() {
        [] => None,
        bytes => Some(bytes.try_into().map_err(|_| PARENT_ID)?),
    };
    if compat == Compat::Corrected && span.start_time_unix_nano == 0 {
        return Err(START_TIME);
    }
    Ok(DocumentIds { trace, id, parent: parent.filter(|parent| *parent != SpanId::default()) })
}
