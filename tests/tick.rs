//! End-to-end tests of scheduled runs: ECS API calls, scrapes, and the series in the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};

use crate::sandbox::Sandbox;
use crate::sandbox::ecs::NewTask;
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::task::{Task, closed_port};

#[tokio::test]
async fn api_calls_for_250_tasks_are_batched_and_cached() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "shop")]).await;
    let task = Task::start().await;
    for number in 0..250 {
        let family = ["cart", "basket", "web"][number % 3];
        sandbox.aws.ecs().add_task("shop", family, Some(task.port()));
    }

    for tick in 1..=2 {
        let summary = sandbox.tick().await.unwrap();
        assert_eq!((summary["tasks"].as_u64(), summary["targets_up"].as_u64()), (Some(250), Some(250)), "{summary}");
        let ecs = sandbox.aws.ecs();
        assert_eq!(ecs.count("ListClusters"), 0, "a plain name needs no list");
        // One more looks for tasks that have stopped.
        assert_eq!(ecs.count("ListTasks"), (3 + 1) * tick);
        assert_eq!(ecs.count("DescribeTasks"), 3 * tick);
        assert_eq!(ecs.count("DescribeTaskDefinition"), 3, "none in the second tick");
    }
    assert_eq!(sandbox.amp.named("up").len(), 500);
}

#[tokio::test]
async fn run_keeps_definitions_that_exceed_the_cache() {
    const TASKS: usize = 40;
    // The cache of the smallest function has 4 MiB.
    let memory = ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
    let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "shop"), memory]).await;
    let task = Task::start().await;
    let ids: Vec<String> = (0..TASKS)
        .map(|number| {
            let labels =
                vec![("sidecarless.stats.port", task.port().to_string()), ("large", "x".repeat((4 << 20) / TASKS))];
            let task = NewTask { family: &format!("family-{number}"), labels, tags: Vec::new() };
            sandbox.aws.ecs().add("shop", task)
        })
        .collect();
    for (run, described) in [(1, 40), (2, 40), (3, 41), (4, 41)] {
        if run == 3 {
            sandbox.aws.ecs().set_revision(&ids[7], 13);
        }
        let summary = sandbox.tick().await.unwrap();
        assert_eq!(summary["targets_up"], TASKS, "run {run}: {summary}");
        assert_eq!(sandbox.aws.ecs().count("DescribeTaskDefinition"), described, "run {run}");
    }
}

#[tokio::test]
async fn clusters_are_selected_by_arn_name_glob_or_all() {
    for (wanted, expected) in [
        ("shop", "shop"),
        ("arn:aws:ecs:eu-west-1:111122223333:cluster/bank", "bank"),
        ("shop,bank", "bank shop"),
        ("sho*", "shop shop-test"),
        ("arn:aws:ecs:*:cluster/b*", "bank"),
        ("*", "bank shop shop-test"),
    ] {
        let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", wanted)]).await;
        let task = Task::start().await;
        for cluster in ["shop", "shop-test", "bank"] {
            sandbox.aws.ecs().add_task(cluster, "cart", Some(task.port()));
        }
        sandbox.aws.ecs().add_cluster("empty");

        sandbox.tick().await.unwrap();

        let up = sandbox.amp.named("up");
        let seen: BTreeSet<&str> = up.iter().map(|(labels, _)| labels["aws_ecs_cluster_name"].as_str()).collect();
        assert_eq!(Vec::from_iter(seen).join(" "), expected, "{wanted}");
    }
}

#[tokio::test]
async fn denied_cluster_does_not_affect_other_clusters() {
    let sandbox = Sandbox::start(&[]).await;
    let task = Task::start().await;
    for cluster in ["bank", "shop", "vault"] {
        sandbox.aws.ecs().add_task(cluster, "cart", Some(task.port()));
    }
    sandbox.aws.ecs().denied.push("vault".into());

    let summary = sandbox.tick().await.unwrap();

    assert_eq!((summary["tasks"].as_u64(), summary["targets_up"].as_u64()), (Some(2), Some(2)), "{summary}");
}

#[tokio::test]
async fn scheduled_run_fails_if_every_cluster_is_denied() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "vault")]).await;
    sandbox.aws.ecs().denied.push("vault".into());
    let error = sandbox.tick().await.unwrap_err().to_string();
    assert!(error.contains("ListTasks failed for vault") && error.contains("AccessDenied"), "{error}");
}

#[tokio::test]
async fn throttled_calls_are_retried() {
    let sandbox = Sandbox::start(&[]).await;
    let task = Task::start().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    sandbox.aws.ecs().throttles = 1;
    let summary = sandbox.tick().await.unwrap();
    assert_eq!(summary["targets_up"].as_u64(), Some(1), "{summary}");
    assert_eq!(sandbox.aws.ecs().count("ListClusters"), 2);
}

