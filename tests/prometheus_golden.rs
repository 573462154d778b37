//! Recordings of the ADOT exporter (tests/golden/README-metrics.md). With `Compat::Adot`, the same requests result in the
//! same series, except for the cases in [`DEPARTURES`], each of which describes the error of the exporter.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::io::Write as _;

use base64::Engine as _;
use flate2::read::MultiGzDecoder;
use prost::Message as _;
use serde_json::{Value, json};
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::MetricsRequest;
use sidecarless::model::remote_write::{BucketSpan, WriteRequest, encode_series};
use sidecarless::model::series::SeriesBatch;
use sidecarless::translate::Compat;
use sidecarless::translate::metrics::{ClientIdentity, Options, series};
use sidecarless::translate::names::Naming;

/// Errors of the exporter that neither mode reproduces, and the recordings that contain them.
const DEPARTURES: &[(&str, &[&str])] = &[
    (
        "an attribute without a valid label name (`____`, or empty) drops the point; here only the attribute is dropped",
        &[
            "label-____",
            "reslabel-____",
            "label-",
            "reslabel-",
            "rand-1-5",
            "rand-1-12",
            "rand-1-15",
            "rand-1-31",
            "rand-1-45",
            "rand-1-50",
            "rand-1-51",
            "rand-1-60",
            "rand-1-71",
            "rand-1-76",
            "rand-1-79",
            "rand-1-82",
            "rand-1-87",
            "rand-1-89",
            "rand-1-97",
            "rand-1-98",
            "rand-1-100",
            "rand-1-107",
            "rand-1-118",
            "rand-1-123",
            "rand-1-127",
            "rand-1-142",
            "rand-1-148",
            "rand-1-160",
            "rand-1-161",
            "rand-1-165",
            "rand-1-180",
            "rand-1-183",
            "rand-1-197",
        ],
    ),
    (
        "a resource attribute whose key has no letter or digit drops all of target_info; here only the attribute is dropped",
        &["reslabel-.", "reslabel--", "reslabel-_", "reslabel-é", "reslabel-日本", "resource-10"],
    ),
    ("a scope attribute without a value becomes an empty label, which the specification forbids", &["scope-3"]),
    ("the sign of a negative zero is lost", &["number-6"]),
    ("a point without a time is written at 1970, and AMP rejects it; here it is rejected with a reason", &["time-0"]),
    ("an explicit bound of +Inf makes two samples of one series at one time", &["hist-5"]),
    (
        "an exponential histogram that is too coarse leaves a series without samples",
        &["exph-scale--6", "exph-scale--5"],
    ),
    ("two points of one series at one time are both sent, and AMP rejects the second", &["two-points"]),
    ("an attribute `__name__` on a histogram is a second `__name__` label, and AMP rejects it", &["rand-1-150"]),
];

/// Other errors of the exporter that the default mode does not reproduce.
const CORRECTED_DEPARTURES: &[(&str, &[&str])] = &[
    (
        "an attribute `__name__` is lost; here it is kept under another label",
        &[
            "label-__name__",
            "reslabel-__name__",
            "rand-1-8",
            "rand-1-20",
            "rand-1-22",
            "rand-1-66",
            "rand-1-83",
            "rand-1-94",
            "rand-1-152",
            "rand-1-166",
            "rand-1-185",
            "rand-1-199",
        ],
    ),
    (
        "an attribute of the resource replaces, or is joined with, the one of the point; here the point's own one is used",
        &[
            "label-service.name",
            "res-overwrites-point",
            "rand-1-4",
            "rand-1-14",
            "rand-1-25",
            "rand-1-39",
            "rand-1-72",
            "rand-1-74",
            "rand-1-84",
            "rand-1-86",
            "rand-1-96",
            "rand-1-137",
            "rand-1-177",
            "rand-1-189",
            "rand-1-192",
            "rand-1-193",
            "rand-1-198",
        ],
    ),
    ("an empty service.namespace makes the job `/name`", &["resource-2"]),
    ("a point without a value is written as 0; here it is rejected with a reason", &["number-9"]),
    ("`_sum` of a histogram that has ended goes on, and an ended native histogram keeps its buckets", &["stale"]),
    ("buckets whose counts do not fit the bounds, or whose bounds do not ascend, are written", &["hist-3", "hist-4"]),
    ("labels of exemplars keep characters that no label may have", &["exemplar-noid"]),
];

fn options(compat: Compat) -> Options {
    Options {
        naming: Naming { compat, ..Naming::default() },
        max_age_ms: None,
        max_ahead_ms: None,
        ..Options::default()
    }
}

