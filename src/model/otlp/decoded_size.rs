//! What a request will weigh in memory, before it is decoded.
//!
//! On the wire an empty span takes two bytes and an empty attribute too, in memory some hundred: a request of a few
//! megabytes can be made to fill gigabytes. This walks over the wire format without decoding it and adds up the messages
//! it meets. A body that is broken weighs what was met until there: decoding will say what is wrong.

use std::mem::size_of;

use super::{
    AnyValue, Buckets, Event, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, Link, Metric,
    NumberDataPoint, ResourceMetrics, ResourceSpans, ScopeMetrics, ScopeSpans, Span, SummaryDataPoint, ValueAtQuantile,
};

/// Messages in messages deeper than this are not looked at: prost decodes no deeper than 100, and what nests takes more
/// bytes on the wire than it gains in memory.
const MAX_DEPTH: usize = 16;

/// The most that a byte on the wire can become: an empty message takes two, and the largest type there is in memory.
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
    largest.div_ceil(2)
};

/// Bytes that the spans of an `ExportTraceServiceRequest` take when they are decoded, strings left out.
pub fn traces(body: &[u8]) -> usize {
    decoded_size(body, &[(1, &RESOURCE_SPANS)], 0)
}

/// Bytes that the metrics of an `ExportMetricsServiceRequest` take when they are decoded, strings left out.
pub fn metrics(body: &[u8]) -> usize {
    decoded_size(body, &[(1, &RESOURCE_METRICS)], 0)
}

/// A message type: what one takes in memory, and which of its fields are messages.
struct MessageLayout {
    size: usize,
    fields: &'static [(u64, &'static MessageLayout)],
}

static VALUE: MessageLayout = MessageLayout { size: size_of::<AnyValue>(), fields: &[(5, &ARRAY), (6, &KEY_VALUES)] };
static ARRAY: MessageLayout = MessageLayout { size: 0, fields: &[(1, &VALUE)] };
static KEY_VALUES: MessageLayout = MessageLayout { size: 0, fields: &[(1, &KEY_VALUE)] };
/// The value of an attribute lies inside it: only what the value holds counts again.
static KEY_VALUE: MessageLayout = MessageLayout { size: size_of::<KeyValue>(), fields: &[(2, &INNER_VALUE)] };
static INNER_VALUE: MessageLayout = MessageLayout { size: 0, fields: &[(5, &ARRAY), (6, &KEY_VALUES)] };
static ATTRIBUTES_1: MessageLayout = MessageLayout { size: 0, fields: &[(1, &KEY_VALUE)] };
static SCOPE: MessageLayout = MessageLayout { size: 0, fields: &[(3, &KEY_VALUE)] };

static RESOURCE_SPANS: MessageLayout =
    MessageLayout { size: size_of::<ResourceSpans>(), fields: &[(1, &ATTRIBUTES_1), (2, &SCOPE_SPANS)] };
static SCOPE_SPANS: MessageLayout = MessageLayout { size: size_of::<ScopeSpans>(), fields: &[(1, &SCOPE), (2, &SPAN)] };
static SPAN: MessageLayout =
    MessageLayout { size: size_of::<Span>(), fields: &[(9, &KEY_VALUE), (11, &EVENT), (13, &LINK)] };
static EVENT: MessageLayout = MessageLayout { size: size_of::<Event>(), fields: &[(3, &KEY_VALUE)] };
static LINK: MessageLayout = MessageLayout { size: size_of::<Link>(), fields: &[(4, &KEY_VALUE)] };

static RESOURCE_METRICS: MessageLayout =
    MessageLayout { size: size_of::<ResourceMetrics>(), fields: &[(1, &ATTRIBUTES_1), (2, &SCOPE_METRICS)] };
static SCOPE_METRICS: MessageLayout =
    MessageLayout { size: size_of::<ScopeMetrics>(), fields: &[(1, &SCOPE), (2, &METRIC)] };
static METRIC: MessageLayout = MessageLayout {
    size: size_of::<Metric>(),
    fields: &[(5, &NUMBERS), (7, &NUMBERS), (9, &HISTOGRAMS), (10, &EXPONENTIALS), (11, &SUMMARIES), (12, &KEY_VALUE)],
};
static NUMBERS: MessageLayout = MessageLayout { size: 0, fields: &[(1, &NUMBER)] };
static NUMBER: MessageLayout =
    MessageLayout { size: size_of::<NumberDataPoint>(), fields: &[(7, &KEY_VALUE), (5, &EXEMPLAR)] };
