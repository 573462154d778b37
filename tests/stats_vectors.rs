//! Test vectors for task stats: one change of the documents each, with the expected values of both variants. The ADOT
//! names have the values of the receiver, the default names have the correct values.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sidecarless::model::rejection::Rejections;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::model::task::Task;
use sidecarless::model::task_event;
use sidecarless::model::task_metadata::{MAX_CONTAINERS, TaskMetadata, TaskStats};
use sidecarless::translate::insights::{EventContext, event_series};
use sidecarless::translate::stats::{
    LabelSelection, MetricSelection, NamingMode, Options, StatsSource, TaskScrape, series,
};
use sidecarless::translate::stopped::{StoppedTask, stale_markers};

const TASK: &str = include_str!("golden/task.json");
const STATS: &str = include_str!("golden/task-stats.json");
const CART: &str = "5f0e6c1d2b3a49788e7d6c5b4a392817-3071244590";
const MIGRATE: &str = "5f0e6c1d2b3a49788e7d6c5b4a392817-1900000001";
const MIB: u64 = 1 << 20;
/// Memory limit that a container without a limit reports: 2^63 - 4096.
const UNLIMITED: u64 = 9_223_372_036_854_771_712;

/// Series of a batch, searchable by name.
struct Written(SeriesBatch);

impl Written {
    fn rows(&self, name: &str) -> Vec<(Vec<(&str, &str)>, f64)> {
        // The views borrow from the batch, so that their labels outlive the closure.
        let mut rows = Vec::new();
        for series in self.0.iter() {
            let labels: Vec<_> = series.labels().collect();
            if labels.contains(&("__name__", name)) {
                rows.push((labels, series.samples()[0].value));
            }
        }
        rows
    }

    /// Returns the value of a series, given as `name` or `name{container}`.
    fn value(&self, series: &str) -> Option<f64> {
        let (name, container) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
        let mut rows = self.rows(name).into_iter();
        let row = rows.find(|(labels, _)| container.is_empty() || labels.contains(&("container_name", container)));
        row.map(|(_, value)| value)
    }

    fn label(&self, name: &str, label: &str) -> Option<String> {
        let rows = self.rows(name);
        rows.first()?.0.iter().find(|(key, _)| *key == label).map(|(_, value)| (*value).to_owned())
    }
}

fn write(task: &Value, stats: &Value, options: &Options) -> Written {
    let (task, stats) = (task.to_string(), stats.to_string());
    let task = TaskMetadata::parse(task.as_bytes()).unwrap();
    let stats = TaskStats::parse(stats.as_bytes()).unwrap();
    let report = TaskScrape { task: &task, stats: &stats, at_ms: 1_000, received_ms: 1_000, described: None };
    let mut batch = SeriesBatch::default();
    let result = series(&report, &Labels::default(), options, &mut batch);
    assert_eq!(result.written, batch.point_count());
    Written(batch)
}

fn changed(change: fn(&mut Value, &mut Value), names: NamingMode) -> Written {
    let (mut task, mut stats) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    change(&mut task, &mut stats);
    write(&task, &stats, &Options { names, metrics: MetricSelection::all(), ..Options::default() })
}

/// Adds a copy of the running container.
fn add_twin(task: &mut Value, stats: &mut Value) {
    let (mut container, mut numbers) = (task["Containers"][0].clone(), stats[CART].clone());
    container["DockerId"] = json!("twin");
    container["Name"] = json!("twin");
    numbers["id"] = json!("twin");
    task["Containers"].as_array_mut().unwrap().push(container);
    stats["twin"] = numbers;
}

/// Replaces stats by those of a Windows container (Docker Engine API, `ContainerStatsResponse`).
fn windows(stats: &mut Value) {
    stats["num_procs"] = json!(2);
    stats["storage_stats"] = json!({"read_size_bytes": 8_388_608, "write_size_bytes": 4_194_304});
    stats["blkio_stats"] = json!({"io_service_bytes_recursive": null});
    let usage = |total: u64| {
        json!({"cpu_usage": {"total_usage": total, "usage_in_kernelmode": 10, "usage_in_usermode": 20},
            "throttling_data": {}})
    };
    (stats["cpu_stats"], stats["precpu_stats"]) = (usage(90_000_000), usage(40_000_000));
    stats["memory_stats"] = json!({"commitbytes": 210_763_776, "privateworkingset": 157_286_400});
}

/// Values of the ADOT and of the default name.
type Pair = (Option<f64>, Option<f64>);

struct Vector {
    name: &'static str,
    change: fn(&mut Value, &mut Value),
    /// Series with their values.
    expected: &'static [(&'static str, Pair)],
}

/// In neither variant.
const ABSENT: Pair = (None, None);

const fn same(value: f64) -> Pair {
    (Some(value), Some(value))
}

macro_rules! vectors {
    ($($name:literal, $change:expr => { $($series:literal: $expected:expr;)* })*) => {
        &[$(Vector { name: $name, change: $change, expected: &[$(($series, $expected),)*] },)*]
    };
}

