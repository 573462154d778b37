//! Pushed log records: every record is delivered, spooled or rejected, and counted once.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use sidecarless::deadline::Deadline;
use sidecarless::lambda::HttpResponse;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::otlp::split::EncodedExport;
use sidecarless::model::otlp::{
    AnyValue, ExportLogsServiceRequest, ExportResponse, LogRecord, PartialSuccess, Resource, ResourceLogs, RpcStatus,
    ScopeLogs, any_value,
};
use sidecarless::model::spool::{Payload, SpoolMessage};

use crate::otlp_builder::attributes;
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::{Push, Sandbox};

const LOG_GROUP: (&str, &str) = ("SIDECARLESS_LOG_GROUP", "/shop/otlp");
const SPOOL: (&str, &str) = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.invalid/123456789012/spool");
const HOUR_NANOS: u64 = 3_600_000_000_000;

fn now_nanos() -> u64 {
    u64::try_from(Deadline::after(Duration::from_secs(1)).now_ms()).unwrap() * 1_000_000
}

fn record(text: &str, time_unix_nano: u64) -> LogRecord {
    let body = any_value::Value::String(Bytes::copy_from_slice(text.as_bytes()));
    LogRecord { time_unix_nano, body: Some(AnyValue { value: Some(body) }), ..LogRecord::default() }
}

fn request(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let resource = Some(Resource { attributes: attributes(&[("service.name", "cart".into())]), ..Resource::default() });
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] }
}

/// Returns the texts of the records in each request that CloudWatch Logs accepted.
fn taken(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let texts = |body: &Vec<u8>| {
        let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        let records = scopes.flat_map(|scope| scope.log_records);
        let text = |record: LogRecord| match record.body.and_then(|body| body.value) {
            Some(any_value::Value::String(text)) => String::from_utf8_lossy(&text).into_owned(),
            other => panic!("{other:?}"),
        };
        records.map(text).collect()
    };
    sandbox.aws.otlp_bodies("/v1/logs").iter().map(texts).collect()
}

fn partial_success(response: &HttpResponse) -> Option<PartialSuccess> {
    assert_eq!(response.status, 200);
    ExportResponse::decode(response.body.as_slice()).unwrap().partial_success
}

fn counts<const N: usize>(sandbox: &Sandbox, statuses: [ItemStatus; N]) -> [u64; N] {
    let counters = sandbox.handlers.counters();
    assert!(counters.unbalanced().is_empty(), "{counters:?}");
    statuses.map(|status| counters.total(status, ItemKind::LogRecords))
}

#[tokio::test]
async fn logs_are_signed_and_delivered_unchanged() {
    let sandbox = Sandbox::start(&[LOG_GROUP, ("SIDECARLESS_LOG_STREAM", "tasks")]).await;
    let body = request(vec![record("a", now_nanos()), record("b", 0)]).encode_to_vec();
    let response = sandbox.push(&Push::new("/v1/logs", &body)).await;
    assert_eq!(partial_success(&response), None);
    assert_eq!(taken(&sandbox), [["a", "b"]]);
    let logs = sandbox.aws.otlp_logs();
    assert_eq!(logs.taken[0].header("content-type"), "application/x-protobuf");
    assert_eq!(
        (logs.taken[0].header("x-aws-log-group"), logs.taken[0].header("x-aws-log-stream")),
        ("/shop/otlp", "tasks")
    );
    let signed = logs.taken[0].header("authorization");
    assert!(signed.contains("/eu-west-1/logs/aws4_request"), "it is signed for logs: {signed}");
    assert!(signed.contains("x-aws-log-group;x-aws-log-stream"), "so are the names: {signed}");
    drop(logs);
    assert_eq!(counts(&sandbox, [ItemStatus::Received, ItemStatus::Delivered]), [2, 2]);
}

