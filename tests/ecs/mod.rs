//! End-to-end tests of scheduled runs, shards, task state changes and log events: the real binary with a stub of the
//! Runtime API and a stub of AWS that counts its calls.

mod estimate;
#[expect(dead_code, reason = "the benchmark of ticks uses more of it")]
pub(crate) mod fake_aws;
mod settings_parameter;

use std::collections::BTreeMap;

use fake_aws::{FakeAws, Series, now_ms};
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;

/// For tests that count other series.
const NO_STATE: (&str, &str) = ("SIDECARLESS_STATE_METRICS", "none");
const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:111122223333:{kind}/{name}")
}

/// Returns a running Fargate task. Its loopback address contains the number in its id.
fn task(cluster: &str, id: &str, family: &str) -> Value {
    let number: u8 = id[1..].parse().unwrap_or_default();
    let address = format!("127.0.0.{}", number.max(1));
    json!({
        "taskArn": arn("task", &format!("{cluster}/{id}")), "clusterArn": arn("cluster", cluster),
        "taskDefinitionArn": arn("task-definition", &format!("{family}:1")), "group": format!("service:{family}-svc"),
        "launchType": "FARGATE", "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "cpu": "512", "memory": "1024",
        "version": 3,
        "attachments": [{"type": "ElasticNetworkInterface",
            "details": [{"name": "privateIPv4Address", "value": address}]}],
        "containers": [{"name": "app", "lastStatus": "RUNNING"}],
    })
}

/// Returns a task definition with one container; `port` declares a stats endpoint.
fn definition(family: &str, mode: &str, port: Option<u16>) -> (String, Value) {
    let labels = port.map_or(json!({}), |port| json!({"sidecarless.stats.port": port.to_string()}));
    let arn = arn("task-definition", &format!("{family}:1"));
    let definition = json!({"taskDefinitionArn": arn, "networkMode": mode,
        "containerDefinitions": [{"name": "app", "essential": true, "dockerLabels": labels}]});
    (arn, definition)
}

fn tick(at_ms: i64) -> Value {
    let at = jiff::Timestamp::from_millisecond(at_ms).expect("a time");
    json!({"sidecarless": "scrape", "at": at.to_string()})
}

fn this_minute() -> i64 {
    now_ms() / MINUTE * MINUTE
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
}

/// Adds a cluster with a number of tasks of the family `cart` without stats endpoints.
fn shop_of(aws: &FakeAws, tasks: usize) {
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", None)]);
        world.tasks.insert("shop".into(), (0..tasks).map(|n| task("shop", &format!("t{n}"), "cart")).collect());
    });
}

fn event(kind: &str, id: &str, at_ms: i64) -> (i64, String) {
    let event = json!({"Version": "0", "Type": kind, "TaskId": id, "TaskDefinitionFamily": "cart", "ClusterName": "shop",
        "ContainerName": "app", "ServiceName": "cart-svc", "TaskDefinitionRevision": "1", "Timestamp": at_ms, "CpuUtilized": 100.0,
        "MemoryUtilized": 200, "DesiredTaskCount": 2, "RunningTaskCount": 1, "PendingTaskCount": 0});
    (at_ms, event.to_string())
}

fn named<'a>(series: &'a [Series], name: &str, task: &str) -> Vec<&'a Series> {
    let of_task =
        |one: &&Series| one.label("aws_ecs_task_id") == task || one.labels.values().any(|value| value.ends_with(task));
    series.iter().filter(|one| one.name() == name).filter(of_task).collect()
}

#[test]
fn ecs_is_called_per_100_tasks_and_once_per_definition() {
    let mut aws = FakeAws::new();
    shop_of(&aws, 250);
    aws.start(&[]);
    let response = aws.invoke(&tick(this_minute()));
    assert_eq!(response["tasks"], 250, "{response}");
    let every_tick = [
        ("ListTasks", 3),
        ("DescribeTasks", 3),
        ("ListTasks STOPPED", 1),
        ("FilterLogEvents", 1),
        ("DescribeClusters", 1),
        ("DescribeServices", 1),
    ];
    let first = counts(&[&every_tick[..], &[("DescribeTaskDefinition", 1), ("ListServices", 1)]].concat());
    assert_eq!(aws.counted(), first);
    aws.invoke(&tick(this_minute()));
    assert_eq!(aws.counted(), counts(&every_tick));
}

