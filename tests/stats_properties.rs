//! Properties of task stats for any input: no panic, no empty label, and the same output for the same input.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::model::task::Task;
use sidecarless::model::task_event;
use sidecarless::model::task_metadata::{TaskMetadata, TaskStats};
use sidecarless::translate::insights::{EventContext, event_series};
use sidecarless::translate::stats::{
    LabelSelection, METRICS, MetricSelection, MetricType, NamingMode, Options, StatsSource, TaskScrape, series,
};
use sidecarless::translate::stopped::{StoppedTask, stale_markers, stopped_series};

/// Field names of documents and events, so that generated JSON reaches the parsers.
const FIELDS: &[&str] = &[
    "Cluster",
    "TaskARN",
    "Family",
    "Revision",
    "LaunchType",
    "ServiceName",
    "Limits",
    "CPU",
    "Memory",
    "Containers",
    "DockerId",
    "Name",
    "Image",
    "ExitCode",
    "StartedAt",
    "FinishedAt",
    "Type",
    "Networks",
    "NetworkMode",
    "Utilized",
    "EphemeralStorageMetrics",
    "id",
    "read",
    "preread",
    "cpu_stats",
    "precpu_stats",
    "cpu_usage",
    "total_usage",
    "percpu_usage",
    "memory_stats",
    "usage",
    "limit",
    "stats",
    "cache",
    "inactive_file",
    "blkio_stats",
    "op",
    "value",
    "io_service_bytes_recursive",
    "networks",
    "eth0",
    "rx_bytes",
    "network_rate_stats",
    "rx_bytes_per_sec",
    "ClusterName",
    "Timestamp",
    "TaskId",
    "ContainerName",
    "CpuUtilized",
    "CpuReserved",
    "MemoryUtilized",
    "ContainerCpuUtilized",
    "EphemeralStorageUtilized",
    "PullStartedAt",
    "RunningTaskCount",
    "taskArn",
    "containers",
    "name",
    "exitCode",
    "reason",
    "stopCode",
    "stoppedReason",
    "lastStatus",
    "attachments",
    "type",
    "details",
    "version",
    "cpu",
    "memory",
    "stoppedAt",
];

/// Texts with a meaning in some field.
const TEXTS: &[&str] = &[
    "",
    "a",
    "arn:aws:ecs:eu-west-1:1:task/shop/a",
    "arn:aws-cn:ecs",
    "arn:aws:ecs",
    "FARGATE",
    "EC2",
    "awsvpc",
    "Read",
    "write",
    "0001-01-01T00:00:00Z",
    "2026-03-04T08:30:10.5Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "Task",
    "Container",
    "Service",
    "Cluster",
    "UPPER:bad:ref",
    "a:b@sha256:1",
    "STOPPED",
    "EssentialContainerExited",
    "OutOfMemoryError: x",
    "CNI_PAUSE",
    "eni",
    "\u{0}é\"",
    "1e999",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![proptest::sample::select(TEXTS).prop_map(str::to_owned), ".{0,8}"]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(0)),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        any::<u64>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
    ]
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(FIELDS).prop_map(str::to_owned);
    btree_map(name, inner, 0..12).prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn document() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number(), text().prop_map(Value::String)];
    let inner = leaf
        .prop_recursive(5, 96, 8, |inner| prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::Array), object(inner)]);
    object(inner)
}