const VECTORS: &[Vector] = vectors! {
    "as given", |_, _| {} => {
        "container_cpu_usage_vcpu{cart}": same(0.1);
        "container_cpu_utilized{cart}": same(0.039_062_5);
        "container_memory_utilized{cart}": same(200.0);
        "container_memory_usage{cart}": same(314_572_800.0);
        "container_storage_read_bytes{cart}": same(4096.0);
        "container_storage_write_bytes{cart}": same(65536.0);
        "container_cpu_cores{cart}": same(2.0);
        "container_duration{migrate}": same(3.75);
        "container_cpu_cores{migrate}": ABSENT;
        "ecs_task_cpu_utilized": same(102.4);
        "ecs_task_cpu_reserved": same(512.0);
        "ecs_task_memory_reserved": same(1024.0);
        "ecs_task_network_rate_rx": same(12.5);
        "ecs_task_ephemeral_storage_utilized": same(312.0);
        "ecs_task_ephemeral_storage_reserved": same(20496.0);
        "ecs_task_memory_usage": same(314_572_800.0);
    }
    "two containers of an awsvpc task report one network", |task, stats| {
        stats[CART]["network_rate_stats"]["rx_bytes_per_sec"] = json!(100.5);
        add_twin(task, stats);
    } => {
        "ecs_task_network_rate_rx": (Some(201.0), Some(100.5));
        "ecs_task_network_io_usage_rx_bytes": (Some(14000.0), Some(7000.0));
        "container_network_rate_rx{twin}": same(100.5);
        "ecs_task_cpu_usage_vcpu": same(0.2);
        "ecs_task_cpu_usage_system": (Some(7.2e12), Some(3.6e12));
    }
    "two containers of a bridge task report two networks", |task, stats| {
        task["LaunchType"] = json!("EC2");
        task["Containers"][0]["Networks"] = json!(null);
        stats[CART]["network_rate_stats"]["rx_bytes_per_sec"] = json!(100.5);
        add_twin(task, stats);
    } => {
        "ecs_task_network_rate_rx": same(201.0);
    }
    "a task without limits has the sum of its containers", |task, stats| {
        task["Limits"] = json!(null);
        task["Containers"][0]["Limits"] = json!({"CPU": 128, "Memory": 256});
        add_twin(task, stats);
        task["Containers"][2]["Limits"] = json!(null);
    } => {
        "ecs_task_cpu_reserved": same(128.0);
        "ecs_task_memory_reserved": same(256.0);
    }
    "no limits anywhere", |task, stats| {
        task["Limits"] = json!({});
        task["Containers"][0]["Limits"] = json!({});
        stats[CART]["precpu_stats"]["cpu_usage"]["total_usage"] = json!(7_000_000_000_u64);
    } => {
        "ecs_task_cpu_utilized": (Some(0.0), Some(204.8));
        "ecs_task_cpu_reserved": (Some(0.0), None);
        "ecs_task_memory_reserved": (Some(0.0), None);
        "ecs_task_cpu_usage_vcpu": same(0.2);
        "container_cpu_utilized{cart}": same(20.0);
    }
    "first sample of docker", |_, stats| {
        stats[CART]["preread"] = json!("0001-01-01T00:00:00Z");
        stats[CART]["cpu_stats"]["cpu_usage"]["total_usage"] = json!(5_000_000_000_u64);
        stats[CART]["precpu_stats"]["cpu_usage"]["total_usage"] = json!(0);
    } => {
        "container_cpu_usage_vcpu{cart}": (Some(5e9 / 9_223_372_036_854_775_807.0), None);
        "ecs_task_cpu_utilized": (Some(5e9 / 9_223_372_036_854_775_807.0 * 1024.0), None);
        "ecs_task_cpu_usage_total": same(5e9);
    }
    "a previous CPU sample of zeros", |_, stats| {
        stats[CART]["precpu_stats"] = json!({"cpu_usage": {"total_usage": 0}, "throttling_data": {}});
    } => {
        "container_cpu_usage_vcpu{cart}": (Some(0.9), None);
        "container_cpu_utilized{cart}": (Some(90.0 / 256.0), None);
        "ecs_task_cpu_usage_total": same(9e9);
    }
    "a previous CPU sample without usage", |_, stats| stats[CART]["precpu_stats"] = json!({"online_cpus": 2}) => {
        "container_cpu_usage_vcpu{cart}": (Some(0.0), None);
        "ecs_task_cpu_utilized": (Some(0.0), None);
        "ecs_task_cpu_usage_total": (Some(0.0), Some(9e9));
    }
    "a previous CPU sample without a time", |_, stats| stats[CART]["preread"] = json!("soon") => {
        "ecs_task_cpu_utilized": (Some(1e9 / 9_223_372_036_854_775_807.0 * 1024.0), None);
    }
    "no time between the samples", |_, stats| stats[CART]["preread"] = stats[CART]["read"].clone() => {
        "container_cpu_usage_vcpu{cart}": (Some(0.0), None);
        "container_cpu_usage_total{cart}": same(9e9);
    }
    "no previous CPU sample", |_, stats| stats[CART]["precpu_stats"] = json!(null) => {
        "container_cpu_usage_vcpu{cart}": (Some(0.0), None);
        "container_cpu_usage_total{cart}": (Some(0.0), Some(9e9));
        "container_cpu_cores{cart}": (Some(0.0), Some(2.0));
        "container_cpu_onlines{cart}": (Some(0.0), Some(2.0));
    }
    "CPU counter reset", |_, stats| {
        stats[CART]["preread"] = json!("2026-03-04T08:30:09Z");
        stats[CART]["cpu_stats"]["cpu_usage"]["total_usage"] = json!(1_000_000_000_u64);
        stats[CART]["precpu_stats"]["cpu_usage"]["total_usage"] = json!(2_000_000_000_u64);
    } => {
        "container_cpu_usage_vcpu{cart}": (Some(18_446_744_072.709_553), Some(0.0));
    }
    "cgroup v2", |_, stats| {
        stats[CART]["memory_stats"] = json!({"usage": 200 * MIB, "stats": {"file": 70 * MIB, "inactive_file": 50 * MIB}});
        stats[CART]["blkio_stats"]["io_service_bytes_recursive"] =
            json!([{"op": "read", "value": 11}, {"op": "write", "value": 22}]);
        stats[CART]["cpu_stats"]["cpu_usage"].as_object_mut().unwrap().remove("percpu_usage");
        stats[CART]["cpu_stats"]["online_cpus"] = json!(4);
    } => {
        "container_memory_utilized{cart}": (Some(200.0), Some(150.0));
        "container_storage_read_bytes{cart}": (Some(0.0), Some(11.0));
        "ecs_task_storage_write_bytes": (Some(0.0), Some(22.0));
        "container_cpu_cores{cart}": (Some(0.0), Some(4.0));
        "container_memory_usage_max{cart}": (Some(0.0), None);
        "ecs_task_memory_usage_max": (Some(0.0), None);
    }
    "more inactive page cache than memory under cgroup v2", |_, stats| {
        stats[CART]["memory_stats"] = json!({"usage": 10 * MIB, "stats": {"inactive_file": 20 * MIB}});
    } => {
        "container_memory_utilized{cart}": same(10.0);
    }
    "as much inactive page cache as memory under cgroup v2", |_, stats| {
        stats[CART]["memory_stats"] = json!({"usage": 10 * MIB, "stats": {"inactive_file": 10 * MIB}});
    } => {
        "container_memory_utilized{cart}": same(10.0);
    }
    "less inactive page cache than memory under cgroup v2", |_, stats| {
        stats[CART]["memory_stats"] = json!({"usage": 10 * MIB, "stats": {"inactive_file": 9 * MIB}});
    } => {
        "container_memory_utilized{cart}": (Some(10.0), Some(1.0));
    }
    "more page cache than memory", |_, stats| {
        stats[CART]["memory_stats"] = json!({"usage": 10 * MIB, "stats": {"cache": 20 * MIB}});
    } => {
        "container_memory_utilized{cart}": (Some(17_592_186_044_406.0), Some(0.0));
    }
    "two containers without a memory limit", |task, stats| {
        stats[CART]["memory_stats"]["limit"] = json!(UNLIMITED);
        add_twin(task, stats);
    } => {
        "ecs_task_memory_usage_limit": (Some(-8192.0), Some(1_073_741_824.0));
        "container_memory_usage_limit{cart}": same(UNLIMITED as f64);
    }
    "containers that the agent could not read", |task, stats| {
        task["Containers"][1]["FinishedAt"] = json!(null);
        *stats = json!({CART: null, MIGRATE: {}});
    } => {
        "container_memory_usage{cart}": ABSENT;
        "container_duration{migrate}": ABSENT;
        "ecs_task_memory_usage": (Some(0.0), None);
        "ecs_task_cpu_usage_total": (Some(0.0), None);
        "ecs_task_cpu_utilized": (Some(0.0), None);
        "ecs_task_network_rate_rx": (Some(0.0), None);
        "ecs_task_memory_usage_limit": (Some(0.0), Some(1_073_741_824.0));
        "ecs_task_cpu_reserved": same(512.0);
    }
    "one of two containers that the agent could not read", |task, stats| {
        add_twin(task, stats);
        stats["twin"] = json!({});
    } => {
        "ecs_task_memory_usage": (Some(314_572_800.0), None);
        "ecs_task_cpu_usage_total": (Some(9e9), None);
        "ecs_task_cpu_usage_vcpu": (Some(0.1), None);
        "ecs_task_storage_write_bytes": (Some(65536.0), None);
        // One container reports the network and the host of the task.
        "ecs_task_network_io_usage_rx_bytes": same(7000.0);
        "ecs_task_cpu_onlines": same(2.0);
        "container_memory_usage{cart}": same(314_572_800.0);
    }
    "a container that has not started", |task, stats| {
        add_twin(task, stats);
        task["Containers"][2]["KnownStatus"] = json!("PULLED");
        stats["twin"] = json!(null);
    } => {
        "ecs_task_memory_usage": same(314_572_800.0);
        "ecs_task_cpu_usage_total": same(9e9);
    }
    "a stopped container", |task, stats| {
        add_twin(task, stats);
        task["Containers"][2]["KnownStatus"] = json!("STOPPED");
        stats.as_object_mut().unwrap().remove("twin");
    } => {
        "ecs_task_memory_usage": same(314_572_800.0);
    }
    "one of two containers without memory stats", |task, stats| {
        add_twin(task, stats);
        stats["twin"].as_object_mut().unwrap().remove("memory_stats");
    } => {
        "ecs_task_memory_usage": (Some(314_572_800.0), None);
        "ecs_task_memory_utilized": (Some(200.0), None);
        "container_memory_usage{cart}": same(314_572_800.0);
        "container_memory_usage{twin}": (Some(0.0), None);
        "ecs_task_cpu_usage_total": same(18e9);
    }
    "one of two networks of a bridge task is unknown", |task, stats| {
        task["LaunchType"] = json!("EC2");
        task["Containers"][0]["Networks"] = json!(null);
        add_twin(task, stats);
        stats["twin"]["networks"] = json!(null);
        stats["twin"]["network_rate_stats"] = json!({"tx_bytes_per_sec": 1.0});
    } => {
        "ecs_task_network_io_usage_rx_bytes": (Some(7000.0), None);
        "ecs_task_network_rate_rx": (Some(12.5), None);
        "ecs_task_network_rate_tx": same(41.25);
    }
    "a task without networks", |_, stats| {
        stats[CART].as_object_mut().unwrap().remove("network_rate_stats");
        stats[CART]["networks"] = json!({});
    } => {
        "ecs_task_network_rate_rx": (Some(0.0), None);
        "ecs_task_network_io_usage_tx_errors": (Some(0.0), None);
        "container_network_io_usage_tx_errors{cart}": (Some(0.0), None);
    }
    "an interface without one counter", |_, stats| stats[CART]["networks"]["eth0"] = json!({"tx_bytes": 1}) => {
        "ecs_task_network_io_usage_rx_bytes": (Some(7000.0), None);
        "ecs_task_network_io_usage_tx_bytes": same(9001.0);
    }
    "no online CPUs", |_, stats| {
        stats[CART]["cpu_stats"]["online_cpus"] = json!(0);
        stats[CART]["cpu_stats"]["cpu_usage"]["percpu_usage"] = json!(null);
        stats[CART]["cpu_stats"].as_object_mut().unwrap().remove("system_cpu_usage");
    } => {
        "ecs_task_cpu_onlines": (Some(0.0), None);
        "ecs_task_cpu_cores": (Some(0.0), None);
        "ecs_task_cpu_usage_system": (Some(0.0), None);
        "ecs_task_cpu_usage_total": same(9e9);
    }
    "a container that has not used its storage", |_, stats| {
        stats[CART]["blkio_stats"] = json!({"io_service_bytes_recursive": null});
    } => {
        "ecs_task_storage_read_bytes": same(0.0);
    }
    "a container without storage stats", |_, stats| {
        stats[CART].as_object_mut().unwrap().remove("blkio_stats");
    } => {
        "ecs_task_storage_read_bytes": (Some(0.0), None);
    }
    "the least shares in place of a reservation on EC2", |task, _| {
        task["LaunchType"] = json!("EC2");
        task["Limits"] = json!(null);
        task["Containers"][0]["Limits"] = json!({"CPU": 2});
    } => {
        "ecs_task_cpu_reserved": (Some(2.0), None);
        "container_cpu_reserved{cart}": (Some(2.0), None);
        "container_cpu_utilized{cart}": (Some(5.0), Some(10.0));
        "ecs_task_cpu_utilized": same(102.4);
    }
    "the least shares beside a reservation on EC2", |task, stats| {
        task["LaunchType"] = json!("EC2");
        task["Limits"] = json!(null);
        add_twin(task, stats);
        task["Containers"][2]["Limits"] = json!({"CPU": 2, "Memory": 64});
    } => {
        "ecs_task_cpu_reserved": (Some(258.0), Some(256.0));
    }
    "the least shares on a managed instance", |task, _| {
        task["LaunchType"] = json!("MANAGED_INSTANCES");
        task["Limits"] = json!(null);
        task["Containers"][0]["Limits"] = json!({"CPU": 2});
    } => {
        "ecs_task_cpu_reserved": (Some(2.0), None);
    }
    "the least shares in a task with a CPU size", |task, _| {
        task["LaunchType"] = json!("EC2");
        task["Containers"][0]["Limits"] = json!({"CPU": 2});
    } => {
        "ecs_task_cpu_reserved": same(512.0);
        "container_cpu_reserved{cart}": (Some(2.0), None);
    }
    "limits of zero are none", |task, _| {
        task["Limits"] = json!({"CPU": 0, "Memory": 0});
        task["Containers"][0]["Limits"] = json!({"CPU": 0, "Memory": 0});
    } => {
        "ecs_task_cpu_reserved": (Some(0.0), None);
        "ecs_task_memory_reserved": (Some(0.0), None);
        "container_memory_reserved{cart}": (Some(0.0), None);
        "ecs_task_memory_usage_limit": same(536_870_912.0);
        "ecs_task_cpu_utilized": (Some(0.0), Some(102.4));
    }
    "a Windows container", |_, stats| windows(&mut stats[CART]) => {
        "container_memory_usage{cart}": (Some(0.0), Some(157_286_400.0));
        "container_memory_utilized{cart}": (Some(0.0), Some(150.0));
        "container_cpu_usage_total{cart}": (Some(9e7), Some(9e9));
        "container_cpu_usage_kernelmode{cart}": (Some(10.0), Some(1_000.0));
        "container_cpu_usage_vcpu{cart}": (Some(0.005), Some(0.5));
        "container_storage_read_bytes{cart}": (Some(0.0), Some(8_388_608.0));
        "container_storage_write_bytes{cart}": (Some(0.0), Some(4_194_304.0));
        "container_cpu_onlines{cart}": (Some(0.0), None);
        "container_memory_usage_limit{cart}": (Some(0.0), None);
        "ecs_task_network_io_usage_rx_bytes": same(7000.0);
    }
    "a Windows container whose memory and storage are unknown", |_, stats| {
        windows(&mut stats[CART]);
        stats[CART]["memory_stats"] = json!({});
        stats[CART]["storage_stats"] = json!({});
    } => {
        "container_memory_usage{cart}": (Some(0.0), None);
        "container_storage_read_bytes{cart}": (Some(0.0), None);
        "container_cpu_usage_vcpu{cart}": (Some(0.005), Some(0.5));
    }
    "the first sample of a Windows container", |_, stats| {
        windows(&mut stats[CART]);
        stats[CART]["precpu_stats"]["cpu_usage"]["total_usage"] = json!(0);
    } => {
        "container_cpu_usage_vcpu{cart}": (Some(0.009), None);
        "container_cpu_usage_total{cart}": (Some(9e7), Some(9e9));
    }
    "two Windows containers", |task, stats| {
        windows(&mut stats[CART]);
        add_twin(task, stats);
    } => {
        "ecs_task_memory_usage": (Some(0.0), Some(314_572_800.0));
        "ecs_task_cpu_usage_vcpu": (Some(0.01), Some(1.0));
    }
    "numbers in other spellings", |task, stats| {
        task["Limits"] = json!({"CPU": "0.5", "Memory": 1024.0});
        stats[CART]["memory_stats"]["usage"] = json!(314_572_800.0);
        stats[CART]["networks"]["eth1"]["rx_bytes"] = json!("7000");
        stats[CART]["network_rate_stats"]["rx_bytes_per_sec"] = json!("12.5");
    } => {
        "ecs_task_memory_usage": same(314_572_800.0);
        "ecs_task_network_io_usage_rx_bytes": same(7000.0);
        "ecs_task_network_rate_rx": same(12.5);
        "ecs_task_cpu_reserved": same(512.0);
        "ecs_task_memory_reserved": same(1024.0);
    }
    "fields of another type", |task, stats| {
        task["Containers"][0]["Limits"] = json!([1]);
        task["Revision"] = json!(12);
        task["KnownStatus"] = json!(1);
        task["PullStartedAt"] = json!({});
        task["Containers"][0]["Image"] = json!(["cart"]);
        task["Containers"][1]["FinishedAt"] = json!(false);
        stats[CART]["memory_stats"]["usage"] = json!({"bytes": 1});
        stats[CART]["networks"] = json!("none");
        stats[CART]["blkio_stats"]["io_service_bytes_recursive"] = json!(true);
        stats[CART]["cpu_stats"]["throttling_data"] = json!(0);
    } => {
        "ecs_task_memory_usage": (Some(0.0), None);
        "ecs_task_network_io_usage_rx_bytes": (Some(0.0), None);
        "ecs_task_cpu_usage_total": same(9e9);
        "ecs_task_memory_reserved": same(1024.0);
    }
    "pause container", |task, stats| {
        add_twin(task, stats);
        task["Containers"][2]["Type"] = json!("CNI_PAUSE");
    } => {
        "ecs_task_memory_usage": (Some(629_145_600.0), Some(314_572_800.0));
        "container_memory_usage{twin}": (Some(314_572_800.0), None);
    }
    "no ephemeral storage on EC2", |task, _| task["EphemeralStorageMetrics"] = json!(null) => {
        "ecs_task_ephemeral_storage_reserved": (Some(0.0), None);
    }
    "invalid time", |task, _| task["Containers"][1]["FinishedAt"] = json!("soon") => {
        "container_duration{migrate}": (Some(0.0), None);
    }
    "null and missing values", |task, stats| {
        task["ServiceName"] = json!(null);
        task["Unknown"] = json!([{"a": {}}]);
        stats[CART] = json!({"id": CART, "memory_stats": null, "networks": {"eth0": null}, "blkio_stats": {
            "io_service_bytes_recursive": null}, "cpu_stats": {}, "precpu_stats": {}});
    } => {
        "container_memory_usage{cart}": (Some(0.0), None);
        "container_network_io_usage_rx_bytes{cart}": (Some(0.0), None);
        "container_storage_read_bytes{cart}": same(0.0);
    }
    "a counter above 2^53", |_, stats| {
        stats[CART]["networks"]["eth1"]["rx_bytes"] = json!(9_007_199_254_740_995_u64);
        stats[CART]["networks"]["eth0"] = json!({"rx_bytes": 9_007_199_254_740_995_u64});
    } => {
        "container_network_io_usage_rx_bytes{cart}": same(18_014_398_509_481_990.0);
    }
};

