//! End-to-end tests of CloudWatch metrics: which services are read, when, and the samples in the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;

use crate::sandbox::Sandbox;
use crate::sandbox::http::Fault;
use crate::sandbox::task::Task;

const MINUTE_S: i64 = 60;
const CPU: &str = "ecs_service_cpu_utilization_percent";

/// Only stats endpoints are a source.
const ENDPOINT: (&str, &str) = ("SIDECARLESS_SOURCES", "endpoint");

fn interval(minutes: &'static str) -> (&'static str, &'static str) {
    ("SIDECARLESS_CLOUDWATCH_INTERVAL", minutes)
}

/// Start of the current minute in seconds, which is a multiple of ten minutes for the tests.
fn base_s() -> i64 {
    let now_s = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    (now_s / 600 + 1) * 600
}

/// Invokes the run that is scheduled a number of minutes after [`base_s`].
async fn run(sandbox: &Sandbox, minute: i64) -> Value {
    let at = jiff::Timestamp::from_second(base_s() + minute * MINUTE_S).unwrap();
    let event = json!({"sidecarless": "scrape", "at": at.to_string()}).to_string();
    let deadline = Deadline::after(Duration::from_secs(20));
    sandbox.handlers.handle(Event::parse(&event), &deadline).await.unwrap().into_json()
}

/// Returns the minutes of the samples of a metric's average, relative to [`base_s`].
fn minutes(sandbox: &Sandbox, name: &str) -> Vec<i64> {
    let samples = sandbox.amp.samples().into_iter();
    let samples = samples.filter(|(labels, ..)| labels["__name__"] == name && labels["stat"] == "average");
    samples.map(|(_, _, at_ms)| (at_ms / 1_000 - base_s()) / MINUTE_S).collect()
}

#[tokio::test]
async fn services_without_a_source_have_cpu_and_memory() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1"), ("SIDECARLESS_EXTERNAL_LABELS", "env=prod")]).await;
    let task = Task::start().await;
    for (family, port) in [("cart", None), ("cart", None), ("web", Some(task.port())), ("job", None)] {
        sandbox.aws.ecs().add_task("shop", family, port);
    }

    let summary = run(&sandbox, 0).await;

    assert_eq!(summary["cloudwatch_metrics"], 4, "two metrics of two services: {summary}");
    let queried: BTreeSet<String> = sandbox.aws.cloudwatch().queries().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(Vec::from_iter(queried), ["cart", "job"], "web has a source");
    assert_eq!(sandbox.aws.cloudwatch().requests.len(), 1);
    let samples = sandbox.amp.samples().into_iter().filter(|(labels, ..)| labels.contains_key("stat"));
    let values: BTreeMap<String, (f64, i64)> = samples
        .map(|(mut labels, value, at_ms)| {
            labels.retain(|name, _| !matches!(name.as_str(), "cloud_region" | "cloud_account_id"));
            (labels.into_values().collect::<Vec<_>>().join(" "), (value, at_ms))
        })
        .collect();
    assert_eq!(values.len(), 12, "{values:?}");
    // The sample of a minute has the time of its end, three minutes before the run.
    let (value, end_s) = values["ecs_service_memory_utilization_percent shop cart prod maximum"];
    assert_eq!(end_s, (base_s() - 3 * MINUTE_S) * 1_000);
    assert_eq!(value, ((base_s() - 4 * MINUTE_S) / MINUTE_S % 100) as f64);
}

#[tokio::test]
async fn runs_read_at_the_interval_and_each_minute_once() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("2")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    for minute in 0..=4 {
        run(&sandbox, minute).await;
        run(&sandbox, minute).await;
    }
    assert_eq!(sandbox.aws.cloudwatch().requests.len(), 3, "a repeated run has nothing to read");
    assert_eq!(minutes(&sandbox, CPU), [-4, -3, -2, -1, 0, 1]);
}

#[tokio::test]
async fn late_points_are_written_once_they_exist() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("2")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    run(&sandbox, 0).await;
    sandbox.aws.cloudwatch().missing.extend([base_s() - 3 * MINUTE_S, base_s() - 2 * MINUTE_S]);
    run(&sandbox, 2).await;
    sandbox.aws.cloudwatch().missing.clear();
    run(&sandbox, 4).await;
    assert_eq!(minutes(&sandbox, CPU), [-4, -3, -2, -1, 0, 1]);
}

#[tokio::test]
async fn undelivered_points_are_read_again() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("2")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    sandbox.amp.fail_always(Fault::status(503, "busy"));
    let at = jiff::Timestamp::from_second(base_s()).unwrap();
    let event = json!({"sidecarless": "scrape", "at": at.to_string()}).to_string();
    sandbox.handlers.handle(Event::parse(&event), &Deadline::after(Duration::from_secs(3))).await.unwrap_err();
    sandbox.amp.clear_faults();
    run(&sandbox, 2).await;
    assert_eq!(minutes(&sandbox, CPU), [-4, -3, -2, -1]);
}

