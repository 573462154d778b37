//! Size of a request in memory, calculated before it is decoded.
//!
//! An empty span or attribute takes two bytes in protobuf and some hundred bytes in memory, so a request of a few megabytes
//! can fill gigabytes. The functions walk over the protobuf fields without decoding them and add up the sizes of the messages.
//! For an invalid body, the result includes the messages before the error, and decoding reports the error.

use std::mem::size_of;

use super::{
    AnyValue, Buckets, Event, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, Link, Metric,
    NumberDataPoint, ResourceMetrics, ResourceSpans, ScopeMetrics, ScopeSpans, Span, SummaryDataPoint, ValueAtQuantile,
};

/// Maximum depth of nested messages that are counted. prost decodes up to a depth of 100, and deeper messages need more bytes
/// in protobuf than in memory.
const MAX_DEPTH: usize = 16;

/// Maximum bytes in memory for each byte of a body: an empty message of the largest type takes two bytes in protobuf.
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

/// Returns the decoded size of an `ExportTraceServiceRequest` without strings.
pub fn traces(body: &[u8]) -> usize {
    decoded_size(body, &[(1, &RESOURCE_SPANS)], 0)
}

/// Returns the decoded size of an `ExportMetricsServiceRequest` without strings.
pub fn metrics(body: &[u8]) -> usize {
    decoded_size(body, &[(1, &RESOURCE_METRICS)], 0)
}

/// Size of a message type in memory, and the fields that are messages.
struct MessageLayout {
    size: usize,
    fields: &'static [(u64, &'static MessageLayout)],
}

static VALUE: MessageLayout = MessageLayout { size: size_of::<AnyValue>(), fields: &[(5, &ARRAY), (6, &KEY_VALUES)] };
static ARRAY: MessageLayout = MessageLayout { size: 0, fields: &[(1, &VALUE)] };
static KEY_VALUES: MessageLayout = MessageLayout { size: 0, fields: &[(1, &KEY_VALUE)] };
/// An attribute contains its value, so only nested values are counted in addition.
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
/// Counts are varints of at least one byte, and eight bytes in memory.
static BUCKETS: MessageLayout = MessageLayout { size: size_of::<Buckets>(), fields: &[(2, &COUNTS)] };
static COUNTS: MessageLayout = MessageLayout { size: 0, fields: &[] };
static SUMMARIES: MessageLayout = MessageLayout { size: 0, fields: &[(1, &SUMMARY)] };
static SUMMARY: MessageLayout =
    MessageLayout { size: size_of::<SummaryDataPoint>(), fields: &[(7, &KEY_VALUE), (6, &QUANTILE)] };
static QUANTILE: MessageLayout = MessageLayout { size: size_of::<ValueAtQuantile>(), fields: &[] };
static EXEMPLAR: MessageLayout = MessageLayout { size: size_of::<Exemplar>(), fields: &[(7, &KEY_VALUE)] };

fn decoded_size(mut message: &[u8], fields: &[(u64, &'static MessageLayout)], depth: usize) -> usize {
    let mut size = 0;
    while let Some((number, content)) = next_field(&mut message) {
        let Some(&(_, layout)) = fields.iter().find(|&&(field, _)| field == number) else { continue };
        size += if std::ptr::eq(layout, &raw const COUNTS) { 8 * content.len() } else { layout.size };
        if depth < MAX_DEPTH && !layout.fields.is_empty() {
            size += decoded_size(content, layout.fields, depth + 1);
        }
    }
    size
}

/// Returns the number of the next field, and its content if it is length-delimited. `None` at the end, or if the message is
/// invalid.
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
    fn size_of_empty_messages_is_their_size_in_memory() {
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
    fn invalid_bodies_have_no_size() {
        for body in [&[][..], &[0x0a], &[0x0a, 0x05, 0x12], &[0xff; 20], &[0x0b, 0x0a]] {
            assert_eq!(traces(body), 0, "{body:?}");
            assert_eq!(metrics(body), 0, "{body:?}");
        }
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