/// Returns the ADOT name of a series.
fn adot(series: &str) -> String {
    let (name, container) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest));
    let metrics = sidecarless::translate::stats::METRICS;
    let metric = metrics.iter().find(|metric| metric.default_name == name).unwrap();
    let name = metric.adot_name.unwrap();
    if container.is_empty() { name.to_owned() } else { format!("{name}{{{container}") }
}

#[test]
fn adot_names_have_receiver_values_default_names_correct_ones() {
    for vector in VECTORS {
        let [adot_series, default_series] =
            [NamingMode::Adot, NamingMode::Default].map(|names| changed(vector.change, names));
        for (series, (adot_value, default_value)) in vector.expected {
            assert_eq!(adot_series.value(&adot(series)), *adot_value, "{}: {series} of the receiver", vector.name);
            assert_eq!(default_series.value(series), *default_value, "{}: {series}", vector.name);
        }
    }
}

#[test]
fn stopped_container_has_exit_code_and_finish_time() {
    let written = changed(|_, _| {}, NamingMode::Adot);
    let label = |label| written.label("container_duration_Seconds", label);
    assert_eq!(label("aws_ecs_container_exit_code").as_deref(), Some("0"));
    assert_eq!(label("container_image_tag").as_deref(), Some("latest"));
    assert_eq!(label("aws_ecs_container_finished_at").as_deref(), Some("2026-03-04T08:00:24Z"));
}