#[tokio::test]
async fn new_environment_reads_the_last_interval() {
    for (setting, expected) in [("1", vec![-3]), ("5", vec![-7, -6, -5, -4, -3]), ("10", Vec::from_iter(-12..=-3))] {
        let sandbox = Sandbox::start(&[ENDPOINT, interval(setting)]).await;
        sandbox.aws.ecs().add_task("shop", "cart", None);
        run(&sandbox, 0).await;
        assert_eq!(minutes(&sandbox, CPU), expected, "{setting}");
    }
}

#[tokio::test]
async fn all_pages_of_a_response_are_read() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1")]).await;
    for service in 0..100 {
        sandbox.aws.ecs().add_task("shop", &format!("service-{service}"), None);
    }
    sandbox.aws.cloudwatch().page_size = Some(200);
    run(&sandbox, 0).await;
    // Two calls, the first of which has 498 queries.
    assert_eq!(sandbox.aws.cloudwatch().requests.len(), 4);
    assert_eq!(minutes(&sandbox, CPU).len(), 100);
    assert_eq!(minutes(&sandbox, "ecs_service_memory_utilization_percent").len(), 100);
}

#[tokio::test]
async fn throttled_call_is_repeated() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    sandbox.aws.cloudwatch().throttles = 2;
    run(&sandbox, 0).await;
    assert_eq!(minutes(&sandbox, CPU), [-3]);
}

#[tokio::test]
async fn denied_call_costs_only_its_series() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1")]).await;
    let task = Task::start().await;
    sandbox.aws.ecs().add_task("shop", "web", Some(task.port()));
    sandbox.aws.ecs().add_task("shop", "cart", None);
    sandbox.aws.cloudwatch().is_denied = true;
    let summary = run(&sandbox, 0).await;
    assert_eq!((summary["targets_up"].as_u64(), summary["undelivered"].as_u64()), (Some(1), Some(0)), "{summary}");
    assert_eq!(minutes(&sandbox, CPU), Vec::<i64>::new());
    sandbox.aws.cloudwatch().is_denied = false;
    run(&sandbox, 1).await;
    assert_eq!(minutes(&sandbox, CPU), [-3, -2], "what was denied is read once it is allowed");
}

#[tokio::test]
async fn failed_results_are_read_again() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    for (status, minute) in [("InternalError", 0), ("Forbidden", 1), ("PartialData", 2)] {
        sandbox.aws.cloudwatch().status = Some(status);
        run(&sandbox, minute).await;
    }
    assert_eq!(minutes(&sandbox, CPU), [-3, -2, -1]);
}

#[tokio::test]
async fn services_of_described_tasks_are_read_if_shards_scrape() {
    let queue = ("SIDECARLESS_SHARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/shards");
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1"), queue, ("SIDECARLESS_MAX_INLINE_TASKS", "0")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    assert_eq!(run(&sandbox, 0).await["shards_sent"], 1);
    assert_eq!(sandbox.aws.cloudwatch().requests.len(), 0, "the task has not been described");
    let body = sandbox.aws.sqs().bodies.pop().unwrap();
    let record = json!({"messageId": "m-1", "receiptHandle": "handle", "body": body, "eventSource": "aws:sqs"});
    let messages = json!({"Records": [record]}).to_string();
    sandbox.handlers.handle(Event::parse(&messages), &Deadline::after(Duration::from_secs(20))).await.unwrap();
    let described = sandbox.aws.ecs().count("DescribeTasks");
    run(&sandbox, 1).await;
    assert_eq!(minutes(&sandbox, CPU), [-2]);
    assert_eq!(sandbox.aws.ecs().count("DescribeTasks"), described, "the read makes no ECS calls");
}

#[tokio::test]
async fn services_are_read_if_container_insights_is_off() {
    for (setting, expected) in [("disabled", 1), ("enabled", 0), ("enhanced", 0)] {
        let sandbox = Sandbox::start(&[interval("1")]).await;
        sandbox.aws.ecs().container_insights = Some(setting);
        sandbox.aws.ecs().add_task("shop", "cart", None);
        run(&sandbox, 0).await;
        assert_eq!(sandbox.aws.cloudwatch().requests.len(), expected, "{setting}");
    }
}

#[tokio::test]
async fn nothing_is_read_without_need() {
    for settings in [
        vec![ENDPOINT, interval("off")],
        vec![("SIDECARLESS_SOURCES", "endpoint,insights"), interval("1")],
        vec![ENDPOINT, interval("1"), ("SIDECARLESS_TASK_FILTER", "service=web")],
    ] {
        let sandbox = Sandbox::start(&settings).await;
        sandbox.aws.ecs().add_task("shop", "cart", None);
        run(&sandbox, 0).await;
        assert_eq!(sandbox.aws.cloudwatch().requests.len(), 0, "{settings:?}");
    }
}

#[tokio::test]
async fn ebs_metrics_are_read_if_they_are_selected() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1"), ("SIDECARLESS_CLOUDWATCH_METRICS", "default,ebs")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    run(&sandbox, 0).await;
    let queries = sandbox.aws.cloudwatch().queries();
    let names: BTreeSet<String> = queries.into_iter().map(|(_, metric, _)| metric).collect();
    assert_eq!(Vec::from_iter(names), ["CPUUtilization", "EBSFilesystemUtilization", "MemoryUtilization"]);
    assert_eq!(minutes(&sandbox, "ecs_service_ebs_filesystem_utilization_percent"), [-3]);
}
