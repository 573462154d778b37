//! Hostile requests to the real binary: each gets a response, and the next valid request succeeds.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use serde_json::{Map, Value, json};
use sidecarless::model::otlp::ExportMetricsServiceRequest;

use crate::ecs::fake_aws::FakeAws;
use crate::otlp_builder::{self, attributes, gauge, number, request, resource};

const TOKEN: &str = "right";
/// SHA-256 of the token.
const HASH: &str = "27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9";

/// Maximum peak memory of the function in kilobytes. Its configured memory size is 256 MB.
const PEAK_KB: u64 = 192 << 10;

/// Maximum size of an event, with base64 (AWS Lambda Developer Guide, "Lambda quotas").
const EVENT_BYTES: usize = 6 << 20;

/// A request to the Function URL.
struct HostileRequest {
    path: String,
    headers: Map<String, Value>,
    body: Value,
}

impl HostileRequest {
    fn new(path: &str, body: &[u8]) -> Self {
        let headers = json!({"content-type": "application/x-protobuf", "authorization": format!("Bearer {TOKEN}")});
        let Value::Object(headers) = headers else { unreachable!() };
        Self { path: path.to_owned(), headers, body: json!(STANDARD.encode(body)) }
    }

    fn metrics(body: &[u8]) -> Self {
        Self::new("/v1/metrics", body)
    }

    fn json(body: &str) -> Self {
        Self::metrics(body.as_bytes()).with("content-type", "application/json")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), json!(value));
        self
    }

    fn raw(body: &str) -> Self {
        Self { body: json!(body), ..Self::metrics(&[]) }
    }

    fn event(&self) -> Value {
        json!({
            "version": "2.0", "rawPath": self.path, "headers": self.headers, "body": self.body, "isBase64Encoded": true,
            "requestContext": {"http": {"method": "POST", "path": self.path, "sourceIp": "203.0.113.9"}},
        })
    }
}