#[test]
fn metrics_beyond_the_receiver_have_no_adot_names() {
    let change = |task: &mut Value, stats: &mut Value| {
        task["Containers"][0]["RestartCount"] = json!(3);
        stats[CART]["cpu_stats"]["throttling_data"] =
            json!({"periods": 10, "throttled_periods": 4, "throttled_time": 5_000});
    };
    let written = changed(change, NamingMode::Both);
    for (series, expected) in [
        ("ecs_task_clock_error_bound_seconds", Some(0.41 / 1_000.0)),
        ("container_restart_count{cart}", Some(3.0)),
        ("container_restart_count{migrate}", None),
        ("container_start_time_seconds{cart}", Some(1_772_611_221.9)),
        ("container_cpu_throttling_periods{cart}", Some(10.0)),
        ("container_cpu_throttling_throttled_periods{cart}", Some(4.0)),
        ("container_cpu_throttling_throttled_time{cart}", Some(5_000.0)),
    ] {
        assert_eq!(written.value(series), expected, "{series}");
    }
    assert!(written.value("ecs_task_clock_drift_seconds").is_some());
    let adot = changed(change, NamingMode::Adot);
    for name in ["restart", "throttling", "clock", "start_time"] {
        assert!(
            !adot.0.iter().any(|series| series.label("__name__").is_some_and(|found| found.contains(name))),
            "{name}"
        );
    }
    let without = changed(|_, _| {}, NamingMode::Default);
    for series in ["container_restart_count{cart}", "container_cpu_throttling_periods{cart}"] {
        assert_eq!(without.value(series), None, "{series}: no restart policy and no quota");
    }
}