#[test]
fn denied_cluster_does_not_affect_other_clusters() {
    let mut aws = FakeAws::new();
    shop_of(&aws, 2);
    aws.world(|world| {
        world.tasks.insert("bank".into(), vec![task("bank", "b1", "cart")]);
        world.faults.insert(("ListTasks".into(), "bank".into()), "AccessDeniedException".into());
    });
    aws.start(&[("SIDECARLESS_CLUSTERS", "*")]);
    let response = aws.invoke(&tick(this_minute()));
    assert_eq!(response["tasks"], 2, "{response}");
}

#[test]
fn throttled_cluster_uses_recent_tasks() {
    let mut aws = FakeAws::new();
    let port = aws.port;
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", Some(port))]);
        world.tasks.insert("shop".into(), vec![task("shop", "t1", "cart")]);
    });
    aws.start(&[]);
    assert_eq!(aws.invoke(&tick(this_minute()))["targets_up"], 1);
    for operation in ["DescribeTasks", "ListTasks"] {
        aws.world(|world| world.faults.insert((operation.into(), "shop".into()), "ThrottlingException".into()));
        let response = aws.invoke(&tick(this_minute()));
        assert_eq!(response["targets_up"], 1, "{operation}: {response}");
    }
    aws.world(|world| world.faults.insert(("ListTasks".into(), "shop".into()), "AccessDeniedException".into()));
    let response = aws.invoke(&tick(this_minute()));
    assert!(response["errorMessage"].as_str().is_some_and(|message| message.contains("AccessDenied")), "{response}");
}

#[test]
fn run_reads_one_minute_of_insights_events_in_all_pages() {
    let mut aws = FakeAws::new();
    let (at, port) = (this_minute() - 3 * MINUTE, aws.port);
    shop_of(&aws, 1);
    aws.world(|world| {
        world.definitions.extend([definition("web", "awsvpc", Some(port))]);
        world.tasks.get_mut("shop").expect("a cluster").push(task("shop", "t9", "web"));
        let mut events = vec![event("Task", "t0", at - MINUTE), event("Task", "t0", at + MINUTE)];
        events.extend([event("Task", "t0", at), event("Container", "t0", at), event("Service", "", at)]);
        // The second event is of a task with a stats endpoint, the third is malformed, and the fourth is of an unknown
        // task.
        events.extend([event("Task", "t9", at), (at, "{".into()), event("Task", "gone", at)]);
        world.logs.insert("/aws/ecs/containerinsights/shop/performance".into(), events);
        world.log_page = 4;
    });
    aws.start(&[NO_STATE]);
    let response = aws.invoke(&tick(this_minute()));
    assert_eq!(
        (response["insights_events"].as_u64(), response["targets_up"].as_u64()),
        (Some(6), Some(1)),
        "{response}"
    );
    assert_eq!(aws.counted().get("FilterLogEvents"), Some(&2));
    let series = aws.take_series();
    let cpu = named(&series, "ecs_task_cpu_utilized", "t0");
    assert_eq!(cpu.len(), 1, "{series:?}");
    assert_eq!(cpu[0].samples, [(at, 100.0)]);
    assert_eq!(named(&series, "ecs_task_memory_utilized", "gone").len(), 1);
    let of_endpoint = named(&series, "ecs_task_memory_utilized", "t9");
    assert!(of_endpoint.iter().all(|one| one.samples[0].0 != at), "the endpoint is the better source");
    assert!(series.iter().any(|one| one.name() == "ecs_service_running_task_count" && one.samples == [(at, 1.0)]));
}

