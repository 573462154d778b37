//! Tasks that stop or start to stop while a run describes and scrapes them: each has one value, and its series end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;
use sidecarless::model::shard::Shard;

use crate::sandbox::Sandbox;
use crate::sandbox::amp::Labels;
use crate::sandbox::task::{Task, closed_port};

const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// One series of each writer: the state of ECS, and the scrape.
const OF_TASK: [&str; 3] = ["ecs_task_info", "up", "ecs_task_memory_utilized"];

const SETTINGS: [(&str, &str); 3] =
    [("SIDECARLESS_STATE_METRICS", "default"), ("SIDECARLESS_CLUSTERS", "shop"), ("SIDECARLESS_SCRAPE_TIMEOUT", "1s")];

/// Returns the samples of each series of tasks, in the order of their times: the value, or `ended`.
fn samples(sandbox: &Sandbox) -> BTreeMap<String, Vec<String>> {
    let mut all: Vec<(Labels, f64, i64)> = sandbox.amp.samples();
    all.sort_by_key(|(.., at_ms)| *at_ms);
    let mut series = BTreeMap::<String, Vec<String>>::new();
    for (labels, value, _) in all.into_iter().filter(|(labels, ..)| OF_TASK.contains(&labels["__name__"].as_str())) {
        let is_marker = value.to_bits() == STALE_NAN;
        series.entry(labels["__name__"].clone()).or_default().push(match is_marker {
            true => "ended".to_owned(),
            false => value.to_string(),
        });
    }
    series
}

/// Returns the numbers of tasks by status of the last run, without statuses that no task has.
fn tasks_by_status(sandbox: &Sandbox) -> BTreeMap<String, f64> {
    let series = sandbox.amp.named("ecs_tasks").into_iter();
    let counts: BTreeMap<_, _> = series.map(|(labels, value)| (labels["last_status"].clone(), value)).collect();
    counts.into_iter().filter(|(_, value)| *value > 0.0).collect()
}

async fn scrape_shard(sandbox: &Sandbox, id: &str) {
    let deadline = Deadline::after(Duration::from_secs(20));
    let shard = Shard::new("shop".into(), vec![id.to_owned()], deadline.now_ms());
    let message = json!({"Records": [{"messageId": "m-1", "receiptHandle": "handle", "body": shard.into_message(),
        "eventSource": "aws:sqs", "attributes": {"ApproximateReceiveCount": "1"}}]});
    sandbox.handlers.handle(Event::parse(&message.to_string()), &deadline).await.unwrap();
}

#[tokio::test]
async fn task_that_starts_to_stop_during_a_run_counts_once() {
    // Containers serve until they are asked to stop.
    for (status, is_scraped) in [("DEACTIVATING", true), ("STOPPING", false)] {
        let sandbox = Sandbox::start(&SETTINGS).await;
        let task = Task::start().await;
        let id = sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
        sandbox.aws.ecs().change_before = Some(("ListStopped", id, status));
        let summary = sandbox.tick().await.unwrap();
        assert_eq!(summary["targets_up"], u64::from(is_scraped), "{status}: {summary}");
        for (name, values) in samples(&sandbox) {
            assert_eq!(values.len(), usize::from(is_scraped), "{status}: {name} {values:?}");
        }
        let counted = is_scraped.then(|| (status.to_owned(), 1.0));
        assert_eq!(tasks_by_status(&sandbox), counted.into_iter().collect(), "{status}");
    }
}

#[tokio::test]
async fn task_that_starts_to_stop_is_scraped_by_its_shard_alone() {
    let queue = ("SIDECARLESS_SHARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/shards");
    let sandbox = Sandbox::start(&[&SETTINGS[..], &[queue, ("SIDECARLESS_MAX_INLINE_TASKS", "0")]].concat()).await;
    let task = Task::start().await;
    let id = sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    sandbox.aws.ecs().change_before = Some(("ListStopped", id, "DEACTIVATING"));
    for (up, shards) in [(0, 1), (1, 0)] {
        let summary = sandbox.tick().await.unwrap();
        assert_eq!((&summary["targets_up"], &summary["shards_sent"]), (&up.into(), &shards.into()), "{summary}");
    }
}

#[tokio::test]
async fn task_that_stops_during_a_run_has_no_values() {
    let port = closed_port().await;
    for call in ["DescribeTasks", "ListStopped"] {
        let sandbox = Sandbox::start(&SETTINGS).await;
        let id = sandbox.aws.ecs().add_task("shop", "cart", Some(port));
        sandbox.aws.ecs().change_before = Some((call, id, "STOPPED"));
        let summary = sandbox.tick().await.unwrap();
        assert_eq!((&summary["targets_down"], &summary["stopped_tasks"]), (&0.into(), &1.into()), "{call}: {summary}");
        assert_eq!(samples(&sandbox), OF_TASK.map(|name| (name.to_owned(), vec!["ended".to_owned()])).into(), "{call}");
        assert!(tasks_by_status(&sandbox).is_empty(), "{call}: {:?}", tasks_by_status(&sandbox));
    }
}

#[tokio::test]
async fn stopped_task_of_a_shard_has_no_values() {
    let sandbox = Sandbox::start(&SETTINGS).await;
    let id = sandbox.aws.ecs().add_task("shop", "cart", None);
    scrape_shard(&sandbox, &id).await;
    assert_eq!(samples(&sandbox), [("ecs_task_info".to_owned(), vec!["1".to_owned()])].into());
    sandbox.aws.ecs().set_status(&id, "STOPPED");
    scrape_shard(&sandbox, &id).await;
    assert_eq!(samples(&sandbox)["ecs_task_info"].len(), 1, "{:?}", samples(&sandbox));
}

#[tokio::test]
async fn series_end_after_a_sample_that_is_later_than_the_stop() {
    let sandbox = Sandbox::start(&SETTINGS).await;
    let task = Task::start().await;
    let id = sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    sandbox.tick().await.unwrap();
    let written_ms = sandbox.amp.samples().into_iter().map(|(.., at_ms)| at_ms).min().unwrap();
    {
        // The task stopped after the run had described it, and before its sample.
        let mut ecs = sandbox.aws.ecs();
        ecs.set_status(&id, "STOPPED");
        ecs.stopped_at_s = Some((written_ms - 5) as f64 / 1_000.0);
    }
    for _ in 0..2 {
        sandbox.tick().await.unwrap();
        for (name, values) in samples(&sandbox) {
            assert_eq!(
                values.first().map(String::as_str),
                Some(if name == "up" || name == "ecs_task_info" { "1" } else { "200" }),
                "{name}: {values:?}"
            );
            assert!(values[1..].iter().all(|value| value == "ended"), "{name}: {values:?}");
        }
    }
    let times: std::collections::BTreeSet<i64> = sandbox
        .amp
        .samples()
        .into_iter()
        .filter(|(labels, value, _)| OF_TASK.contains(&labels["__name__"].as_str()) && value.to_bits() == STALE_NAN)
        .map(|(.., at_ms)| at_ms)
        .collect();
    assert_eq!(times.len(), 1, "both runs write the same markers");
}
