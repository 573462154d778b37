//! Samples that AMP does not accept any more are rejected on every path, and counted once: AMP would reject them with the other samples
//! of their request.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use serde_json::{Value, json};
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::remote_write::{Label, Sample, TimeSeries, WriteRequest};
use sidecarless::model::spool::{Payload, SpoolMessage};

use crate::sandbox::Sandbox;

const INVOCATION: Duration = Duration::from_secs(4);
const HOUR_MS: i64 = 3_600_000;
const NO_WORKSPACE: (&str, &str) = ("AWS_PROMETHEUS_ENDPOINT", "");

fn now_ms() -> i64 {
    Deadline::after(INVOCATION).now_ms()
}

async fn handle(sandbox: &Sandbox, event: &Value) -> Value {
    let event = Event::parse(&event.to_string());
    sandbox.handlers.handle(event, &Deadline::after(INVOCATION)).await.unwrap().into_json()
}

/// Returns the number of rejected inputs of each reason.
fn rejected(sandbox: &Sandbox) -> Vec<(&'static str, u64)> {
    let counters = sandbox.handlers.counters();
    assert!(counters.unbalanced().is_empty(), "{counters:?}");
    let of_inputs = counters.counts().filter(|(key, _)| key.item == ItemKind::ScrapeInputs);
    of_inputs.filter(|(key, _)| key.status == ItemStatus::Rejected).map(|(key, count)| (key.reason, count)).collect()
}

fn log_events(at_ms: i64) -> Value {
    let event = json!({"Type": "Cluster", "ClusterName": "shop", "Timestamp": at_ms, "TaskCount": 3});
    let data = json!({"messageType": "DATA_MESSAGE", "owner": "111122223333",
        "logGroup": "/aws/ecs/containerinsights/shop/performance", "logStream": "s", "subscriptionFilters": ["f"],
        "logEvents": [{"id": "1", "timestamp": at_ms, "message": event.to_string()}]});
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(data.to_string().as_bytes()).unwrap();
    json!({"awslogs": {"data": STANDARD.encode(gzip.finish().unwrap())}})
}

#[tokio::test]
async fn log_events_beyond_the_age_limit_are_rejected() {
    for (age_ms, written, reasons) in [(HOUR_MS / 2, 1, vec![]), (HOUR_MS + 1, 0, vec![("too_old", 1)])] {
        let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "shop")]).await;
        handle(&sandbox, &log_events(now_ms() - age_ms)).await;
        assert_eq!((sandbox.amp.samples().len(), rejected(&sandbox)), (written, reasons), "{age_ms} ms old");
    }
}

#[tokio::test]
async fn ecs_events_beyond_the_age_limit_are_rejected() {
    // The events are from the past.
    for event in [
        include_str!("../events/task-stopped.json"),
        include_str!("../events/deployment-failed.json"),
        include_str!("../events/service-action.json"),
    ] {
        for (settings, reasons) in
            [(vec![], vec![("too_old", 1)]), (vec![("SIDECARLESS_MAX_SAMPLE_AGE", "off")], vec![])]
        {
            let sandbox = Sandbox::start(&settings).await;
            handle(&sandbox, &serde_json::from_str(event).unwrap()).await;
            let is_written = !sandbox.amp.samples().is_empty();
            assert_eq!((is_written, rejected(&sandbox)), (reasons.is_empty(), reasons), "{event}");
        }
    }
}

#[tokio::test]
async fn spooled_samples_beyond_the_age_limit_are_dropped() {
    let series = |name: &str, age_ms: i64| TimeSeries {
        labels: vec![Label { name: "__name__".into(), value: name.into() }],
        samples: vec![Sample { value: 1.0, timestamp: now_ms() - age_ms }],
        ..TimeSeries::default()
    };
    let (old, new) = (series("old", HOUR_MS + 1_000), series("new", 1_000));
    for (settings, timeseries, retried, expected) in [
        (vec![], vec![old.clone(), new.clone()], 0, [1, 1]),
        (vec![], vec![old.clone()], 0, [0, 1]),
        // A workspace is not needed to drop samples.
        (vec![NO_WORKSPACE], vec![old], 0, [0, 1]),
        (vec![NO_WORKSPACE], vec![new], 1, [0, 0]),
    ] {
        let sandbox = Sandbox::start(&settings).await;
        let points = timeseries.len() as u64;
        let request = WriteRequest { timeseries, metadata: Vec::new() };
        let snappy = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap().into();
        let payload = Payload::RemoteWrite { snappy, points };
        let spooled = SpoolMessage { payload, error: "503".into(), first_attempt_ms: now_ms() - HOUR_MS };
        let body = spooled.into_messages().remove(0).text;
        let event = json!({"Records": [{"messageId": "m-1", "receiptHandle": "handle", "body": body,
            "eventSource": "aws:sqs", "attributes": {"ApproximateReceiveCount": "9"}}]});
        let failed = handle(&sandbox, &event).await["batchItemFailures"].as_array().unwrap().len();
        let counters = sandbox.handlers.counters();
        let statuses = [ItemStatus::Redelivered, ItemStatus::DroppedFromSpool];
        let counts = statuses.map(|status| counters.total(status, ItemKind::Samples));
        assert_eq!((failed, counts), (retried, expected), "{settings:?}, {points} samples");
    }
}
