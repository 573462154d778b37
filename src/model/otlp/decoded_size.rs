//! Upper bound of the memory that decoding a protobuf request allocates, calculated before it is decoded.
//!
//! An empty span or attribute takes two bytes in protobuf and some hundred bytes in memory, so a request of a few megabytes
//! can fill gigabytes. The functions walk over the protobuf fields without decoding them and add up the capacities of the lists
//! that decoding fills. Strings are slices of the body and need no memory. For an invalid body, the result includes the messages
//! before the error, and decoding reports the error.
//!
//! Spans and data points are decoded one at a time, so that a request has only references to their bytes. A large one is weighed before
//! it is decoded.

use std::mem::size_of;

use bytes::Bytes;

use super::borrowed::DataKind;
use super::protobuf::{FieldValue, next_field};
use super::wire::{WireResource, WireScope};
use super::{
    AnyValue, Event, Exemplar, KeyValue, Link, ResourceMetricsRequest, ResourceSpanRequest, ScopeMetricsRequest,
    ScopeSpanRequest, ValueAtQuantile,
};
use crate::model::budget::{Budget, BudgetExceeded};

/// Maximum depth of nested messages. prost fails at a depth of 100.
const MAX_DEPTH: usize = 100;

/// Maximum bytes in memory for each byte of a body: an empty message of the largest type takes two bytes in protobuf, and a list
/// has a capacity of at least four messages.
pub const MAX_EXPANSION: usize = {
    let sizes = [
        size_of::<ResourceSpanRequest>(),
        size_of::<ScopeSpanRequest>(),
        size_of::<ResourceMetricsRequest>(),
        size_of::<ScopeMetricsRequest>(),
        size_of::<WireResource>(),
        size_of::<WireScope>(),
        size_of::<KeyValue>(),
        size_of::<AnyValue>(),
        size_of::<Bytes>(),
    ];
    let (mut largest, mut at) = (0, 0);
    while at < sizes.len() {
        largest = if sizes[at] > largest { sizes[at] } else { largest };
        at += 1;
    }
    largest * MIN_CAPACITY / 2
};

/// Capacity of a list with one item.
const MIN_CAPACITY: usize = 4;

/// Size of a span or point that is decoded without being weighed: its memory is no more than a request needs for other things.
const UNWEIGHED_BYTES: usize = 4096;

/// Returns the memory that decoding a [`TraceRequest`](super::TraceRequest) allocates.
pub fn traces(body: &[u8]) -> usize {
    decoded_size(body, &TRACES, 0)
}

/// Returns the memory that decoding a [`MetricsRequest`](super::MetricsRequest) allocates.
pub fn metrics(body: &[u8]) -> usize {
    decoded_size(body, &METRICS, 0)
}

/// Returns at least the memory that decoding a span allocates.
pub fn span(encoded: &[u8]) -> usize {
    decoded_size(encoded, &SPAN, 0)
}

/// Returns at least the memory that decoding a data point allocates.
pub fn point(kind: DataKind, encoded: &[u8]) -> usize {
    let layout = match kind {
        DataKind::Gauge | DataKind::Sum => &NUMBER,
        DataKind::Histogram => &HISTOGRAM,
        DataKind::ExponentialHistogram => &EXPONENTIAL,
        DataKind::Summary => &SUMMARY,
    };
    decoded_size(encoded, layout, 0)
}

/// Reserves the memory for a span.
pub fn reserve_span(encoded: &[u8], budget: &dyn Budget) -> Result<(), BudgetExceeded> {
    if encoded.len() <= UNWEIGHED_BYTES { Ok(()) } else { budget.reserve(span(encoded)) }
}

/// Reserves the memory for a data point.
pub fn reserve_point(kind: DataKind, encoded: &[u8], budget: &dyn Budget) -> Result<(), BudgetExceeded> {
    if encoded.len() <= UNWEIGHED_BYTES { Ok(()) } else { budget.reserve(point(kind, encoded)) }
}

/// Returns the memory that decoding a [`WireRequest`](super::wire::WireRequest) allocates.
pub fn wire(body: &[u8]) -> usize {
    decoded_size(body, &WIRE, 0)
}

/// The fields of a message type that allocate memory.
struct MessageLayout {
    fields: &'static [(u32, FieldLayout)],
}