/// Documents with valid structure and any values.
fn report() -> impl Strategy<Value = (Value, Value)> {
    let numbers = vec(any::<u64>(), 12);
    let container = (text(), text(), text(), text(), text(), any::<Option<i32>>(), numbers, any::<f64>());
    (text(), text(), text(), vec(container, 0..5), any::<Option<u64>>()).prop_map(|(cluster, arn, mode, containers, memory)| {
        let mut stats = Map::new();
        let mut list = Vec::new();
        for (index, (name, image, kind, read, preread, exit, n, rate)) in containers.into_iter().enumerate() {
            let id = format!("id{index}");
            list.push(json!({"DockerId": id, "Name": name, "Image": image, "Type": kind, "ExitCode": exit,
                "StartedAt": read, "FinishedAt": preread, "Networks": [{"NetworkMode": mode}],
                "Limits": {"CPU": rate, "Memory": n[0]}}));
            let networks = json!({"a": {"rx_bytes": n[1], "tx_bytes": n[2]}, "b": {"rx_bytes": n[3]}});
            let cpu = json!({"cpu_usage": {"total_usage": n[4], "percpu_usage": [n[5], null]}, "system_cpu_usage": n[6]});
            let earlier = json!({"cpu_usage": {"total_usage": n[7]}});
            let memory = json!({"usage": n[8], "limit": n[9], "stats": {"cache": n[10]}});
            let blkio = json!({"io_service_bytes_recursive": [{"op": "Read", "value": n[11]}, null]});
            let entry = json!({"id": id, "read": read, "preread": preread, "cpu_stats": cpu, "precpu_stats": earlier,
                "memory_stats": memory, "blkio_stats": blkio, "networks": networks,
                "network_rate_stats": {"rx_bytes_per_sec": rate}});
            stats.insert(id, if exit.is_some() { Value::Null } else { entry });
        }
        let task = json!({"Cluster": cluster, "TaskARN": arn, "Containers": list, "Limits": {"Memory": memory}});
        (task, Value::Object(stats))
    })
}

fn options() -> impl Strategy<Value = Options> {
    let names = proptest::sample::select(vec![NamingMode::Default, NamingMode::Adot, NamingMode::Both]);
    let labels = proptest::sample::select(vec![LabelSelection::Stable, LabelSelection::All]);
    let metrics = proptest::sample::select(vec![MetricSelection::default(), MetricSelection::all()]);
    (names, labels, metrics, any::<bool>()).prop_map(|(names, labels, metrics, approximate_memory_usage)| Options {
        names,
        metrics,
        labels,
        approximate_memory_usage,
    })
}

/// Encoded labels, and each sample's time and bits.
type Content = Vec<(Vec<u8>, Vec<(i64, u64)>)>;

/// Content of a batch, bit for bit.
fn content(batch: &SeriesBatch) -> Content {
    let samples = |samples: &[sidecarless::model::series::Sample]| {
        samples.iter().map(|sample| (sample.timestamp_ms, sample.value.to_bits())).collect()
    };
    batch.iter().map(|series| (series.encoded_labels(), samples(series.samples()))).collect()
}

fn is_well_formed(batch: &SeriesBatch) -> bool {
    batch.iter().all(|series| {
        let labels: Vec<_> = series.labels().collect();
        let sorted = labels.is_sorted_by(|(a, _), (b, _)| a < b);
        sorted && labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty())
    })
}

fn write_report(task: &[u8], stats: &[u8], options: &Options) -> Option<SeriesBatch> {
    let (task, stats) = (TaskMetadata::parse(task).ok()?, TaskStats::parse(stats).ok()?);
    let report = TaskScrape { task: &task, stats: &stats, at_ms: 1, received_ms: 1, described: None };
    let mut batch = SeriesBatch::default();
    let result = series(&report, &Labels::default(), options, &mut batch);
    assert_eq!(result.written, batch.point_count());
    Some(batch)
}

fn write_event(event: &[u8], task: Option<&Task>, options: &Options) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    let context = EventContext {
        task: &|_| task,
        cluster: None,
        has_better_source: &|_| false,
        partition: "aws",
        region: "eu-west-1",
        account: "",
        group_takes_precedence: false,
        now_ms: i64::MAX,
        max_age_ms: None,
        extra_labels: &|_| Labels::default(),
        excluded_counts: &|_| false,
        options,
    };
    let result = event_series(event, &context, &mut batch);
    assert_eq!(result.written, batch.point_count());
    batch
}

fn write_stop(task: &Task, options: &Options) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    let stop = StoppedTask { task, at_ms: 1 };
    let stopped = stopped_series(&stop, &Labels::default(), options, &mut batch);
    let stale = stale_markers(&stop, StatsSource::Endpoint, &Labels::default(), options, &mut batch);
    assert_eq!(stopped.written + stale.written, batch.point_count());
    batch
}