#[test]
fn late_run_scrapes_nothing_and_reads_its_insights_minute() {
    let mut aws = FakeAws::new();
    let (scheduled, port) = (this_minute() - 2 * MINUTE, aws.port);
    let at = scheduled - 3 * MINUTE;
    shop_of(&aws, 1);
    aws.world(|world| {
        world.definitions.extend([definition("web", "awsvpc", Some(port))]);
        world.tasks.get_mut("shop").expect("a cluster").push(task("shop", "t9", "web"));
        let events = vec![event("Task", "t0", at), event("Task", "t9", at), event("Task", "t0", at + MINUTE)];
        world.logs.insert("/aws/ecs/containerinsights/shop/performance".into(), events);
    });
    aws.start(&[]);
    let response = aws.invoke(&tick(scheduled));
    assert!(response["skipped"].is_string(), "{response}");
    assert_eq!(response["insights_events"], 2, "{response}");
    let series = aws.take_series();
    assert_eq!(named(&series, "ecs_task_cpu_utilized", "t0")[0].samples, [(at, 100.0)]);
    assert!(named(&series, "up", "t9").is_empty() && named(&series, "ecs_task_info", "t0").is_empty(), "{series:?}");
    assert!(named(&series, "ecs_task_cpu_utilized", "t9").is_empty(), "the endpoint is the better source");

    aws.world(|world| world.faults.insert(("ListTasks".into(), "shop".into()), "AccessDeniedException".into()));
    let response = aws.invoke(&tick(scheduled));
    let error = response["errorMessage"].as_str().unwrap_or_default();
    assert!(error.contains("AccessDenied"), "Lambda retries a run that cannot list tasks: {response}");
}

#[test]
fn repeated_run_writes_the_same_insights_samples() {
    let mut aws = FakeAws::new();
    let at = this_minute() - 3 * MINUTE;
    shop_of(&aws, 1);
    aws.world(|world| {
        let events = vec![event("Task", "t0", at), event("Container", "t0", at), event("Service", "", at)];
        world.logs.insert("/aws/ecs/containerinsights/shop/performance".into(), events);
    });
    aws.start(&[NO_STATE, ("SIDECARLESS_SELF_METRICS", "off")]);
    let tick = tick(this_minute());
    let mut written = Vec::new();
    for _ in 0..3 {
        aws.invoke(&tick);
        let mut series: Vec<_> = aws.take_series().into_iter().map(|one| (one.labels, one.samples)).collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        written.push(series);
    }
    assert!(written[0].len() > 5, "{written:?}");
    assert!(written[0] == written[1] && written[1] == written[2], "{written:?}");
}

#[test]
fn missing_or_disabled_insights_are_not_an_error() {
    let mut aws = FakeAws::new();
    shop_of(&aws, 1);
    aws.start(&[NO_STATE, ("SIDECARLESS_SOURCES", "endpoint"), ("SIDECARLESS_STOPPED_TASKS", "off")]);
    aws.invoke(&tick(this_minute()));
    assert_eq!(aws.counted(), counts(&[("ListTasks", 1), ("DescribeTasks", 1), ("DescribeTaskDefinition", 1)]));
}

#[test]
fn pushed_log_events_become_the_same_series() {
    let mut aws = FakeAws::new();
    shop_of(&aws, 1);
    let at = this_minute() - MINUTE;
    let batch = json!({"messageType": "DATA_MESSAGE", "owner": "111122223333", "logStream": "FargateTelemetry-1",
        "logGroup": "/aws/ecs/containerinsights/shop/performance",
        "logEvents": [{"id": "1", "timestamp": at, "message": event("Task", "t0", at).1}]});
    aws.start(&[]);
    let event = json!({"awslogs": {"data": gzip_base64(&batch.to_string())}});
    let response = aws.invoke(&event);
    assert_eq!(response["insights_events"], 1, "{response}");
    assert_eq!(aws.counted(), counts(&[("DescribeTasks", 1), ("DescribeTaskDefinition", 1)]));
    let series = aws.take_series();
    assert_eq!(
        named(&series, "ecs_task_cpu_utilized", "t0").first().map(|one| one.samples.clone()),
        Some(vec![(at, 100.0)])
    );
    aws.invoke(&event);
    assert_eq!(aws.counted(), counts(&[]), "the task is cached");
}

fn gzip_base64(text: &str) -> String {
    use base64::Engine as _;
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    base64::engine::general_purpose::STANDARD.encode(encoder.finish().expect("memory"))
}

/// Returns a task that ran out of memory.
fn killed(id: &str, family: &str, stopped_ms: i64) -> Value {
    let mut task = task("shop", id, family);
    let seconds = stopped_ms as f64 / 1_000.0;
    for (key, value) in [
        ("lastStatus", json!("STOPPED")),
        ("desiredStatus", json!("STOPPED")),
        ("stopCode", json!("EssentialContainerExited")),
        ("stoppedReason", json!("Essential container in task exited")),
        ("stoppedAt", json!(seconds)),
        ("version", json!(9)),
        (
            "containers",
            json!([{"name": "app", "lastStatus": "STOPPED", "exitCode": 137,
            "reason": "OutOfMemoryError: Container killed due to memory usage"}]),
        ),
    ] {
        task[key] = value;
    }
    task
}