#[tokio::test]
async fn stopped_tasks_and_tasks_without_endpoint_are_skipped() {
    let sandbox = Sandbox::start(&[]).await;
    let task = Task::start().await;
    let kept = sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    let gone = sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    sandbox.aws.ecs().add_task("shop", "silent", None);
    sandbox.aws.ecs().missing.push(gone);

    let summary = sandbox.tick().await.unwrap();

    assert_eq!(summary["tasks"].as_u64(), Some(3), "the one that went was listed: {summary}");
    let up = sandbox.amp.named("up");
    assert_eq!(up.len(), 1);
    assert_eq!(up[0].0["aws_ecs_task_id"], kept);
}

fn lists_clusters(request: &RecordedRequest) -> bool {
    request.header("x-amz-target").ends_with("ListClusters")
}

#[tokio::test]
async fn named_clusters_do_not_need_list_clusters() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "shop,bank-*")]).await;
    let task = Task::start().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    let denied = StubResponse::of(400, "application/x-amz-json-1.1", r#"{"__type":"AccessDeniedException"}"#);
    sandbox.aws.fail_always(lists_clusters, Fault::Response(denied));
    assert_eq!(sandbox.tick().await.unwrap()["targets_up"], 1);
}

#[tokio::test]
async fn cluster_list_is_cached_during_throttling() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "sh*")]).await;
    let task = Task::start().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    assert_eq!(sandbox.tick().await.unwrap()["targets_up"], 1);
    let throttled = StubResponse::of(400, "application/x-amz-json-1.1", r#"{"__type":"ThrottlingException"}"#);
    sandbox.aws.fail_always(lists_clusters, Fault::Response(throttled));
    assert_eq!(sandbox.tick().await.unwrap()["targets_up"], 1);
}

#[tokio::test]
async fn target_is_not_down_without_enough_time() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_SCRAPE_TIMEOUT", "1s")]).await;
    let hanging = Task::failing(StubResponse::Hang).await;
    for _ in 0..600 {
        sandbox.aws.ecs().add_task("shop", "cart", Some(hanging.port()));
    }
    let deadline = Deadline::after(Duration::from_secs(4));
    let tick = Event::parse(r#"{"sidecarless":"scrape"}"#);
    let summary = sandbox.handlers.handle(tick, &deadline).await.unwrap().into_json();
    let (down, rejected) = (summary["targets_down"].as_u64().unwrap(), summary["rejected"].as_u64().unwrap());
    assert_eq!(sandbox.amp.named("up").len() as u64, down, "{summary}");
    assert!(down >= 64 && rejected >= 64 && down + rejected == 600, "{summary}");
}

#[tokio::test]
async fn failing_target_is_down_and_others_are_scraped() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_SCRAPE_TIMEOUT", "2s")]).await;
    let well = Task::start().await;
    let redirect =
        StubResponse::Http { status: 302, headers: vec![("location", "/elsewhere".into())], body: Vec::new() };
    let failing = [
        Task::failing(StubResponse::Hang).await,
        Task::failing(StubResponse::Reset).await,
        Task::failing(StubResponse::Endless).await,
        Task::failing(StubResponse::of(200, "text/html", "<html>")).await,
        Task::failing(StubResponse::of(500, "text/plain", "oops")).await,
        Task::failing(redirect).await,
        // Another task now has its address.
        Task::failing(StubResponse::of(200, "application/json", include_str!("golden/task.json"))).await,
    ];
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for (number, task) in failing.iter().enumerate() {
        let id = sandbox.aws.ecs().add_task("shop", &format!("failing-{number}"), Some(task.port()));
        expected.insert(id, 0.0);
    }
    let closed = closed_port().await;
    expected.insert(sandbox.aws.ecs().add_task("shop", "closed", Some(closed)), 0.0);
    let healthy = sandbox.aws.ecs().add_task("shop", "cart", Some(well.port()));
    expected.insert(healthy, 1.0);

    let summary = sandbox.tick().await.unwrap();

    assert_eq!((summary["targets_up"].as_u64(), summary["targets_down"].as_u64()), (Some(1), Some(8)), "{summary}");
    let up = sandbox.amp.named("up");
    let up: BTreeMap<String, f64> =
        up.into_iter().map(|(labels, value)| (labels["aws_ecs_task_id"].clone(), value)).collect();
    assert_eq!(up, expected);
    assert_eq!(sandbox.amp.named("ecs_task_memory_utilized").len(), 1);
}

