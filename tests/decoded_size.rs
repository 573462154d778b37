//! Property: the memory that is reserved before decoding is at least what decoding allocates.

use std::cell::Cell;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use sidecarless::model::budget::{Budget, BudgetExceeded};
use sidecarless::model::otlp::borrowed::{
    DataKind, DataPoint, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, Span, SummaryDataPoint,
};
use sidecarless::model::otlp::wire::WireRequest;
use sidecarless::model::otlp::{MetricsRequest, TraceRequest, decoded_size, json};

use crate::ALLOCATOR;
use crate::otlp_json::{print, telemetry};

/// Allocations that do not depend on the request, such as the reference count of the body.
const CONSTANT_BYTES: usize = 1_024;

/// Adds up what is reserved.
#[derive(Default)]
struct Meter(Cell<usize>);

impl Budget for Meter {
    fn reserve(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.0.set(self.0.get() + bytes);
        Ok(())
    }
}

/// Returns the number of bytes that `decode` allocates and keeps, or `None` if it fails.
fn allocated<T, E>(decode: impl FnOnce() -> Result<T, E>) -> Option<usize> {
    let before = ALLOCATOR.allocated();
    let decoded = decode().ok()?;
    let after = ALLOCATOR.allocated();
    drop(decoded);
    Some(after.saturating_sub(before))
}

fn check_protobuf<M: Message + Default>(case: &str, body: &[u8], estimate: fn(&[u8]) -> usize) {
    let body = Bytes::copy_from_slice(body);
    let estimated = estimate(&body);
    if let Some(allocated) = allocated(|| M::decode(body.clone())) {
        assert!(allocated <= estimated + CONSTANT_BYTES, "{case}: {allocated} bytes, estimated {estimated}");
        assert!(allocated <= body.len() * decoded_size::MAX_EXPANSION + CONSTANT_BYTES, "{case}: {allocated} bytes");
    }
}

/// Checks the lists of a span or point, which keep their memory for the next one.
fn check_item<T: Default, E>(case: &str, estimated: usize, decode: impl FnOnce(&mut T) -> Result<(), E>) {
    let decode = || {
        let mut item = T::default();
        decode(&mut item).map(|()| item)
    };
    if let Some(allocated) = allocated(decode) {
        assert!(allocated <= estimated, "{case}: {allocated} bytes, estimated {estimated}");
    }
}

fn check_point<'a, P: DataPoint<'a>>(kind: DataKind, encoded: &'a [u8]) {
    check_item(&format!("{kind:?}"), decoded_size::point(kind, encoded), |point: &mut P| point.decode_again(encoded));
}

fn check_json<M, E>(body: &str, decode: impl Fn(&Bytes, &Meter) -> Result<M, E>) {
    let (body, meter) = (Bytes::copy_from_slice(body.as_bytes()), Meter::default());
    if let Some(allocated) = allocated(|| decode(&body, &meter)) {
        let reserved = meter.0.get();
        assert!(allocated <= reserved + CONSTANT_BYTES, "{allocated} bytes, reserved {reserved}");
    }
}

/// A message type: the tags of its fields, and their types.
struct Type(&'static [(u8, &'static Type)]);

static TEXT: Type = Type(&[]);
static VALUE: Type = Type(&[(0x2a, &ARRAY), (0x32, &LIST), (0x0a, &TEXT)]);
static ARRAY: Type = Type(&[(0x0a, &VALUE)]);
static LIST: Type = Type(&[(0x0a, &ATTRIBUTE)]);
static ATTRIBUTE: Type = Type(&[(0x12, &VALUE), (0x0a, &TEXT)]);
static SCOPE: Type = Type(&[(0x1a, &ATTRIBUTE)]);