#[test]
fn stopped_task_is_reported_and_its_series_end_once() {
    let mut aws = FakeAws::new();
    let (now, port) = (now_ms(), aws.port);
    shop_of(&aws, 1);
    aws.world(|world| {
        world.definitions.extend([definition("web", "awsvpc", Some(port))]);
        let long_ago = killed("old", "web", now - 30 * MINUTE);
        world.stopped.insert("shop".into(), vec![killed("dead", "web", now - 5_000), long_ago]);
    });
    aws.start(&[]);
    let response = aws.invoke(&tick(this_minute()));
    assert_eq!(response["stopped_tasks"], 1, "{response}");
    let series = aws.take_series();
    assert_eq!(named(&series, "ecs_container_oom_killed", "dead")[0].samples, [(now - 5_000, 1.0)]);
    assert_eq!(named(&series, "ecs_task_stopped_info", "dead")[0].label("stop_code"), "EssentialContainerExited");
    let ended = named(&series, "ecs_task_cpu_utilized", "dead");
    assert_eq!(ended[0].samples[0].1.to_bits(), STALE_NAN);
    assert!(named(&series, "ecs_task_stopped_info", "old").is_empty());
    assert_eq!(aws.counted().get("DescribeTasks"), Some(&2));
    aws.invoke(&tick(this_minute()));
    assert_eq!(aws.counted().get("DescribeTasks"), Some(&1), "stopped tasks are described once");
}

#[test]
fn stopping_task_keeps_its_source() {
    let mut aws = FakeAws::new();
    let (at, port) = (this_minute() - 3 * MINUTE, aws.port);
    shop_of(&aws, 1);
    aws.world(|world| {
        world.definitions.extend([definition("web", "awsvpc", Some(port))]);
        let mut ending = task("shop", "t9", "web");
        ending["lastStatus"] = json!("DEACTIVATING");
        world.stopped.insert("shop".into(), vec![ending, killed("dead", "web", now_ms() - MINUTE)]);
        let events = ["t9", "dead", "t0"].map(|id| event("Task", id, at));
        world.logs.insert("/aws/ecs/containerinsights/shop/performance".into(), events.to_vec());
    });
    aws.start(&[]);
    aws.invoke(&tick(this_minute()));
    let series = aws.take_series();
    let from_event =
        |id: &str| named(&series, "ecs_task_cpu_utilized", id).iter().any(|one| one.samples.contains(&(at, 100.0)));
    assert_eq!(["t9", "dead", "t0"].map(from_event), [false, false, true]);
}

#[test]
fn filtered_stopped_task_is_described_once_and_not_written() {
    let mut aws = FakeAws::new();
    shop_of(&aws, 1);
    aws.world(|world| {
        world.definitions.extend([definition("qa", "awsvpc", None)]);
        world.stopped.insert("shop".into(), vec![killed("dead", "qa", now_ms() - 1_000)]);
        let at = this_minute() - 3 * MINUTE;
        world.logs.insert("/aws/ecs/containerinsights/shop/performance".into(), vec![event("Task", "dead", at)]);
    });
    aws.start(&[NO_STATE, ("SIDECARLESS_TASK_FILTER", "!family=qa")]);
    let response = aws.invoke(&tick(this_minute()));
    assert_eq!((response["stopped_tasks"].as_u64(), response["delivered"].as_u64()), (Some(0), Some(0)), "{response}");
    aws.counted();
    aws.invoke(&tick(this_minute()));
    assert_eq!(aws.counted().get("DescribeTasks"), Some(&1));
}

#[test]
fn insights_series_end_after_the_last_event() {
    let mut aws = FakeAws::new();
    let tick_ms = this_minute();
    let stopped_ms = tick_ms - 4 * MINUTE + 2_000;
    shop_of(&aws, 1);
    aws.world(|world| world.stopped.insert("shop".into(), vec![killed("dead", "cart", stopped_ms)]));
    aws.start(&[]);
    aws.invoke(&tick(tick_ms));
    let series = aws.take_series();
    let ended = named(&series, "ecs_task_cpu_utilized", "dead");
    assert_eq!((ended[0].samples[0].0, ended[0].samples[0].1.to_bits()), (tick_ms - 3 * MINUTE + 30_000, STALE_NAN));
    assert!(named(&series, "ecs_task_stopped_info", "dead").is_empty(), "that was written minutes ago");
}

