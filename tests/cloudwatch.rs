//! End-to-end tests of CloudWatch metrics: which services are read, when, and the samples in the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;

use crate::sandbox::http::Fault;
use crate::sandbox::task::Task;
use crate::sandbox::{Sandbox, ecs};

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

const SERVICE_CONNECT: (&str, &str) = ("SIDECARLESS_CLOUDWATCH_METRICS", "service-connect");

/// Returns a service that others reach at discovery names, as ECS describes it.
fn connected(name: &str, names: &Value) -> Value {
    let mut service = ecs::service("shop", name, 1, 1);
    service["deployments"][0]["serviceConnectConfiguration"] = json!({"enabled": true, "services": names});
    service
}

/// Starts a sandbox with one task of `cart`, which has a stats source, and of `web`, which has none.
async fn start_connected(settings: &[(&'static str, &'static str)]) -> (Sandbox, Task) {
    let sandbox = Sandbox::start(&[&[ENDPOINT, interval("1")], settings].concat()).await;
    let task = Task::start().await;
    {
        let mut ecs = sandbox.aws.ecs();
        ecs.add_task("shop", "cart", Some(task.port()));
        ecs.add_task("shop", "web", None);
        let cart =
            connected("cart", &json!([{"portName": "http", "discoveryName": "cart-http"}, {"portName": "grpc"}]));
        let web = connected("web", &json!([{"portName": "grpc", "tls": {"issuerCertificateAuthority": {}}}]));
        ecs.services.insert("shop".to_owned(), vec![cart, web]);
    }
    (sandbox, task)
}

#[tokio::test]
async fn service_connect_is_read_if_it_is_selected() {
    let (sandbox, _task) = start_connected(&[SERVICE_CONNECT]).await;
    let summary = run(&sandbox, 0).await;
    // Three names of services with 5 metrics, two names with 7, and those of TLS for one name of each.
    assert_eq!(summary["cloudwatch_metrics"], 3 * 5 + 2 * 7 + 2, "{summary}");
    assert_eq!(sandbox.aws.cloudwatch().requests.len(), 1);
    let queries = sandbox.aws.cloudwatch().queries();
    let of = |wanted: &str| -> Vec<&str> {
        queries.iter().filter(|(_, name, _)| name == wanted).map(|(on, ..)| on.as_str()).collect()
    };
    assert_eq!(of("RequestCount"), ["cart-http cart", "grpc cart", "grpc web"]);
    assert_eq!(of("HTTPCode_Target_5XX_Count"), ["cart-http", "grpc"], "once for each name");
    assert_eq!(of("ClientTLSNegotiationErrorCount"), ["grpc web"]);
    assert_eq!(of("CPUUtilization").len(), 0);
    let samples: BTreeMap<String, i64> = sandbox
        .amp
        .samples()
        .into_iter()
        .filter(|(labels, ..)| labels.contains_key("stat"))
        .map(|(mut labels, _, at_ms)| {
            labels.retain(|name, _| !name.starts_with("cloud_"));
            (labels.into_values().collect::<Vec<_>>().join(" "), at_ms)
        })
        .collect();
    assert_eq!(samples.len(), 3 * 5 + 2 * 9 + 2, "{samples:?}");
    for series in [
        "ecs_service_connect_request_count shop cart cart-http sum",
        "ecs_service_connect_target_response_count 5xx cart-http sum",
        "ecs_service_connect_target_response_time_seconds grpc maximum",
    ] {
        assert_eq!(samples.get(series), Some(&((base_s() - 3 * MINUTE_S) * 1_000)), "{series}: {samples:?}");
    }
}

#[tokio::test]
async fn service_connect_is_not_read_unless_it_is_selected() {
    let (sandbox, _task) = start_connected(&[("SIDECARLESS_STATE_METRICS", "none")]).await;
    run(&sandbox, 0).await;
    assert_eq!(sandbox.aws.ecs().count("DescribeServices"), 0);
    let queries = sandbox.aws.cloudwatch().queries();
    let names: BTreeSet<_> = queries.into_iter().map(|(on, name, _)| format!("{on} {name}")).collect();
    assert_eq!(Vec::from_iter(names), ["web CPUUtilization", "web MemoryUtilization"]);
}

#[tokio::test]
async fn services_are_described_for_their_discovery_names_alone() {
    let (sandbox, _task) = start_connected(&[SERVICE_CONNECT, ("SIDECARLESS_STATE_METRICS", "none")]).await;
    let summary = run(&sandbox, 0).await;
    assert_eq!(sandbox.aws.ecs().count("DescribeServices"), 1);
    assert_eq!(summary["cloudwatch_metrics"], 31, "{summary}");
}

#[tokio::test]
async fn denied_descriptions_cost_only_service_connect() {
    let metrics = ("SIDECARLESS_CLOUDWATCH_METRICS", "default,service-connect");
    let (sandbox, _task) = start_connected(&[metrics]).await;
    sandbox.aws.ecs().faults.insert("DescribeServices", "AccessDeniedException");
    let summary = run(&sandbox, 0).await;
    assert_eq!(
        (summary["targets_up"].as_u64(), summary["cloudwatch_metrics"].as_u64()),
        (Some(1), Some(2)),
        "{summary}"
    );
}

#[tokio::test]
async fn clients_and_disabled_services_have_no_discovery_name() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1"), SERVICE_CONNECT]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    for connect in [
        json!({"enabled": true, "services": []}),
        json!({"enabled": true}),
        json!({"enabled": false, "services": [{"portName": "http"}]}),
    ] {
        let mut service = connected("cart", &json!([]));
        service["deployments"][0]["serviceConnectConfiguration"] = connect.clone();
        sandbox.aws.ecs().services.insert("shop".to_owned(), vec![service]);
        assert_eq!(run(&sandbox, 0).await["cloudwatch_metrics"], 0, "{connect}");
    }
    assert_eq!(sandbox.aws.cloudwatch().requests.len(), 0);
}

#[tokio::test]
async fn many_discovery_names_are_read_in_few_calls() {
    let sandbox = Sandbox::start(&[ENDPOINT, interval("1"), SERVICE_CONNECT]).await;
    for number in 0..100 {
        let (name, port) = (format!("service-{number}"), format!("http-{number}"));
        let mut ecs = sandbox.aws.ecs();
        ecs.add_task("shop", &name, None);
        ecs.services.entry("shop".to_owned()).or_default().push(connected(&name, &json!([{"portName": port}])));
    }
    let summary = run(&sandbox, 0).await;
    assert_eq!(summary["cloudwatch_metrics"], 1_200, "{summary}");
    assert_eq!(sandbox.aws.cloudwatch().requests.len(), 3, "1,400 queries");
}

#[tokio::test]
async fn discovery_names_of_the_account_are_counted_if_they_are_read() {
    for (settings, expected, calls) in [(&[SERVICE_CONNECT][..], 3, 1), (&[], 0, 0)] {
        let (sandbox, _task) = start_connected(settings).await;
        let list = sandbox.handlers.tasks(&Deadline::after(Duration::from_secs(20))).await;
        assert_eq!((list.discovery_names, list.services_without_source, list.errors), (expected, 1, Vec::new()));
        assert_eq!(sandbox.aws.ecs().count("DescribeServices"), calls);
    }
}
