//! Writes the events that `scripts/bench` hands to the function into a folder, and prints as JSON what is in each: items,
//! bytes, and what its series weigh when prost encodes and snappy compresses them in the plainest way.
//!
//! usage: cargo bench --profile dev --bench events -- FOLDER

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark stops at its first surprise, and prints"
)]

#[path = "payload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the other benchmarks use more of it")]
mod payload;

use std::path::PathBuf;

use prost::Message as _;
use serde_json::{Value, json};
use sidecarless::model::otlp::ExportMetricsServiceRequest;
use sidecarless::model::remote_write::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};
use sidecarless::model::series::SeriesBatch;
use sidecarless::translate::metrics::{ClientIdentity, Options, series};

/// Lambda's limit for the event of a synchronous invocation is 6 MB: this leaves room for what surrounds the body.
const LARGEST_BODY: usize = (6_000_000 - 4_000) / 4 * 3;
/// As far as the function inflates a body (`INFLATED_LIMIT`, 20 MiB), and a little less.
const LARGEST_INFLATED: usize = 20_900_000;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let folder = folder.expect("usage: cargo bench --bench events -- FOLDER");
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut written = serde_json::Map::new();
    let mut write = |name: &str, event: String, about: Value| {
        std::fs::write(folder.join(format!("{name}.json")), event).expect("a file");
        written.insert(name.into(), about);
    };
    for (name, spans, gzip) in [
        ("spans", 500, false),
        ("spans-gzip", 500, true),
        ("spans-6mb", spans_in(LARGEST_BODY), false),
        ("spans-20mb", spans_in(LARGEST_INFLATED), true),
    ] {
        let body = payload::traces(spans).encode_to_vec();
        write(name, payload::event("/v1/traces", &body, gzip), json!({"items": spans, "body_bytes": body.len()}));
    }
    for (name, points, gzip) in [
        ("points", 1_000, false),
        ("points-gzip", 1_000, true),
        ("points-6mb", points_in(LARGEST_BODY), false),
        ("points-20mb", points_in(LARGEST_INFLATED), true),
    ] {
        let request = payload::metrics(points);
        let body = request.encode_to_vec();
        let (samples, plain) = plain_remote_write(&request);
        let about = json!({"items": points, "body_bytes": body.len(), "samples": samples, "plain_write_bytes": plain});
        write(name, payload::event("/v1/metrics", &body, gzip), about);
    }
    println!("{}", Value::Object(written));
}

/// As many spans as so many bytes hold.
fn spans_in(bytes: usize) -> usize {
    const PROBE: usize = 1_000;
    bytes * PROBE / payload::traces(PROBE).encoded_len()
}

/// As many points as so many bytes hold.
fn points_in(bytes: usize) -> usize {
    const PROBE: usize = 1_000;
    bytes * PROBE / payload::metrics(PROBE).encoded_len()
}

/// Samples, and bytes of one remote write of all of them and their metadata by prost and snappy, in the order of the
/// request.
fn plain_remote_write(request: &ExportMetricsServiceRequest) -> (u64, usize) {
    let mut batch = SeriesBatch::default();
    let result = series(request, &Options::default(), &ClientIdentity::default(), payload::NOW_MS, &mut batch);
    assert!(result.rejected.is_empty(), "{}", result.rejected);
    let timeseries = batch.iter().map(|series| TimeSeries {
        labels: series.labels().map(|(name, value)| Label { name: name.into(), value: value.into() }).collect(),
        samples: series.samples().iter().map(|s| Sample { value: s.value, timestamp: s.timestamp_ms }).collect(),
        ..TimeSeries::default()
    });
    let metadata = batch.metadata().iter().map(|known| MetricMetadata {
        kind: known.kind as i32,
        family: known.family.clone(),
        help: known.help.clone(),
        unit: known.unit.clone(),
    });
    let request = WriteRequest { timeseries: timeseries.collect(), metadata: metadata.collect() };
    let snappy = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("less than 4 GiB");
    (batch.point_count(), snappy.len())
}