static TRACES: Type = Type(&[(0x0a, &RESOURCE_SPANS)]);
static RESOURCE_SPANS: Type = Type(&[(0x0a, &LIST), (0x12, &SCOPE_SPANS)]);
static SCOPE_SPANS: Type = Type(&[(0x0a, &SCOPE), (0x12, &SPAN)]);
static SPAN: Type = Type(&[(0x4a, &ATTRIBUTE), (0x5a, &SCOPE), (0x6a, &LINK), (0x7a, &TEXT)]);
static LINK: Type = Type(&[(0x22, &ATTRIBUTE)]);

static LOGS: Type = Type(&[(0x0a, &RESOURCE_LOGS)]);
static RESOURCE_LOGS: Type = Type(&[(0x0a, &LIST), (0x12, &SCOPE_LOGS)]);
static SCOPE_LOGS: Type = Type(&[(0x0a, &SCOPE), (0x12, &LOG_RECORD)]);
static LOG_RECORD: Type = Type(&[(0x2a, &VALUE), (0x32, &ATTRIBUTE)]);

static METRICS: Type = Type(&[(0x0a, &RESOURCE_METRICS)]);
static RESOURCE_METRICS: Type = Type(&[(0x0a, &LIST), (0x12, &SCOPE_METRICS)]);
static SCOPE_METRICS: Type = Type(&[(0x0a, &SCOPE), (0x12, &METRIC)]);
static METRIC: Type = Type(&[
    (0x2a, &GAUGE),
    (0x3a, &GAUGE),
    (0x4a, &HISTOGRAMS),
    (0x52, &EXPONENTIALS),
    (0x5a, &SUMMARIES),
    (0x62, &ATTRIBUTE),
]);
static GAUGE: Type = Type(&[(0x0a, &NUMBER)]);
static NUMBER: Type = Type(&[(0x3a, &ATTRIBUTE), (0x2a, &EXEMPLAR)]);
static EXEMPLAR: Type = Type(&[(0x3a, &ATTRIBUTE)]);
static HISTOGRAMS: Type = Type(&[(0x0a, &HISTOGRAM)]);
static HISTOGRAM: Type = Type(&[(0x4a, &ATTRIBUTE), (0x42, &EXEMPLAR), (0x32, &NUMBERS), (0x3a, &NUMBERS)]);
static EXPONENTIALS: Type = Type(&[(0x0a, &EXPONENTIAL)]);
static EXPONENTIAL: Type = Type(&[(0x0a, &ATTRIBUTE), (0x42, &BUCKETS), (0x4a, &BUCKETS), (0x5a, &EXEMPLAR)]);
static BUCKETS: Type = Type(&[(0x12, &NUMBERS)]);
static SUMMARIES: Type = Type(&[(0x0a, &SUMMARY)]);
static SUMMARY: Type = Type(&[(0x3a, &ATTRIBUTE), (0x32, &TEXT)]);
/// Packed numbers, of any length.
static NUMBERS: Type = Type(&[]);

/// Repetitions around the capacities of a list.
const COUNTS: [usize; 10] = [0, 1, 1, 1, 2, 4, 5, 9, 33, 130];

