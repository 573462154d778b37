//! Any scheduled run, shard, push or message may be processed twice. The second time must not change AMP or X-Ray.
//!
//! AMP stores one value for each series and time and rejects a different one; X-Ray stores one document for each id. The tests
//! check that the second time adds no new and no different value.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use serde_json::json;
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;
use sidecarless::model::otlp::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};

use crate::otlp_builder::{self, attributes, gauge, number, request, resource, summary};
use crate::sandbox::http::Fault;
use crate::sandbox::task::Task;
use crate::sandbox::{Push, Sandbox};

const ANY_AGE: (&str, &str) = ("SIDECARLESS_MAX_SAMPLE_AGE", "off");
const SPOOL: (&str, &str) = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.invalid/123456789012/spool");
const SHOP: (&str, &str) = ("SIDECARLESS_CLUSTERS", "shop");

/// Data that AMP and X-Ray would store: a value for each series and time, and a document for each id.
#[derive(Debug, Default, PartialEq)]
struct StoredData {
    samples: BTreeMap<(String, i64), u64>,
    documents: BTreeMap<String, String>,
}

impl StoredData {
    /// Panics if two values or documents conflict.
    fn of(sandbox: &Sandbox) -> Self {
        let mut kept = Self::default();
        for (labels, value, at_ms) in sandbox.amp.samples() {
            let series = format!("{labels:?}");
            let before = kept.samples.insert((series.clone(), at_ms), value.to_bits());
            assert!(before.is_none_or(|before| before == value.to_bits()), "{series} has two values at {at_ms}");
        }
        for document in &sandbox.aws.xray().documents {
            let id = document["id"].as_str().unwrap().to_owned();
            let text = document.to_string();
            let before = kept.documents.insert(id.clone(), text.clone());
            assert!(before.is_none_or(|before| before == text), "segment {id} has two documents");
        }
        kept
    }
}

fn metrics() -> Vec<u8> {
    let points = (0..20).map(|n| number(f64::from(n), &[("n", n.to_string().as_str().into())])).collect();
    let metrics = vec![gauge("shelf", "", points), summary("request.duration", 3, 4.5, &[(0.5, 1.0), (0.9, 2.0)])];
    request(resource(), None, metrics).encode_to_vec()
}

/// Returns spans of every kind. Some become two documents, one of which has a generated id.
fn spans() -> Vec<u8> {
    let span = |number: u8| {
        let local_root = attributes(&[("aws.span.kind", "LOCAL_ROOT".into())]);
        Span {
            trace_id: Bytes::copy_from_slice(&(0x6563_0000_u128 << 96 | 7).to_be_bytes()),
            span_id: Bytes::copy_from_slice(&[number; 8]),
            name: "GET /cart".into(),
            kind: i32::from(number % 6),
            start_time_unix_nano: otlp_builder::NANOS,
            end_time_unix_nano: otlp_builder::NANOS + 1_000_000,
            attributes: if number > 6 { local_root } else { Vec::new() },
            ..Span::default()
        }
    };
    let scope_spans = vec![ScopeSpans { spans: (1..=12).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

async fn invoke(sandbox: &Sandbox, event: &str) {
    sandbox.handlers.handle(Event::parse(event), &Deadline::after(Duration::from_secs(20))).await.unwrap();
}

/// Returns the SQS event with these messages.
fn messages(bodies: &[String]) -> String {
    let record = |(n, body): (usize, &String)| json!({"messageId": format!("m-{n}"), "receiptHandle": "h", "body": body, "eventSource": "aws:sqs"});
    json!({"Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>()}).to_string()
}

#[tokio::test]
async fn repeated_push_changes_nothing() {
    for (path, body) in [("/v1/metrics", metrics()), ("/v1/traces", spans())] {
        let event = Sandbox::event(&Push::new(path, &body));
        let sandbox = Sandbox::start(&[ANY_AGE]).await;
        invoke(&sandbox, &event).await;
        let once = StoredData::of(&sandbox);
        assert!(once.samples.len() + once.documents.len() > 12, "{path}: {once:?}");
        for _ in 0..3 {
            invoke(&sandbox, &event).await;
        }
        assert_eq!(StoredData::of(&sandbox), once, "{path}");
    }
}

#[tokio::test]
async fn retry_completes_a_partly_delivered_push() {
    let body = spans();
    let event = Sandbox::event(&Push::new("/v1/traces", &body));
    let complete = Sandbox::start(&[]).await;
    invoke(&complete, &event).await;
    let ids: BTreeSet<String> = StoredData::of(&complete).documents.into_keys().collect();

    let sandbox = Sandbox::start(&[]).await;
    for id in ids.iter().take(5) {
        sandbox.aws.xray().unprocessed.insert(id.clone(), ("ThrottledException", 1_000));
    }
    let push = Push { time: Duration::from_secs(1), ..Push::new("/v1/traces", &body) };
    assert_eq!(sandbox.push(&push).await.status, 503, "the client retries the full request");
    assert_eq!(StoredData::of(&sandbox).documents.len(), ids.len() - 5);
    sandbox.aws.xray().unprocessed.clear();
    assert_eq!(sandbox.push(&push).await.status, 200);
    assert_eq!(StoredData::of(&sandbox), StoredData::of(&complete));
}

#[tokio::test]
async fn repeated_message_changes_nothing() {
    let events = [("/v1/metrics", metrics()), ("/v1/traces", spans())];
    let events = events.map(|(path, body)| Sandbox::event(&Push::new(path, &body)));
    let direct = Sandbox::start(&[ANY_AGE]).await;
    let failing = Sandbox::start(&[ANY_AGE, SPOOL]).await;
    failing.amp.fail_always(Fault::status(503, "busy"));
    failing.aws.fail_always(|request| request.path == "/TraceSegments", Fault::status(503, "busy"));
    for event in &events {
        invoke(&direct, event).await;
        invoke(&failing, event).await;
    }
    let bodies = failing.aws.sqs().bodies.clone();
    assert_eq!(bodies.len(), 2);

    let later = Sandbox::start(&[ANY_AGE]).await;
    for _ in 0..3 {
        invoke(&later, &messages(&bodies)).await;
        assert_eq!(StoredData::of(&later), StoredData::of(&direct), "as if it had never waited");
    }
}

#[tokio::test]
async fn repeated_scrape_writes_no_conflicting_value() {
    let task = Task::start().await;
    // From one task on, a scheduled run sends shards. With all tasks inline, it scrapes them itself.
    for inline in ["300", "0"] {
        let sandbox = Sandbox::start(&[SHOP, SPOOL, ("SIDECARLESS_MAX_INLINE_TASKS", inline)]).await;
        for _ in 0..3 {
            sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
        }
        for _ in 0..2 {
            invoke(&sandbox, r#"{"sidecarless":"scrape"}"#).await;
        }
        let shards = sandbox.aws.sqs().bodies.clone();
        for _ in 0..2 {
            if !shards.is_empty() {
                invoke(&sandbox, &messages(&shards)).await;
            }
        }
        // Each scrape has its own timestamp, so a repeated scrape never writes a second value for the same time.
        let kept = StoredData::of(&sandbox);
        let series: BTreeSet<&String> = kept.samples.keys().map(|(series, _)| series).collect();
        let up = series.iter().filter(|series| series.contains("\"__name__\": \"up\"")).count();
        assert_eq!(up, 3, "inline {inline}: one series for each target, however often it is scraped");
    }
}
