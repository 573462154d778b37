//! Upper bound of the memory that decoding a protobuf request allocates, calculated before it is decoded.
//!
//! An empty span or attribute takes two bytes in protobuf and some hundred bytes in memory, so a request of a few megabytes
//! can fill gigabytes. The functions walk over the protobuf fields without decoding them and add up the capacities of the lists
//! that decoding fills. Strings are slices of the body and need no memory. For an invalid body, the result includes the messages
//! before the error, and decoding reports the error.

use std::mem::size_of;

use bytes::Bytes;

use super::protobuf::{FieldValue, next_field};
use super::wire::{WireResource, WireScope};
use super::{
    AnyValue, Event, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, Link, Metric,
    NumberDataPoint, ResourceMetrics, ResourceSpans, ScopeMetrics, ScopeSpans, Span, SummaryDataPoint, ValueAtQuantile,
};

/// Maximum depth of nested messages. prost fails at a depth of 100.
const MAX_DEPTH: usize = 100;

/// Maximum bytes in memory for each byte of a body: an empty message of the largest type takes two bytes in protobuf, and a list
/// has a capacity of at least four messages.
pub const MAX_EXPANSION: usize = {
    let sizes = [
        size_of::<ResourceSpans>(),
        size_of::<ScopeSpans>(),
        size_of::<Span>(),
        size_of::<Event>(),
        size_of::<Link>(),
        size_of::<KeyValue>(),
        size_of::<ResourceMetrics>(),
        size_of::<ScopeMetrics>(),
        size_of::<Metric>(),
        size_of::<NumberDataPoint>(),
        size_of::<HistogramDataPoint>(),
        size_of::<ExponentialHistogramDataPoint>(),
        size_of::<SummaryDataPoint>(),
        size_of::<Exemplar>(),
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

/// Returns the memory that decoding an `ExportTraceServiceRequest` allocates.
pub fn traces(body: &[u8]) -> usize {
    decoded_size(body, &TRACES, 0)
}

/// Returns the memory that decoding an `ExportMetricsServiceRequest` allocates.
pub fn metrics(body: &[u8]) -> usize {
    decoded_size(body, &METRICS, 0)
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
const MAX_FIELDS: usize = 6;

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

static TRACES: MessageLayout = layout(&[(1, Messages(size_of::<ResourceSpans>(), &RESOURCE_SPANS))]);
static RESOURCE_SPANS: MessageLayout =
    layout(&[(1, Message(&ATTRIBUTES_1)), (2, Messages(size_of::<ScopeSpans>(), &SCOPE_SPANS))]);
static SCOPE_SPANS: MessageLayout = layout(&[(1, Message(&SCOPE)), (2, Messages(size_of::<Span>(), &SPAN))]);
static SPAN: MessageLayout =
    layout(&[(9, attributes!()), (11, Messages(size_of::<Event>(), &EVENT)), (13, Messages(size_of::<Link>(), &LINK))]);
static EVENT: MessageLayout = layout(&[(3, attributes!())]);
static LINK: MessageLayout = layout(&[(4, attributes!())]);

static METRICS: MessageLayout = layout(&[(1, Messages(size_of::<ResourceMetrics>(), &RESOURCE_METRICS))]);
static RESOURCE_METRICS: MessageLayout =
    layout(&[(1, Message(&ATTRIBUTES_1)), (2, Messages(size_of::<ScopeMetrics>(), &SCOPE_METRICS))]);
static SCOPE_METRICS: MessageLayout = layout(&[(1, Message(&SCOPE)), (2, Messages(size_of::<Metric>(), &METRIC))]);
static METRIC: MessageLayout = layout(&[
    (5, Message(&NUMBERS)),
    (7, Message(&NUMBERS)),
    (9, Message(&HISTOGRAMS)),
    (10, Message(&EXPONENTIALS)),
    (11, Message(&SUMMARIES)),
    (12, attributes!()),
]);
static NUMBERS: MessageLayout = layout(&[(1, Messages(size_of::<NumberDataPoint>(), &NUMBER))]);
static NUMBER: MessageLayout = layout(&[(7, attributes!()), (5, exemplars!())]);
static HISTOGRAMS: MessageLayout = layout(&[(1, Messages(size_of::<HistogramDataPoint>(), &HISTOGRAM))]);
static HISTOGRAM: MessageLayout = layout(&[(9, attributes!()), (8, exemplars!()), (6, Fixed64), (7, Fixed64)]);
static EXPONENTIALS: MessageLayout = layout(&[(1, Messages(size_of::<ExponentialHistogramDataPoint>(), &EXPONENTIAL))]);
static EXPONENTIAL: MessageLayout =
    layout(&[(1, attributes!()), (8, Message(&BUCKETS)), (9, Message(&BUCKETS)), (11, exemplars!())]);
static BUCKETS: MessageLayout = layout(&[(2, Varints)]);
static SUMMARIES: MessageLayout = layout(&[(1, Messages(size_of::<SummaryDataPoint>(), &SUMMARY))]);
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
    use crate::model::otlp::ExportTraceServiceRequest;

    #[test]
    fn size_of_messages_is_the_capacity_of_their_lists() {
        let span = Span { attributes: vec![KeyValue::default(); 10], ..Span::default() };
        let scope = ScopeSpans { spans: vec![span; 100], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let body = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
        let expected = 4 * size_of::<ResourceSpans>()
            + 4 * size_of::<ScopeSpans>()
            + 128 * size_of::<Span>()
            + 100 * 16 * size_of::<KeyValue>();
        assert_eq!(traces(&body), expected);
        assert!(expected > 20 * body.len(), "{expected} bytes from {}", body.len());
        assert!(traces(&body) <= MAX_EXPANSION * body.len());
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