/// Pseudo-random numbers, which are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn push_field(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    prost::encoding::encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Returns a message. Most fields are repeated, also those that are not lists.
fn message(kind: &Type, random: &mut Random, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if std::ptr::eq(kind, &raw const NUMBERS) {
        return vec![1; 8 * COUNTS[random.below(COUNTS.len())]];
    }
    if depth == 0 || kind.0.is_empty() {
        return out;
    }
    for _ in 0..=random.below(2) {
        let (tag, kind) = kind.0[random.below(kind.0.len())];
        let content = message(kind, random, depth - 1);
        let count = COUNTS[random.below(COUNTS.len())];
        // Large contents are not repeated, so that bodies stay small.
        let count = count.min(8_000 / content.len().max(1)).max(1);
        (0..count).for_each(|_| push_field(&mut out, tag, &content));
        if random.below(16) == 0 {
            // A group of an unknown field.
            out.extend_from_slice(&[0xfb, 0x07, 0x08, 0x01, 0xfc, 0x07]);
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn protobuf_of_extreme_shape_takes_at_most_its_estimate(seed in 1..u64::MAX, depth in 3_usize..20) {
        let body = message(&TRACES, &mut Random(seed), depth);
        check_protobuf::<TraceRequest>("traces", &body, decoded_size::traces);
        let body = message(&METRICS, &mut Random(seed), depth);
        check_protobuf::<MetricsRequest>("metrics", &body, decoded_size::metrics);
        let span = message(&SPAN, &mut Random(seed), depth);
        check_item("span", decoded_size::span(&span), |item: &mut Span<'_>| item.decode_again(&span));
        check_point::<NumberDataPoint<'_>>(DataKind::Sum, &message(&NUMBER, &mut Random(seed), depth));
        check_point::<HistogramDataPoint<'_>>(DataKind::Histogram, &message(&HISTOGRAM, &mut Random(seed), depth));
        let exponential = message(&EXPONENTIAL, &mut Random(seed), depth);
        check_point::<ExponentialHistogramDataPoint<'_>>(DataKind::ExponentialHistogram, &exponential);
        check_point::<SummaryDataPoint<'_>>(DataKind::Summary, &message(&SUMMARY, &mut Random(seed), depth));
        let body = message(&LOGS, &mut Random(seed), depth);
        check_protobuf::<WireRequest>("logs", &body, decoded_size::wire);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn telemetry_takes_at_most_its_estimate(
        traces in telemetry::traces(), metrics in telemetry::metrics(), logs in telemetry::logs(),
    ) {
        check_protobuf::<TraceRequest>("traces", &traces.encode_to_vec(), decoded_size::traces);
        check_protobuf::<MetricsRequest>("metrics", &metrics.encode_to_vec(), decoded_size::metrics);
        check_protobuf::<WireRequest>("logs", &logs.encode_to_vec(), decoded_size::wire);
        check_json(&print::logs(&logs), |body, meter| json::logs(body, meter));
        check_json(&print::traces(&traces), |body, meter| json::traces(body, meter));
        check_json(&print::metrics(&metrics), |body, meter| json::metrics(body, meter));
    }
}

#[test]
fn json_of_extreme_shape_takes_at_most_what_is_reserved() {
    let nested = |depth: usize| {
        let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
        format!(r#"{{"key":"k","value":{open}null,{{}},null,1e1{close}}}"#).replace("1e1", "{}")
    };
    let attribute = |value: &str| format!(r#"{{"key":"k","value":{{"stringValue":"{value}"}}}}"#);
    let items = [
        "null".to_owned(),
        "{}".into(),
        r#"{"events":[null,null,null,null,null]}"#.into(),
        r#"{"traceId":"00112233445566778899aabbccddeeff"}"#.into(),
        format!(r#"{{"attributes":[{}]}}"#, attribute(r"a\n\u00e9")),
        format!(r#"{{"attributes":[{}]}}"#, attribute("plain")),
        format!(r#"{{"attributes":[{}]}}"#, nested(20)),
        r#"{"attributes":[{"key":"k","value":{"bytesValue":"AAAAAAAAAAAA"}}]}"#.into(),
    ];
    for item in &items {
        for count in [1, 3, 4, 5, 1_000, 33_000] {
            let spans = vec![item.as_str(); count].join(",");
            let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
            check_json(&body, |body, meter| json::traces(body, meter));
        }
    }
    for counts in ["0", "null", "\"18446744073709551615\""] {
        let counts = vec![counts; 100_000].join(",");
        let point = format!(r#"{{"bucketCounts":[{counts}],"explicitBounds":[{counts}]}}"#);
        let metric = format!(r#"{{"histogram":{{"dataPoints":[{point}]}}}}"#);
        let body = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#);
        check_json(&body, |body, meter| json::metrics(body, meter));
    }
}