#[tokio::test]
async fn every_series_has_the_external_labels() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_EXTERNAL_LABELS", "env=prod,job=mine")]).await;
    let task = Task::start().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));

    sandbox.tick().await.unwrap();

    let samples = sandbox.amp.samples();
    assert!(samples.iter().all(|(labels, ..)| labels["env"] == "prod"), "{samples:?}");
    assert_eq!(sandbox.amp.named("up")[0].0["job"], "sidecarless-stats", "a label that is there stays");
}

#[tokio::test]
async fn scheduled_run_is_skipped_without_a_workspace() {
    let sandbox = Sandbox::start(&[("AWS_PROMETHEUS_ENDPOINT", "")]).await;
    let summary = sandbox.tick().await.unwrap();
    assert_eq!(summary["skipped"], "AWS_PROMETHEUS_ENDPOINT is not set");
    assert!(sandbox.aws.ecs().calls.is_empty());
}

#[tokio::test]
async fn late_scheduled_run_is_skipped() {
    let sandbox = Sandbox::start(&[]).await;
    // EventBridge Scheduler starts a run up to a minute after its scheduled time. Lambda retries it a minute after its end.
    for (late_s, is_skipped) in [(-30, false), (0, false), (61, false), (74, false), (90, true), (3_600, true)] {
        let deadline = Deadline::after(Duration::from_secs(20));
        let at = jiff::Timestamp::from_millisecond(deadline.started_ms() - late_s * 1_000).unwrap();
        let event = json!({"sidecarless": "scrape", "at": at.to_string()}).to_string();
        let rejected = || sandbox.handlers.counters().total(ItemStatus::Rejected, ItemKind::ScrapeInputs);
        let rejected_before = rejected();
        let response = sandbox.handlers.handle(Event::parse(&event), &deadline).await.unwrap().into_json();
        assert_eq!(response["skipped"].is_string(), is_skipped, "{late_s} s late: {response}");
        assert_eq!(rejected() - rejected_before, u64::from(is_skipped), "{late_s} s late");
    }
    assert!(sandbox.handlers.counters().unbalanced().is_empty());
}

#[tokio::test]
async fn run_without_destination_and_spool_fails() {
    let sandbox = Sandbox::start(&[]).await;
    let task = Task::start().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    sandbox.amp.fail_always(Fault::status(503, "busy"));
    let run = Event::parse(r#"{"sidecarless":"scrape"}"#);
    let error = sandbox.handlers.handle(run, &Deadline::after(Duration::from_secs(3))).await.unwrap_err().to_string();
    assert!(
        error.contains("13 samples could not be delivered: AMP unavailable: ") && error.contains("busy"),
        "{error}"
    );
}

/// The expected values were calculated by hand from tests/golden/task.json and task-stats.json.
#[tokio::test]
async fn default_series_of_a_task() {
    let sandbox = Sandbox::start(&[]).await;
    let task = Task::start().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));

    sandbox.tick().await.unwrap();

    let series: BTreeMap<String, f64> = sandbox
        .amp
        .samples()
        .into_iter()
        .filter(|(labels, ..)| labels["__name__"] != "scrape_duration_seconds")
        .map(|(labels, value, _)| (labels["__name__"].clone(), value))
        .collect();
    let expected = [
        ("container_duration", 3.75),
        ("ecs_task_cpu_reserved", 512.0),
        ("ecs_task_cpu_usage_vcpu", 0.1),
        ("ecs_task_cpu_utilized", 102.4),
        ("ecs_task_memory_reserved", 1024.0),
        ("ecs_task_memory_usage", 314_572_800.0),
        ("ecs_task_memory_utilized", 200.0),
        ("ecs_task_network_rate_rx", 12.5),
        ("ecs_task_network_rate_tx", 40.25),
        ("ecs_task_storage_read_bytes", 4096.0),
        ("ecs_task_storage_write_bytes", 65536.0),
        ("up", 1.0),
    ];
    assert_eq!(series, expected.map(|(name, value)| (name.to_owned(), value)).into());
    assert_eq!(sandbox.amp.requests(), 1);

    let labels = &sandbox.amp.named("ecs_task_memory_utilized")[0].0;
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "__name__=ecs_task_memory_utilized",
        "aws_ecs_cluster_name=shop",
        "aws_ecs_launchtype=fargate",
        "aws_ecs_service_name=cart",
        "aws_ecs_task_arn=arn:aws:ecs:eu-west-1:111122223333:task/shop/00000000000000000000000000000001",
        "aws_ecs_task_family=cart",
        "aws_ecs_task_id=00000000000000000000000000000001",
        "aws_ecs_task_launch_type=FARGATE",
        "aws_ecs_task_revision=12",
        "aws_ecs_task_version=12",
        "cloud_account_id=111122223333",
        "cloud_availability_zone=eu-west-1b",
        "cloud_region=eu-west-1",
    ];
    assert_eq!(labels, expected);
}