#[tokio::test]
async fn unknown_fields_of_log_records_are_delivered() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    // Field 99 of a record, as varint.
    let record = [record("a", 0).encode_to_vec(), vec![0x98, 0x06, 0x07]].concat();
    let nested = |content: &[u8], tag: u8| [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat();
    let body = nested(&nested(&nested(&record, 0x12), 0x12), 0x0a);
    assert_eq!(sandbox.push(&Push::new("/v1/logs", &body)).await.status, 200);
    assert_eq!(sandbox.aws.otlp_bodies("/v1/logs"), [body]);
}

#[tokio::test]
async fn logs_in_json_are_delivered_as_protobuf() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    let now = now_nanos();
    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"cart"}}}}]}},
        "scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{now}","body":{{"stringValue":"a"}}}},
        {{"timeUnixNano":"1","body":{{"stringValue":"old"}}}}]}}]}}]}}"#
    );
    let response = sandbox.push(&Push::new("/v1/logs", body.as_bytes()).with("content-type", "application/json")).await;
    let text = String::from_utf8(response.body).unwrap();
    assert!(text.starts_with(r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"1 too_old"#), "{text}");
    assert_eq!(sandbox.aws.otlp_bodies("/v1/logs"), [request(vec![record("a", now)]).encode_to_vec()]);
}

#[tokio::test]
async fn invalid_log_record_costs_only_itself() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    let now = now_nanos();
    let records = vec![
        record("a", now),
        record("too old", now - 15 * 24 * HOUR_NANOS),
        record("yesterday", now - 25 * HOUR_NANOS),
        record("tomorrow", now + 24 * HOUR_NANOS),
        record(&"x".repeat(4_000_000), now),
        record("b", 0),
    ];
    let response = sandbox.push(&Push::new("/v1/logs", &request(records).encode_to_vec())).await;
    let partial = partial_success(&response).unwrap();
    assert_eq!(partial.rejected, 3);
    for reason in ["too_old: log record \"\" is more than 14 days old", "too_far_in_future", "too_large"] {
        assert!(partial.error_message.contains(reason), "{}", partial.error_message);
    }
    let mut taken = taken(&sandbox);
    taken.sort();
    assert_eq!(taken, [vec!["a", "b"], vec!["yesterday"]], "a request spans at most a day");
    let statuses = [ItemStatus::Received, ItemStatus::Delivered, ItemStatus::Rejected];
    assert_eq!(counts(&sandbox, statuses), [6, 3, 3]);
}

#[tokio::test]
async fn requests_are_smaller_than_a_megabyte() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    let records = (0..30).map(|number| record(&format!("{number:060000}"), now_nanos())).collect();
    let body = request(records).encode_to_vec();
    assert_eq!(partial_success(&sandbox.push(&Push::new("/v1/logs", &body)).await), None);
    let bodies = sandbox.aws.otlp_bodies("/v1/logs");
    assert!(bodies.iter().all(|body| body.len() < 1_000_000), "{:?}", bodies.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(taken(&sandbox).iter().map(Vec::len).sum::<usize>(), 30);
}

#[tokio::test]
async fn rejected_request_is_split_until_the_record_is_alone() {
    fn has_bad_record(request: &RecordedRequest) -> bool {
        request.path == "/v1/logs" && request.body.windows(3).any(|part| part == b"bad")
    }
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    sandbox.aws.fail_always(has_bad_record, Fault::status(400, "invalid record"));
    let records = (0..40).map(|number| record(if number == 17 { "bad" } else { "good" }, 0)).collect();
    let response = sandbox.push(&Push::new("/v1/logs", &request(records).encode_to_vec())).await;
    let partial = partial_success(&response).unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("CloudWatch Logs returned 400 Bad Request: invalid record"), "{partial:?}");
    assert_eq!(taken(&sandbox).concat(), vec!["good"; 39]);
    assert!(sandbox.aws.requests() < 15, "{} requests", sandbox.aws.requests());
}

#[tokio::test]
async fn endpoint_that_rejects_everything_gets_few_requests() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    sandbox.aws.otlp_logs().response = Some(StubResponse::of(400, "text/plain", "no"));
    let records = (0..2_000).map(|_| record("a", 0)).collect();
    let response = sandbox.push(&Push::new("/v1/logs", &request(records).encode_to_vec())).await;
    assert_eq!(partial_success(&response).unwrap().rejected, 2_000);
    assert!(sandbox.aws.requests() <= 65, "{} requests", sandbox.aws.requests());
}

