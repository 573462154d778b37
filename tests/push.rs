//! End-to-end tests of pushes: the response to the client, and the data in the workspace and in X-Ray.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use serde_json::{Value, json};
use sidecarless::deadline::Deadline;
use sidecarless::lambda::HttpResponse;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::otlp::{
    AnyValue, ExportResponse, ExportTraceServiceRequest, KeyValue, PartialSuccess, ResourceSpans, RpcStatus,
    ScopeSpans, Span, Temporality, any_value,
};

use crate::otlp_builder::{self, gauge, histogram, histograms, number, request, resource};
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::{Push, Sandbox};

/// The recorded points are years old.
const ANY_AGE: (&str, &str) = ("SIDECARLESS_MAX_SAMPLE_AGE", "off");

/// Body of X-Ray's error for a call with an invalid document.
const INVALID_REQUEST: &str = r#"{"__type":"InvalidRequestException","message":"no"}"#;

fn span(number: u64) -> Span {
    Span {
        trace_id: Bytes::copy_from_slice(&(0x6563_0000_u128 << 96 | 7).to_be_bytes()),
        span_id: Bytes::copy_from_slice(&number.to_be_bytes()),
        name: "GET /cart".into(),
        kind: 2,
        start_time_unix_nano: otlp_builder::NANOS,
        end_time_unix_nano: otlp_builder::NANOS + 1_000_000,
        ..Span::default()
    }
}

