use super::*;
use crate::model::task::TaskContainer;
use crate::translate::stats::MetricSelection;

const NOW_MS: i64 = 1_772_613_180_000;
const AT_MS: i64 = 1_772_613_000_000;

const TASK: &str = r#"{"Version":"0","Type":"Task","TaskId":"5f0e","TaskDefinitionFamily":"cart",
    "TaskDefinitionRevision":"12","ServiceName":"cart-svc","ClusterName":"shop","AccountID":"111122223333",
    "Region":"eu-west-1","AvailabilityZone":"eu-west-1b","KnownStatus":"RUNNING","LaunchType":"FARGATE",
    "PullStartedAt":1772611211120,"Timestamp":1772613000000,"CpuUtilized":102.4,"CpuReserved":512.0,
    "MemoryUtilized":200,"MemoryReserved":1024,"StorageReadBytes":4096,"StorageWriteBytes":65536,
    "NetworkRxBytes":13,"NetworkRxPackets":70,"NetworkTxBytes":40,"EphemeralStorageUtilized":0.33,
    "EphemeralStorageReserved":21.47,"CloudWatchMetrics":[{"Namespace":"ECS/ContainerInsights","Metrics":[]}]}"#;
const CONTAINER: &str = r#"{"Type":"Container","ContainerName":"cart","TaskId":"5f0e","ClusterName":"shop",
    "TaskDefinitionFamily":"cart","Image":"repo/cart:2.7.1","Timestamp":1772613000000,"CpuUtilized":102.4,
    "CpuReserved":0,"MemoryUtilized":200,"StorageReadBytes":4096}"#;
const SERVICE: &str = r#"{"Type":"Service","ServiceName":"cart-svc","ClusterName":"shop","Timestamp":1772613000000,
    "DesiredTaskCount":2,"RunningTaskCount":1,"PendingTaskCount":1,"DeploymentCount":1,"TaskSetCount":0}"#;
const CLUSTER: &str = r#"{"Type":"Cluster","ClusterName":"shop","Timestamp":1772613000000,"TaskCount":5,
    "ContainerInstanceCount":0,"ServiceCount":2}"#;

/// The task as described by ECS.
fn described() -> Task {
    let mut task = Task::from_arn("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e");
    task.set_cluster("shop");
    task.set_definition("cart:12");
    task.set_group("service:cart-svc");
    task.launch_type = "FARGATE".into();
    task.memory_mib = Some(1024);
    task.cpu = Some(512.0);
    task.ephemeral_storage_gib = Some(20);
    let cart = TaskContainer { name: "cart".into(), memory_mib: Some(512), ..TaskContainer::default() };
    task.containers = vec![cart, TaskContainer::default()];
    task
}