#[test]
fn state_change_event_writes_the_same_as_a_run() {
    let mut aws = FakeAws::new();
    let (now, port) = (now_ms(), aws.port);
    aws.world(|world| world.definitions.extend([definition("web", "awsvpc", Some(port))]));
    aws.start(&[]);
    let mut detail = killed("dead", "web", now);
    let at = jiff::Timestamp::from_millisecond(now - 2_000).expect("a time").to_string();
    detail["stoppedAt"] = json!(at);
    let event = json!({"detail-type": "ECS Task State Change", "source": "aws.ecs", "time": at, "detail": detail});
    let response = aws.invoke(&event);
    assert_eq!(response["stopped_tasks"], 1, "{response}");
    assert_eq!(aws.counted(), counts(&[("DescribeTaskDefinition", 1), ("DescribeClusters", 1)]));
    let series = aws.take_series();
    assert_eq!(named(&series, "ecs_container_exit_code", "dead")[0].samples, [(now - 2_000, 137.0)]);
    assert_eq!(named(&series, "ecs_task_cpu_utilized", "dead")[0].samples[0].1.to_bits(), STALE_NAN);
    for (key, value, reason) in [
        ("version", json!(5), "a later version of the task is cached"),
        ("clusterArn", json!(arn("cluster", "bank")), "the settings exclude the task"),
        ("lastStatus", json!("RUNNING"), "neither the task nor a container has stopped"),
    ] {
        let mut other = event.clone();
        other["detail"][key] = value;
        if key != "version" {
            other["detail"]["version"] = json!(99);
        }
        if key == "lastStatus" {
            other["detail"]["containers"] = json!([{"name": "app", "lastStatus": "RUNNING"}]);
        }
        assert_eq!(aws.invoke(&other)["skipped"], reason, "{key}");
    }
}

#[test]
fn event_in_a_new_environment_fetches_tags() {
    let mut aws = FakeAws::new();
    let now = now_ms();
    let detail = killed("dead", "cart", now);
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", None)]);
        let mut described = detail.clone();
        described["tags"] = json!([{"key": "team", "value": "checkout"}, {"key": "env", "value": "prod"}]);
        world.stopped.insert("shop".into(), vec![described]);
    });
    aws.start(&[("SIDECARLESS_TAG_LABELS", "team"), ("SIDECARLESS_TASK_FILTER", "tag.env=prod")]);
    let at = jiff::Timestamp::from_millisecond(now).expect("a time").to_string();
    let mut detail = detail;
    detail["stoppedAt"] = json!(at);
    let response =
        aws.invoke(&json!({"detail-type": "ECS Task State Change", "source": "aws.ecs", "time": at, "detail": detail}));
    assert_eq!(response["stopped_tasks"], 1, "{response}");
    let calls = [("DescribeTaskDefinition", 1), ("DescribeTasks", 1), ("DescribeClusters", 1)];
    assert_eq!(aws.counted(), counts(&calls));
    assert_eq!(named(&aws.take_series(), "ecs_task_stopped_info", "dead")[0].label("tag_team"), "checkout");
}

#[test]
fn task_has_its_host_address_only_in_the_host_network() {
    for (mode, machine, expected) in [("none", "i-0a", 0), ("awsvpc", "i-0a", 0), ("bridge", "mi-0a", 1)] {
        let mut aws = FakeAws::new();
        let port = aws.port;
        let host = arn("container-instance", "shop/c1");
        aws.world(|world| {
            world.definitions.extend([definition("web", mode, Some(port))]);
            world.hosts.insert(host.clone(), (machine.into(), "127.0.0.1".into()));
            let mut task = task("shop", "t1", "web");
            task["attachments"] = json!([]);
            task["launchType"] = json!("EC2");
            task["containerInstanceArn"] = json!(host);
            world.tasks.insert("shop".into(), vec![task]);
        });
        aws.start(&[("SIDECARLESS_STOPPED_TASKS", "off"), ("SIDECARLESS_SOURCES", "endpoint")]);
        for _ in 0..2 {
            assert_eq!(aws.invoke(&tick(this_minute()))["targets_up"], 0, "{mode}");
        }
        let calls = aws.counted().remove("DescribeContainerInstances").unwrap_or_default();
        assert_eq!(calls, expected, "{mode}: unknown instances are not looked up again");
    }
}