#[tokio::test]
async fn logs_that_cannot_be_delivered_or_spooled_are_refused() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    let body = request(vec![record("a", 0)]).encode_to_vec();
    let push = Push { time: Duration::from_secs(2), ..Push::new("/v1/logs", &body) };
    let busy =
        StubResponse::Http { status: 429, headers: vec![("retry-after", "7".into())], body: b"slow down".to_vec() };
    let denied = StubResponse::of(403, "application/json", r#"{"__type":"AccessDeniedException","message":"no"}"#);
    for (stub, text, retry_after) in [
        (
            StubResponse::of(500, "text/plain", "sick"),
            "CloudWatch Logs unavailable: 500 Internal Server Error: sick",
            "5",
        ),
        (busy, "slow down", "7"),
        (StubResponse::Reset, "CloudWatch Logs unavailable", "5"),
        (denied, "CloudWatch Logs denied access: 403", "5"),
    ] {
        sandbox.aws.otlp_logs().response = Some(stub);
        let response = sandbox.push(&push).await;
        let message = RpcStatus::decode(response.body.as_slice()).unwrap().message;
        let header = response.headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, value)| value.as_str());
        assert_eq!((response.status, header), (503, Some(retry_after)), "{message}");
        assert!(message.contains(text), "{message}");
    }
    sandbox.aws.otlp_logs().response = None;
    assert_eq!(sandbox.push(&push).await.status, 200, "later pushes are delivered");
    let statuses = [ItemStatus::Received, ItemStatus::Refused, ItemStatus::AccessDenied, ItemStatus::Delivered];
    assert_eq!(counts(&sandbox, statuses), [5, 4, 1, 1]);
}

fn is_logs(request: &RecordedRequest) -> bool {
    request.path == "/v1/logs"
}

fn has_unlucky_record(request: &RecordedRequest) -> bool {
    is_logs(request) && request.body.windows(7).any(|part| part == b"unlucky")
}

fn is_sqs(request: &RecordedRequest) -> bool {
    request.header("x-amz-target").starts_with("AmazonSQS")
}

/// Returns 40 records that take three requests, one of which has the unlucky record.
fn records_of_three_requests() -> Vec<LogRecord> {
    let text = |number: u32| if number == 20 { format!("unlucky{number:060000}") } else { format!("{number:060000}") };
    (0..40).map(|number| record(&text(number), now_nanos())).collect()
}

/// Returns a text of `length` bytes that cannot be compressed to much less.
fn noise(length: usize) -> String {
    let mut random = 1_u64;
    let letters = std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from((random >> 33) % 94).unwrap())
    });
    letters.take(length).collect()
}

#[tokio::test]
async fn delivered_part_of_a_push_is_not_repeated() {
    for spool in [None, Some(SPOOL)] {
        let sandbox = Sandbox::start(&[LOG_GROUP].into_iter().chain(spool).collect::<Vec<_>>()).await;
        sandbox.aws.fail_always(has_unlucky_record, Fault::status(503, "busy"));
        sandbox.aws.fail_always(is_sqs, Fault::status(503, "busy"));
        let body = request(records_of_three_requests()).encode_to_vec();
        let response = sandbox.push(&Push { time: Duration::from_secs(3), ..Push::new("/v1/logs", &body) }).await;
        let partial = partial_success(&response).unwrap();
        let stored = taken(&sandbox).concat().len() as u64;
        assert!(stored > 20, "{stored}");
        assert_eq!(u64::try_from(partial.rejected).unwrap(), 40 - stored);
        assert!(partial.error_message.contains("not_stored: other log records"), "{}", partial.error_message);
        let statuses = [ItemStatus::Received, ItemStatus::Delivered, ItemStatus::Rejected, ItemStatus::Refused];
        assert_eq!(counts(&sandbox, statuses), [40, stored, 40 - stored, 0]);
    }
}

