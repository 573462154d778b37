//! Translates spans to X-Ray segment documents.
//!
//! A span becomes one document. A span that is the first of its service in a trace and an outgoing call becomes two:
//! the call, and the service that calls. The rules are from the ADOT collector's awsxrayexporter (collector-contrib
//! v0.156.0, `exporter/awsxrayexporter/internal/translator`). [`Compat::Corrected`](super::Compat::Corrected) keeps
//! content that the exporter loses and corrects content that X-Ray would reject. docs/xray-mapping.md lists the result
//! for each attribute.

mod adot;
mod annotations;
mod aws;
mod cause;
mod document;
mod extras;
mod flags;
mod http;
mod ids;
mod key;
mod links;
mod metadata;
mod name;
mod options;
mod origin;
mod resource;
mod resource_attributes;
mod segment;
mod sql;
pub mod stack;
mod truncate;
mod url;
mod value;

pub use self::options::{Indexed, Options};

use self::document::{DocumentInput, DocumentKind};
use self::ids::{DocumentIds, SpanId};
use self::key::{Attributes, Key};
use self::resource::ResourceContext;
use super::Compat;
use crate::model::escaped_json::JsonWriter;
use crate::model::otlp::{ExportTraceServiceRequest, Span, SpanKind, text};
use crate::model::rejection::Rejections;
use crate::model::segment::SegmentDocument;

/// The documents of a request, and the counts of its spans: received = spans with documents + rejected.
#[derive(Debug, Default)]
#[must_use = "rejected spans and truncated documents must be counted"]
pub struct Segments {
    /// In the order of the spans. If a span has two documents, the call is before the service.
    pub documents: Vec<SegmentDocument>,
    /// Spans in the request.
    pub received: u64,
    pub rejected: Rejections,
    /// Documents that were shortened to the size limit of X-Ray, so that they were not stored as sent.
    pub truncated: u64,
}

/// Translates a request. A span that cannot become a document is rejected and does not affect other spans.
pub fn segments(request: &ExportTraceServiceRequest, options: &Options) -> Segments {
    let mut segments = Segments::default();
    let mut buffers = ScratchBuffers { json: JsonWriter::default(), attributes: Attributes::new() };
    for resource_spans in &request.resource_spans {
        let resource = ResourceContext::read(resource_spans.resource.as_ref(), options);
        for scope_spans in &resource_spans.scope_spans {
            let scope = extras::scope(scope_spans.scope.as_ref());
            for span in &scope_spans.spans {
                segments.received += 1;
                segments.add(&DocumentInput { span, resource: &resource, scope: &scope, options }, &mut buffers);
            }
        }
    }
    segments
}

/// Buffers that all spans of a request share.
struct ScratchBuffers<'a> {
    json: JsonWriter,
    attributes: Attributes<'a>,
}

impl Segments {
    fn add<'a>(&mut self, input: &DocumentInput<'_, 'a>, buffers: &mut ScratchBuffers<'a>) {
        let (span, ScratchBuffers { json, attributes }) = (input.span, buffers);
        let ids = match document_ids(span, input.options.compat) {
            Ok(ids) => ids,
            Err(reason) => return self.rejected.add(reason.code, 1, || reason.example(span)),
        };
        attributes.read(&span.attributes);
        let is_local_root = attributes.bytes(Key::AwsSpanKind) == b"LOCAL_ROOT";
        match value::kind(span) {
            _ if !is_local_root => self.push(input.document(json, attributes, DocumentKind::Full, ids)),
            SpanKind::Server | SpanKind::Internal => {
                self.push(input.document(json, attributes, DocumentKind::LocalRoot, ids));
            }
            _ => {
                let service: SpanId = ids::derive_id(&ids.trace, &ids.id, b"service", [0, 0]);
                let call = DocumentIds { parent: Some(service), ..ids };
                self.push(input.document(json, attributes, DocumentKind::Dependency, call));
                self.push(input.document(json, attributes, DocumentKind::Service, DocumentIds { id: service, ..ids }));
            }
        }
    }

    fn push(&mut self, mut document: SegmentDocument) {
        // The escaped form is never shorter than the JSON, so most documents need no further check.
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

/// The reason for the rejection of a span.
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

const TRACE_ID: RejectReason = RejectReason { code: "trace_id", message: "trace id is not 16 bytes, or is all zero" };
const SPAN_ID: RejectReason = RejectReason { code: "span_id", message: "span id is not 8 bytes, or is all zero" };
const PARENT_ID: RejectReason = RejectReason { code: "parent_span_id", message: "parent span id is not 8 bytes" };
const START_TIME: RejectReason = RejectReason { code: "start_time", message: "start time is missing" };

/// Returns the ids of the full span, or the reason for which X-Ray would reject them or the start time.
fn document_ids(span: &Span, compat: Compat) -> Result<DocumentIds, RejectReason> {
    let trace = ids::trace_id(&span.trace_id, compat).ok_or(TRACE_ID)?;
    let id = ids::span_id(&span.span_id, compat).ok_or(SPAN_ID)?;
    let parent: Option<SpanId> = match span.parent_span_id.as_ref() {
        [] => None,
        bytes => Some(bytes.try_into().map_err(|_| PARENT_ID)?),
    };
    if span.start_time_unix_nano == 0 && !compat.writes_invalid_times() {
        return Err(START_TIME);
    }
    Ok(DocumentIds { trace, id, parent: parent.filter(|parent| *parent != SpanId::default()) })
}
