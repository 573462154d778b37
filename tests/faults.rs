//! Fault matrix: each dependency with each fault for each trigger. Each cell checks the response and the item counters
//! (docs/architecture.md, "Failure handling").

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use prost::Message as _;
use serde_json::{Value, json};
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::otlp::split::EncodedExport;
use sidecarless::model::otlp::{
    AnyValue, ExportLogsServiceRequest, ExportTraceServiceRequest, LogRecord, ResourceLogs, ResourceSpans, ScopeLogs,
    ScopeSpans, Span, any_value,
};
use sidecarless::model::remote_write::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};
use sidecarless::model::segment::SegmentDocument;
use sidecarless::model::shard::Shard;
use sidecarless::model::spool::{Payload, SpoolMessage};

use crate::otlp_builder::{self, gauge, number, request, resource};
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::task::{Task, closed_port};
use crate::sandbox::{Push, Sandbox};

/// Timeout of an invocation. A cell with a hanging dependency takes this long.
const INVOCATION: Duration = Duration::from_secs(4);

/// Concurrent cells: most of them wait. A failed cell runs again with fewer concurrent cells, because a busy machine causes
/// timeouts. A cell that fails alone fails the test.
const CONCURRENCY: [usize; 3] = [32, 8, 1];

/// The task of the cluster.
const TASK_ARN: &str = "arn:aws:ecs:eu-west-1:111122223333:task/shop/00000000000000000000000000000001";