#[tokio::test]
async fn record_too_large_for_the_spool_is_rejected_alone() {
    let sandbox = Sandbox::start(&[LOG_GROUP, SPOOL]).await;
    sandbox.aws.fail_always(is_logs, Fault::status(503, "busy"));
    let large = record(&noise(1_500_000), now_nanos());
    let body = request(vec![record("a", 0), large.clone(), record("b", 0)]).encode_to_vec();
    let partial = partial_success(&sandbox.push(&Push::new("/v1/logs", &body)).await).unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("too_large_for_spool"), "{}", partial.error_message);
    let statuses = [ItemStatus::Received, ItemStatus::Spooled, ItemStatus::Rejected, ItemStatus::Refused];
    assert_eq!(counts(&sandbox, statuses), [3, 2, 1, 0]);

    // A retry of this request repeats nothing.
    let response = sandbox.push(&Push::new("/v1/logs", &request(vec![large]).encode_to_vec())).await;
    assert_eq!(response.status, 503);
    assert_eq!(counts(&sandbox, statuses), [4, 2, 1, 1]);
}

#[tokio::test]
async fn delivered_part_of_a_message_is_not_repeated() {
    let down = Sandbox::start(&[LOG_GROUP, SPOOL]).await;
    down.aws.fail_always(is_logs, Fault::status(503, "busy"));
    let split = down.push(&Push::new("/v1/logs", &request(records_of_three_requests()).encode_to_vec())).await;
    assert_eq!(split.status, 200);
    let bodies = down.aws.sqs().bodies.clone();
    let exports = bodies.iter().map(|body| match SpoolMessage::parse(body).unwrap().payload {
        Payload::OtlpLogs(exports) => ExportLogsServiceRequest::decode(exports[0].body.clone()).unwrap(),
        other => panic!("{other:?}"),
    });
    let resource_logs = exports.flat_map(|request| request.resource_logs).collect();
    let export = EncodedExport { body: ExportLogsServiceRequest { resource_logs }.encode_to_vec().into(), items: 40 };
    let spooled = SpoolMessage { payload: Payload::OtlpLogs(vec![export]), error: String::new(), first_attempt_ms: 7 };
    let message = spooled.into_messages().remove(0).text;

    let sandbox = Sandbox::start(&[LOG_GROUP, SPOOL]).await;
    sandbox.aws.fail_always(has_unlucky_record, Fault::status(503, "busy"));
    assert!(!sandbox.is_redelivered_again(&message).await, "its rest has another message");
    let stored = taken(&sandbox).concat().len() as u64;
    let rest = sandbox.aws.sqs().bodies.remove(0);
    let parsed = SpoolMessage::parse(&rest).unwrap();
    assert_eq!((parsed.first_attempt_ms, parsed.payload.items()), (7, 40 - stored));
    assert_eq!(counts(&sandbox, [ItemStatus::Redelivered, ItemStatus::Spooled]), [stored, 0]);

    let fresh = Sandbox::start(&[LOG_GROUP, SPOOL]).await;
    fresh.aws.fail_always(has_unlucky_record, Fault::status(503, "busy"));
    assert!(fresh.is_redelivered_again(&rest).await, "without progress the message stays");
    assert_eq!(fresh.aws.sqs().bodies, Vec::<String>::new());
}

#[tokio::test]
async fn invalid_logs_are_malformed() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    for (content_type, body, text) in [
        ("application/x-protobuf", &b"\x0a\x05"[..], "invalid OTLP protobuf"),
        ("application/json", b"{\"resourceLogs\":{}}", "invalid OTLP JSON: resourceLogs"),
    ] {
        let response = sandbox.push(&Push::new("/v1/logs", body).with("content-type", content_type)).await;
        assert_eq!(response.status, 400, "{text}");
        assert!(String::from_utf8_lossy(&response.body).contains(text), "{text}");
    }
    assert_eq!(sandbox.aws.requests(), 0);
}