fn recordings() -> Vec<Value> {
    let mut text = String::new();
    let file = include_bytes!("golden/metrics.jsonl.gz");
    MultiGzDecoder::new(&file[..]).read_to_string(&mut text).expect("the recordings are gzip");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Formats a number like the recordings: values that JSON does not support are the bits in hex.
fn number(value: f64) -> Value {
    if value.is_finite() { rounded(value) } else { json!(format!("{:#018x}", value.to_bits())) }
}

/// Thirteen digits: serde_json's quick reading of doubles may miss the last bit.
fn rounded(value: f64) -> Value {
    json!(format!("{value:.12e}"))
}

/// A recording with its doubles rounded alike; integers are timestamps, counts and indexes.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => rounded(number.as_f64().unwrap_or_default()),
        Value::Array(values) => values.iter().map(normal).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

/// Returns the counts of non-empty buckets by index.
fn buckets(spans: &[BucketSpan], deltas: &[i64]) -> Value {
    let (mut index, mut count, mut deltas) = (0i64, 0, deltas.iter());
    let mut buckets = BTreeMap::new();
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            count += deltas.next().expect("a delta for each bucket of the spans");
            if count != 0 {
                buckets.insert(index.to_string(), json!(count));
            }
            index += 1;
        }
    }
    assert!(deltas.next().is_none(), "a bucket for each delta");
    json!(buckets)
}

/// The series of a request in the form of the recordings.
fn ours(request: &MetricsRequest, compat: Compat) -> Vec<Value> {
    let mut batch = SeriesBatch::default();
    let outcome =
        series(request, &options(compat), &ClientIdentity::default(), 0, &Unlimited, &mut batch).expect("no limit");
    assert_eq!(outcome.received, outcome.written + outcome.rejected.total());
    let mut body = Vec::new();
    batch.iter().for_each(|series| encode_series(series, &mut body));
    let request = WriteRequest::decode(body.as_slice()).expect("prost reads what we encode");
    let labels = |labels: &[sidecarless::model::remote_write::Label]| -> Vec<Value> {
        labels.iter().map(|label| json!([label.name, label.value])).collect()
    };
    let series = request.timeseries.iter().map(|series| {
        let histograms: Vec<Value> = series
            .histograms
            .iter()
            .map(|histogram| {
                json!({
                    "count": histogram.count_int, "sum": number(histogram.sum), "schema": histogram.schema,
                    "zero_threshold": number(histogram.zero_threshold), "zero_count": histogram.zero_count_int,
                    "timestamp": histogram.timestamp, "reset_hint": histogram.reset_hint,
                    "positive": buckets(&histogram.positive_spans, &histogram.positive_deltas),
                    "negative": buckets(&histogram.negative_spans, &histogram.negative_deltas),
                })
            })
            .collect();
        let exemplars: Vec<Value> = series.exemplars.iter().map(|exemplar| json!({
            "labels": labels(&exemplar.labels), "value": number(exemplar.value), "timestamp": exemplar.timestamp,
        })).collect();
        let samples: Vec<Value> =
            series.samples.iter().map(|sample| json!([sample.timestamp, number(sample.value)])).collect();
        json!({"labels": labels(&series.labels), "samples": samples, "histograms": histograms, "exemplars": exemplars})
    });
    series.collect()
}

fn sorted(series: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = series.iter().map(|series| normal(series).to_string()).collect();
    lines.sort();
    lines
}

#[test]
fn adot_mode_equals_the_recordings() {
    compare(Compat::Adot, DEPARTURES);
}

#[test]
fn corrected_mode_differs_only_for_exporter_errors() {
    let departures: Vec<_> = DEPARTURES.iter().chain(CORRECTED_DEPARTURES).copied().collect();
    compare(Compat::Corrected, &departures);
}

fn compare(compat: Compat, departures: &[(&str, &[&str])]) {
    let mut equal = 0;
    let mut wrong = Vec::new();
    let recordings = recordings();
    for recording in &recordings {
        let case = recording["case"].as_str().expect("a name");
        let request =
            base64::engine::general_purpose::STANDARD.decode(recording["request"].as_str().expect("a request"));
        let request = MetricsRequest::from_protobuf(request.expect("base64").into()).expect("OTLP");
        let theirs = sorted(recording["series"].as_array().expect("series"));
        let ours = sorted(&ours(&request, compat));
        let departs = departures.iter().any(|(_, cases)| cases.contains(&case));
        equal += usize::from(ours == theirs);
        if (ours == theirs) == departs {
            let only = |left: &[String], right: &[String]| {
                left.iter().filter(|line| !right.contains(line)).cloned().collect::<Vec<_>>().join("\n    ")
            };
            wrong.push(format!("{case}\n  ours\n    {}\n  theirs\n    {}", only(&ours, &theirs), only(&theirs, &ours)));
        }
    }
    let _ = writeln!(
        std::io::stderr(),
        "{compat:?}: {equal} of {} recordings equal, {} departures",
        recordings.len(),
        recordings.len() - equal
    );
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
