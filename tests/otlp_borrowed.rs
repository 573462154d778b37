//! Spans that borrow from the body, compared with what prost decodes.

use proptest::prelude::*;
use prost::Message as _;
use sidecarless::model::otlp::borrowed;
use sidecarless::model::otlp::{ExportTraceServiceRequest, Span};

use crate::otlp_json::telemetry::traces;

/// Returns the span that prost decodes, in the other form.
fn by_prost(encoded: &[u8]) -> Option<String> {
    let span = Span::decode(encoded).ok()?;
    let events = span.events.iter().map(|event| borrowed::Event {
        time_unix_nano: event.time_unix_nano,
        name: &event.name,
        attributes: borrowed::attributes(&event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
    });
    let links = span.links.iter().map(|link| borrowed::Link {
        trace_id: &link.trace_id,
        span_id: &link.span_id,
        trace_state: &link.trace_state,
        attributes: borrowed::attributes(&link.attributes),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
    });
    let status = span.status.as_ref().map(|status| borrowed::Status { message: &status.message, code: status.code });
    let span = borrowed::Span {
        trace_id: &span.trace_id,
        span_id: &span.span_id,
        trace_state: &span.trace_state,
        parent_span_id: &span.parent_span_id,
        flags: span.flags,
        name: &span.name,
        kind: span.kind,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        attributes: borrowed::attributes(&span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events: events.collect(),
        dropped_events_count: span.dropped_events_count,
        links: links.collect(),
        dropped_links_count: span.dropped_links_count,
        status,
    };
    // Numbers that are not equal to themselves have the same text.
    Some(format!("{span:?}"))
}

fn borrowed(encoded: &[u8]) -> Option<String> {
    let mut span = borrowed::Span::default();
    span.decode_again(encoded).ok().map(|()| format!("{span:?}"))
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Vec<u8>> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(Span::encode_to_vec).collect()
}

proptest! {
    #[test]
    fn borrowed_span_is_the_decoded_span(request in traces()) {
        for encoded in spans(&request) {
            prop_assert_eq!(borrowed(&encoded), by_prost(&encoded));
        }
    }

    /// Two encoded spans after one another are one span with the fields of both: the last number and the last text, all items, and
    /// one status and value with the fields of both.
    #[test]
    fn repeated_fields_are_merged(request in traces()) {
        let encoded = spans(&request);
        for pair in encoded.windows(2) {
            let both = pair.concat();
            prop_assert_eq!(borrowed(&both), by_prost(&both));
        }
    }

    #[test]
    fn damaged_span_is_accepted_by_both_or_by_neither(
        request in traces(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        for mut encoded in spans(&request) {
            if encoded.is_empty() {
                continue;
            }
            for (at, byte) in &damage {
                let at = at.index(encoded.len());
                encoded[at] = *byte;
            }
            prop_assert_eq!(borrowed(&encoded), by_prost(&encoded));
            encoded.truncate(cut.index(encoded.len()));
            prop_assert_eq!(borrowed(&encoded), by_prost(&encoded));
        }
    }
}

#[test]
fn memory_of_another_span_leaves_no_trace() {
    let mut span = borrowed::Span::default();
    let full = Span {
        trace_id: vec![1; 16].into(),
        attributes: vec![sidecarless::model::otlp::KeyValue::default()],
        status: Some(sidecarless::model::otlp::Status::default()),
        ..Span::default()
    };
    let encoded = full.encode_to_vec();
    span.decode_again(&encoded).unwrap();
    assert_ne!(span, borrowed::Span::default());
    span.decode_again(&[]).unwrap();
    assert_eq!(span, borrowed::Span::default());
}

#[test]
fn nesting_ends_where_prost_ends() {
    let nested = |depth: usize| {
        // An attribute whose value is a list in a list.
        let mut value = Vec::new();
        for _ in 0..depth {
            value = [&[0x0a][..], &length(value.len()), &value].concat();
            value = [&[0x2a][..], &length(value.len()), &value].concat();
        }
        let pair = [&[0x12][..], &length(value.len()), &value].concat();
        [&[0x4a][..], &length(pair.len()), &pair].concat()
    };
    for depth in 1..60 {
        let span = nested(depth);
        assert_eq!(borrowed(&span).is_some(), by_prost(&span).is_some(), "{depth}");
    }
}

fn length(length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(length as u64, &mut out);
    out
}