fn traces(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn one_gauge() -> Vec<u8> {
    request(resource(), None, vec![gauge("queue.length", "", vec![number(7.0, &[])])]).encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
}

/// Returns code and message of an error response in either encoding.
fn status(response: &HttpResponse) -> (i32, String) {
    if header(response, "content-type") == Some("application/json") {
        let status: Value = serde_json::from_slice(&response.body).unwrap();
        let code = status["code"].as_i64().unwrap().try_into().unwrap();
        return (code, status["message"].as_str().unwrap().to_owned());
    }
    let status = RpcStatus::decode(response.body.as_slice()).unwrap();
    (status.code, status.message)
}

fn partial(response: &HttpResponse) -> Option<PartialSuccess> {
    assert_eq!(response.status, 200, "{:?}", String::from_utf8_lossy(&response.body));
    ExportResponse::decode(response.body.as_slice()).unwrap().partial_success
}

#[tokio::test]
async fn invalid_request_gets_a_reason_and_the_next_succeeds() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    let good = traces(vec![span(1)]);
    let (garbage, truncated) = (vec![0xff; 64], &good[..good.len() - 3]);
    let zipped = gzip(&good);
    let bomb = gzip(&vec![0; 21 << 20]);
    let crowd = empty_scopes(3_000_000);
    let deep = format!("{}{}", r#"{"resourceSpans":"#, "[".repeat(100_000));
    let new = Push::new;
    let json = |body| new("/v1/traces", body).with("content-type", "application/json");
    let cases = [
        ("garbage", new("/v1/traces", &garbage), 400, 3, "invalid OTLP protobuf"),
        ("garbage as metrics", new("/v1/metrics", &garbage), 400, 3, "invalid OTLP protobuf"),
        ("cut short", new("/v1/traces", truncated), 400, 3, "invalid OTLP protobuf"),
        ("a number where a message belongs", new("/v1/traces", &[8, 1]), 400, 3, "invalid OTLP protobuf"),
        (
            "JSON with the content type of protobuf",
            new("/v1/traces", br#"{"resourceSpans":[]}"#),
            400,
            3,
            "invalid OTLP protobuf",
        ),
        ("protobuf with the content type of JSON", json(&good), 400, 3, "invalid OTLP JSON"),
        ("JSON cut short", json(br#"{"resourceSpans":[{"#), 400, 3, "invalid OTLP JSON"),
        ("JSON of another shape", json(br#"{"resourceSpans":7}"#), 400, 3, "invalid OTLP JSON"),
        ("JSON too deep", json(deep.as_bytes()), 400, 3, "invalid OTLP JSON"),
        ("gzip cut short", new("/v1/traces", &zipped[..zipped.len() - 12]), 400, 3, "invalid gzip body"),
        ("a bomb", new("/v1/traces", &bomb), 413, 8, "decompressed body is larger than"),
        ("3,000,000 empty scopes", new("/v1/traces", &crowd), 413, 8, "send smaller batches"),
        ("zstd cut short", new("/v1/traces", &[0x28, 0xb5, 0x2f, 0xfd, 0]), 400, 3, "invalid zstd body"),
        (
            "zstd with a window of a terabyte",
            new("/v1/traces", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0xf0, 1, 0, 0]),
            400,
            3,
            "invalid zstd body",
        ),
        (
            "brotli",
            new("/v1/traces", &good).with("content-encoding", "br"),
            415,
            3,
            "unsupported content-encoding `br`",
        ),
        ("no base64", Push { raw: Some("%%%"), ..new("/v1/traces", &[]) }, 400, 3, "invalid base64 body"),
        ("raw segments that are none", new("/TraceSegments", b"hello"), 400, 3, "TraceSegmentDocuments"),
        ("logs", new("/v1/logs", &[]), 404, 5, "OTEL_LOGS_EXPORTER=none"),
        ("an unknown path", new("/v2/traces", &good), 404, 5, "send traces to /v1/traces"),
        ("a GET", Push { method: "GET", ..new("/v1/traces", &[]) }, 405, 12, "GET is not allowed"),
    ];
    for (number, (case, push, expected_status, code, reason)) in cases.into_iter().enumerate() {
        let response = sandbox.push(&push).await;
        let (response_code, message) = status(&response);
        assert_eq!((response.status, response_code), (expected_status, code), "{case}: {message}");
        assert!(message.contains(reason), "{case}: {message}");

        assert_eq!(partial(&sandbox.push(&Push::new("/v1/traces", &zipped)).await), None, "after {case}");
        assert_eq!(sandbox.aws.xray().documents.len(), number + 1, "after {case}");
    }
}

#[tokio::test]
async fn only_the_right_token_is_accepted() {
    let hash = ring::digest::digest(&ring::digest::SHA256, b"right");
    let hash = hex::encode(hash);
    let sandbox = Sandbox::start(&[("SIDECARLESS_AUTH", "token"), ("SIDECARLESS_TOKENS_SHA256", &hash)]).await;
    let body = traces(vec![span(1)]);
    let push = Push::new("/v1/traces", &body);
    for (case, push, reason) in [
        ("no token", push.clone(), "missing bearer token"),
        ("a wrong token", push.clone().with("authorization", "Bearer wrong"), "unknown bearer token"),
        ("another scheme", push.clone().with("authorization", "Basic right"), "use `Bearer <token>`"),
    ] {
        let response = sandbox.push(&push).await;
        let (code, message) = status(&response);
        assert_eq!((response.status, code), (401, 16), "{case}");
        assert!(message.contains(reason) && !message.contains("wrong"), "{case}: {message}");
        assert_eq!(header(&response, "www-authenticate"), Some("Bearer"), "{case}");
    }
    assert!(sandbox.aws.xray().calls.is_empty());
    assert_eq!(partial(&sandbox.push(&push.with("Authorization", "Bearer right")).await), None);
    assert_eq!(sandbox.aws.xray().documents.len(), 1);
}

#[tokio::test]
async fn token_in_the_path_is_accepted_for_sampling_only() {
    let hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, b"right"));
    let sandbox = Sandbox::start(&[("SIDECARLESS_AUTH", "token"), ("SIDECARLESS_TOKENS_SHA256", &hash)]).await;
    for (path, header, expected) in [
        ("/sampling-token/right/GetSamplingRules", None, 200),
        ("/sampling-token/right/SamplingTargets", None, 200),
        ("/prefix/Sampling-Token/right//GetSamplingRules", None, 200),
        ("/sampling-token/wrong/GetSamplingRules", None, 401),
        ("/sampling-token//GetSamplingRules", None, 401),
        ("/sampling-token/GetSamplingRules", None, 405),
        ("/right/GetSamplingRules", None, 401),
        ("/GetSamplingRules", None, 401),
        ("/sampling-token/right/GetSamplingRules", Some("Bearer wrong"), 401),
        ("/sampling-token/wrong/GetSamplingRules", Some("Bearer right"), 200),
        ("/sampling-token/right/v1/traces", None, 401),
        ("/sampling-token/right/v1/ecs/task-stats", None, 401),
        ("/sampling-token/right/TraceSegments", None, 401),
        ("/sampling-token/right/unknown", None, 404),
    ] {
        let push = Push::new(path, b"{}");
        let push = header.map_or(push.clone(), |value| push.with("authorization", value));
        let response = sandbox.push(&push).await;
        let body = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, expected, "{path} {header:?}: {body}");
        assert!(expected == 200 || !body.contains("right") && !body.contains("wrong"), "{path}: {body}");
    }
}

#[tokio::test]
async fn metrics_without_a_workspace_are_rejected() {
    let sandbox = Sandbox::start(&[ANY_AGE, ("AWS_PROMETHEUS_ENDPOINT", "")]).await;
    let partial = partial(&sandbox.push(&Push::new("/v1/metrics", &one_gauge())).await).unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("set AWS_PROMETHEUS_ENDPOINT"), "{}", partial.error_message);
}

#[tokio::test]
async fn metrics_are_written_once_after_retryable_errors() {
    let again = |status: u16, times: usize| vec![Fault::status(status, "later"); times];
    let retry_after = StubResponse::Http { status: 429, headers: vec![("retry-after", "1".into())], body: Vec::new() };
    for (case, faults) in [
        ("none", vec![]),
        ("503 once", again(503, 1)),
        ("429 three times", again(429, 3)),
        ("429 with Retry-After", vec![Fault::Response(retry_after)]),
        ("500 and 502", [again(500, 1), again(502, 1)].concat()),
        ("a connection that ends", vec![Fault::Response(StubResponse::Reset)]),
        ("a slow response", vec![Fault::Slow(Duration::from_millis(300))]),
    ] {
        let sandbox = Sandbox::start(&[ANY_AGE, ("SIDECARLESS_TARGET_INFO", "off")]).await;
        sandbox.amp.fail(faults);
        let response = sandbox.push(&Push::new("/v1/metrics", &one_gauge())).await;
        assert_eq!(partial(&response), None, "{case}");
        let samples = sandbox.amp.named("queue_length");
        assert_eq!((sandbox.amp.requests(), samples.len()), (1, 1), "{case}");
        assert!(samples[0].1.to_bits() == 7.0_f64.to_bits(), "{case}");
    }
}

#[tokio::test]
async fn unavailable_workspace_results_in_retry_after() {
    for (case, fault) in [("503", Fault::status(503, "sick")), ("no response", Fault::Response(StubResponse::Hang))] {
        let sandbox = Sandbox::start(&[ANY_AGE]).await;
        sandbox.amp.fail(vec![fault; 100]);
        let body = one_gauge();
        let response = sandbox.push(&Push { time: Duration::from_secs(1), ..Push::new("/v1/metrics", &body) }).await;
        let (code, message) = status(&response);
        assert_eq!((response.status, code), (503, 14), "{case}: {message}");
        assert!(message.starts_with("AMP unavailable: "), "{case}: {message}");
        assert!(header(&response, "retry-after").is_some(), "{case}");
        assert_eq!(sandbox.amp.requests(), 0, "{case}");
    }
}

#[tokio::test]
async fn rejected_samples_are_reported_and_not_retried() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    let error = "user=1: err: out of order sample. timestamp=2023-11-14T22:13:20Z, series={__name__=\"queue_length\"}";
    sandbox.amp.fail([Fault::status(400, error)]);
    let partial = partial(&sandbox.push(&Push::new("/v1/metrics", &one_gauge())).await).unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("out of order sample"), "{}", partial.error_message);
    assert_eq!(sandbox.amp.requests(), 0, "it is not sent again");
}