#[test]
fn restarts_are_those_of_the_minute() {
    let restarts = CONTAINER.replace(r#""MemoryUtilized":200"#, r#""MemoryUtilized":200,"RestartCount":2"#);
    for (event, expected) in [(restarts.as_str(), Some(2.0)), (CONTAINER, None)] {
        let read = read_with(&[event], Some(&described()), "", &Options::default());
        assert_eq!(read.value("container_restarts_per_minute"), expected);
        assert_eq!(read.value("container_restart_count"), None, "it counts since the start of the task");
    }
}

struct Read {
    batch: SeriesBatch,
    result: StatsResult,
}

impl Read {
    fn value(&self, name: &str) -> Option<f64> {
        let series = self.batch.iter().find(|series| series.labels().any(|label| label == ("__name__", name)))?;
        Some(series.samples()[0].value)
    }

    fn label(&self, label: &str) -> Option<&str> {
        let first = self.batch.iter().next()?;
        first.labels().find(|(name, _)| *name == label).map(|(_, value)| value)
    }

    fn reasons(&self) -> Vec<(&str, u64)> {
        self.result.rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect()
    }
}

fn read_with(events: &[&str], task: Option<&Task>, covered: &str, options: &Options) -> Read {
    read_from(events, task, covered, options, false)
}

fn read_from(
    events: &[&str],
    task: Option<&Task>,
    covered: &str,
    options: &Options,
    group_takes_precedence: bool,
) -> Read {
    let (mut batch, mut result) = (SeriesBatch::default(), StatsResult::default());
    let extra = |_: Option<&Task>| [("stage", "test")].into_iter().collect();
    let context = EventContext {
        task: &|id| task.filter(|task| *task.id == *id),
        cluster: None,
        has_better_source: &|id| id == covered,
        partition: "aws-cn",
        region: "cn-north-1",
        account: "444455556666",
        group_takes_precedence,
        now_ms: NOW_MS,
        max_age_ms: None,
        extra_labels: &extra,
        excluded_counts: &|_| false,
        options,
    };
    for event in events {
        let one = event_series(event.as_bytes(), &context, &mut batch);
        result.written += one.written;
        result.rejected.merge(one.rejected);
    }
    assert_eq!(result.written, batch.point_count());
    Read { batch, result }
}

fn read(events: &[&str], task: Option<&Task>) -> Read {
    let options = Options { metrics: MetricSelection::all(), ..Options::default() };
    read_with(events, task, "", &options)
}

#[test]
fn task_event_is_written_in_the_units_of_the_receiver() {
    let written = read(&[TASK], None);
    for (name, expected) in [
        ("ecs_task_cpu_usage_vcpu", Some(0.1)),
        ("ecs_task_cpu_utilized", Some(102.4)),
        ("ecs_task_cpu_reserved", Some(512.0)),
        ("ecs_task_memory_utilized", Some(200.0)),
        ("ecs_task_memory_reserved", Some(1024.0)),
        ("ecs_task_memory_usage", None),
        ("ecs_task_memory_usage_limit", None),
        ("ecs_task_network_rate_rx", Some(13.0)),
        ("ecs_task_network_rate_tx", Some(40.0)),
        ("ecs_task_network_io_usage_rx_packets", Some(70.0)),
        ("ecs_task_network_io_usage_rx_bytes", None),
        ("ecs_task_storage_read_bytes", Some(4096.0)),
        ("ecs_task_storage_write_bytes", Some(65536.0)),
        ("ecs_task_ephemeral_storage_utilized", Some(314.0)),
        ("ecs_task_ephemeral_storage_reserved", Some(20475.0)),
        ("ecs_task_cpu_cores", None),
    ] {
        assert_eq!(written.value(name), expected, "{name}");
    }
    let sample = written.batch.iter().next().map(|series| series.samples()[0].timestamp_ms);
    assert_eq!(sample, Some(AT_MS));
    for (label, expected) in [
        // Region and account of the event take precedence over the log group.
        ("aws_ecs_task_arn", Some("arn:aws-cn:ecs:eu-west-1:111122223333:task/shop/5f0e")),
        ("aws_ecs_task_id", Some("5f0e")),
        ("aws_ecs_service_name", Some("cart-svc")),
        ("aws_ecs_task_version", Some("12")),
        ("aws_ecs_launchtype", Some("fargate")),
        ("cloud_availability_zone", Some("eu-west-1b")),
        ("stage", Some("test")),
        ("aws_ecs_task_pull_started_at", None),
    ] {
        assert_eq!(written.label(label), expected, "{label}");
    }
}

#[test]
fn memory_usage_is_approximated_only_if_enabled() {
    let options = Options { approximate_memory_usage: true, ..Options::default() };
    let written = read_with(&[TASK], None, "", &options);
    assert_eq!(written.value("ecs_task_memory_usage"), Some(209_715_200.0));
}

#[test]
fn described_task_completes_its_event() {
    let bare = TASK.replace("\"CpuReserved\":512.0", "\"CpuReserved\":0").replace("\"MemoryReserved\":1024,", "");
    let task = described();
    let written = read(&[&bare], Some(&task));
    for (name, expected) in [
        ("ecs_task_cpu_reserved", Some(512.0)),
        ("ecs_task_memory_reserved", Some(1024.0)),
        ("ecs_task_memory_usage_limit", Some(1_073_741_824.0)),
        ("ecs_task_ephemeral_storage_reserved", Some(20496.0)),
    ] {
        assert_eq!(written.value(name), expected, "{name}");
    }
    assert_eq!(written.label("aws_ecs_task_arn"), Some("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e"));
}

#[test]
fn adot_variant_counts_network_once_per_container() {
    let options = Options { names: "both".parse().unwrap(), ..Options::default() };
    let task = described();
    let written = read_with(&[TASK], Some(&task), "", &options);
    assert_eq!(written.value("ecs_task_network_rate_rx"), Some(13.0));
    assert_eq!(written.value("ecs_task_network_rate_rx_Bytes_per_Second"), Some(26.0));
}

#[test]
fn missing_reservation_comes_from_the_definition() {
    let (task, mut with_units) = (described(), described());
    with_units.containers[0].cpu = Some(256.0);
    for (task, utilized, cpu, memory) in [
        (None, 10.0, None, None),
        (Some(&task), 10.0, None, Some(512.0)),
        (Some(&with_units), 0.0390625, Some(256.0), Some(512.0)),
    ] {
        let written = read(&[CONTAINER], task);
        assert_eq!(written.value("container_cpu_utilized"), Some(utilized));
        assert_eq!(written.value("container_cpu_reserved"), cpu, "0 means that there is none");
        assert_eq!(written.value("container_memory_reserved"), memory);
        assert_eq!(written.label("container_image_name"), Some("repo/cart"));
    }
    let reserved = read(&[&CONTAINER.replace("\"CpuReserved\":0", "\"CpuReserved\":256")], None);
    assert_eq!(reserved.value("container_cpu_utilized"), Some(0.0390625));
}

#[test]
fn enhanced_event_falls_back_to_the_second_name() {
    let event = r#"{"Type":"Container","ContainerName":"cart","TaskId":"5f0e","ClusterName":"shop","RestartCount":0,
        "Timestamp":1772613000000,"CpuUtilized":51.2,"ContainerCpuUtilized":1,"ContainerMemoryUtilized":"200",
        "ContainerMemoryReserved":null,"UnHealthyContainerHealthStatus":0,"New":[{"a":[]}]}"#;
    let written = read(&[event], None);
    assert_eq!(written.value("container_cpu_usage_vcpu"), Some(0.05));
    assert_eq!(written.value("container_memory_utilized"), Some(200.0));
    assert_eq!(written.value("container_memory_reserved"), None);
}

