//! Pushed task stats: the series of the recordings, and the response to every kind of push that is not accepted.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sidecarless::deadline::Deadline;
use sidecarless::model::item_counters::{CounterKey, ItemKind, ItemStatus};

use crate::sandbox::http::Fault;
use crate::sandbox::task::{Documents, Task};
use crate::sandbox::{Push, Sandbox, ecs::NewTask};

const RECORDINGS: &[u8] = include_bytes!("golden/stats.jsonl.gz");
const PATH: &str = "/v1/ecs/task-stats";
const ALL: (&str, &str) = ("SIDECARLESS_STATS_METRICS", "all");
const IAM: (&str, &str) = ("SIDECARLESS_AUTH", "iam");

/// Values by series.
type Series = BTreeMap<BTreeMap<String, String>, f64>;

fn recordings() -> Vec<Value> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(RECORDINGS).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn arn(id: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:111122223333:task/shop/{id}")
}

fn task_of<'a>(family: &'a str, labels: Vec<(&'static str, String)>) -> NewTask<'a> {
    NewTask { family, labels, tags: Vec::new() }
}

fn push_label() -> Vec<(&'static str, String)> {
    vec![("sidecarless.stats", "push".into())]
}

/// A task with one container, and its documents.
struct Pushing {
    sandbox: Sandbox,
    task: Value,
    stats: Value,
}

impl Pushing {
    async fn start(settings: &[(&str, &str)], labels: Vec<(&'static str, String)>) -> Self {
        let sandbox = Sandbox::start(settings).await;
        let id = sandbox.aws.ecs().add("shop", task_of("cart", labels));
        let task = json!({"Cluster": "other", "TaskARN": arn(&id), "Family": "other", "Containers": [
            {"DockerId": "r-1", "Name": "cart", "Type": "NORMAL"}]});
        let stats =
            json!({"r-1": {"id": "r-1", "read": "2026-03-04T08:30:10.5Z", "memory_stats": {"usage": 1_048_576}}});
        Self { sandbox, task, stats }
    }

    /// Sends the documents of another task.
    async fn push_of(&mut self, cluster: &str, id: &str) -> (u16, Value) {
        self.task["TaskARN"] = json!(arn(id).replace("task/shop", &format!("task/{cluster}")));
        self.push().await
    }

    async fn push(&self) -> (u16, Value) {
        self.push_as(None).await
    }

    async fn push_as(&self, caller: Option<&str>) -> (u16, Value) {
        send(&self.sandbox, format!("{}{}", self.task, self.stats).as_bytes(), caller).await
    }
}

async fn send(sandbox: &Sandbox, body: &[u8], caller: Option<&str>) -> (u16, Value) {
    let push = Push { caller, ..Push::new(PATH, body).with("content-type", "application/octet-stream") };
    let response = sandbox.push(&push).await;
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

fn counted(sandbox: &Sandbox, status: ItemStatus, reason: &'static str) -> u64 {
    let counters = sandbox.handlers.counters();
    let key = CounterKey { status, item: ItemKind::ScrapeInputs, reason };
    counters.counts().find(|(other, _)| *other == key).map_or(0, |(_, count)| count)
}

/// Returns the series without those that only scrapes have, and without the clock drift, which depends on the time.
fn stats_series(sandbox: &Sandbox) -> Series {
    let samples = sandbox.amp.samples().into_iter();
    let is_stats = |labels: &BTreeMap<String, String>| {
        let name = labels["__name__"].as_str();
        let is_stats = name.starts_with("ecs_task_") || name.starts_with("container_");
        is_stats && !name.ends_with("_info") && name != "ecs_task_clock_drift_seconds"
    };
    samples
        .map(|(labels, value, _)| (labels.into_iter().collect(), value))
        .filter(|(labels, _)| is_stats(labels))
        .collect()
}

/// Returns the containers that ECS reports for the documents of a recording.
fn reported(task: &Value) -> Value {
    let containers = task["Containers"].as_array().unwrap().iter();
    let reported = |container: &Value| {
        json!({"name": container["Name"], "runtimeId": container["DockerId"], "image": container["Image"],
            "imageDigest": container["ImageID"], "exitCode": container["ExitCode"], "lastStatus": "RUNNING"})
    };
    containers.map(reported).collect()
}

async fn scraped(case: &Value) -> Series {
    let sandbox = Sandbox::start(&[ALL, ("SIDECARLESS_STOPPED_TASKS", "off")]).await;
    let documents = Documents { task: case["task"].clone(), stats: case["stats"].clone() };
    let documents = Arc::new(Mutex::new(documents));
    let endpoint = Task::serving(Arc::clone(&documents)).await;
    let labels = vec![("sidecarless.stats.port", endpoint.port().to_string())];
    let id = sandbox.aws.ecs().add("shop", task_of("cart", labels));
    sandbox.aws.ecs().containers = Some(reported(&case["task"]));
    sandbox.aws.ecs().zone = case["task"]["AvailabilityZone"].as_str().map(str::to_owned);
    documents.lock().unwrap().task["TaskARN"] = json!(arn(&id));
    sandbox.tick().await.unwrap();
    stats_series(&sandbox)
}

async fn pushed(case: &Value) -> Series {
    let sandbox = Sandbox::start(&[ALL]).await;
    let id = sandbox.aws.ecs().add("shop", task_of("cart", push_label()));
    sandbox.aws.ecs().containers = Some(reported(&case["task"]));
    sandbox.aws.ecs().zone = case["task"]["AvailabilityZone"].as_str().map(str::to_owned);
    let mut task = case["task"].clone();
    task["TaskARN"] = json!(arn(&id));
    let (status, response) = send(&sandbox, format!("{task}{}", case["stats"]).as_bytes(), None).await;
    assert_eq!(status, 200, "{}: {response}", case["case"]);
    stats_series(&sandbox)
}

#[tokio::test]
async fn pushed_recordings_have_the_series_of_scraped_ones() {
    let (mut equal, mut series) = (0, 0);
    for case in &recordings() {
        let (scraped, pushed) = (scraped(case).await, pushed(case).await);
        assert_eq!(pushed, scraped, "{}", case["case"]);
        equal += 1;
        series += pushed.len();
    }
    let _ =
        writeln!(std::io::stderr(), "show: {equal} of 80 recordings pushed have the {series} series of their scrapes");
    assert_eq!(equal, 80);
    assert!(series > 1_000, "{series}");
}

#[tokio::test]
async fn labels_come_from_ecs_and_numbers_from_the_documents() {
    let pushing = Pushing::start(&[], push_label()).await;
    assert_eq!(pushing.push().await.0, 200);
    let (labels, value) = pushing.sandbox.amp.named("ecs_task_memory_utilized").pop().unwrap();
    assert!((value - 1.0).abs() < f64::EPSILON);
    for (name, expected) in
        [("aws_ecs_cluster_name", "shop"), ("aws_ecs_task_family", "cart"), ("aws_ecs_service_name", "cart")]
    {
        assert_eq!(labels[name], expected, "{name}");
    }
}

#[tokio::test]
async fn every_encoding_and_form_of_body_is_accepted() {
    let pushing = Pushing::start(&[], push_label()).await;
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let read = |second: u32| {
        let mut stats = pushing.stats.clone();
        stats["r-1"]["read"] = json!(format!("{}Z", jiff_time(second)));
        stats
    };
    let (task, bodies) = (&pushing.task, [1_u32, 2, 3].map(|n| read(n * 10)));
    let object = json!({"task": task, "stats": bodies[1]}).to_string();
    for body in
        [format!("{}\n{task}", bodies[0]).into_bytes(), object.into_bytes(), gzip(&format!("{task}{}", bodies[2]))]
    {
        let (status, response) = send(&pushing.sandbox, &body, None).await;
        assert_eq!(status, 200, "{response}");
        assert!(response["samples"].as_u64().unwrap() > 0, "{response}");
    }
    assert_eq!(pushing.sandbox.amp.named("ecs_task_memory_utilized").len(), 3);
}

/// Returns a time close to now, as in a document.
fn jiff_time(seconds: u32) -> String {
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let time = jiff::Timestamp::from_millisecond(now_ms - 60_000 + i64::from(seconds) * 1_000).unwrap();
    time.to_string().trim_end_matches('Z').to_owned()
}

#[tokio::test]
async fn repeated_push_is_ignored() {
    let mut pushing = Pushing::start(&[], push_label()).await;
    pushing.stats["r-1"]["read"] = json!(format!("{}Z", jiff_time(30)));
    assert_eq!(pushing.push().await.0, 200);
    let written = pushing.sandbox.amp.samples().len();
    for second in [30, 32, 10] {
        pushing.stats["r-1"]["read"] = json!(format!("{}Z", jiff_time(second)));
        let (status, response) = pushing.push().await;
        assert_eq!((status, &response["samples"]), (200, &json!(0)), "{response}");
        assert_eq!(response["ignored"], "the task has sent newer stats");
    }
    assert_eq!(pushing.sandbox.amp.samples().len(), written);
    assert_eq!(counted(&pushing.sandbox, ItemStatus::Filtered, "push_repeated"), 3);
    pushing.stats["r-1"]["read"] = json!(format!("{}Z", jiff_time(40)));
    assert!(pushing.push().await.1["samples"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn clock_that_is_an_hour_off_gives_samples_at_the_time_of_arrival() {
    let pushing = Pushing::start(&[], push_label()).await;
    let before_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    assert_eq!(pushing.push().await.0, 200);
    assert!(pushing.sandbox.amp.samples().iter().all(|(_, _, at_ms)| *at_ms >= before_ms));
}

#[tokio::test]
async fn push_without_the_label_names_it() {
    for labels in
        [Vec::new(), vec![("sidecarless.stats.port", "9000".to_owned())], vec![("sidecarless.stats", "pull".into())]]
    {
        let pushing = Pushing::start(&[], labels).await;
        let (status, response) = pushing.push().await;
        assert_eq!(status, 403, "{response}");
        let message = response["message"].as_str().unwrap();
        assert!(
            message.starts_with("task definition cart:12 does not declare")
                && message.contains("sidecarless.stats=push"),
            "{message}"
        );
        assert_eq!(counted(&pushing.sandbox, ItemStatus::Rejected, "push_not_declared"), 1);
        assert_eq!(pushing.sandbox.amp.requests(), 0);
    }
}

#[tokio::test]
async fn documents_of_another_task_are_rejected() {
    let mut pushing = Pushing::start(&[], push_label()).await;
    let original = (pushing.task.clone(), pushing.stats.clone());
    let victim = pushing.sandbox.aws.ecs().add("shop", task_of("bank", push_label()));
    let unknown = arn(&"e".repeat(32));
    for (change, status, expected) in [
        // The stub reports the same container ID for both tasks, so another ID is one that the sender cannot know.
        (json!({"TaskARN": arn(&victim), "Containers": [{"DockerId": "r-2", "Name": "cart"}]}), 403, "push_other_task"),
        (json!({"TaskARN": unknown}), 403, "push_unknown_task"),
        (json!({"TaskARN": "arn:aws:ecs:eu-west-1:111122223333:service/shop/cart"}), 400, "push_invalid"),
        (
            json!({"TaskARN": format!("arn:aws:ecs:eu-west-1:111122223333:task/{}/5f0e", "x".repeat(300))}),
            403,
            "push_unknown_task",
        ),
        (json!({"Containers": [{"DockerId": "r-1", "Name": "bank"}]}), 403, "push_other_task"),
        (json!({"Containers": []}), 403, "push_other_task"),
        (json!({"Containers": [{"DockerId": "", "Name": "cart", "Image": "evil:666"}]}), 403, "push_other_task"),
        (json!({"Containers": [{"DockerId": "r-1", "Name": "x", "Type": "CNI_PAUSE"}]}), 403, "push_other_task"),
    ] {
        pushing.task = original.0.clone();
        for (key, value) in change.as_object().unwrap() {
            pushing.task[key] = value.clone();
        }
        let before = counted(&pushing.sandbox, ItemStatus::Rejected, expected);
        let (found, response) = pushing.push().await;
        assert_eq!(found, status, "{expected}: {response}");
        assert_eq!(counted(&pushing.sandbox, ItemStatus::Rejected, expected), before + 1, "{expected}");
        assert!(response["message"].as_str().unwrap().len() < 700, "short enough for a log line: {response}");
    }
    assert_eq!(pushing.sandbox.amp.requests(), 0);
    (pushing.task, pushing.stats) = original;
    let (status, response) = pushing.push().await;
    assert_eq!((status, &response["ignored"]), (200, &Value::Null), "the others did no harm");
}

#[tokio::test]
async fn body_that_is_not_two_documents_is_malformed() {
    let pushing = Pushing::start(&[], push_label()).await;
    let (task, stats) = (pushing.task.to_string(), pushing.stats.to_string());
    for body in [
        String::new(),
        task.clone(),
        stats.clone(),
        format!("{task}{task}"),
        format!("{task}{stats}{stats}"),
        "wget: error".into(),
        format!("{task}{}", "[".repeat(100_000)),
        "{".repeat(500_000),
    ] {
        let (status, response) = send(&pushing.sandbox, body.as_bytes(), None).await;
        assert_eq!(status, 400, "{response}");
        assert!(response["message"].as_str().unwrap().len() < 700);
    }
    let (status, _) = send(&pushing.sandbox, format!("{task}{stats}{}", " ".repeat(1 << 20)).as_bytes(), None).await;
    assert_eq!(status, 413);
    assert_eq!(pushing.sandbox.amp.requests(), 0);
    assert_eq!(pushing.sandbox.aws.ecs().count("DescribeTasks"), 0, "no lookup is made for them");
}

#[tokio::test]
async fn restarted_container_is_accepted_after_one_lookup() {
    let mut pushing = Pushing::start(&[], push_label()).await;
    assert_eq!(pushing.push().await.0, 200);
    assert_eq!(pushing.sandbox.aws.ecs().count("DescribeTasks"), 1);
    pushing.sandbox.aws.ecs().containers = Some(json!([{"name": "cart", "runtimeId": "r-2", "lastStatus": "RUNNING"}]));
    pushing.task["Containers"][0]["DockerId"] = json!("r-2");
    pushing.stats = json!({"r-2": {"id": "r-2", "memory_stats": {"usage": 1}}});
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (status, response) = pushing.push().await;
    assert_eq!(status, 200, "{response}");
    assert_eq!(pushing.sandbox.aws.ecs().count("DescribeTasks"), 2);
}

#[tokio::test]
async fn task_whose_containers_ecs_does_not_report_yet_is_asked_to_retry() {
    let pushing = Pushing::start(&[], push_label()).await;
    pushing.sandbox.aws.ecs().containers = Some(json!([{"name": "cart", "lastStatus": "PENDING"}]));
    assert_eq!(pushing.push().await.0, 503);
    assert_eq!(counted(&pushing.sandbox, ItemStatus::Refused, ""), 1);
}

#[tokio::test]
async fn ended_excluded_and_disabled_pushes_are_rejected() {
    for (settings, reason) in [
        (("SIDECARLESS_TASK_FILTER", "!family=cart"), "push_filtered"),
        (("SIDECARLESS_SOURCES", "endpoint,insights"), "push_disabled"),
        (("AWS_PROMETHEUS_ENDPOINT", ""), "push_disabled"),
        (("SIDECARLESS_CLUSTERS", "bank"), "push_unknown_task"),
    ] {
        let pushing = Pushing::start(&[settings], push_label()).await;
        assert_eq!(pushing.push().await.0, if reason == "push_disabled" { 404 } else { 403 }, "{reason}");
        assert_eq!(counted(&pushing.sandbox, ItemStatus::Rejected, reason), 1, "{reason}");
    }
    let pushing = Pushing::start(&[], push_label()).await;
    pushing.sandbox.aws.ecs().set_status(&format!("{:032x}", 1), "STOPPED");
    let (status, response) = pushing.push().await;
    assert_eq!((status, response["message"].as_str()), (403, Some("the task is STOPPED")));
}

#[tokio::test]
async fn lookup_that_ecs_does_not_answer_is_retried_by_the_sender() {
    let pushing = Pushing::start(&[], push_label()).await;
    pushing.sandbox.aws.fail_always(|request| !request.header("x-amz-target").is_empty(), Fault::status(500, "down"));
    for pushes in 1..=2 {
        let (status, response) = pushing.push().await;
        assert_eq!(status, 503, "{response}");
        assert_eq!(counted(&pushing.sandbox, ItemStatus::Refused, ""), pushes);
    }
    pushing.sandbox.aws.recover();
    assert_eq!(pushing.push().await.0, 503, "a failed lookup is repeated after a minute, and is not a missing task");
}

#[tokio::test(start_paused = true)]
async fn lookup_that_hangs_does_not_hold_the_environment() {
    let pushing = Pushing::start(&[], push_label()).await;
    let hang = Fault::Response(crate::sandbox::http::StubResponse::Hang);
    pushing.sandbox.aws.fail_always(|request| !request.header("x-amz-target").is_empty(), hang);
    let clock = Deadline::after(Duration::from_secs(60));
    assert_eq!(pushing.push().await.0, 503);
    assert!(clock.elapsed() < Duration::from_secs(3), "{:?}", clock.elapsed());
}

#[tokio::test]
async fn new_environment_accepts_the_stats_of_a_fleet() {
    let mut pushing = Pushing::start(&[], push_label()).await;
    let ids: Vec<String> =
        (0..250).map(|_| pushing.sandbox.aws.ecs().add("shop", task_of("cart", push_label()))).collect();
    for id in &ids {
        let (status, response) = pushing.push_of("shop", id).await;
        assert_eq!(status, 200, "{id}: {response}");
    }
    let ecs = pushing.sandbox.aws.ecs();
    let calls = ["ListTasks", "DescribeTasks"].map(|operation| ecs.count(operation));
    assert!(calls.iter().sum::<usize>() <= 10, "{calls:?} calls for 250 tasks");
}

#[tokio::test]
async fn push_waits_until_a_lookup_is_allowed() {
    let mut pushing = Pushing::start(&[], push_label()).await;
    for number in 0..12 {
        let cluster = format!("c{number}");
        // The sandbox numbers the tasks of each cluster, so the last one has an ID that no other cluster has.
        let ids: Vec<String> =
            (0..=number).map(|_| pushing.sandbox.aws.ecs().add(&cluster, task_of("cart", push_label()))).collect();
        let (status, response) = pushing.push_of(&cluster, &ids[number]).await;
        assert_eq!(status, 200, "{cluster}: {response}");
    }
    let ecs = pushing.sandbox.aws.ecs();
    assert_eq!((ecs.count("DescribeTasks"), ecs.count("ListTasks")), (12, 0), "one task of each cluster");
}

#[tokio::test]
async fn lookup_succeeds_although_tasks_cannot_be_listed() {
    for is_denied in [true, false] {
        let mut pushing = Pushing::start(&[], push_label()).await;
        if is_denied {
            pushing.sandbox.aws.ecs().faults.insert("ListTasks", "AccessDeniedException");
        } else {
            let hang = Fault::Response(crate::sandbox::http::StubResponse::Hang);
            pushing.sandbox.aws.fail_always(|request| request.header("x-amz-target").ends_with(".ListTasks"), hang);
        }
        let ids: Vec<String> =
            (0..5).map(|_| pushing.sandbox.aws.ecs().add("shop", task_of("cart", push_label()))).collect();
        for id in &ids {
            let (status, response) = pushing.push_of("shop", id).await;
            assert_eq!(status, 200, "{id}: {response}");
        }
        assert_eq!(pushing.sandbox.aws.ecs().count("DescribeTasks"), 5);
        assert_eq!(pushing.sandbox.aws.ecs().count("ListTasks"), usize::from(is_denied), "not again within a minute");
    }
}

#[tokio::test]
async fn wrong_container_ids_do_not_use_up_the_lookups_of_others() {
    let mut pushing = Pushing::start(&[], push_label()).await;
    pushing.task["Containers"][0]["DockerId"] = json!("r-9");
    for _ in 0..60 {
        assert_eq!(pushing.push().await.0, 403);
    }
    assert_eq!(pushing.sandbox.aws.ecs().count("DescribeTasks"), 2, "one, and one for a container that was restarted");
}

#[tokio::test]
async fn container_that_ecs_does_not_report_is_left_out() {
    let mut pushing = Pushing::start(&[], push_label()).await;
    let guard = json!({"DockerId": "r-9", "Name": "aws-guardduty-agent", "Type": "NORMAL"});
    pushing.task["Containers"].as_array_mut().unwrap().push(guard);
    pushing.task["Containers"][0]["Image"] = json!("evil:666");
    pushing.stats["r-9"] = json!({"id": "r-9", "memory_stats": {"usage": 1_u64 << 40}});
    let (status, response) = pushing.push().await;
    assert_eq!((status, &response["rejected"]["count"]), (200, &json!(1)), "{response}");
    let (_, value) = pushing.sandbox.amp.named("ecs_task_memory_utilized").pop().unwrap();
    assert!((value - 1.0).abs() < f64::EPSILON, "{value}");
    assert_eq!(counted(&pushing.sandbox, ItemStatus::Rejected, "unreported_container"), 1);
    let samples = pushing.sandbox.amp.samples();
    assert!(!samples.iter().flat_map(|(labels, ..)| labels.values()).any(|value| value == "evil"), "{samples:?}");
}

#[tokio::test]
async fn clock_drift_is_relative_to_the_arrival() {
    let mut pushing = Pushing::start(&[ALL], push_label()).await;
    pushing.stats["r-1"]["read"] = json!(format!("{}Z", jiff_time(30)));
    assert_eq!(pushing.push().await.0, 200);
    let (_, drift_s) = pushing.sandbox.amp.named("ecs_task_clock_drift_seconds").pop().unwrap();
    assert!((-31.0..=-30.0).contains(&drift_s), "{drift_s}");
}

#[tokio::test]
async fn signed_push_must_be_signed_by_its_task() {
    let pushing = Pushing::start(&[IAM], push_label()).await;
    let id = format!("{:032x}", 1);
    let session = |role: &str, id: &str| format!("arn:aws:sts::111122223333:assumed-role/{role}/{id}");
    let other = pushing.sandbox.aws.ecs().add("shop", task_of("bank", push_label()));
    for caller in [session("bank", &other), session("bank", &id), session("cart", "i-0123456789abcdef0")] {
        let (status, response) = pushing.push_as(Some(&caller)).await;
        assert_eq!(status, 403, "{caller}: {response}");
    }
    assert_eq!(pushing.push_as(Some(&session("cart", &id))).await.0, 200);
}

#[tokio::test]
async fn pushing_task_is_not_scraped_and_ends_with_stale_markers() {
    let labels = vec![("sidecarless.stats", "push".to_owned()), ("sidecarless.stats.port", "1".to_owned())];
    let pushing = Pushing::start(&[], labels).await;
    assert_eq!(pushing.push().await.0, 200);
    let pushed = pushing.sandbox.amp.named("ecs_task_memory_utilized");
    pushing.sandbox.tick().await.unwrap();
    assert!(pushing.sandbox.amp.named("up").is_empty());
    pushing.sandbox.aws.ecs().set_status(&format!("{:032x}", 1), "STOPPED");
    pushing.sandbox.tick().await.unwrap();
    let series = pushing.sandbox.amp.named("ecs_task_memory_utilized");
    assert_eq!(series.len(), 2);
    assert_eq!(series[1].0, pushed[0].0);
    assert_eq!(series[1].1.to_bits(), 0x7ff0_0000_0000_0002, "the stale marker of Prometheus");
}