proptest! {
    #[test]
    fn any_stats_result_in_well_formed_and_repeatable_series((task, stats) in report(), options in options()) {
        let (task, stats) = (task.to_string(), stats.to_string());
        let once = write_report(task.as_bytes(), stats.as_bytes(), &options);
        let again = write_report(task.as_bytes(), stats.as_bytes(), &options);
        prop_assert_eq!(once.as_ref().map(content), again.as_ref().map(content));
        prop_assert!(once.is_some_and(|batch| is_well_formed(&batch)));
    }

    #[test]
    fn any_json_is_a_document_or_an_error((task, stats) in (document(), document()), options in options()) {
        let batch = write_report(task.to_string().as_bytes(), stats.to_string().as_bytes(), &options);
        prop_assert!(batch.is_none_or(|batch| is_well_formed(&batch)));
    }

    #[test]
    fn any_json_is_an_event_or_rejected(event in document(), kind in 0..4_usize, stopped in document(), options in options()) {
        let mut event = event;
        event["Type"] = json!(["Task", "Container", "Service", "Cluster"][kind]);
        let task = task_event::parse_detail(stopped.to_string().as_bytes()).ok();
        prop_assert!(is_well_formed(&write_event(event.to_string().as_bytes(), task.as_ref(), &options)));
        prop_assert!(task.is_none_or(|task| is_well_formed(&write_stop(&task, &options))));
    }

    #[test]
    fn any_bytes_are_rejected_without_a_panic(bytes in vec(any::<u8>(), 0..64)) {
        let _ = write_report(&bytes, &bytes, &Options::default());
        let _ = write_event(&bytes, None, &Options::default());
        let _ = task_event::parse_detail(&bytes);
    }
}

/// Returns the names and values of the task's series that are sums.
fn task_sums(task: &Value, stats: &Value) -> BTreeMap<String, f64> {
    let options = Options { metrics: MetricSelection::all(), ..Options::default() };
    let batch = write_report(task.to_string().as_bytes(), stats.to_string().as_bytes(), &options).expect("documents");
    let is_sum = |name: &str| METRICS.iter().any(|it| it.default_name == name && it.kind == MetricType::Sum);
    let series = batch.iter().filter_map(|series| {
        let name = series.label("__name__").filter(|name| name.starts_with("ecs_task_") && is_sum(name))?;
        Some((name.to_owned(), series.samples()[0].value))
    });
    series.collect()
}

/// Collects JSON pointers of all values.
fn pointers(value: &Value, pointer: String, all: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| pointers(item, format!("{pointer}/{at}"), all));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| pointers(item, format!("{pointer}/{name}"), all));
        }
        _ => {}
    }
    all.push(pointer);
}

#[test]
fn sum_of_a_task_is_complete_or_absent() {
    let mut task: Value = serde_json::from_str(include_str!("golden/task.json")).unwrap();
    let mut stats: Value = serde_json::from_str(include_str!("golden/task-stats.json")).unwrap();
    let cart = task["Containers"][0]["DockerId"].as_str().unwrap().to_owned();
    let mut twin = task["Containers"][0].clone();
    (twin["DockerId"], twin["Name"]) = (json!("twin"), json!("twin"));
    task["Containers"].as_array_mut().unwrap().push(twin);
    let mut numbers_of_twin = stats[&cart].clone();
    numbers_of_twin["id"] = json!("twin");
    stats["twin"] = numbers_of_twin;
    for (launch_type, networks) in [("FARGATE", json!([{"NetworkMode": "awsvpc"}])), ("EC2", json!(null))] {
        task["LaunchType"] = json!(launch_type);
        for container in task["Containers"].as_array_mut().unwrap() {
            container["Networks"] = networks.clone();
        }
        let complete = task_sums(&task, &stats);
        assert!(complete.len() > 10, "{complete:?}");
        let mut all = Vec::new();
        pointers(&stats["twin"], "/twin".to_owned(), &mut all);
        for pointer in all {
            for odd in [json!(null), json!(true), json!("odd"), json!({"a": 1}), json!([1]), json!(-1), json!(0.5)] {
                let mut changed = stats.clone();
                // An entry of another operation counts for none, and null is a list without entries.
                let is_known = match &odd {
                    Value::String(_) => pointer.ends_with("/op"),
                    Value::Null => pointer.ends_with("/io_service_bytes_recursive"),
                    _ => pointer == "/twin",
                };
                if is_known || pointer == "/twin" && !odd.is_null() {
                    continue;
                }
                *changed.pointer_mut(&pointer).unwrap() = odd.clone();
                for (name, value) in task_sums(&task, &changed) {
                    assert_eq!(complete.get(&name), Some(&value), "{name} with {pointer} = {odd} on {launch_type}");
                }
            }
        }
    }
}