#[test]
fn service_and_cluster_events_have_counts() {
    let written = read(&[SERVICE, CLUSTER], None);
    for (name, expected) in [
        ("ecs_service_desired_task_count", 2.0),
        ("ecs_service_running_task_count", 1.0),
        ("ecs_service_pending_task_count", 1.0),
        ("ecs_service_deployment_count", 1.0),
        ("ecs_service_task_set_count", 0.0),
        ("ecs_cluster_task_count", 5.0),
        ("ecs_cluster_service_count", 2.0),
        ("ecs_cluster_container_instance_count", 0.0),
    ] {
        assert_eq!(written.value(name), Some(expected), "{name}");
    }
    assert_eq!(written.label("aws_ecs_service_name"), Some("cart-svc"));
    assert_eq!(written.label("cloud_region"), Some("cn-north-1"));
}

#[test]
fn event_cannot_replace_what_aws_reports() {
    let of_victim = |event: &str| {
        let identity = r#""Region":"us-east-1","AccountID":"999999999999","AvailabilityZone":"us-east-1a","#;
        event.replace(r#""AccountID":"111122223333","#, "").replace(r#""Region":"eu-west-1","#, "").replace(
            r#""Timestamp""#,
            &format!(r#"{identity}"ServiceName":"victim","TaskDefinitionFamily":"victim","Timestamp""#),
        )
    };
    let mut task = described();
    task.service = None;
    task.availability_zone = "".into();
    let event =
        of_victim(r#"{"Type":"Task","TaskId":"5f0e","ClusterName":"shop","Timestamp":1772613000000,"CpuUtilized":1}"#);
    let written = read_from(&[&event], Some(&task), "", &Options::default(), true);
    for (label, expected) in [
        ("cloud_region", Some("eu-west-1")),
        ("cloud_account_id", Some("111122223333")),
        ("cloud_availability_zone", None),
        ("aws_ecs_service_name", None),
        ("aws_ecs_task_family", Some("cart")),
    ] {
        assert_eq!(written.label(label), expected, "{label} of a described task");
    }
    let cluster = of_victim(CLUSTER);
    for (event, task) in [(&event, None), (&cluster, None), (&cluster, Some(&task))] {
        let written = read_from(&[event], task, "", &Options::default(), true);
        let labels = ["cloud_region", "cloud_account_id"].map(|label| written.label(label));
        assert_eq!(labels, [Some("cn-north-1"), Some("444455556666")], "{event}");
    }
}

#[test]
fn event_with_a_long_text_is_rejected_before_its_series() {
    let long = "x".repeat(2_049);
    for (event, text) in [(TASK, "cart-svc"), (CONTAINER, "cart:2.7.1"), (SERVICE, "cart-svc"), (CLUSTER, "shop")] {
        let written = read(&[&event.replace(text, &long), TASK], None);
        assert_eq!(written.reasons(), [("label_value_too_long", 1)], "{event}");
    }
}

#[test]
fn rejected_event_is_counted_by_reason() {
    let future = TASK.replace("1772613000000", "1772613240001");
    for (event, reason) in [
        ("not json", "malformed_event"),
        ("[1]x", "malformed_event"),
        ("{\"Type\":7}", "malformed_event"),
        ("\"text\"", "malformed_event"),
        ("{}", "unsupported_event_type"),
        ("{\"Type\":\"Volume\",\"ClusterName\":\"shop\",\"Timestamp\":1}", "unsupported_event_type"),
        ("{\"Type\":\"Task\",\"ClusterName\":\"shop\",\"Timestamp\":1}", "incomplete_event"),
        ("{\"Type\":\"Cluster\",\"ClusterName\":\"shop\"}", "incomplete_event"),
        ("{\"Type\":\"Cluster\",\"ClusterName\":\"shop\",\"Timestamp\":-1}", "incomplete_event"),
        ("{\"Type\":\"Cluster\",\"Timestamp\":1}", "incomplete_event"),
        (&future, "event_in_future"),
    ] {
        let written = read(&[event, TASK], None);
        assert_eq!(written.reasons(), [(reason, 1)], "{event}");
        assert_eq!(written.value("ecs_task_cpu_utilized"), Some(102.4), "the valid event is written: {event}");
    }
}

#[test]
fn event_beyond_the_maximum_age_is_rejected() {
    for (max_age_ms, expected) in [(None, 0), (Some(180_000), 0), (Some(179_999), 1)] {
        let (mut batch, options) = (SeriesBatch::default(), Options::default());
        let context = EventContext {
            task: &|_| None,
            cluster: None,
            has_better_source: &|_| false,
            partition: "aws",
            region: "eu-west-1",
            account: "",
            group_takes_precedence: false,
            now_ms: NOW_MS,
            max_age_ms,
            extra_labels: &|_| Labels::default(),
            excluded_counts: &|_| false,
            options: &options,
        };
        let result = event_series(TASK.as_bytes(), &context, &mut batch);
        let too_old = result.rejected.iter().filter(|rejection| rejection.reason == "too_old").count();
        assert_eq!((too_old, batch.is_empty()), (expected, expected == 1), "{max_age_ms:?}");
    }
}

#[test]
fn event_read_twice_is_written_once() {
    let written = read(&[TASK, SERVICE, TASK, SERVICE], None);
    assert_eq!(written.reasons(), [("duplicate_event", 2)]);
    assert!(written.batch.iter().all(|series| series.samples().len() == 1));
}

#[test]
fn events_of_a_task_with_a_better_source_are_ignored() {
    let written = read_with(&[TASK, CONTAINER, SERVICE], None, "5f0e", &Options::default());
    assert!(written.result.rejected.is_empty());
    assert_eq!(written.value("ecs_task_cpu_utilized"), None);
    assert_eq!(written.value("ecs_service_desired_task_count"), Some(2.0));
}
