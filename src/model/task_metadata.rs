//! The documents `/task` and `/task/stats` of the task metadata endpoint v4. Only parsing: `translate::stats` computes
//! values.
//!
//! Format: Amazon ECS Developer Guide, "Amazon ECS task metadata endpoint version 4", and `ContainerStats` of Docker
//! (Engine API 1.30) with `network_rate_stats`, which the ECS agent adds. The agent omits unknown fields, writes `null`
//! or `{}` for a container that it could not read, and may add fields at any time. So all fields are optional, and null
//! means absent. Counters are `u64`, because some are too large for an f64. Strings borrow from the body.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::ecs::{ContainerStatus, LaunchType, NetworkMode, TaskStatus};
use crate::model::json::{self, DocumentError, JsonStr};

/// The `/task` document.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskMetadata<'a> {
    /// Short name or ARN.
    #[serde(borrow)]
    pub cluster: JsonStr<'a>,
    #[serde(rename = "TaskARN")]
    pub task_arn: JsonStr<'a>,
    pub family: JsonStr<'a>,
    pub revision: JsonStr<'a>,
    pub known_status: TaskStatus,
    pub limits: Option<Limits>,
    pub pull_started_at: JsonStr<'a>,
    pub pull_stopped_at: JsonStr<'a>,
    pub availability_zone: JsonStr<'a>,
    pub launch_type: LaunchType,
    /// Empty for tasks without a service.
    pub service_name: JsonStr<'a>,
    pub containers: Option<Vec<ContainerMetadata<'a>>>,
    /// Only on Fargate, on Linux with platform version 1.4 or later.
    pub ephemeral_storage_metrics: Option<EphemeralStorage>,
}

/// An element of `Containers` in `/task`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerMetadata<'a> {
    /// Key of the container in `/task/stats`.
    #[serde(borrow)]
    pub docker_id: JsonStr<'a>,
    pub name: JsonStr<'a>,
    pub docker_name: JsonStr<'a>,
    pub image: JsonStr<'a>,
    #[serde(rename = "ImageID")]
    pub image_id: JsonStr<'a>,
    pub known_status: ContainerStatus,
    pub exit_code: Option<i64>,
    pub limits: Option<Limits>,
    pub created_at: JsonStr<'a>,
    pub started_at: JsonStr<'a>,
    pub finished_at: JsonStr<'a>,
    /// `NORMAL`, `CNI_PAUSE`, ...
    #[serde(rename = "Type")]
    pub kind: JsonStr<'a>,
    pub networks: Option<Vec<Network>>,
}

/// Limits of a task (CPU in vCPU) or of a container (CPU in units); memory in MiB.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Limits {
    #[serde(rename = "CPU")]
    pub cpu: Option<f64>,
    #[serde(rename = "Memory")]
    pub memory: Option<u64>,
}

/// MiB.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EphemeralStorage {
    pub utilized: Option<u64>,
    pub reserved: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    pub network_mode: NetworkMode,
}

/// The `/task/stats` document: stats by container id, or null.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct TaskStats<'a> {
    #[serde(borrow)]
    pub containers: BTreeMap<JsonStr<'a>, Option<ContainerStats<'a>>>,
}

/// Docker stats of one container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerStats<'a> {
    /// Empty if the agent failed to read the container.
    #[serde(borrow)]
    pub id: JsonStr<'a>,
    pub read: JsonStr<'a>,
    pub preread: JsonStr<'a>,
    pub cpu_stats: Option<CpuStats>,
    pub precpu_stats: Option<CpuStats>,
    pub memory_stats: Option<MemoryStats>,
    pub blkio_stats: Option<BlkioStats<'a>>,
    /// Keys are interface names.
    pub networks: Option<BTreeMap<JsonStr<'a>, Option<InterfaceStats>>>,
    pub network_rate_stats: Option<NetworkRateStats>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    pub cpu_usage: Option<CpuUsage>,
    pub system_cpu_usage: Option<u64>,
    pub online_cpus: Option<u64>,
}

/// Nanoseconds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    pub total_usage: Option<u64>,
    pub usage_in_kernelmode: Option<u64>,
    pub usage_in_usermode: Option<u64>,
    /// Absent under cgroup v2.
    pub percpu_usage: Option<Vec<Option<u64>>>,
}

/// Bytes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    pub usage: Option<u64>,
    /// Absent under cgroup v2.
    pub max_usage: Option<u64>,
    pub limit: Option<u64>,
    pub stats: Option<MemoryBreakdown>,
}

/// Reclaimable memory in bytes. Only cgroup v1 has `cache`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemoryBreakdown {
    pub cache: Option<u64>,
    pub inactive_file: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BlkioStats<'a> {
    #[serde(borrow)]
    pub io_service_bytes_recursive: Option<Vec<Option<BlkioEntry<'a>>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BlkioEntry<'a> {
    /// `Read`, `Write`, `Total`, ... under cgroup v1, lower case under v2.
    #[serde(borrow)]
    pub op: JsonStr<'a>,
    pub value: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InterfaceStats {
    pub rx_bytes: Option<u64>,
    pub rx_packets: Option<u64>,
    pub rx_errors: Option<u64>,
    pub rx_dropped: Option<u64>,
    pub tx_bytes: Option<u64>,
    pub tx_packets: Option<u64>,
    pub tx_errors: Option<u64>,
    pub tx_dropped: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NetworkRateStats {
    pub rx_bytes_per_sec: Option<f64>,
    pub tx_bytes_per_sec: Option<f64>,
}

impl<'a> TaskMetadata<'a> {
    /// Parses the document. The error contains line and column.
    pub fn parse(body: &'a [u8]) -> Result<Self, DocumentError> {
        json::parse("/task document", body)
    }

    pub fn containers(&self) -> &[ContainerMetadata<'a>] {
        self.containers.as_deref().unwrap_or_default()
    }
}

impl<'a> TaskStats<'a> {
    /// Parses the document. The error contains line and column.
    pub fn parse(body: &'a [u8]) -> Result<Self, DocumentError> {
        json::parse::<Option<Self>>("/task/stats document", body).map(Option::unwrap_or_default)
    }

    /// Returns the stats of a container; `None` if the agent failed to read it.
    pub fn container(&self, docker_id: &str) -> Option<&ContainerStats<'a>> {
        self.containers.get(docker_id)?.as_ref().filter(|stats| !stats.id.is_empty())
    }
}