enum FieldLayout {
    /// A message within its parent. If the field is repeated, its contents are merged.
    Message(&'static MessageLayout),
    /// A list of messages of this size.
    Messages(usize, &'static MessageLayout),
    /// A list of 64-bit integers.
    Varints,
    /// A list of numbers of eight bytes.
    Fixed64,
}

use FieldLayout::{Fixed64, Message, Messages, Varints};

/// Maximum number of fields of a layout.
const MAX_FIELDS: usize = 4;

const fn layout(fields: &'static [(u32, FieldLayout)]) -> MessageLayout {
    assert!(fields.len() <= MAX_FIELDS);
    MessageLayout { fields }
}

// Macros, because a constant cannot refer to a static that it is a part of.
macro_rules! attributes {
    () => {
        Messages(size_of::<KeyValue>(), &KEY_VALUE)
    };
}
macro_rules! exemplars {
    () => {
        Messages(size_of::<Exemplar>(), &EXEMPLAR)
    };
}

static VALUE: MessageLayout = layout(&[(5, Message(&ARRAY)), (6, Message(&ATTRIBUTES_1))]);
static ARRAY: MessageLayout = layout(&[(1, Messages(size_of::<AnyValue>(), &VALUE))]);
static KEY_VALUE: MessageLayout = layout(&[(2, Message(&VALUE))]);
static ATTRIBUTES_1: MessageLayout = layout(&[(1, attributes!())]);
static SCOPE: MessageLayout = layout(&[(3, attributes!())]);

static TRACES: MessageLayout = layout(&[(1, Messages(size_of::<ResourceSpanRequest>(), &RESOURCE_SPANS))]);
static RESOURCE_SPANS: MessageLayout =
    layout(&[(1, Message(&ATTRIBUTES_1)), (2, Messages(size_of::<ScopeSpanRequest>(), &SCOPE_ITEMS))]);
static METRICS: MessageLayout = layout(&[(1, Messages(size_of::<ResourceMetricsRequest>(), &RESOURCE_METRICS))]);
static RESOURCE_METRICS: MessageLayout =
    layout(&[(1, Message(&ATTRIBUTES_1)), (2, Messages(size_of::<ScopeMetricsRequest>(), &SCOPE_ITEMS))]);
/// A scope with encoded spans or metrics.
static SCOPE_ITEMS: MessageLayout = layout(&[(1, Message(&SCOPE)), (2, Messages(size_of::<Bytes>(), &NOTHING))]);

// Items that borrow from the body are smaller than these types, which own their parts.
static SPAN: MessageLayout =
    layout(&[(9, attributes!()), (11, Messages(size_of::<Event>(), &EVENT)), (13, Messages(size_of::<Link>(), &LINK))]);
static EVENT: MessageLayout = layout(&[(3, attributes!())]);
static LINK: MessageLayout = layout(&[(4, attributes!())]);
static NUMBER: MessageLayout = layout(&[(7, attributes!()), (5, exemplars!())]);
static HISTOGRAM: MessageLayout = layout(&[(9, attributes!()), (8, exemplars!()), (6, Fixed64), (7, Fixed64)]);
static EXPONENTIAL: MessageLayout =
    layout(&[(1, attributes!()), (8, Message(&BUCKETS)), (9, Message(&BUCKETS)), (11, exemplars!())]);
static BUCKETS: MessageLayout = layout(&[(2, Varints)]);
static SUMMARY: MessageLayout = layout(&[(7, attributes!()), (6, Messages(size_of::<ValueAtQuantile>(), &NOTHING))]);
static NOTHING: MessageLayout = layout(&[]);
static EXEMPLAR: MessageLayout = layout(&[(7, attributes!())]);

static WIRE: MessageLayout = layout(&[(1, Messages(size_of::<WireResource>(), &WIRE_RESOURCE))]);
static WIRE_RESOURCE: MessageLayout = layout(&[(2, Messages(size_of::<WireScope>(), &WIRE_SCOPE))]);
static WIRE_SCOPE: MessageLayout = layout(&[(2, Messages(size_of::<Bytes>(), &NOTHING))]);

/// What the occurrences of one field add up to.
#[derive(Clone, Copy, Default)]
struct FieldSize {
    /// Items of a list, or occurrences of a message.
    count: usize,
    /// Memory of the contents.
    content: usize,
}

impl FieldSize {
    fn add(&mut self, layout: &FieldLayout, value: Option<&[u8]>, depth: usize) {
        match (layout, value) {
            (Message(layout) | Messages(_, layout), content) => {
                self.count += 1;
                self.content += content.map_or(0, |content| decoded_size(content, layout, depth + 1));
            }
            (Varints | Fixed64, None) => self.count += 1,
            (Varints, Some(packed)) => self.count += packed.iter().filter(|byte| **byte < 0x80).count(),
            (Fixed64, Some(packed)) => self.count += packed.len() / 8,
        }
    }

    fn bytes(self, layout: &FieldLayout) -> usize {
        let capacity = match self.count {
            0 => return 0,
            count => count.max(MIN_CAPACITY).next_power_of_two(),
        };
        match layout {
            // The capacity of a merged list is at most twice the sum of the capacities of its parts.
            Message(_) if self.count > 1 => 2 * self.content,
            Message(_) => self.content,
            Messages(size, _) => capacity * size + self.content,
            // Space for several packed numbers is reserved at once, so that a capacity need not be a power of two.
            Varints | Fixed64 => 2 * size_of::<u64>() * self.count.max(MIN_CAPACITY),
        }
    }
}

fn decoded_size(mut message: &[u8], layout: &MessageLayout, depth: usize) -> usize {
    if depth > MAX_DEPTH || layout.fields.is_empty() {
        return 0;
    }
    let mut sizes = [FieldSize::default(); MAX_FIELDS];
    while let Ok(Some((number, value))) = next_field(&mut message) {
        let content = match value {
            FieldValue::Bytes(content) => Some(content),
            _ => None,
        };
        let position = layout.fields.iter().position(|(field, _)| *field == number);
        let field = position.and_then(|at| Some((sizes.get_mut(at)?, layout.fields.get(at)?)));
        if let Some((size, (_, layout))) = field {
            size.add(layout, content, depth);
        }
    }
    let used = sizes.iter().zip(layout.fields);
    used.map(|(size, (_, layout))| size.bytes(layout)).sum()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::model::otlp::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};

    #[test]
    fn size_of_messages_is_the_capacity_of_their_lists() {
        let span = Span { attributes: vec![KeyValue::default(); 10], ..Span::default() };
        let encoded = span.encode_to_vec();
        assert_eq!(super::span(&encoded), 16 * size_of::<KeyValue>());
        assert!(super::span(&encoded) > 20 * encoded.len());
        let scope = ScopeSpans { spans: vec![span; 100], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let body = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
        let expected =
            4 * size_of::<ResourceSpanRequest>() + 4 * size_of::<ScopeSpanRequest>() + 128 * size_of::<Bytes>();
        assert_eq!(traces(&body), expected);
        assert!(traces(&body) <= MAX_EXPANSION * body.len());
    }

    #[test]
    fn only_large_items_are_weighed() {
        struct Empty;
        impl Budget for Empty {
            fn reserve(&self, bytes: usize) -> Result<(), BudgetExceeded> {
                if bytes == 0 { Ok(()) } else { Err(BudgetExceeded::Memory { limit: 0 }) }
            }
        }
        let attributes =
            |count| Span { attributes: vec![KeyValue::default(); count], ..Span::default() }.encode_to_vec();
        assert!(reserve_span(&attributes(UNWEIGHED_BYTES / 2), &Empty).is_ok());
        assert!(reserve_span(&attributes(UNWEIGHED_BYTES / 2 + 1), &Empty).is_err());
        let histogram = [&[0x32, 0x80, 0x40][..], &[0; 0x2000]].concat();
        assert!(reserve_point(DataKind::Histogram, &histogram, &Empty).is_err());
        assert!(reserve_point(DataKind::Gauge, &histogram, &Empty).is_ok());
    }

    #[test]
    fn invalid_bodies_have_no_size() {
        for body in [&[][..], &[0x0a], &[0x0a, 0x05, 0x12], &[0xff; 20], &[0x0c, 0x0a], &[0x7b, 0x0a]] {
            assert_eq!(traces(body), 0, "{body:?}");
            assert_eq!(metrics(body), 0, "{body:?}");
        }
    }

    #[test]
    fn groups_of_unknown_fields_are_skipped() {
        let spans = [0x0a, 0x00];
        let group = [0x7b, 0x0a, 0x00, 0x7b, 0x08, 0x01, 0x7c, 0x7c];
        assert_eq!(traces(&[&group[..], &spans].concat()), traces(&spans));
        assert!(traces(&spans) > 0);
    }

    #[test]
    fn nesting_is_limited() {
        let mut body = Vec::new();
        for _ in 0..1_000 {
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(body.len() as u64, &mut outer);
            outer.extend(&body);
            body = outer;
        }
        assert!(metrics(&body) < 10_000);
    }
}