#[tokio::test]
async fn rejected_histogram_is_reported_as_one_data_point() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    sandbox.amp.fail([Fault::status(400, "out of order sample")]);
    let point = histogram(&[1.0, 2.0], &[1, 0, 0], 1, Some(0.5));
    let metric = histograms("latency", "s", Temporality::Cumulative, vec![point]);
    let body = request(resource(), None, vec![metric]).encode_to_vec();
    let partial = partial(&sandbox.push(&Push::new("/v1/metrics", &body)).await).unwrap();
    assert_eq!(partial.rejected, 1, "{}", partial.error_message);
}

#[tokio::test]
async fn only_throttled_documents_are_sent_again() {
    let sandbox = Sandbox::start(&[]).await;
    let id = |number: u64| format!("{number:016x}");
    {
        let mut xray = sandbox.aws.xray();
        for throttled in [3, 5] {
            xray.unprocessed.insert(id(throttled), ("ThrottledException", 1));
        }
        xray.unprocessed.insert(id(4), ("InvalidSegment", u32::MAX));
    }
    let body = traces((1..=10).map(span).collect());
    let partial = partial(&sandbox.push(&Push::new("/v1/traces", &body)).await).unwrap();

    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("InvalidSegment: rejected"), "{}", partial.error_message);
    let xray = sandbox.aws.xray();
    assert_eq!(xray.calls, [10, 2]);
    assert_eq!(xray.sent_ids[10..], [id(3), id(5)]);
    assert_eq!(xray.documents.len(), 9);
}

