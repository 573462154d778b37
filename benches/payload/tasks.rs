//! Task metadata, task stats and Prometheus expositions.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Numbers;

/// The id of the task in all documents.
pub(crate) const TASK: &str = "5f0e6c1d2b3a49788e7d6c5b4a392817";

/// Time at which the stats of all containers were read.
pub(crate) const STATS_READ: &str = "2026-11-22T23:25:00Z";

/// Returns the runtime ID of a container of the task.
pub(crate) fn container_id(number: usize) -> String {
    format!("{TASK}-{:010}", 3_071_244_590 + number)
}

/// Returns the documents `/task` and `/task/stats` of a task.
pub(crate) fn stats(containers: usize) -> (String, String) {
    let mut numbers = Numbers(3);
    let names: Vec<String> = (0..containers).map(container_id).collect();
    let containers: Vec<Value> = names.iter().enumerate().map(|(number, id)| container(number, id)).collect();
    let task = json!({
        "Cluster": "arn:aws:ecs:eu-west-1:111122223333:cluster/shop",
        "TaskARN": format!("arn:aws:ecs:eu-west-1:111122223333:task/shop/{TASK}"),
        "Family": "checkout", "Revision": "42", "ServiceName": "checkout-svc",
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING",
        "Limits": {"CPU": 1, "Memory": 2048},
        "PullStartedAt": "2026-11-22T08:00:11.120000001Z", "PullStoppedAt": "2026-11-22T08:00:19.5Z",
        "AvailabilityZone": "eu-west-1b", "LaunchType": "FARGATE", "Containers": containers,
    });
    let stats: Map<String, Value> = names.into_iter().map(|id| (id.clone(), usage(&id, &mut numbers))).collect();
    (task.to_string(), Value::Object(stats).to_string())
}

fn container(number: usize, id: &str) -> Value {
    json!({
        "DockerId": id, "Name": format!("app-{number}"), "DockerName": format!("app-{number}"),
        "Image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/checkout:2.7.1",
        "ImageID": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
        "Labels": {"com.amazonaws.ecs.container-name": "app", "com.amazonaws.ecs.task-definition-family": "checkout"},
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Limits": {"CPU": 256, "Memory": 512},
        "CreatedAt": "2026-11-22T08:00:21.9Z", "StartedAt": "2026-11-22T08:00:21.9Z", "Type": "NORMAL",
        "ContainerARN": format!("arn:aws:ecs:eu-west-1:111122223333:container/shop/{TASK}/{number:04}"),
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.1.45"]}],
    })
}

fn usage(id: &str, numbers: &mut Numbers) -> Value {
    let used = numbers.below(1 << 40);
    let io = |op: &str, value: u64| json!({"major": 259, "minor": 0, "op": op, "value": value});
    json!({
        "id": id, "read": STATS_READ, "preread": "2026-11-22T23:24:50Z", "pids_stats": {"current": 31},
        "num_procs": 0, "storage_stats": {},
        "blkio_stats": {"io_service_bytes_recursive": [io("Read", numbers.below(1 << 30)), io("Write", numbers.below(1 << 30))]},
        "cpu_stats": {
            "cpu_usage": {"total_usage": used, "percpu_usage": [used / 2, used - used / 2],
                "usage_in_kernelmode": used / 9, "usage_in_usermode": used - used / 9},
            "system_cpu_usage": used * 30, "online_cpus": 2,
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        },
        "precpu_stats": {"cpu_usage": {"total_usage": used / 2}, "system_cpu_usage": used * 29, "online_cpus": 2},
        "memory_stats": {"usage": 200_000_000 + numbers.below(1 << 27), "max_usage": 335_544_320, "limit": 536_870_912,
            "stats": {"cache": numbers.below(1 << 26), "rss": numbers.below(1 << 27), "inactive_file": 4096}},
        "networks": {"eth1": {"rx_bytes": numbers.below(1 << 32), "rx_packets": numbers.below(1 << 22), "rx_errors": 0,
            "rx_dropped": 1, "tx_bytes": numbers.below(1 << 32), "tx_packets": numbers.below(1 << 22), "tx_errors": 0,
            "tx_dropped": 0}},
        "network_rate_stats": {"rx_bytes_per_sec": 12.5, "tx_bytes_per_sec": 40.25},
    })
}

/// Returns an exposition in the Prometheus text format, half of counters and half of gauges.
pub(crate) fn exposition(samples: usize) -> String {
    exposition_of(samples, 4)
}

/// Returns the exposition with the values that `seed` generates.
pub(crate) fn exposition_of(samples: usize, seed: u64) -> String {
    const SERIES_PER_FAMILY: usize = 25;
    let mut numbers = Numbers(seed);
    let mut exposition = String::new();
    for number in 0..samples {
        let family = number / SERIES_PER_FAMILY;
        let (name, kind) =
            if family.is_multiple_of(2) { ("requests_total", "counter") } else { ("queue_depth", "gauge") };
        if number.is_multiple_of(SERIES_PER_FAMILY) {
            // Writing to a String cannot fail.
            let _ = writeln!(
                exposition,
                "# HELP shop_{family}_{name} Text from the library.\n# TYPE shop_{family}_{name} {kind}"
            );
        }
        let _ = writeln!(
            exposition,
            "shop_{family}_{name}{{route=\"/orders/{{id}}/items\",method=\"POST\",shard=\"{}\"}} {}",
            number % SERIES_PER_FAMILY,
            numbers.below(1 << 33) as f64 / 8.0
        );
    }
    exposition
}
