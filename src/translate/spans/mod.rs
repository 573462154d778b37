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
mod limits;
mod links;
mod metadata;
mod name;
mod options;
mod origin;
mod resource;
mod resource_attributes;
mod rpc;
mod segment;
mod sql;
pub mod stack;
mod truncate;
mod url;
mod value;

pub(super) use self::limits::NAMESPACE_BYTES;
pub use self::options::{Indexed, Options};

use prost::Message as _;

use self::document::{DocumentInput, DocumentKind};
use self::ids::{DocumentIds, SpanId};
use self::key::{Attributes, Key};
use self::limits::Omitted;
use self::resource::ResourceContext;
use super::{Compat, MALFORMED};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::escaped_json::JsonWriter;

use crate::model::otlp::borrowed::{ATTRIBUTE_EXPANSION, KeyValue, Span, Value, attributes, text};
use crate::model::otlp::protobuf::MalformedMessage;
use crate::model::otlp::{ResourceSpanRequest, SpanKind, TraceRequest, decoded_size};
use crate::model::rejection::Rejections;
use crate::model::segment::{DocumentMemory, SegmentDocument};

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

/// Documents for which memory is reserved at once, half a megabyte. A list that grows leaves its former memory behind.
const MAX_EXPECTED: usize = 16_384;

/// Memory that the delivery of the documents needs.
const DELIVERY_BYTES: usize = 8 << 20;

/// Memory for each attribute and event of a span while its document is written: positions and sets of keys.
const ITEM_BYTES: usize = 64;

/// Memory of a JSON tree for each byte of its text. A map with one entry has seven bytes as text and 660 in memory.
const TREE_BYTES: usize = 96;

/// Translates a request. A span that cannot become a document is rejected and does not affect other spans.
///
/// # Errors
/// Returns an error if the documents do not fit into the budget, or take too long.
pub fn segments(request: &TraceRequest, options: &Options, budget: &dyn Budget) -> Result<Segments, BudgetExceeded> {
    let expected = usize::try_from(request.spans()).unwrap_or_default().min(MAX_EXPECTED);
    let mut segments = Segments { documents: Vec::with_capacity(expected), ..Segments::default() };
    let mut buffers =
        ScratchBuffers { json: JsonWriter::default(), keys: Vec::new(), documents: DocumentMemory::default() };
    let mut span = Span::default();
    for resource_spans in &request.resource_spans {
        budget.check()?;
        let attributes = resource_attributes(resource_spans, budget)?;
        let resource = ResourceContext::read(&attributes, options);
        for scope_spans in &resource_spans.scope_spans {
            budget.check()?;
            let scope = extras::scope(scope_spans.scope.as_ref());
            for encoded in &scope_spans.spans {
                segments.received += 1;
                decoded_size::reserve_span(encoded, budget)?;
                if let Err(error) = span.decode_again(encoded) {
                    segments.rejected.add(MALFORMED, 1, || malformed_span(encoded, error));
                    budget.check()?;
                    continue;
                }
                let input = DocumentInput { span: &span, resource: &resource, scope: &scope, options };
                segments.add(&input, &mut buffers, budget)?;
            }
        }
    }
    Ok(segments)
}

fn resource_attributes<'a>(
    spans: &'a ResourceSpanRequest,
    budget: &dyn Budget,
) -> Result<Vec<KeyValue<'a>>, BudgetExceeded> {
    let Some(resource) = &spans.resource else { return Ok(Vec::new()) };
    budget.reserve(resource.encoded_len() * ATTRIBUTE_EXPANSION)?;
    Ok(attributes(&resource.attributes))
}

/// Buffers that all spans of a request share.
struct ScratchBuffers {
    json: JsonWriter,
    keys: Vec<Key>,
    documents: DocumentMemory,
}