const SPOOL: (&str, &str) = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.invalid/123456789012/spool");

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Amp,
    XRay,
    Ecs,
    Logs,
    Sqs,
    /// The OTLP endpoint of X-Ray.
    OtlpTraces,
    /// The OTLP endpoint of CloudWatch Logs.
    OtlpLogs,
    /// The OTLP endpoint of CloudWatch, which gets the same data points as AMP.
    OtlpMetrics,
    /// SQS, while X-Ray is unavailable.
    SqsAndXRay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FaultKind {
    Refuses,
    Cuts,
    Hangs,
    S429,
    S500,
    S503,
    S400,
    S413,
    /// Throttling with status 400.
    Throttled400,
    Expired403,
    Denied403,
    /// AMP's limit of series. For other services, a rate limit.
    Limit429,
    /// A rejection without an error code.
    Garbage400,
    Garbage,
    Slow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trigger {
    Tick,
    Push,
    Shard,
    Spool,
}

const PEERS: [Peer; 9] = [
    Peer::Amp,
    Peer::XRay,
    Peer::OtlpTraces,
    Peer::OtlpLogs,
    Peer::OtlpMetrics,
    Peer::Ecs,
    Peer::Logs,
    Peer::Sqs,
    Peer::SqsAndXRay,
];
const FAULT_KINDS: [FaultKind; 15] = [
    FaultKind::Refuses,
    FaultKind::Cuts,
    FaultKind::Hangs,
    FaultKind::S429,
    FaultKind::S500,
    FaultKind::S503,
    FaultKind::S400,
    FaultKind::S413,
    FaultKind::Throttled400,
    FaultKind::Expired403,
    FaultKind::Denied403,
    FaultKind::Limit429,
    FaultKind::Garbage400,
    FaultKind::Garbage,
    FaultKind::Slow,
];
const TRIGGERS: [Trigger; 4] = [Trigger::Tick, Trigger::Push, Trigger::Shard, Trigger::Spool];

impl Peer {
    /// Returns the SDK's id of the service, if an SDK client calls it.
    fn id(self) -> Option<&'static str> {
        match self {
            Peer::Amp | Peer::XRay | Peer::OtlpTraces | Peer::OtlpLogs | Peer::OtlpMetrics => None,
            Peer::Ecs => Some("ECS"),
            Peer::Logs => Some("CloudWatch Logs"),
            Peer::Sqs | Peer::SqsAndXRay => Some("SQS"),
        }
    }

    fn matches(self) -> fn(&RecordedRequest) -> bool {
        match self {
            Peer::Amp => |_| true,
            Peer::XRay => |request| request.path == "/TraceSegments",
            Peer::Ecs => |request| request.header("x-amz-target").starts_with("AmazonEC2ContainerService"),
            Peer::Logs => |request| request.header("x-amz-target").starts_with("Logs_"),
            Peer::Sqs | Peer::SqsAndXRay => |request| request.header("x-amz-target").starts_with("AmazonSQS"),
            Peer::OtlpTraces => |request| request.path == "/v1/traces",
            Peer::OtlpLogs => |request| request.path == "/v1/logs",
            Peer::OtlpMetrics => |request| request.path == "/v1/metrics",
        }
    }

    /// Whether items are delivered to it.
    fn is_destination(self) -> bool {
        matches!(self, Peer::Amp | Peer::XRay | Peer::OtlpTraces | Peer::OtlpLogs | Peer::OtlpMetrics)
    }

    /// Whether a 2xx response means that the items were stored. The body is ignored.
    fn confirms_by_status(self) -> bool {
        self.is_destination() && self != Peer::XRay
    }

    /// Returns the setting that enables the destination, and the setting with its address.
    fn settings(self) -> (Option<(&'static str, &'static str)>, Option<&'static str>) {
        match self {
            Peer::Amp => (None, Some("AWS_PROMETHEUS_ENDPOINT")),
            Peer::XRay => (None, Some("AWS_ENDPOINT_URL_XRAY")),
            Peer::OtlpTraces => (Some(("SIDECARLESS_TRACE_DESTINATION", "xray-otlp")), Some("AWS_ENDPOINT_URL_XRAY")),
            Peer::OtlpLogs => (Some(("SIDECARLESS_LOG_GROUP", "/shop")), Some("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS")),
            Peer::OtlpMetrics => {
                (Some(("SIDECARLESS_METRICS_TO", "amp,cloudwatch")), Some("AWS_ENDPOINT_URL_CLOUDWATCH"))
            }
            Peer::Ecs | Peer::Logs | Peer::Sqs | Peer::SqsAndXRay => (None, None),
        }
    }

    /// Returns the kind of the items that the trigger delivers in the cells of this dependency.
    fn item(self, trigger: Trigger) -> ItemKind {
        match (self, trigger) {
            (Peer::XRay | Peer::SqsAndXRay, Trigger::Push | Trigger::Spool) => ItemKind::Segments,
            (Peer::OtlpTraces, Trigger::Push | Trigger::Spool) => ItemKind::Spans,
            (Peer::OtlpLogs, Trigger::Push | Trigger::Spool) => ItemKind::LogRecords,
            (Peer::OtlpMetrics, Trigger::Push | Trigger::Spool) => ItemKind::CloudWatchPoints,
            _ => ItemKind::Samples,
        }
    }

    /// Whether the trigger calls this destination.
    fn is_called_by(self, trigger: Trigger) -> bool {
        self == Peer::Amp || self.is_destination() && matches!(trigger, Trigger::Push | Trigger::Spool)
    }

    /// Returns the fault in the format of this dependency.
    fn fault(self, fault_kind: FaultKind) -> Option<Fault> {
        let status = |status: u16| {
            let kind = if self == Peer::Amp { "text/plain" } else { "application/x-amz-json-1.1" };
            let body = if self == Peer::Amp { "no" } else { r#"{"__type":"SomeException","message":"no"}"# };
            Fault::Response(StubResponse::of(status, kind, body))
        };
        let code = |status: u16, code: &str| {
            let body = format!(r#"{{"__type":"{code}","message":"no"}}"#);
            Fault::Response(StubResponse::of(status, "application/x-amz-json-1.1", body))
        };
        Some(match fault_kind {
            FaultKind::Refuses => return None,
            FaultKind::Cuts => Fault::Response(StubResponse::Cut),
            FaultKind::Hangs => Fault::Response(StubResponse::Hang),
            FaultKind::S429 => status(429),
            FaultKind::S500 => status(500),
            FaultKind::S503 => Fault::Response(StubResponse::Http {
                status: 503,
                headers: vec![("retry-after", "1".into())],
                body: b"busy".to_vec(),
            }),
            FaultKind::S400 => status(400),
            FaultKind::S413 => status(413),
            FaultKind::Throttled400 => code(400, "ThrottlingException"),
            FaultKind::Expired403 => code(403, "ExpiredTokenException"),
            FaultKind::Denied403 => code(403, "AccessDeniedException"),
            FaultKind::Limit429 if self == Peer::Amp => Fault::status(429, "per-user series limit of 5 exceeded"),
            FaultKind::Limit429 => code(429, "TooManyRequestsException"),
            FaultKind::Garbage400 if self == Peer::Amp => Fault::status(400, "snappy: corrupt input"),
            FaultKind::Garbage400 => Fault::status(400, "<html>Bad Request</html>"),
            FaultKind::Garbage => Fault::Response(StubResponse::of(200, "application/json", [0xff, 0x00, 0x7b, 0x3c])),
            FaultKind::Slow => Fault::Slow(Duration::from_secs(10)),
        })
    }
}

impl FaultKind {
    /// Returns whether a retry of the request fails, too.
    fn is_permanent(self, peer: Peer) -> bool {
        match self {
            FaultKind::S400 | FaultKind::S413 => true,
            FaultKind::Limit429 => peer == Peer::Amp,
            FaultKind::Garbage400 => peer.confirms_by_status(),
            _ => false,
        }
    }

    /// Returns whether the service rejects the function.
    fn is_denied(self) -> bool {
        matches!(self, FaultKind::Expired403 | FaultKind::Denied403)
    }
}

/// Returns the expected response:
///
/// - push: the status, and `partial` for a partial success;
/// - scheduled run: `done`, or `error` if the invocation fails;
/// - shard, spool: `done`, or `again` if SQS delivers the message again.
fn expected(peer: Peer, fault_kind: FaultKind, trigger: Trigger) -> &'static str {
    let is_accepted = peer.confirms_by_status() && fault_kind == FaultKind::Garbage;
    match (peer, trigger) {
        (_, Trigger::Push) if peer.is_destination() && fault_kind.is_permanent(peer) => "200 partial",
        (_, Trigger::Push) if peer.is_destination() => "200",
        (_, Trigger::Spool) if peer.is_destination() && (fault_kind.is_permanent(peer) || is_accepted) => "done",
        (_, Trigger::Spool) if peer.is_destination() => "again",
        (Peer::Ecs | Peer::Sqs, Trigger::Tick) => "error",
        (Peer::Ecs, Trigger::Shard) => "again",
        (Peer::Sqs | Peer::SqsAndXRay, Trigger::Push) => "503",
        (Peer::Sqs, Trigger::Shard | Trigger::Spool) | (Peer::SqsAndXRay, Trigger::Spool) => "again",
        (_, Trigger::Push) => "200",
        _ => "done",
    }
}

/// Returns the expected status of the items, or `None` if no item was received.
fn expected_status(peer: Peer, fault_kind: FaultKind, trigger: Trigger) -> Option<ItemStatus> {
    let outcome = |item_status: ItemStatus| match (fault_kind.is_permanent(peer), peer, fault_kind) {
        (true, ..) => ItemStatus::Rejected,
        (false, _, FaultKind::Garbage) if peer.confirms_by_status() => ItemStatus::Delivered,
        _ => item_status,
    };
    match (peer, trigger) {
        (Peer::Ecs, Trigger::Tick | Trigger::Shard) | (Peer::Sqs | Peer::SqsAndXRay, Trigger::Spool) => None,
        (_, Trigger::Spool) if peer.is_destination() => match fault_kind {
            _ if fault_kind.is_permanent(peer) => Some(ItemStatus::DroppedFromSpool),
            FaultKind::Garbage if peer.confirms_by_status() => Some(ItemStatus::Redelivered),
            _ if fault_kind.is_denied() => Some(ItemStatus::AccessDenied),
            _ => None,
        },
        _ if peer.is_called_by(trigger) => Some(outcome(ItemStatus::Spooled)),
        (Peer::Sqs, Trigger::Tick) => Some(ItemStatus::Dropped),
        (Peer::Sqs, Trigger::Push | Trigger::Shard) | (Peer::SqsAndXRay, Trigger::Push) => Some(ItemStatus::Refused),
        (_, Trigger::Spool) => Some(ItemStatus::Redelivered),
        _ => Some(ItemStatus::Delivered),
    }
}

/// A cell that is ready to run.
struct Cell {
    sandbox: Sandbox,
    peer: Peer,
    trigger: Trigger,
}

impl Cell {
    async fn prepare(peer: Peer, fault_kind: FaultKind, trigger: Trigger, task_port: u16) -> Self {
        let closed_url = format!("http://127.0.0.1:{}/api/v1/remote_write", closed_port().await);
        let mut settings = vec![SPOOL, ("SIDECARLESS_CLUSTERS", "shop"), ("SIDECARLESS_MAX_SAMPLE_AGE", "off")];
        let (enabling, address) = peer.settings();
        settings.extend(enabling);
        settings.extend(address.filter(|_| fault_kind == FaultKind::Refuses).map(|name| (name, closed_url.as_str())));
        let closed = peer.id().filter(|_| fault_kind == FaultKind::Refuses);
        let sandbox = Sandbox::start_without(closed, &settings).await;
        sandbox.aws.ecs().add_task("shop", "cart", Some(task_port));
        match peer.fault(fault_kind) {
            Some(fault) if peer == Peer::Amp => sandbox.amp.fail_always(fault),
            Some(fault) => sandbox.aws.fail_always(peer.matches(), fault),
            None => {}
        }
        // Otherwise the function would not call SQS.
        match peer {
            Peer::Sqs => sandbox.amp.fail_always(Fault::status(503, "busy")),
            Peer::SqsAndXRay => sandbox.aws.fail_always(Peer::XRay.matches(), Fault::status(503, "busy")),
            _ => {}
        }
        Self { sandbox, peer, trigger }
    }

    /// Returns the event.
    fn event(&self) -> String {
        let item = self.peer.item(self.trigger);
        match self.trigger {
            Trigger::Tick => r#"{"sidecarless":"scrape"}"#.to_owned(),
            Trigger::Push => {
                let (path, body) = match item {
                    ItemKind::Segments => ("/v1/traces", spans_of(3)),
                    ItemKind::Spans => ("/v1/traces", current_spans(3)),
                    ItemKind::LogRecords => ("/v1/logs", current_logs(3)),
                    _ => ("/v1/metrics", gauges()),
                };
                Sandbox::event(&Push::new(path, &body))
            }
            Trigger::Shard => {
                let now_ms = Deadline::after(INVOCATION).started_ms();
                message(Shard::new("shop".into(), vec![TASK_ARN.into()], now_ms).into_message())
            }
            Trigger::Spool => message(spool_message(match item {
                ItemKind::Segments => Payload::Segments(documents()),
                ItemKind::Spans => Payload::OtlpTraces(vec![export(current_spans(3))]),
                ItemKind::LogRecords => Payload::OtlpLogs(vec![export(current_logs(3))]),
                ItemKind::CloudWatchPoints => Payload::OtlpMetrics(vec![export(gauges())]),
                _ => write_request(),
            })),
        }
    }

    /// Returns the response in one or two words.
    async fn run(&self) -> Result<&'static str, String> {
        let deadline = Deadline::after(INVOCATION);
        let response = self.sandbox.handlers.handle(Event::parse(&self.event()), &deadline).await;
        if deadline.elapsed() >= INVOCATION {
            return Err(format!("it took {:?}: Lambda would have ended it", deadline.elapsed()));
        }
        let Ok(response) = response else { return Ok("error") };
        let response = response.into_json();
        match self.trigger {
            Trigger::Tick => Ok("done"),
            Trigger::Push => pushed(&response),
            Trigger::Shard | Trigger::Spool => match response["batchItemFailures"].as_array().map(Vec::len) {
                Some(0) => Ok("done"),
                Some(1) => Ok("again"),
                _ => Err(format!("the response is {response}")),
            },
        }
    }

    /// Checks the item counters. Each loss, and each denied access, has a counter that an alarm can watch.
    fn audit(&self, item_status: Option<ItemStatus>, is_denied: bool) -> Result<(), String> {
        let counters = self.sandbox.handlers.counters();
        let unbalanced = counters.unbalanced();
        if !unbalanced.is_empty() {
            return Err(format!("{unbalanced:?} are out of balance"));
        }
        let signal = self.peer.item(self.trigger);
        let total = |item_status| counters.total(item_status, signal);
        match item_status {
            None if counters.counts().next().is_some() => return Err(format!("something was entered: {counters:?}")),
            Some(item_status) if total(item_status) == 0 => {
                return Err(format!("no {signal:?} are {item_status:?}: {counters:?}"));
            }
            _ => {}
        }
        if is_denied && total(ItemStatus::AccessDenied) == 0 {
            return Err(format!("denied access was not counted: {counters:?}"));
        }
        let queue = self.sandbox.aws.sqs();
        let kept = |body: &String| SpoolMessage::parse(body).map_or(0, |spooled| spooled.payload.items());
        let in_queue: u64 = queue.bodies.iter().map(kept).sum();
        if in_queue != total(ItemStatus::Spooled) {
            return Err(format!("{in_queue} {signal:?} are in the queue: {counters:?}"));
        }
        let arrived = self.sandbox.amp.samples().len() as u64;
        let delivered = counters.total(ItemStatus::Delivered, ItemKind::Samples)
            + counters.total(ItemStatus::Redelivered, ItemKind::Samples);
        // After an invalid response or a rejected request, the workspace may have stored some samples.
        if self.peer != Peer::Amp && arrived != delivered {
            return Err(format!("{arrived} samples have arrived: {counters:?}"));
        }
        Ok(())
    }
}