static HISTOGRAMS: MessageLayout = MessageLayout { size: 0, fields: &[(1, &HISTOGRAM)] };
static HISTOGRAM: MessageLayout =
    MessageLayout { size: size_of::<HistogramDataPoint>(), fields: &[(9, &KEY_VALUE), (8, &EXEMPLAR)] };
static EXPONENTIALS: MessageLayout = MessageLayout { size: 0, fields: &[(1, &EXPONENTIAL)] };
static EXPONENTIAL: MessageLayout = MessageLayout {
    size: size_of::<ExponentialHistogramDataPoint>(),
    fields: &[(1, &KEY_VALUE), (8, &BUCKETS), (9, &BUCKETS), (11, &EXEMPLAR)],
};
/// Counts are varints of one byte at least, and eight bytes in memory.
static BUCKETS: MessageLayout = MessageLayout { size: size_of::<Buckets>(), fields: &[(2, &COUNTS)] };
static COUNTS: MessageLayout = MessageLayout { size: 0, fields: &[] };
static SUMMARIES: MessageLayout = MessageLayout { size: 0, fields: &[(1, &SUMMARY)] };
static SUMMARY: MessageLayout =
    MessageLayout { size: size_of::<SummaryDataPoint>(), fields: &[(7, &KEY_VALUE), (6, &QUANTILE)] };
static QUANTILE: MessageLayout = MessageLayout { size: size_of::<ValueAtQuantile>(), fields: &[] };
static EXEMPLAR: MessageLayout = MessageLayout { size: size_of::<Exemplar>(), fields: &[(7, &KEY_VALUE)] };

fn decoded_size(mut message: &[u8], fields: &[(u64, &'static MessageLayout)], depth: usize) -> usize {
    let mut weight = 0;
    while let Some((number, content)) = next_field(&mut message) {
        let Some(&(_, shape)) = fields.iter().find(|&&(field, _)| field == number) else { continue };
        weight += if std::ptr::eq(shape, &raw const COUNTS) { 8 * content.len() } else { shape.size };
        if depth < MAX_DEPTH && !shape.fields.is_empty() {
            weight += decoded_size(content, shape.fields, depth + 1);
        }
    }
    weight
}

/// The next field, with its content when it is length-delimited; `None` at the end and where the message is broken.
fn next_field<'a>(message: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let key = varint(message)?;
    let length = match key & 7 {
        0 => {
            varint(message)?;
            0
        }
        1 => 8,
        5 => 4,
        2 => usize::try_from(varint(message)?).ok()?,
        _ => return None,
    };
    let (content, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some((key >> 3, if key & 7 == 2 { content } else { &[] }))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = message.split_first()?;
    if first < 0x80 {
        *message = rest;
        return Some(u64::from(first));
    }
    prost::encoding::decode_varint(message).ok()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::model::otlp::ExportTraceServiceRequest;

    #[test]
    fn empty_messages_weigh_what_they_take_in_memory() {
        let span = Span { attributes: vec![KeyValue::default(); 10], ..Span::default() };
        let scope = ScopeSpans { spans: vec![span; 100], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let body = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
        let expected = size_of::<ResourceSpans>()
            + size_of::<ScopeSpans>()
            + 100 * (size_of::<Span>() + 10 * size_of::<KeyValue>());
        assert_eq!(traces(&body), expected);
        assert!(expected > 20 * body.len(), "{expected} bytes from {}", body.len());
        let spans = ScopeSpans { spans: vec![Span::default(); 1_000], ..ScopeSpans::default() }.encode_to_vec();
        assert!(decoded_size(&spans, SCOPE_SPANS.fields, 0) <= MAX_EXPANSION * spans.len());
    }

    #[test]
    fn broken_bodies_weigh_what_was_met() {
        for body in [&[][..], &[0x0a], &[0x0a, 0x05, 0x12], &[0xff; 20], &[0x0b, 0x0a]] {
            assert_eq!(traces(body), 0, "{body:?}");
            assert_eq!(metrics(body), 0, "{body:?}");
        }
    }

    #[test]
    fn nesting_ends() {
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