#[tokio::test]
async fn throttled_call_with_status_400_is_retried() {
    let sandbox = Sandbox::start(&[]).await;
    sandbox.aws.fail([Fault::status(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#)]);
    let response = sandbox.push(&Push::new("/v1/traces", &traces((1..=10).map(span).collect()))).await;
    assert_eq!((response.status, response.body.len()), (200, 0));
    assert_eq!(sandbox.aws.xray().calls, [10], "one call, which is not split");
    assert_eq!(sandbox.aws.xray().documents.len(), 10);
}

#[tokio::test]
async fn one_invalid_segment_does_not_fail_the_batch() {
    // Calls with 50, 25, 13, 6, 3, 2 and 1 documents are rejected.
    for (status, rejected, accepted) in [(400, 1, vec![25, 12, 7, 3, 1, 1]), (413, 1, vec![25, 12, 7, 3, 1, 1])] {
        let sandbox = Sandbox::start(&[]).await;
        let body = traces((1..=50).map(span).collect());
        // The id of the seventeenth span.
        let is_poisoned =
            |request: &RecordedRequest| request.body.windows(16).any(|bytes| bytes == b"0000000000000011");
        sandbox.aws.fail_always(is_poisoned, Fault::status(status, INVALID_REQUEST));
        let partial = partial(&sandbox.push(&Push::new("/v1/traces", &body)).await).unwrap();
        assert_eq!(partial.rejected, rejected, "{status}");
        assert!(partial.error_message.contains("X-Ray returned InvalidRequestException"), "{}", partial.error_message);
        let mut calls = sandbox.aws.xray().calls.clone();
        calls.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(calls, accepted, "{status}");
    }
}

#[tokio::test]
async fn throttled_batch_is_neither_split_nor_rejected() {
    let sandbox = Sandbox::start(&[]).await;
    let throttled = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    sandbox.aws.fail_always(|_| true, Fault::status(400, throttled));
    let body = traces((1..=120).map(span).collect());
    let response = sandbox.push(&Push { time: Duration::from_secs(3), ..Push::new("/v1/traces", &body) }).await;
    assert_eq!(response.status, 503);
    // Three calls, with the waits of the backoff between their attempts.
    let calls = sandbox.aws.requests();
    assert!((3..=30).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn expired_signature_is_replaced_once() {
    for code in ["ExpiredTokenException", "RequestExpired", "RequestTimeTooSkewed"] {
        let sandbox = Sandbox::start(&[ANY_AGE, ("SIDECARLESS_TARGET_INFO", "off")]).await;
        let expired = || Fault::status(403, &format!(r#"{{"__type":"{code}","message":"no"}}"#));
        sandbox.aws.fail([expired()]);
        sandbox.amp.fail([expired()]);
        let spans = traces((1..=3).map(span).collect());
        for (path, body) in [("/v1/traces", &spans), ("/v1/metrics", &one_gauge())] {
            let response = sandbox.push(&Push::new(path, body)).await;
            assert_eq!((response.status, response.body.len()), (200, 0), "{code} {path}");
        }
        assert_eq!(sandbox.aws.requests(), 2, "{code}");
        assert_eq!((sandbox.aws.xray().documents.len(), sandbox.amp.samples().len()), (3, 1), "{code}");
    }
}

#[tokio::test]
async fn denied_push_is_refused_after_one_attempt() {
    let denied = r#"{"__type":"AccessDeniedException","message":"not authorized to perform: xray:PutTraceSegments"}"#;
    let sandbox = Sandbox::start(&[]).await;
    sandbox.aws.fail_always(|_| true, Fault::status(403, denied));
    let response = sandbox.push(&Push::new("/v1/traces", &traces((1..=50).map(span).collect()))).await;
    let (code, message) = status(&response);
    assert_eq!((response.status, code), (503, 14), "{message}");
    assert!(message.starts_with("X-Ray denied access: AccessDeniedException"), "{message}");
    assert_eq!(sandbox.aws.requests(), 1);
    let counters = sandbox.handlers.counters();
    assert_eq!(counters.total(ItemStatus::AccessDenied, ItemKind::Segments), 50, "{counters:?}");
    assert!(counters.unbalanced().is_empty(), "{counters:?}");
}

#[tokio::test]
async fn client_without_a_spool_is_answered_before_its_timeout() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    sandbox.amp.fail_always(Fault::Response(StubResponse::Hang));
    sandbox.aws.fail_always(|_| true, Fault::Response(StubResponse::Hang));
    let spans = traces((1..=3).map(span).collect());
    for (path, body) in [("/v1/traces", &spans), ("/v1/metrics", &one_gauge())] {
        let started = Deadline::after(Duration::from_secs(40));
        let response = sandbox.push(&Push { time: Duration::from_secs(40), ..Push::new(path, body) }).await;
        assert_eq!(response.status, 503, "{path}");
        assert!(started.elapsed() < Duration::from_secs(9), "{path}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn batch_is_not_split_when_every_call_is_rejected() {
    let sandbox = Sandbox::start(&[]).await;
    sandbox.aws.fail_always(|_| true, Fault::status(400, INVALID_REQUEST));
    let body = traces((1..=500).map(span).collect());
    let partial = partial(&sandbox.push(&Push::new("/v1/traces", &body)).await).unwrap();
    assert_eq!(partial.rejected, 500);
    let calls = sandbox.aws.requests();
    assert!(calls <= 10 + 2 * 32, "{calls} calls for ten calls' documents");
}

#[tokio::test]
async fn segments_are_sent_in_calls_of_fifty() {
    let sandbox = Sandbox::start(&[]).await;
    let body = traces((1..=120).map(span).collect());
    assert_eq!(partial(&sandbox.push(&Push::new("/v1/traces", &body)).await), None);
    let mut calls = sandbox.aws.xray().calls.clone();
    calls.sort_unstable();
    assert_eq!(calls, [20, 50, 50]);
}

#[tokio::test]
async fn spans_are_sent_once_and_refused_during_an_outage() {
    let sandbox = Sandbox::start(&[]).await;
    let body = traces(vec![span(1)]);
    sandbox.aws.fail([Fault::status(503, "{}"), Fault::Response(StubResponse::Reset), Fault::status(429, "{}")]);
    assert_eq!(partial(&sandbox.push(&Push::new("/v1/traces", &body)).await), None);
    assert_eq!(sandbox.aws.xray().documents.len(), 1);

    sandbox.aws.fail(vec![Fault::status(503, "{}"); 100]);
    let response = sandbox.push(&Push { time: Duration::from_secs(1), ..Push::new("/v1/traces", &body) }).await;
    assert_eq!((response.status, status(&response).0), (503, 14));
    assert!(header(&response, "retry-after").is_some());
}

#[tokio::test]
async fn invalid_spans_are_counted_and_all_others_delivered() {
    let ways: [fn(&mut Span); 10] = [
        |span| span.trace_id = Bytes::new(),
        |span| span.trace_id = Bytes::from_static(&[1; 15]),
        |span| span.trace_id = Bytes::from_static(&[1; 17]),
        |span| span.trace_id = Bytes::from_static(&[0; 16]),
        |span| span.span_id = Bytes::new(),
        |span| span.span_id = Bytes::from_static(&[1; 7]),
        |span| span.span_id = Bytes::from_static(&[1; 9]),
        |span| span.span_id = Bytes::from_static(&[0; 8]),
        |span| span.parent_span_id = Bytes::from_static(&[1; 3]),
        |span| span.start_time_unix_nano = 0,
    ];
    let spans = (0..10_000_u64).map(|number| {
        let mut span = span(number + 1);
        if number % 100 == 50 {
            ways[usize::try_from(number / 100).unwrap() % ways.len()](&mut span);
        }
        span
    });
    let sandbox = Sandbox::start(&[]).await;
    let body = traces(spans.collect());
    let push = Push { time: Duration::from_secs(60), ..Push::new("/v1/traces", &body) };
    let partial = partial(&sandbox.push(&push).await).unwrap();

    assert_eq!(partial.rejected, 100);
    for reason in ["40 trace_id", "40 span_id", "10 parent_span_id", "10 start_time"] {
        assert!(partial.error_message.contains(reason), "{}", partial.error_message);
    }
    let xray = sandbox.aws.xray();
    let ids: BTreeSet<&str> = xray.documents.iter().map(|document| document["id"].as_str().unwrap()).collect();
    assert_eq!((xray.documents.len(), ids.len()), (9_900, 9_900));
}

#[tokio::test]
async fn segments_of_xray_sdks_are_unchanged() {
    let sandbox = Sandbox::start(&[]).await;
    let document = json!({"id": "0123456789abcdef", "trace_id": "1-65630000-0123456789abcdef01234567", "name": "cart",
        "start_time": 1.5, "end_time": 2.5});
    let body = json!({"TraceSegmentDocuments": [document.to_string()]}).to_string();
    let response = sandbox.push(&Push::new("/TraceSegments", body.as_bytes())).await;
    assert_eq!((response.status, response.body.as_slice()), (200, &br#"{"UnprocessedTraceSegments":[]}"#[..]));
    assert_eq!(sandbox.aws.xray().documents, [document]);
}

#[tokio::test]
async fn sampling_calls_are_forwarded_and_rules_are_cached() {
    let sandbox = Sandbox::start(&[]).await;
    // Samplers append the path to an address that may end with a slash.
    for path in ["/GetSamplingRules", "//GetSamplingRules"] {
        let response = sandbox.push(&Push::new(path, b"{}")).await;
        let rules: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(rules["SamplingRuleRecords"][0]["SamplingRule"]["RuleName"], "Default");
        assert_eq!(sandbox.push(&Push::new("/SamplingTargets", b"{}")).await.status, 200);
    }
    let calls = &sandbox.aws.xray().sampling_calls;
    assert_eq!(calls.iter().filter(|call| *call == "/GetSamplingRules").count(), 1, "{calls:?}");
}

#[tokio::test]
async fn rejected_sampling_call_returns_the_body_of_xray() {
    let sandbox = Sandbox::start(&[]).await;
    let body = r#"{"__type":"InvalidRequestException","message":"no statistics"}"#;
    sandbox.aws.fail([Fault::status(400, body)]);
    let response = sandbox.push(&Push::new("/SamplingTargets", b"{}")).await;
    assert_eq!((response.status, response.body.as_slice()), (400, body.as_bytes()));
}

#[tokio::test]
async fn spans_are_sent_to_the_otlp_endpoint_of_xray() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_TRACE_DESTINATION", "xray-otlp")]).await;
    // The endpoint rejects spans that are older than fourteen days. One of the spans is older.
    let now_ns = u64::try_from(Deadline::after(Duration::ZERO).started_ms()).unwrap() * 1_000_000;
    let mut spans: Vec<Span> = (1..=120).map(|number| Span { start_time_unix_nano: now_ns, ..span(number) }).collect();
    spans.push(span(121));
    let partial = partial(&sandbox.push(&Push::new("/v1/traces", &traces(spans))).await).unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("is more than 14 days old"), "{}", partial.error_message);
    let xray = sandbox.aws.xray();
    let arrived = ExportTraceServiceRequest::decode(xray.otlp[0].as_slice()).unwrap();
    assert_eq!((xray.otlp.len(), arrived.resource_spans[0].scope_spans[0].spans.len()), (1, 120));
}

#[tokio::test]
async fn push_is_refused_without_enough_time() {
    let sandbox = Sandbox::start(&[]).await;
    let body = traces((1..=3_000).map(span).collect());
    let push = Push { time: Duration::from_millis(2_000), ..Push::new("/v1/traces", &body) };
    let response = sandbox.push(&push).await;
    assert_eq!(response.status, 503);
    assert!(response.headers.iter().any(|(name, _)| *name == "retry-after"));
    let reason = RpcStatus::decode(response.body.as_slice()).unwrap().message;
    assert!(reason.starts_with("3000 spans need about 3.0 s, but the invocation has 1.5 s left"), "{reason}");
    assert!(sandbox.aws.xray().calls.is_empty(), "nothing was begun");
    assert!(sandbox.handlers.counters().unbalanced().is_empty());
}

/// Returns a request for spans with a resource of empty scopes.
fn empty_scopes(count: usize) -> Vec<u8> {
    let scopes = [0x12, 0].repeat(count);
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(scopes.len() as u64, &mut body);
    body.extend(scopes);
    body
}

#[tokio::test]
async fn request_limit_depends_on_memory_size() {
    let body = empty_scopes(600_000);
    for (memory, expected) in [("128", 413), ("1024", 200)] {
        let settings = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)];
        let sandbox = Sandbox::start(&settings).await;
        let push = Push { time: Duration::from_secs(600), ..Push::new("/v1/traces", &body) };
        assert_eq!(sandbox.push(&push).await.status, expected, "{memory} MB");
    }
}

#[tokio::test]
async fn spans_beyond_the_memory_are_rejected_once() {
    let sandbox = Sandbox::start(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "16")]).await;
    let long = || Some(AnyValue { value: Some(any_value::Value::String("x".repeat(60_000).into())) });
    let attribute = |key: &'static str| KeyValue { key: key.into(), value: long() };
    let large = Span { attributes: vec![attribute("a"), attribute("b"), attribute("c")], ..span(1) };
    let response = sandbox.push(&Push::new("/v1/traces", &traces(vec![large, span(2)]))).await;
    assert_eq!(response.status, 413);
    let counters = sandbox.handlers.counters();
    let count = |status| counters.total(status, ItemKind::Spans);
    assert_eq!((count(ItemStatus::Received), count(ItemStatus::Rejected), count(ItemStatus::Translated)), (2, 2, 0));
    assert_eq!(counters.unbalanced(), []);
    assert!(sandbox.aws.xray().calls.is_empty());
}

/// Returns the warning of a response that rejects nothing, and the number of items of a kind that were modified.
fn warning(sandbox: &Sandbox, response: &HttpResponse, item: ItemKind) -> (String, u64) {
    let partial = partial(response).unwrap();
    assert_eq!(partial.rejected, 0, "{}", partial.error_message);
    let counters = sandbox.handlers.counters();
    assert_eq!(counters.unbalanced(), []);
    (partial.error_message, counters.total(ItemStatus::Modified, item))
}

#[tokio::test]
async fn merged_data_points_are_counted_and_reported() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    let points = vec![number(1.0, &[]), number(2.0, &[]), number(3.0, &[])];
    let body = request(resource(), None, vec![gauge("queue.length", "", points)]).encode_to_vec();
    let response = sandbox.push(&Push::new("/v1/metrics", &body)).await;
    let (message, modified) = warning(&sandbox, &response, ItemKind::DataPoints);
    assert!(message.starts_with("modified: 2 duplicate_point: "), "{message}");
    assert_eq!(modified, 2);
}

#[tokio::test]
async fn truncated_segments_are_counted_and_reported() {
    let sandbox = Sandbox::start(&[]).await;
    let value = otlp_builder::attributes(&[("note", "x".repeat(200_000).into())]);
    let body = traces(vec![Span { attributes: value, ..span(1) }, span(2)]);
    let response = sandbox.push(&Push::new("/v1/traces", &body)).await;
    let (message, modified) = warning(&sandbox, &response, ItemKind::Segments);
    assert!(message.starts_with("modified: 1 segment_truncated: "), "{message}");
    assert_eq!(modified, 1);
    assert_eq!(sandbox.aws.xray().documents.len(), 2);
}

#[tokio::test]
async fn retry_after_of_the_destination_reaches_the_client() {
    let busy = || {
        Fault::Response(StubResponse::Http {
            status: 503,
            headers: vec![("retry-after", "17".into())],
            body: Vec::new(),
        })
    };
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    sandbox.amp.fail(vec![busy(); 9]);
    sandbox.aws.fail(vec![busy(); 9]);
    let spans = traces(vec![span(1)]);
    for (path, body) in [("/v1/metrics", &one_gauge()), ("/v1/traces", &spans)] {
        let response = sandbox.push(&Push { time: Duration::from_secs(2), ..Push::new(path, body) }).await;
        assert_eq!((response.status, header(&response, "retry-after")), (503, Some("17")), "{path}");
    }
}