fn pushed(response: &Value) -> Result<&'static str, String> {
    let has_body = response["body"].as_str().is_some_and(|body| !body.is_empty());
    let headers = response["headers"].as_object().unwrap();
    match (response["statusCode"].as_u64(), has_body) {
        (Some(200), false) => Ok("200"),
        (Some(200), true) => Ok("200 partial"),
        (Some(503), true) if headers.contains_key("retry-after") => Ok("503"),
        _ => Err(format!("the response is {response}")),
    }
}

fn gauges() -> Vec<u8> {
    let point = |n: i64| number(7.0, &[("n", n.into())]);
    request(resource(), None, vec![gauge("shelf", "", (1..=3).map(point).collect())]).encode_to_vec()
}

fn gauges_now() -> Vec<u8> {
    let point = otlp_builder::Point { nanos: now_nanos(), ..number(7.0, &[]) };
    request(resource(), None, vec![gauge("shelf", "", vec![point])]).encode_to_vec()
}

fn spans_of(count: u64) -> Vec<u8> {
    let span = |number: u64| Span {
        trace_id: Bytes::copy_from_slice(&(0x6563_0000_u128 << 96 | 7).to_be_bytes()),
        span_id: Bytes::copy_from_slice(&number.to_be_bytes()),
        name: "GET /cart".into(),
        start_time_unix_nano: otlp_builder::NANOS,
        end_time_unix_nano: otlp_builder::NANOS + 1_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (1..=count).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Returns spans that have just started.
fn current_spans(count: u64) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(spans_of(count).as_slice()).unwrap();
    for span in &mut request.resource_spans[0].scope_spans[0].spans {
        span.start_time_unix_nano = now_nanos();
    }
    request.encode_to_vec()
}

fn current_logs(count: u64) -> Vec<u8> {
    let record = |number: u64| LogRecord {
        time_unix_nano: now_nanos(),
        trace_id: Bytes::copy_from_slice(&[7; 16]),
        span_id: Bytes::copy_from_slice(&number.to_be_bytes()),
        body: Some(AnyValue { value: Some(any_value::Value::String("sold out".into())) }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: (1..=count).map(record).collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn now_nanos() -> u64 {
    u64::try_from(Deadline::after(INVOCATION).now_ms()).unwrap() * 1_000_000
}

fn export(body: Vec<u8>) -> EncodedExport {
    EncodedExport { body: body.into(), items: 3 }
}

fn documents() -> Vec<SegmentDocument> {
    let document = |n: u64| {
        let (id, trace_id) = (format!("{n:016x}"), "1-65630000-000000000000000000000007".to_owned());
        let json = json!({"id": id, "trace_id": trace_id, "name": "cart", "start_time": 1.0, "end_time": 2.0});
        SegmentDocument::new(&json.to_string())
    };
    (1..=3).map(document).collect()
}

fn write_request() -> Payload {
    let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
    let series = |name: &str| TimeSeries {
        labels: vec![label("__name__", name)],
        samples: vec![Sample { value: 1.0, timestamp: 1_795_389_900_000 }],
        ..TimeSeries::default()
    };
    let request = WriteRequest { timeseries: ["a", "b"].map(series).into(), metadata: Vec::new() };
    let snappy = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap().into();
    Payload::RemoteWrite { snappy, points: 2 }
}

fn spool_message(payload: Payload) -> String {
    SpoolMessage { payload, error: "503: busy".into(), first_attempt_ms: 1_795_389_900_000 }
        .into_messages()
        .remove(0)
        .text
}

fn message(body: String) -> String {
    json!({"Records": [{
        "messageId": "m-1", "receiptHandle": "handle", "body": body, "eventSource": "aws:sqs",
        "attributes": {"ApproximateReceiveCount": "1"},
    }]})
    .to_string()
}

/// Runs a cell. Returns its response, or an error if the response or the item counters are unexpected.
async fn outcome(peer: Peer, fault_kind: FaultKind, trigger: Trigger, port: u16) -> Result<&'static str, String> {
    let cell = Cell::prepare(peer, fault_kind, trigger, port).await;
    let (response, expected) = (cell.run().await?, expected(peer, fault_kind, trigger));
    if response != expected {
        return Err(format!("{response} instead of {expected}: {:?}", cell.sandbox.handlers.counters()));
    }
    let is_denied = peer.is_called_by(trigger) && fault_kind.is_denied();
    cell.audit(expected_status(peer, fault_kind, trigger), is_denied).map(|()| response)
}

#[tokio::test]
async fn outcome_of_each_fault_is_reported_and_counted() {
    let task = Task::start().await;
    let port = task.port();
    let mut outcomes: BTreeMap<_, Result<&str, String>> = BTreeMap::new();
    for concurrency in CONCURRENCY {
        let cells = PEERS.into_iter().flat_map(|peer| {
            FAULT_KINDS
                .into_iter()
                .flat_map(move |fault_kind| TRIGGERS.into_iter().map(move |trigger| (peer, fault_kind, trigger)))
        });
        let remaining: Vec<_> = cells.filter(|cell| !matches!(outcomes.get(cell), Some(Ok(_)))).collect();
        let run = |cell: (Peer, FaultKind, Trigger)| async move { (cell, outcome(cell.0, cell.1, cell.2, port).await) };
        let ran: Vec<_> = futures_util::stream::iter(remaining).map(run).buffer_unordered(concurrency).collect().await;
        for ((peer, fault_kind, trigger), outcome) in ran {
            if let Err(error) = &outcome {
                println!("{peer:?} {fault_kind:?} {trigger:?} with {concurrency} concurrent cells: {error}");
            }
            outcomes.insert((peer, fault_kind, trigger), outcome);
        }
    }

    println!("show: response by trigger         tick         push         shard        spool");
    for peer in PEERS {
        for fault_kind in FAULT_KINDS {
            let cell = |trigger| outcomes[&(peer, fault_kind, trigger)].as_ref().map_or("WRONG", |response| response);
            let row: Vec<String> = TRIGGERS.into_iter().map(|trigger| format!("{:12}", cell(trigger))).collect();
            println!("show: {:<26}  {}", format!("{peer:?} {fault_kind:?}"), row.join(" "));
        }
    }
    let passed = outcomes.values().filter(|outcome| outcome.is_ok()).count();
    println!("show: fault matrix: {passed} of {} cells passed, accounts balanced", outcomes.len());
    let wrong: Vec<String> =
        outcomes.iter().filter_map(|(cell, outcome)| Some(format!("{cell:?}: {}", outcome.as_ref().err()?))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn concurrency_limits_of_destinations_are_kept() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_MAX_SAMPLE_AGE", "off"), ("SIDECARLESS_TARGET_INFO", "off")]).await;
    // Each call takes long enough for the concurrency limit to be reached.
    sandbox.amp.fail_always(Fault::Slow(Duration::from_millis(50)));
    sandbox.aws.fail_always(|_| true, Fault::Slow(Duration::from_millis(50)));
    let label = "x".repeat(1_500);
    let points = (0..8_000).map(|n| number(1.0, &[("n", n.to_string().as_str().into()), ("x", label.as_str().into())]));
    let metrics = request(resource(), None, vec![gauge("shelf", "", points.collect())]).encode_to_vec();
    let spans = spans_of(1_000);
    for (path, body) in [("/v1/metrics", &metrics), ("/v1/traces", &spans)] {
        let push = Push { time: Duration::from_secs(60), ..Push::new(path, body) };
        assert_eq!(sandbox.push(&push).await.status, 200, "{path}");
    }
    assert!(sandbox.amp.requests() > 12, "{} requests", sandbox.amp.requests());
    assert_eq!((sandbox.amp.max_concurrency(), sandbox.aws.max_concurrency()), (8, 4));
}

#[tokio::test]
async fn connection_closed_while_frozen_is_replaced() {
    let sandbox = Sandbox::start(&[SPOOL, ("SIDECARLESS_MAX_SAMPLE_AGE", "off")]).await;
    // A message gets one attempt, and a failure would defer it by half a minute.
    sandbox.amp.fail([Fault::Response(StubResponse::Reset)]);
    sandbox.aws.fail([Fault::Response(StubResponse::Reset)]);
    for payload in [write_request(), Payload::Segments(documents())] {
        let deadline = Deadline::after(INVOCATION);
        let response = sandbox
            .handlers
            .handle(Event::parse(&message(spool_message(payload))), &deadline)
            .await
            .unwrap()
            .into_json();
        assert_eq!(response, json!({"batchItemFailures": []}));
    }
    assert_eq!((sandbox.amp.samples().len(), sandbox.aws.xray().documents.len()), (2, 3));
}

#[tokio::test]
async fn spooled_metadata_is_redelivered_unless_samples_were_too_old() {
    let metadata = || vec![MetricMetadata { kind: 1, family: "a".into(), ..MetricMetadata::default() }];
    let old_sample = vec![TimeSeries {
        labels: vec![Label { name: "__name__".into(), value: "a".into() }],
        samples: vec![Sample { value: 1.0, timestamp: 1_000 }],
        ..TimeSeries::default()
    }];
    for (timeseries, sent) in [(vec![], 1), (old_sample, 0)] {
        let sandbox = Sandbox::start(&[SPOOL]).await;
        // Each request to the workspace fails, so that the message stays in the queue.
        sandbox.amp.fail_always(Fault::status(503, "busy"));
        let points = timeseries.len() as u64;
        let request = WriteRequest { timeseries, metadata: metadata() };
        let snappy = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap().into();
        let event = Event::parse(&message(spool_message(Payload::RemoteWrite { snappy, points })));
        let response = sandbox.handlers.handle(event, &Deadline::after(INVOCATION)).await.unwrap().into_json();
        let retried = response["batchItemFailures"].as_array().unwrap().len();
        assert_eq!(retried, sent, "{points} old samples");
        let dropped = sandbox.handlers.counters().total(ItemStatus::DroppedFromSpool, ItemKind::Samples);
        assert_eq!(dropped, points, "{points} old samples");
    }
}

#[tokio::test]
async fn shards_without_a_workspace_are_counted() {
    let sandbox = Sandbox::start(&[("AWS_PROMETHEUS_ENDPOINT", "")]).await;
    let shard = Shard::new("shop".into(), vec!["t1".into(), "t2".into()], Deadline::after(INVOCATION).now_ms());
    let event = Event::parse(&message(shard.into_message()));
    let response = sandbox.handlers.handle(event, &Deadline::after(INVOCATION)).await.unwrap().into_json();
    assert_eq!(response, json!({"batchItemFailures": []}));
    let counters = sandbox.handlers.counters();
    assert_eq!(counters.total(ItemStatus::Rejected, ItemKind::ScrapeInputs), 2, "{counters:?}");
    assert!(counters.unbalanced().is_empty(), "{counters:?}");
}

#[tokio::test]
async fn message_is_deferred_in_the_queue_that_it_came_from() {
    const SPOOL_URL: &str = "https://sqs.eu-west-1.amazonaws.com/111122223333/spool";
    const SHARD_URL: &str = "https://sqs.eu-west-1.amazonaws.com/111122223333/shards";
    const ARN: &str = "arn:aws:sqs:eu-west-1:111122223333:";
    let spool = ("SIDECARLESS_SPOOL_QUEUE_URL", SPOOL_URL);
    let shards = ("SIDECARLESS_SHARD_QUEUE_URL", SHARD_URL);
    let spooled = spool_message(Payload::Segments(vec![SegmentDocument::new("{}")]));
    let shard = Shard::new("shop".into(), vec!["t1".into()], Deadline::after(INVOCATION).now_ms()).into_message();
    for (settings, body, queue, deferred_in) in [
        (&[spool, shards][..], &shard, "shards", SHARD_URL),
        (&[spool, shards], &shard, "spool", SPOOL_URL),
        (&[spool, shards], &spooled, "spool", SPOOL_URL),
        (&[spool, shards], &spooled, "shards", SHARD_URL),
        (&[spool], &shard, "spool", SPOOL_URL),
        (&[shards], &shard, "shards", SHARD_URL),
        (&[spool], &shard, "others", "https://sqs.eu-west-1.amazonaws.com/111122223333/others"),
        // Emulators may not name the queue.
        (&[spool, shards], &shard, "", SHARD_URL),
        (&[spool, shards], &spooled, "", SPOOL_URL),
    ] {
        let sandbox = Sandbox::start(settings).await;
        sandbox.aws.fail_always(Peer::Ecs.matches(), Fault::status(400, r#"{"__type":"AccessDeniedException"}"#));
        sandbox.aws.fail_always(Peer::XRay.matches(), Fault::status(503, "busy"));
        let mut event: Value = serde_json::from_str(&message(body.clone())).unwrap();
        if !queue.is_empty() {
            event["Records"][0]["eventSourceARN"] = format!("{ARN}{queue}").into();
        }
        let event = Event::parse(&event.to_string());
        let response = sandbox.handlers.handle(event, &Deadline::after(INVOCATION)).await.unwrap().into_json();
        assert_eq!(response["batchItemFailures"].as_array().unwrap().len(), 1, "{queue}: {body}");
        assert_eq!(sandbox.aws.sqs().deferred_in, [deferred_in], "{queue}: {body}");
    }
}

#[tokio::test]
async fn items_for_otlp_endpoints_are_spooled_and_redelivered() {
    for (peer, path, body) in
        [(Peer::OtlpTraces, "/v1/traces", current_spans(3)), (Peer::OtlpLogs, "/v1/logs", current_logs(3))]
    {
        let (enabling, _) = peer.settings();
        let settings: Vec<_> = enabling.into_iter().chain([SPOOL]).collect();
        let sandbox = Sandbox::start(&settings).await;
        sandbox.aws.fail_always(peer.matches(), Fault::status(503, "busy"));
        let response = sandbox.push(&Push::new(path, &body)).await;
        assert_eq!((response.status, response.body.len()), (200, 0), "acknowledged, because it is durable");

        let spooled = sandbox.aws.sqs().bodies.remove(0);
        let again = redelivered(&sandbox, &spooled).await;
        assert_eq!(again, 1, "while it is known to be down nothing is tried");
        assert_eq!(sandbox.aws.otlp_bodies(path), Vec::<Vec<u8>>::new());

        // Another environment, whose circuit is closed.
        let fresh = Sandbox::start(&settings).await;
        assert_eq!(redelivered(&fresh, &spooled).await, 0);
        assert_eq!(fresh.aws.otlp_bodies(path), [body], "unchanged");
        assert_eq!(fresh.handlers.counters().total(ItemStatus::Redelivered, peer.item(Trigger::Spool)), 3);
        assert!(sandbox.handlers.counters().unbalanced().is_empty());
    }
}

#[tokio::test]
async fn spooled_items_that_became_too_old_are_dropped() {
    let old_nanos = now_nanos() - 15 * 86_400 * 1_000_000_000;
    let mut spans = ExportTraceServiceRequest::decode(current_spans(3).as_slice()).unwrap();
    spans.resource_spans[0].scope_spans[0].spans[1].start_time_unix_nano = old_nanos;
    let mut logs = ExportLogsServiceRequest::decode(current_logs(3).as_slice()).unwrap();
    logs.resource_logs[0].scope_logs[0].log_records[1].time_unix_nano = old_nanos;
    for (peer, payload) in [
        (Peer::OtlpTraces, Payload::OtlpTraces(vec![export(spans.encode_to_vec())])),
        (Peer::OtlpLogs, Payload::OtlpLogs(vec![export(logs.encode_to_vec())])),
    ] {
        let (enabling, _) = peer.settings();
        let sandbox = Sandbox::start(&enabling.into_iter().chain([SPOOL]).collect::<Vec<_>>()).await;
        assert_eq!(redelivered(&sandbox, &spool_message(payload)).await, 0, "{peer:?}");
        let counters = sandbox.handlers.counters();
        let total = |status| counters.total(status, peer.item(Trigger::Spool));
        assert_eq!((total(ItemStatus::Redelivered), total(ItemStatus::DroppedFromSpool)), (2, 1), "{peer:?}");
    }
}

#[tokio::test]
async fn missing_log_group_is_denied_access() {
    let sandbox = Sandbox::start(&[SPOOL, ("SIDECARLESS_LOG_GROUP", "/shop")]).await;
    let body = r#"{"__type":"ResourceNotFoundException","message":"The specified log group does not exist."}"#;
    let missing = StubResponse::of(400, "application/x-amz-json-1.1", body);
    sandbox.aws.fail_always(Peer::OtlpLogs.matches(), Fault::Response(missing));
    assert_eq!(sandbox.push(&Push::new("/v1/logs", &current_logs(3))).await.status, 200);
    let counters = sandbox.handlers.counters();
    let total = |status| counters.total(status, ItemKind::LogRecords);
    assert_eq!((total(ItemStatus::Spooled), total(ItemStatus::AccessDenied)), (3, 3));
    assert_eq!(sandbox.aws.requests(), 2, "one to CloudWatch Logs and one to SQS");
}

/// A client waits ten seconds for a response, and may have waited for a cold start.
#[tokio::test]
async fn push_is_answered_in_time_if_the_spool_hangs() {
    let push = async |peer: Peer, path: &str, body: Vec<u8>| {
        let (enabling, _) = peer.settings();
        let settings: Vec<_> = enabling.into_iter().chain([SPOOL]).collect();
        let sandbox = Sandbox::start(&settings).await;
        let hang = || Fault::Response(StubResponse::Hang);
        sandbox.amp.fail_always(hang());
        sandbox.aws.fail_always(|_| true, hang());
        let clock = Deadline::after(INVOCATION);
        let response = sandbox.push(&Push { time: Duration::from_secs(50), ..Push::new(path, &body) }).await;
        let counters = sandbox.handlers.counters();
        let refused = counters.total(ItemStatus::Refused, peer.item(Trigger::Push));
        assert_eq!((response.status, refused > 0, counters.unbalanced()), (503, true, vec![]), "{peer:?}");
        assert!(clock.elapsed() < Duration::from_secs(9), "{peer:?}: {:?}", clock.elapsed());
    };
    tokio::join!(
        push(Peer::Amp, "/v1/metrics", gauges_now()),
        push(Peer::OtlpMetrics, "/v1/metrics", gauges_now()),
        push(Peer::XRay, "/v1/traces", current_spans(3)),
        push(Peer::OtlpTraces, "/v1/traces", current_spans(3)),
        push(Peer::OtlpLogs, "/v1/logs", current_logs(3)),
    );
}

/// Handles a message. Returns the number of messages that SQS delivers again.
async fn redelivered(sandbox: &Sandbox, body: &str) -> usize {
    let event = Event::parse(&message(body.to_owned()));
    let response = sandbox.handlers.handle(event, &Deadline::after(INVOCATION)).await.unwrap().into_json();
    response["batchItemFailures"].as_array().unwrap().len()
}

#[tokio::test]
async fn failed_event_is_repeated_from_the_spool() {
    let event: Value = serde_json::from_str(include_str!("../events/task-stopped.json")).unwrap();
    let deployment: Value = serde_json::from_str(include_str!("../events/deployment-failed.json")).unwrap();
    for (payload, fault, again, written) in [
        (event.clone(), Some(Fault::status(503, "busy")), 1, false),
        (event, None, 0, true),
        (deployment.clone(), Some(Fault::status(503, "busy")), 1, false),
        (deployment, None, 0, true),
        (json!({"sidecarless": "scrape", "at": "2026-11-22T23:25:00Z"}), None, 0, false),
        (json!({"surprise": true}), None, 1, false),
    ] {
        let sandbox = Sandbox::start(&[("SIDECARLESS_MAX_SAMPLE_AGE", "off")]).await;
        if let Some(fault) = fault {
            sandbox.amp.fail_always(fault);
        }
        let record = json!({"version": "1.0", "timestamp": "2026-11-22T23:26:00Z", "requestPayload": payload,
            "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3}});
        let invocation = Event::parse(&message(record.to_string()));
        let response = sandbox.handlers.handle(invocation, &Deadline::after(INVOCATION)).await.unwrap().into_json();
        assert_eq!(response["batchItemFailures"].as_array().unwrap().len(), again, "{record}");
        let named = ["ecs_task_stopped_info", "ecs_service_deployment_event_info"];
        assert_eq!(named.iter().any(|name| !sandbox.amp.named(name).is_empty()), written, "{record}");
    }
}