#[test]
fn clock_drift_is_relative_to_the_scrape() {
    for (read, expected) in [
        ("2026-03-04T08:30:10Z", Some(-0.5)),
        ("2026-03-04T08:30:40.25Z", Some(29.75)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
    ] {
        let (task, mut stats): (Value, Value) =
            (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
        stats[CART]["read"] = json!(read);
        let (task, stats) = (task.to_string(), stats.to_string());
        let (task, stats) =
            (TaskMetadata::parse(task.as_bytes()).unwrap(), TaskStats::parse(stats.as_bytes()).unwrap());
        let scrape = TaskScrape {
            task: &task,
            stats: &stats,
            at_ms: 1_772_613_010_500,
            received_ms: 1_772_613_010_500,
            described: None,
        };
        let options = Options { metrics: "ecs_task_clock_drift_seconds".parse().unwrap(), ..Options::default() };
        let mut batch = SeriesBatch::default();
        let _ = series(&scrape, &Labels::default(), &options, &mut batch);
        let value = batch.iter().next().map(|series| series.samples()[0].value);
        assert_eq!(value, expected, "{read}");
    }
}

#[test]
fn changing_labels_are_written_only_if_selected() {
    let (task, stats) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    let changing = ["aws_ecs_task_pull_started_at", "aws_ecs_task_known_status"];
    for (labels, expected) in [(LabelSelection::Stable, false), (LabelSelection::All, true)] {
        let written = write(&task, &stats, &Options { labels, ..Options::default() });
        for label in changing {
            assert_eq!(written.label("ecs_task_cpu_utilized", label).is_some(), expected, "{label} {labels:?}");
        }
        assert!(written.0.iter().all(|series| series.labels().all(|(_, value)| !value.is_empty())));
    }
    let bare = write(&task, &stats, &Options::default());
    assert_eq!(bare.label("ecs_task_cpu_utilized", "aws_ecs_service_name").as_deref(), Some("cart-svc"));
    assert_eq!(bare.0.len(), 11, "ten task series and one of the stopped container");
}

#[test]
fn default_labels_parse_arns_of_any_partition() {
    let label = |change, names, label| changed(change, names).label(cores(names), label);
    let china = |task: &mut Value, _: &mut Value| task["TaskARN"] = json!("arn:aws-cn:ecs:cn-north-1:1:task/shop/5f0e");
    let old = |task: &mut Value, _: &mut Value| task["TaskARN"] = json!("arn:aws:ecs:eu-west-1:1:task/5f0e");
    for (change, names, id, region) in [
        (china as fn(&mut Value, &mut Value), NamingMode::Adot, None, None),
        (china, NamingMode::Default, Some("5f0e"), Some("cn-north-1")),
        (old, NamingMode::Adot, Some("5f0e"), Some("eu-west-1")),
        (old, NamingMode::Default, Some("5f0e"), Some("eu-west-1")),
    ] {
        assert_eq!(label(change, names, "aws_ecs_task_id").as_deref(), id);
        assert_eq!(label(change, names, "cloud_region").as_deref(), region);
    }
}

fn cores(names: NamingMode) -> &'static str {
    if names == NamingMode::Adot { "ecs_task_cpu_cores_Count" } else { "ecs_task_cpu_cores" }
}

#[test]
fn receiver_has_two_launch_types_default_labels_have_all() {
    let external = |task: &mut Value, _: &mut Value| task["LaunchType"] = json!("EXTERNAL");
    let label = |names| changed(external, names).label(cores(names), "aws_ecs_launchtype");
    assert_eq!(label(NamingMode::Adot), None);
    assert_eq!(label(NamingMode::Default).as_deref(), Some("external"));
}

#[test]
fn invalid_image_has_neither_name_nor_tag() {
    let broken = |task: &mut Value, _: &mut Value| task["Containers"][0]["Image"] = json!("UPPER:bad:ref");
    let written = changed(broken, NamingMode::Default);
    assert_eq!(written.label("container_cpu_cores", "container_image_name"), None);
    assert_eq!(written.label("container_cpu_cores", "container_image_tag"), None);
}

#[test]
fn standalone_task_has_no_service() {
    let standalone = |task: &mut Value, _: &mut Value| task["ServiceName"] = json!("");
    assert_eq!(changed(standalone, NamingMode::Default).label("ecs_task_cpu_cores", "aws_ecs_service_name"), None);
}

#[test]
fn second_container_with_the_same_name_is_rejected() {
    let (mut task, mut stats) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    add_twin(&mut task, &mut stats);
    task["Containers"][2]["Name"] = json!("cart");
    let (task, stats) = (task.to_string(), stats.to_string());
    let task = TaskMetadata::parse(task.as_bytes()).unwrap();
    let stats = TaskStats::parse(stats.as_bytes()).unwrap();
    let report = TaskScrape { task: &task, stats: &stats, at_ms: 1, received_ms: 1, described: None };
    let result = series(&report, &Labels::default(), &Options::default(), &mut SeriesBatch::default());
    assert_eq!(result.rejected.to_string(), "1 duplicate_container: a second container named \"cart\" in one task");
}

#[test]
fn adot_defaults_are_the_sidecar_filter_and_two_more() {
    let (task, stats) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    let written = write(&task, &stats, &Options { names: NamingMode::Adot, ..Options::default() });
    let mut names = Vec::new();
    for series in written.0.iter() {
        names.extend(series.labels().filter(|(name, _)| *name == "__name__").map(|(_, value)| value.to_owned()));
    }
    names.sort();
    assert_eq!(
        names,
        [
            "container_duration_Seconds",
            "ecs_task_cpu_reserved_None",
            "ecs_task_cpu_usage_vcpu_vCPU",
            "ecs_task_cpu_utilized_None",
            "ecs_task_memory_reserved_MiB",
            "ecs_task_memory_usage_Bytes",
            "ecs_task_memory_utilized_MiB",
            "ecs_task_network_rate_rx_Bytes_per_Second",
            "ecs_task_network_rate_tx_Bytes_per_Second",
            "ecs_task_storage_read_bytes_Bytes",
            "ecs_task_storage_write_bytes_Bytes",
        ]
    );
}

#[test]
fn invalid_document_is_an_error_with_position() {
    for (body, expected) in [
        ("", "invalid /task document: EOF while parsing a value at line 1 column 0"),
        ("{\"Cluster\":\n{}}", "invalid /task document: invalid type: map, expected a string at line 2 column 2"),
        ("<html>", "invalid /task document: expected value at line 1 column 1"),
    ] {
        assert_eq!(TaskMetadata::parse(body.as_bytes()).unwrap_err().to_string(), expected);
    }
    assert!(TaskStats::parse(b"null").unwrap().containers.is_empty());
    assert!(TaskStats::parse(b"[]").is_err());
    assert!(TaskStats::parse(b"{\"a\":{\"id\":\"a\",\"memory_stats\":{\"usage\":-1}}}").is_ok());
    assert!(TaskStats::parse(b"{\"a\":{\"id\":\"a\",\"memory_stats\":{\"usage\":1}}").is_err());
}

#[test]
fn endpoint_and_insights_series_have_the_same_labels() {
    let (task, stats) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    let options = Options::default();
    let endpoint = write(&task, &stats, &options);
    let event = json!({"Type": "Task", "TaskId": "5f0e6c1d2b3a49788e7d6c5b4a392817", "TaskDefinitionFamily": "cart",
        "TaskDefinitionRevision": "12", "ServiceName": "cart-svc", "ClusterName": "shop", "AccountID": "111122223333",
        "Region": "eu-west-1", "AvailabilityZone": "eu-west-1b", "LaunchType": "FARGATE", "Timestamp": 1_772_613_000_000_u64,
        "KnownStatus": "RUNNING", "CpuUtilized": 102.4, "MemoryUtilized": 200});
    let mut batch = SeriesBatch::default();
    let context = EventContext {
        task: &|_| None,
        cluster: None,
        has_better_source: &|_| false,
        partition: "aws",
        region: "",
        account: "",
        group_takes_precedence: false,
        now_ms: i64::MAX,
        max_age_ms: None,
        extra_labels: &|_| Labels::default(),
        excluded_counts: &|_| false,
        options: &options,
    };
    let result = event_series(event.to_string().as_bytes(), &context, &mut batch);
    assert!(result.rejected.is_empty());
    let insights = Written(batch);
    for name in ["ecs_task_cpu_utilized", "ecs_task_memory_utilized", "ecs_task_cpu_usage_vcpu"] {
        assert_eq!(insights.rows(name), endpoint.rows(name), "{name}");
    }
}

#[test]
fn stop_marks_all_series_of_the_endpoint_stale() {
    let (task, stats) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    let detail = json!({"taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e6c1d2b3a49788e7d6c5b4a392817",
        "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/shop", "group": "service:cart-svc", "launchType": "FARGATE",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/cart:12", "lastStatus": "STOPPED",
        "availabilityZone": "eu-west-1b", "containers": [
            {"name": "cart", "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/cart:2.7.1", "exitCode": 1},
            {"name": "migrate", "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/migrate", "exitCode": 0}]});
    let stopped = task_event::parse_detail(detail.to_string().as_bytes()).unwrap();
    for metrics in [MetricSelection::default(), MetricSelection::all()] {
        let options = Options { metrics, ..Options::default() };
        let mut ended = SeriesBatch::default();
        let stop = StoppedTask { task: &stopped, at_ms: 2_000 };
        let result = stale_markers(&stop, StatsSource::Endpoint, &Labels::default(), &options, &mut ended);
        assert_eq!(result.written, ended.point_count());
        let ended: BTreeSet<_> = ended.iter().map(|series| series.encoded_labels()).collect();
        for series in write(&task, &stats, &options).0.iter() {
            let name = series.labels().find(|(label, _)| *label == "__name__").unwrap().1;
            let is_optional = name.ends_with("_memory_usage_max") || name == "ecs_task_clock_error_bound_seconds";
            assert_eq!(ended.contains(&series.encoded_labels()), !is_optional, "{name}");
        }
    }
}

#[test]
fn series_that_never_existed_have_no_marker() {
    let (mut task, mut stats): (Value, Value) =
        (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    let arn = "arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e6c1d2b3a49788e7d6c5b4a392817";
    task["LaunchType"] = json!("EC2");
    for of_fargate in ["ClockDrift", "EphemeralStorageMetrics"] {
        assert!(task.as_object_mut().unwrap().remove(of_fargate).is_some());
    }
    // cgroup v2 has no maximum.
    for container in stats.as_object_mut().unwrap().values_mut().filter(|stats| stats["memory_stats"].is_object()) {
        container["memory_stats"].as_object_mut().unwrap().remove("max_usage");
    }
    let containers = [json!({"name": "cart", "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/cart:2.7.1"})];
    let detail = json!({"taskArn": arn, "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/shop",
        "group": "service:cart-svc", "launchType": "EC2", "lastStatus": "STOPPED", "availabilityZone": "eu-west-1b",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/cart:12", "containers": containers});
    let stopped = task_event::parse_detail(detail.to_string().as_bytes()).unwrap();
    let options = Options { metrics: MetricSelection::all(), ..Options::default() };
    let mut ended = SeriesBatch::default();
    let stop = StoppedTask { task: &stopped, at_ms: 2_000 };
    let result = stale_markers(&stop, StatsSource::Endpoint, &Labels::default(), &options, &mut ended);
    assert!(result.written > 40, "{result:?}");
    let written = write(&task, &stats, &options).0;
    let written: BTreeSet<_> = written.iter().map(|series| series.encoded_labels()).collect();
    for series in ended.iter() {
        assert!(written.contains(&series.encoded_labels()), "{:?}", series.labels().collect::<Vec<_>>());
    }
}

#[test]
fn both_attachment_types_have_the_same_address() {
    for kind in ["eni", "ElasticNetworkInterface"] {
        let detail = json!({"version": 5, "attachments": [{"type": kind, "details": [
            {"name": "privateIPv4Address", "value": "10.2.3.4"}]}]});
        let task = task_event::parse_detail(detail.to_string().as_bytes()).unwrap();
        assert_eq!(task.address, Some([10, 2, 3, 4].into()));
    }
}

/// Returns the series that the documents of the task `described` have.
fn write_described(task: &Value, stats: &Value, described: &Task, options: &Options) -> (Written, Rejections) {
    let (task, stats) = (task.to_string(), stats.to_string());
    let task = TaskMetadata::parse(task.as_bytes()).unwrap();
    let stats = TaskStats::parse(stats.as_bytes()).unwrap();
    let report = TaskScrape { task: &task, stats: &stats, at_ms: 1, received_ms: 1, described: Some(described) };
    let mut batch = SeriesBatch::default();
    let result = series(&report, &Labels::default(), options, &mut batch);
    (Written(batch), result.rejected)
}

#[test]
fn identity_labels_come_from_ecs_not_from_the_document() {
    let (mut task, stats): (Value, Value) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    let mut described = Task::from_arn("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e");
    described.set_cluster("arn:aws:ecs:eu-west-1:111122223333:cluster/shop");
    described.set_definition("arn:aws:ecs:eu-west-1:111122223333:task-definition/own:7");
    described.set_group("family:own");
    described.launch_type = "EC2".into();
    described.availability_zone = "eu-west-1b".into();
    for (field, value) in [
        ("Cluster", "victim"),
        ("TaskARN", "arn:aws:ecs:us-east-1:999999999999:task/victim/5f0e"),
        ("Family", "victim"),
        ("Revision", "666"),
        ("ServiceName", "victim"),
        ("AvailabilityZone", "us-east-1a"),
        ("LaunchType", "FARGATE"),
    ] {
        task[field] = json!(value);
    }
    for names in [NamingMode::Default, NamingMode::Adot] {
        let options = Options { names, metrics: MetricSelection::all(), ..Options::default() };
        let (written, _) = write_described(&task, &stats, &described, &options);
        let values: BTreeSet<&str> =
            written.0.iter().flat_map(|series| series.labels()).map(|(_, value)| value).collect();
        for false_value in ["victim", "999999999999", "us-east-1", "us-east-1a", "666", "FARGATE", "fargate"] {
            assert!(!values.contains(false_value), "{names:?} {false_value}");
        }
        for value in ["shop", "5f0e", "111122223333", "eu-west-1", "eu-west-1b", "own", "7", "ec2", &*described.arn] {
            assert!(values.contains(value), "{names:?} {value}");
        }
        assert!(!values.iter().any(|value| value.contains("victim")));
    }
}

#[test]
fn containers_are_bounded_and_count_once_per_id() {
    let options = Options { metrics: MetricSelection::all(), names: NamingMode::Both, ..Options::default() };
    for (same_id, counted) in [(true, 1), (false, MAX_CONTAINERS)] {
        let id = |number: usize| if same_id { "d0".to_owned() } else { format!("d{number}") };
        let containers: Vec<Value> =
            (0..1_000).map(|number| json!({"DockerId": id(number), "Name": format!("c{number}")})).collect();
        let task = json!({"TaskARN": "arn:aws:ecs:eu-west-1:1:task/shop/5f0e", "Containers": containers});
        let stats: serde_json::Map<String, Value> =
            (0..1_000).map(|number| (id(number), json!({"id": id(number), "memory_stats": {"usage": 1}}))).collect();
        let (written, rejected) = write_described(&task, &json!(stats), &Task::default(), &options);
        let names: BTreeSet<_> = written.0.iter().filter_map(|series| series.label("container_name")).collect();
        assert!(names.len() <= counted, "{names:?}");
        let count = |reason| rejected.iter().find(|entry| entry.reason == reason).map_or(0, |entry| entry.count);
        let ignored = 1_000 - MAX_CONTAINERS as u64;
        assert_eq!(count("too_many_containers"), 2 * ignored, "in each variant");
        assert_eq!(count("duplicate_container"), if same_id { 2 * (MAX_CONTAINERS as u64 - 1) } else { 0 });
    }
}

#[test]
fn text_over_the_limit_of_labels_is_rejected_once() {
    let (mut task, stats): (Value, Value) = (serde_json::from_str(TASK).unwrap(), serde_json::from_str(STATS).unwrap());
    task["Containers"][0]["Name"] = json!("x".repeat(100_000));
    let options = Options { metrics: MetricSelection::all(), ..Options::default() };
    let (written, rejected) = write_described(&task, &stats, &Task::default(), &options);
    assert!(rejected.to_string().contains("1 label_value_too_long: the labels of a container"), "{rejected}");
    assert!(written.0.iter().all(|series| series.labels_len() < 2_000));
}