#[test]
fn bridge_task_is_scraped_at_its_host_port() {
    let mut aws = FakeAws::new();
    let port = aws.port;
    let host = arn("container-instance", "shop/c1");
    aws.world(|world| {
        world.definitions.extend([definition("web", "bridge", Some(9000))]);
        world.hosts.insert(host.clone(), ("i-0a".into(), "127.0.0.1".into()));
        let mut bridge = task("shop", "t1", "web");
        bridge["attachments"] = json!([]);
        bridge["launchType"] = json!("EC2");
        bridge["containerInstanceArn"] = json!(host);
        bridge["containers"][0]["networkBindings"] =
            json!([{"containerPort": 9000, "hostPort": port, "protocol": "tcp"}]);
        world.tasks.insert("shop".into(), vec![bridge]);
    });
    aws.start(&[NO_STATE, ("SIDECARLESS_STOPPED_TASKS", "off"), ("SIDECARLESS_SOURCES", "endpoint")]);
    assert_eq!(aws.invoke(&tick(this_minute()))["targets_up"], 1);
    let every_tick = [("ListTasks", 1), ("DescribeTasks", 1)];
    let cold = [("DescribeTaskDefinition", 1), ("DescribeContainerInstances", 1), ("DescribeInstances", 1)];
    assert_eq!(aws.counted(), counts(&[&every_tick[..], &cold].concat()));
    assert_eq!(aws.invoke(&tick(this_minute()))["targets_up"], 1);
    assert_eq!(aws.counted(), counts(&every_tick));
}

const QUEUE: (&str, &str) = ("SIDECARLESS_SHARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/shards");

#[test]
fn many_tasks_become_shard_messages_that_are_scraped() {
    let mut aws = FakeAws::new();
    let port = aws.port;
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", Some(port))]);
        world.tasks.insert("shop".into(), (0..250).map(|n| task("shop", &format!("t{n}"), "cart")).collect());
    });
    aws.start(&[
        QUEUE,
        ("SIDECARLESS_MAX_INLINE_TASKS", "200"),
        ("SIDECARLESS_SCRAPE_INTERVAL", "30s"),
        ("SIDECARLESS_STOPPED_TASKS", "off"),
        ("SIDECARLESS_SOURCES", "endpoint"),
    ]);
    let response = aws.invoke(&tick(this_minute()));
    assert_eq!((response["shards_sent"].as_u64(), response["targets_up"].as_u64()), (Some(6), Some(0)), "{response}");
    let calls = aws.world(|world| std::mem::take(&mut world.calls));
    let entries: Vec<Value> = calls
        .iter()
        .filter(|(operation, _)| operation == "SendMessageBatch")
        .flat_map(|(_, body)| body["Entries"].as_array().expect("entries").clone())
        .collect();
    let delays: Vec<i64> = entries.iter().map(|entry| entry["DelaySeconds"].as_i64().unwrap_or_default()).collect();
    assert_eq!(delays, [0, 0, 0, 30, 30, 30]);
    assert_eq!(calls.iter().filter(|(operation, _)| operation == "DescribeTasks").count(), 0);

    let record =
        |id: &str, body: &Value| json!({"messageId": id, "receiptHandle": "h", "body": body, "eventSource": "aws:sqs"});
    let late =
        json!({"sidecarless": "shard", "v": 1, "cluster": "shop", "tasks": ["t0"], "due_ms": now_ms() - 2 * MINUTE});
    let records = json!({"Records": [record("m1", &entries[0]["MessageBody"]), record("m2", &json!("nonsense")),
        record("m3", &json!(late.to_string()))]});
    assert_eq!(aws.invoke(&records), json!({"batchItemFailures": [{"itemIdentifier": "m2"}]}));
    assert_eq!(aws.counted(), counts(&[("DescribeTasks", 1), ("DescribeTaskDefinition", 1)]));
    aws.world(|world| {
        world.faults.insert(("DescribeTasks".into(), "elsewhere".into()), "AccessDeniedException".into())
    });
    let other = json!({"sidecarless": "shard", "v": 1, "cluster": "elsewhere", "tasks": ["t0"], "due_ms": now_ms()});
    let records = json!({"Records": [record("m4", &json!(other.to_string()))]});
    assert_eq!(aws.invoke(&records), json!({"batchItemFailures": [{"itemIdentifier": "m4"}]}));
}