impl Segments {
    fn add(
        &mut self,
        input: &DocumentInput<'_, '_>,
        buffers: &mut ScratchBuffers,
        budget: &dyn Budget,
    ) -> Result<(), BudgetExceeded> {
        let (span, ScratchBuffers { json, keys, documents }) = (input.span, buffers);
        let ids = match document_ids(span, input.options.compat) {
            Ok(ids) => ids,
            Err(reason) => {
                self.rejected.add(reason.code, 1, || reason.example(span));
                return budget.check();
            }
        };
        let mut attributes = Attributes::read(&span.attributes, keys);
        let annotated = match attributes.value(Key::AwsXrayAnnotations) {
            Some(Value::Array(keys)) => keys.values.len(),
            _ => 0,
        };
        budget.reserve(ITEM_BYTES * (span.attributes.len() + span.events.len() + annotated))?;
        let is_local_root = attributes.bytes(Key::AwsSpanKind) == b"LOCAL_ROOT";
        let mut write = |kind, ids| {
            let omitted = input.document(json, &mut attributes, kind, ids);
            self.push(json, omitted, documents, budget)
        };
        match value::kind(span) {
            _ if !is_local_root => write(DocumentKind::Full, ids),
            SpanKind::Server | SpanKind::Internal => write(DocumentKind::LocalRoot, ids),
            _ => {
                let service: SpanId = ids::derive_id(&ids.trace, &ids.id, b"service", [0, 0]);
                write(DocumentKind::Dependency, DocumentIds { parent: Some(service), ..ids })?;
                write(DocumentKind::Service, DocumentIds { id: service, ..ids })
            }
        }
    }

    /// Adds a document, truncated to the size limit of X-Ray.
    fn push(
        &mut self,
        json: &JsonWriter,
        omitted: Omitted,
        memory: &mut DocumentMemory,
        budget: &dyn Budget,
    ) -> Result<(), BudgetExceeded> {
        budget.reserve(json.len().min(2 * limits::MAX_DOCUMENT_BYTES) + DELIVERY_BYTES)?;
        // The escaped form is never shorter than the JSON, so most documents need no further check.
        if json.len() > limits::MAX_DOCUMENT_BYTES || !omitted.is_empty() {
            budget.reserve(json.len() * 4)?;
            let text = json.to_text();
            if text.len() > limits::MAX_DOCUMENT_BYTES || !omitted.is_empty() {
                if self.truncated == limits::TRUNCATED_DOCUMENTS {
                    return Err(BudgetExceeded::TruncatedDocuments { limit: self.truncated });
                }
                budget.reserve(text.len() * TREE_BYTES)?;
                self.documents.push(SegmentDocument::new(&truncate::truncate_document(&text, omitted)));
                self.truncated += 1;
                return Ok(());
            }
        }
        self.documents.push(memory.store(json));
        Ok(())
    }
}

fn malformed_span(encoded: &[u8], error: MalformedMessage) -> String {
    format!("a span of {} bytes is not valid protobuf: {error}", encoded.len())
}

/// The reason for the rejection of a span.
struct RejectReason {
    code: &'static str,
    message: &'static str,
}

impl RejectReason {
    fn example(&self, span: &Span<'_>) -> String {
        let (name, id) = (text(span.name), ids::hex(span.span_id));
        format!("span \"{name}\" ({id}): {}", self.message)
    }
}

const TRACE_ID: RejectReason = RejectReason { code: "trace_id", message: "trace id is not 16 bytes, or is all zero" };
const SPAN_ID: RejectReason = RejectReason { code: "span_id", message: "span id is not 8 bytes, or is all zero" };
const PARENT_ID: RejectReason = RejectReason { code: "parent_span_id", message: "parent span id is not 8 bytes" };
const START_TIME: RejectReason = RejectReason { code: "start_time", message: "start time is missing" };

/// Returns the ids of the full span, or the reason for which X-Ray would reject them or the start time.
fn document_ids(span: &Span<'_>, compat: Compat) -> Result<DocumentIds, RejectReason> {
    let trace = ids::trace_id(span.trace_id, compat).ok_or(TRACE_ID)?;
    let id = ids::span_id(span.span_id, compat).ok_or(SPAN_ID)?;
    let parent: Option<SpanId> = match span.parent_span_id {
        [] => None,
        bytes => Some(bytes.try_into().map_err(|_| PARENT_ID)?),
    };
    if span.start_time_unix_nano == 0 && !compat.writes_invalid_times() {
        return Err(START_TIME);
    }
    Ok(DocumentIds { trace, id, parent: parent.filter(|parent| *parent != SpanId::default()) })
}
