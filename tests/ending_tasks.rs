//! Tasks that start to stop while a run describes and scrapes them: each has one value.

use std::collections::BTreeMap;

use crate::sandbox::Sandbox;
use crate::sandbox::amp::Labels;
use crate::sandbox::task::Task;

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
