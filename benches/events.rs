//! Writes the events that `scripts/bench` sends to the function to a folder, and prints a JSON description of each:
//! items, bytes, and the size of its series after encoding with prost and compression with snappy, without
//! optimizations.
//!
//! usage: cargo bench --profile dev --bench events -- FOLDER

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails with a panic, and prints figures"
)]

#[path = "payload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other benchmarks use the rest")]
mod payload;

use std::path::PathBuf;

use prost::Message as _;
use serde_json::{Value, json};
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::{ExportMetricsServiceRequest, MetricsRequest};
use sidecarless::model::remote_write::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};
use sidecarless::model::series::SeriesBatch;
use sidecarless::translate::metrics::{ClientIdentity, Options, series};

/// Largest body of an event. The event of a synchronous invocation can have 6 MB, with the base64 of the body and 4 KB
/// of other fields.
const MAX_BODY_BYTES: usize = (6_000_000 - 4_000) / 4 * 3;
/// Slightly below the limit of a decompressed body (`MAX_DECOMPRESSED_BYTES`, 20 MiB).
const MAX_DECOMPRESSED_BYTES: usize = 20_900_000;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let folder = folder.expect("usage: cargo bench --bench events -- FOLDER");
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut descriptions = serde_json::Map::new();
    let mut write = |name: &str, event: String, description: Value| {
        std::fs::write(folder.join(format!("{name}.json")), event).expect("a file");
        descriptions.insert(name.into(), description);
    };
    for (name, spans, gzip) in [
        ("spans", 500, false),
        ("spans-5", 5, false),
        ("spans-gzip", 500, true),
        ("spans-6mb", spans_in(MAX_BODY_BYTES), false),
        ("spans-20mb", spans_in(MAX_DECOMPRESSED_BYTES), true),
    ] {
        let body = payload::traces(spans).encode_to_vec();
        write(name, payload::event("/v1/traces", &body, gzip), json!({"items": spans, "body_bytes": body.len()}));
    }
    for (name, points, gzip) in [
        ("points", 1_000, false),
        ("points-20", 20, false),
        ("points-gzip", 1_000, true),
        ("points-6mb", points_in(MAX_BODY_BYTES), false),
        ("points-20mb", points_in(MAX_DECOMPRESSED_BYTES), true),
    ] {
        let request = payload::metrics(points);
        let body = request.encode_to_vec();
        let (samples, plain_bytes) = plain_remote_write(&request);
        let description = json!({
            "items": points, "body_bytes": body.len(), "samples": samples, "plain_write_bytes": plain_bytes
        });
        write(name, payload::event("/v1/metrics", &body, gzip), description);
    }
    let (task, stats) = payload::stats(3);
    let event = payload::json_event("/v1/ecs/task-stats", &format!("{task}{stats}"));
    write("stats", event, json!({"items": 1, "body_bytes": task.len() + stats.len()}));
    println!("{}", Value::Object(descriptions));
}

/// Returns the number of spans in a body of this size.
fn spans_in(bytes: usize) -> usize {
    const PROBE: usize = 1_000;
    bytes * PROBE / payload::traces(PROBE).encoded_len()
}

/// Returns the number of points in a body of this size.
fn points_in(bytes: usize) -> usize {
    const PROBE: usize = 1_000;
    bytes * PROBE / payload::metrics(PROBE).encoded_len()
}

/// Returns the number of samples, and the bytes of one remote write request with all samples and their metadata,
/// encoded by prost and compressed by snappy.
fn plain_remote_write(request: &ExportMetricsServiceRequest) -> (u64, usize) {
    let mut batch = SeriesBatch::default();
    let client = ClientIdentity::default();
    let result =
        series(&MetricsRequest::from(request), &Options::default(), &client, payload::NOW_MS, &Unlimited, &mut batch);
    let result = result.expect("no limit");
    assert!(result.rejected.is_empty(), "{}", result.rejected);
    let timeseries = batch.iter().map(|series| TimeSeries {
        labels: series.labels().map(|(name, value)| Label { name: name.into(), value: value.into() }).collect(),
        samples: series.samples().iter().map(|s| Sample { value: s.value, timestamp: s.timestamp_ms }).collect(),
        ..TimeSeries::default()
    });
    let metadata = batch.metadata().iter().map(|metadata| MetricMetadata {
        kind: metadata.kind as i32,
        family: metadata.family.clone(),
        help: metadata.help.clone(),
        unit: metadata.unit.clone(),
    });
    let request = WriteRequest { timeseries: timeseries.collect(), metadata: metadata.collect() };
    let snappy = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("less than 4 GiB");
    (batch.point_count(), snappy.len())
}