#[test]
fn failed_cluster_and_failed_shards_do_not_fail_a_run_with_shards() {
    for (is_queue_broken, expected) in [(false, (Some(2), Some(0))), (true, (Some(0), Some(2)))] {
        let mut aws = FakeAws::new();
        shop_of(&aws, 150);
        aws.world(|world| {
            world.tasks.insert("bank".into(), vec![task("bank", "b1", "cart")]);
            world.faults.insert(("ListTasks".into(), "bank".into()), "AccessDeniedException".into());
            if is_queue_broken {
                world.faults.insert(("SendMessageBatch".into(), String::new()), "AccessDeniedException".into());
            }
        });
        aws.start(&[
            QUEUE,
            ("SIDECARLESS_CLUSTERS", "*"),
            ("SIDECARLESS_MAX_INLINE_TASKS", "100"),
            ("SIDECARLESS_STOPPED_TASKS", "off"),
            ("SIDECARLESS_SOURCES", "endpoint"),
        ]);
        let response = aws.invoke(&tick(this_minute()));
        let shards = (response["shards_sent"].as_u64(), response["shards_failed"].as_u64());
        assert_eq!(shards, expected, "{response}");
        let series = aws.take_series();
        let is_unsent = |one: &&Series| one.label("reason") == "shard_not_sent";
        let samples = series.iter().filter(is_unsent).flat_map(|one| &one.samples);
        let unsent = samples.map(|&(_, value)| value).fold(0.0, f64::max);
        assert_eq!(unsent, if is_queue_broken { 150.0 } else { 0.0 }, "tasks of shards that were not sent");
    }
}

#[test]
fn pages_of_many_tasks_are_scraped_by_shards_as_well() {
    let mut aws = FakeAws::new();
    shop_of(&aws, 150);
    aws.start(&[QUEUE, ("SIDECARLESS_MAX_INLINE_TASKS", "100"), ("SIDECARLESS_SOURCES", "prometheus")]);
    assert_eq!(aws.invoke(&tick(this_minute()))["shards_sent"], 2);
}

#[test]
fn failed_shard_is_retried_until_it_expires() {
    let mut aws = FakeAws::new();
    aws.world(|world| world.faults.insert(("DescribeTasks".into(), "shop".into()), "AccessDeniedException".into()));
    aws.start(&[QUEUE, ("SIDECARLESS_SPOOL_QUEUE_URL", QUEUE.1)]);
    let shard = json!({"sidecarless": "shard", "v": 1, "cluster": "shop", "tasks": ["t0"], "due_ms": now_ms()});
    let record = json!({"messageId": "m1", "receiptHandle": "h", "body": shard.to_string(), "eventSource": "aws:sqs"});
    assert_eq!(aws.invoke(&json!({"Records": [record]})), json!({"batchItemFailures": [{"itemIdentifier": "m1"}]}));
    let calls = aws.world(|world| std::mem::take(&mut world.calls));
    let waits: Vec<_> = calls.iter().filter_map(|(_, body)| body["VisibilityTimeout"].as_i64()).collect();
    assert!(waits.len() == 1 && waits[0] <= 30, "{waits:?}: a minute after its time it is too late");
}

#[test]
fn few_tasks_are_scraped_inline_except_later_offsets() {
    let mut aws = FakeAws::new();
    let port = aws.port;
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", Some(port))]);
        world.tasks.insert("shop".into(), vec![task("shop", "t1", "cart")]);
    });
    aws.start(&[QUEUE, ("SIDECARLESS_SCRAPE_INTERVAL", "20s")]);
    let response = aws.invoke(&tick(this_minute()));
    assert_eq!((response["shards_sent"].as_u64(), response["targets_up"].as_u64()), (Some(2), Some(1)), "{response}");
}