/// Integers and floats at the limits of their types, and numbers that are not in the range of any.
const EXTREMES: [&str; 16] = [
    "0",
    "-0.0",
    "1",
    "-1",
    "9223372036854771712",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "4294967296",
    "1e-320",
    "1.7976931348623157e308",
    "-1e308",
    "\"9e18\"",
    "null",
];

/// Returns the document with each of its numbers replaced by each extreme, and with all of them replaced.
fn with_extremes(document: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(document).unwrap();
    let mut leaves = Vec::new();
    numbers(&value, String::new(), &mut leaves);
    assert!(leaves.len() > 2, "{document}");
    let mut documents = Vec::new();
    for extreme in EXTREMES.map(|text| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(f64::MAX))) {
        let mut all = value.clone();
        for leaf in &leaves {
            let mut one = value.clone();
            *one.pointer_mut(leaf).unwrap() = extreme.clone();
            *all.pointer_mut(leaf).unwrap() = extreme.clone();
            documents.push(one.to_string());
        }
        documents.push(all.to_string());
    }
    documents
}

/// Collects JSON pointers of the numbers.
fn numbers(value: &Value, pointer: String, leaves: &mut Vec<String>) {
    match value {
        Value::Number(_) => leaves.push(pointer),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| numbers(item, format!("{pointer}/{at}"), leaves));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| numbers(item, format!("{pointer}/{name}"), leaves));
        }
        _ => {}
    }
}

fn all_metrics() -> Options {
    Options {
        metrics: MetricSelection::all(),
        names: NamingMode::Both,
        labels: LabelSelection::All,
        approximate_memory_usage: true,
    }
}

#[test]
fn extreme_numbers_of_stats_documents_do_not_fail() {
    let (task, stats) = (include_str!("golden/task.json"), include_str!("golden/task-stats.json"));
    for document in with_extremes(task) {
        write_report(document.as_bytes(), stats.as_bytes(), &all_metrics());
    }
    for document in with_extremes(stats) {
        write_report(task.as_bytes(), document.as_bytes(), &all_metrics());
    }
}

#[test]
fn extreme_numbers_of_events_do_not_fail() {
    let usage = r#""Timestamp":1772613000000,"PullStartedAt":1772613000000,"PullStoppedAt":1772613000000,"CpuUtilized":1,"CpuReserved":1,
        "MemoryUtilized":1,"MemoryReserved":1,"StorageReadBytes":1,"StorageWriteBytes":1,"NetworkRxBytes":1,"NetworkTxPackets":1,
        "EphemeralStorageUtilized":1,"EphemeralStorageReserved":1,"DesiredTaskCount":1,"TaskCount":1,"ContainerCpuUtilized":1"#;
    let task = Task {
        cpu: Some(f64::MAX),
        memory_mib: Some(u64::MAX),
        ephemeral_storage_gib: Some(u64::MAX),
        ..Task::default()
    };
    for kind in ["Task", "Container", "Service", "Cluster"] {
        let event = format!(
            r#"{{"Type":"{kind}","ClusterName":"c","TaskId":"t","ContainerName":"n","ServiceName":"s",{usage}}}"#
        );
        for event in with_extremes(&event) {
            write_event(event.as_bytes(), Some(&task), &all_metrics());
            write_event(event.as_bytes(), None, &all_metrics());
        }
    }
    let change = r#"{"taskArn":"arn:aws:ecs:eu-west-1:1:task/c/t","lastStatus":"STOPPED","cpu":1,"memory":1,"version":1,
        "ephemeralStorage":{"sizeInGiB":1},"containers":[{"name":"n","exitCode":1,"cpu":1,"memory":1,
        "networkBindings":[{"containerPort":1,"hostPort":1}]}]}"#;
    for change in with_extremes(change) {
        if let Ok(task) = task_event::parse_detail(change.as_bytes()) {
            write_stop(&task, &all_metrics());
        }
    }
}