fn one_gauge() -> ExportMetricsServiceRequest {
    request(resource(), None, vec![gauge("queue.length", "", vec![number(7.0, &[])])])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns a zstd frame of `blocks` blocks that each decompress to 128 KB of one byte (RFC 8878, section 3.1.1.2).
fn zstd_bomb(blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for number in 1..=blocks {
        let header = u32::from(number == blocks) | 1 << 1 | (1 << 17) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Returns a zstd frame with one empty raw block.
fn empty_zstd_frame() -> Vec<u8> {
    vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 0x01, 0x00, 0x00]
}

/// Returns nested length-delimited fields. The first tag is the innermost.
fn nested(tags: impl Iterator<Item = u8>) -> Vec<u8> {
    // Written from the end, so that the time grows linearly with the number of fields.
    let mut reversed: Vec<u8> = Vec::new();
    for tag in tags {
        let mut head = vec![tag];
        prost::encoding::encode_varint(reversed.len() as u64, &mut head);
        reversed.extend(head.iter().rev());
    }
    reversed.reverse();
    reversed
}

/// Returns a resource with an attribute of nested lists.
fn lists(depth: usize) -> Vec<u8> {
    // Tags of ArrayValue.values and AnyValue.array_value; then of KeyValue.value, Resource.attributes,
    // ResourceMetrics.resource and ExportMetricsServiceRequest.resource_metrics.
    nested([0x0a, 0x2a].into_iter().cycle().take(depth * 2).chain([0x12, 0x0a, 0x0a, 0x0a]))
}

fn resources(count: usize) -> Vec<u8> {
    let one = |number: usize| {
        let instance = format!("instance-{number}");
        let attributes =
            attributes(&[("service.name", "cart".into()), ("service.instance.id", instance.as_str().into())]);
        request(attributes, None, vec![gauge("queue.length", "", vec![number_of(number)])]).resource_metrics
    };
    ExportMetricsServiceRequest { resource_metrics: (0..count).flat_map(one).collect() }.encode_to_vec()
}

fn number_of(number: usize) -> otlp_builder::Point {
    otlp_builder::number(f64::from(u32::try_from(number).unwrap()), &[])
}

/// Returns pseudo-random bytes, which are the same in every run.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

/// Returns all hostile requests with their name and expected status.
fn hostile_requests() -> Vec<(String, HostileRequest, u64)> {
    let good = one_gauge().encode_to_vec();
    let largest = EVENT_BYTES / 4 * 3 - 4096;
    let mut requests: Vec<(String, HostileRequest, u64)> = Vec::new();
    let mut knock = |case: &str, knock: HostileRequest, status: u64| requests.push((case.to_owned(), knock, status));

    for cut in [1, 2, 3, good.len() / 2, good.len() - 1] {
        knock(&format!("cut after {cut} bytes"), HostileRequest::metrics(&good[..cut]), 400);
    }
    let zipped = gzip(&good);
    for cut in [3, 10, zipped.len() / 2, zipped.len() - 1] {
        knock(&format!("gzip cut after {cut} bytes"), HostileRequest::metrics(&zipped[..cut]), 400);
    }
    for (depth, status) in [(10, 200), (1_000, 400), (1_000_000, 400)] {
        knock(&format!("lists in lists, {depth} deep"), HostileRequest::metrics(&lists(depth)), status);
    }
    let unknown = nested([0x7a].into_iter().cycle().take(1_000_000));
    knock("unknown fields, a million deep", HostileRequest::metrics(&unknown), 200);
    for (open, name) in [("[", "lists"), (r#"{"a":"#, "objects"), (r#"{"resourceMetrics":["#, "messages")] {
        knock(&format!("JSON: {name} without end"), HostileRequest::json(&open.repeat(100_000)), 400);
    }
    knock(
        "JSON: a number of a megabyte",
        HostileRequest::json(&format!(r#"{{"resourceMetrics":{}}}"#, "9".repeat(1 << 20))),
        400,
    );
    knock("JSON: a name of four megabytes", HostileRequest::json(&format!(r#"{{"{}":1}}"#, "x".repeat(4 << 20))), 200);
    knock(
        "JSON: half of a surrogate pair",
        HostileRequest::json(r#"{"resourceMetrics":[{"schemaUrl":"\ud800"}]}"#),
        200,
    );
    knock("JSON: NUL", HostileRequest::json("\0"), 400);

    knock("the largest garbage", HostileRequest::metrics(&noise(largest)), 400);
    knock("the largest garbage as JSON", HostileRequest::json(&"{".repeat(largest)), 400);
    knock("the most empty points", HostileRequest::metrics(&empty_points(largest / 4)), 503);
    knock("the most empty scopes", HostileRequest::metrics(&empty_messages(largest / 4, 0x12, &[0x0a])), 413);
    let long = "x".repeat(4 << 20);
    let long = request(attributes(&[("service.name", long.as_str().into())]), None, one_metric()).encode_to_vec();
    knock("a value of four megabytes", HostileRequest::metrics(&long), 200);
    knock("10,000 resources", HostileRequest::metrics(&resources(10_000)), 200);

    knock("a gzip bomb", HostileRequest::metrics(&gzip(&vec![0; 1 << 26])), 413);
    knock("a gzip bomb in a thousand members", HostileRequest::metrics(&gzip(&vec![0; 1 << 16]).repeat(1_000)), 413);
    knock("a zstd bomb", HostileRequest::metrics(&zstd_bomb(100_000)), 413);
    knock("a zstd bomb in a hundred frames", HostileRequest::metrics(&zstd_bomb(2).repeat(100)), 413);
    knock(
        "zstd frames of nothing, by the hundred thousand",
        HostileRequest::metrics(&empty_zstd_frame().repeat(100_000)),
        400,
    );
    knock("a zstd window of two terabytes", HostileRequest::metrics(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0]), 400);
    knock("gzip in gzip", HostileRequest::metrics(&gzip(&gzip(&good))), 400);

    knock("base64 with rubbish", HostileRequest::raw("CgIK\u{0}AA=="), 400);
    knock("base64 with a line break", HostileRequest::raw("CgIK\nAA=="), 400);
    knock("base64 without its end", HostileRequest::raw("CgIKA"), 400);
    knock("base64 of another alphabet", HostileRequest::raw("_-_-"), 400);
    knock("no body", HostileRequest { body: Value::Null, ..HostileRequest::metrics(&[]) }, 200);

    for (case, name) in
        [("UTF-8 cut in a name", &b"queue\xe2\x82"[..]), ("Latin-1 in a name", b"caf\xe9"), ("NUL in a name", b"a\0b")]
    {
        let mut broken = one_gauge();
        broken.resource_metrics[0].scope_metrics[0].metrics[0].name = name.to_vec().into();
        knock(case, HostileRequest::metrics(&broken.encode_to_vec()), 200);
    }

    let mut flood = HostileRequest::metrics(&good);
    for number in 0..20_000 {
        flood = flood.with(&format!("x-header-{number}"), "value");
    }
    knock("20,000 headers", flood, 200);
    knock("a header of a megabyte", HostileRequest::metrics(&good).with("x-long", &"v".repeat(1 << 20)), 200);
    knock("headers that are no text", HostileRequest::metrics(&good).with("content-type", "\u{1}\u{7f}é"), 200);

    for (case, authorization) in [
        ("a token with a letter more", "Bearer rightt".to_owned()),
        ("a token with a letter less", "Bearer righ".into()),
        ("a token in capitals", "Bearer RIGHT".into()),
        ("a token with NUL behind it", "Bearer right\0".into()),
        ("its hash as the token", format!("Bearer {HASH}")),
        ("two tokens", "Bearer right, Bearer right".into()),
        ("a token of a megabyte", format!("Bearer {}", "a".repeat(1 << 20))),
        ("no scheme", "right".into()),
        ("another scheme", "Basic right".into()),
        ("nothing", String::new()),
    ] {
        knock(case, HostileRequest::metrics(&noise(1_000)).with("authorization", &authorization), 401);
    }

    for (path, status) in [
        ("//v1/metrics", 200),
        ("/any/prefix/v1/metrics/", 200),
        ("/v1/metrics/..", 404),
        ("/v1/metrics/../traces", 404),
        ("/v1/%6detrics", 404),
        ("/v1/metrics%00", 404),
        ("/v1/metrics\0", 404),
        ("/v1/metrics;x", 404),
        ("/V1/METRICS", 404),
        ("/v1metrics", 404),
        ("v1/metrics", 404),
        ("/../../etc/passwd", 404),
        ("/v1/logs", 404),
        ("/", 405),
    ] {
        knock(&format!("the path {path:?}"), HostileRequest::new(path, &good), status);
    }
    knock("a path of a megabyte", HostileRequest::new(&format!("/{}", "a".repeat(1 << 20)), &good), 404);
    requests
}

fn one_metric() -> Vec<sidecarless::model::otlp::Metric> {
    vec![gauge("queue.length", "", vec![number(7.0, &[])])]
}

/// Returns a gauge of `count` points of two bytes each.
fn empty_points(count: usize) -> Vec<u8> {
    // Tags of Gauge.data_points, Metric.gauge and what encloses them.
    empty_messages(count, 0x0a, &[0x2a, 0x12, 0x12, 0x0a])
}

/// Returns `count` messages of two bytes each in one message for each tag, the innermost first.
fn empty_messages(count: usize, tag: u8, outer: &[u8]) -> Vec<u8> {
    let mut inner = [tag, 0x00].repeat(count);
    for tag in outer {
        let mut outer = vec![*tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.append(&mut inner);
        inner = outer;
    }
    inner
}

#[test]
fn hostile_requests_do_not_affect_the_next_request() {
    let mut aws = FakeAws::new();
    let limits =
        [("SIDECARLESS_TOKENS_SHA256", HASH), ("SIDECARLESS_MAX_SAMPLE_AGE", "off"), ("SIDECARLESS_LOG", "error")];
    aws.start(&limits);
    let good = HostileRequest::metrics(&one_gauge().encode_to_vec()).event();
    let mut statuses: BTreeMap<u64, usize> = BTreeMap::new();
    let requests = hostile_requests();
    let mut surprises: Vec<String> = Vec::new();
    for (case, knock, expected) in &requests {
        let response = aws.invoke(&knock.event());
        let status = response["statusCode"].as_u64().unwrap_or_else(|| panic!("{case}: {response}"));
        if status != *expected {
            surprises.push(format!("{case}: {status} instead of {expected}"));
        }
        *statuses.entry(status).or_default() += 1;

        aws.take_series();
        let response = aws.invoke(&good);
        assert_eq!(response["statusCode"], 200, "after {case}: {response}");
        assert!(aws.take_series().iter().any(|series| series.name() == "queue_length"), "after {case}");
    }
    let peak = aws.peak_memory();
    let kilobytes: u64 = peak.split_whitespace().find_map(|word| word.parse().ok()).expect("peak memory in kilobytes");
    println!("show: hostile pushes: {}, statuses {statuses:?}, peak memory {} MB", requests.len(), kilobytes >> 10);
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(kilobytes < PEAK_KB, "{peak}");
}