#[test]
fn targets_names_every_task_and_the_rule_that_decided() {
    let aws = FakeAws::new();
    let port = aws.port;
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", None), definition("web", "awsvpc", Some(port))]);
        world.definitions.extend([definition("qa", "awsvpc", None)]);
        let tasks = ["cart", "web", "qa"].map(|family| task("shop", family, family));
        world.tasks.insert("shop".into(), tasks.to_vec());
    });
    let rules = ("SIDECARLESS_TASK_FILTER", "!family=qa");
    let output = aws.command(&[rules]).args(["targets", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let row = |target: &Value| {
        let text = |key: &str| target[key].as_str().unwrap_or("-").to_owned();
        (text("family"), text("source"), text("rule"), target["included"] == true, target["port"].as_u64())
    };
    let rows: Vec<_> = list["targets"].as_array().expect("rows").iter().map(row).collect();
    let expected = [
        ("cart", "insights", "all tasks", true, None),
        ("qa", "", "!family=qa", false, None),
        ("web", "endpoint", "all tasks", true, Some(u64::from(port))),
    ];
    assert_eq!(
        rows,
        expected.map(|(family, source, rule, kept, port)| (family.into(), source.into(), rule.into(), kept, port))
    );

    let output = aws.command(&[("SIDECARLESS_SCRAPE_CIDRS", "10.0.0.0/8")]).arg("targets").output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.contains("not scraped: address 127.0.0.1 is outside SIDECARLESS_SCRAPE_CIDRS"), "{table}");
}

/// Returns a service in the format of DescribeServices.
fn service(name: &str) -> Value {
    json!({"serviceArn": arn("service", &format!("shop/{name}")), "serviceName": name, "status": "ACTIVE",
        "desiredCount": 20, "runningCount": 20, "pendingCount": 0, "launchType": "FARGATE",
        "schedulingStrategy": "REPLICA", "taskDefinition": arn("task-definition", "cart:1"),
        "createdAt": 1_772_611_200.5, "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "desiredCount": 20,
            "runningCount": 20, "pendingCount": 0, "failedTasks": 0, "rolloutState": "COMPLETED",
            "createdAt": 1_772_611_200.5, "updatedAt": 1_772_611_200.5}]})
}

/// Each run describes all tasks and a third of the services.
#[test]
fn large_untouched_fleet_stays_within_its_calls() {
    const TASKS: usize = 2_000;
    const SERVICES: usize = 500;
    let mut aws = FakeAws::new();
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", None)]);
        world.insights.insert("shop".into(), "disabled");
        let task_of = |number: usize| {
            let mut task = task("shop", &format!("t{number:05}"), "cart");
            task["group"] = json!(format!("service:service-{:03}", number % SERVICES));
            task["startedAt"] = json!(1_772_611_200.5);
            task
        };
        world.tasks.insert("shop".into(), (0..TASKS).map(task_of).collect());
        let services = (0..SERVICES).map(|number| service(&format!("service-{number:03}")));
        world.services.insert("shop".into(), services.collect());
    });
    aws.start(&[("SIDECARLESS_SELF_METRICS", "off"), ("SIDECARLESS_CLOUDWATCH_INTERVAL", "off")]);
    let minute = this_minute();
    let mut described = 0;
    for run in 0..3 {
        let response = aws.invoke(&tick(minute + run * MINUTE));
        let counted = aws.counted();
        let series = aws.take_series();
        assert_eq!(response["tasks_without_source"], TASKS, "{response}");
        let count = |operation: &str| counted.get(operation).copied().unwrap_or_default();
        assert_eq!(
            [count("ListTasks"), count("DescribeTasks"), count("DescribeClusters")],
            [TASKS / 100, TASKS / 100, 1],
            "{counted:?}"
        );
        assert_eq!([count("ListServices"), count("DescribeTaskDefinition")], if run == 0 { [5, 1] } else { [0, 0] });
        assert_eq!(count("FilterLogEvents"), 0, "Container Insights is off");
        assert!((14..=20).contains(&count("DescribeServices")), "a third of the services: {counted:?}");
        let named = |name: &str| series.iter().filter(|one| one.name() == name).count();
        assert_eq!([named("ecs_task_info"), named("ecs_task_cpu_reserved")], [TASKS, TASKS]);
        described += named("ecs_service_desired_task_count");
    }
    assert_eq!(described, SERVICES, "each service once in three minutes");
}
