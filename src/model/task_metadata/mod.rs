//! The documents `/task` and `/task/stats` of the task metadata endpoint v4. Only parsing: `translate::stats` computes
//! values.
//!
//! Format: Amazon ECS Developer Guide, "Amazon ECS task metadata endpoint version 4", and `ContainerStats` of Docker
//! (Engine API 1.30) with `network_rate_stats`, which the ECS agent adds. The agent omits unknown fields, writes `null`
//! or `{}` for a container that it could not read, and may add fields at any time. So all fields are optional, and null
//! means absent. Counters are `u64`, because some are too large for an f64. Strings borrow from the body.
//!
//! The endpoint is in a container that anyone may have deployed. Lists are therefore bounded or summed while they are parsed, so
//! that a document takes hardly more memory than its text.

mod lists;
mod pushed;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::ecs::{ContainerStatus, LaunchType, NetworkMode, TaskStatus};
use crate::model::json::{self, DocumentError, JsonStr};
use lists::BoundedMap;
pub use lists::{BoundedList, ListLength};
pub use pushed::{PushedDocuments, PushedDocumentsError};

/// Maximum containers of a document. A task definition has at most ten (Amazon ECS Developer Guide, "Service quotas"), and ECS adds
/// a few of its own, such as the pause container and the agents of Service Connect and GuardDuty. Restarted containers may be
/// listed again.
pub const MAX_CONTAINERS: usize = 32;

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
    #[serde(borrow)]
    pub containers: BoundedList<ContainerMetadata<'a>>,
    /// Only on Fargate, on Linux with platform version 1.4 or later.
    pub ephemeral_storage_metrics: Option<EphemeralStorage>,
    /// Only on Fargate.
    pub clock_drift: Option<ClockDrift>,
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
    /// Only if the container has a restart policy.
    pub restart_count: Option<u64>,
    /// `NORMAL`, `CNI_PAUSE`, ...
    #[serde(rename = "Type")]
    pub kind: JsonStr<'a>,
    pub networks: BoundedList<Network>,
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

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ClockDrift {
    /// Milliseconds.
    pub clock_error_bound: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    pub network_mode: NetworkMode,
}

/// The `/task/stats` document: stats by container id, or null.
#[derive(Clone, Debug, Default)]
pub struct TaskStats<'a> {
    /// At most [`MAX_CONTAINERS`].
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
    pub blkio_stats: Option<BlkioStats>,
    /// Sum over the interfaces.
    pub networks: InterfaceTotals,
    pub network_rate_stats: Option<NetworkRateStats>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    pub cpu_usage: Option<CpuUsage>,
    pub system_cpu_usage: Option<u64>,
    pub online_cpus: Option<u64>,
    pub throttling_data: Option<ThrottlingData>,
}

/// Periods of the CPU quota, and those in which the container was stopped, with the time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThrottlingData {
    pub periods: Option<u64>,
    pub throttled_periods: Option<u64>,
    pub throttled_time: Option<u64>,
}

/// Nanoseconds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    pub total_usage: Option<u64>,
    pub usage_in_kernelmode: Option<u64>,
    pub usage_in_usermode: Option<u64>,
    /// Number of cores. 0 under cgroup v2, which has no usage per core.
    #[serde(rename = "percpu_usage")]
    pub percpu_count: ListLength,
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
pub struct BlkioStats {
    pub io_service_bytes_recursive: BlkioTotals,
}

/// Sums of the entries by operation. Operations are `Read`, `Write`, `Total`, ... under cgroup v1, and lower case under v2.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlkioTotals {
    pub read: u64,
    pub write: u64,
    /// Only of the operation `Read`, spelled like this.
    pub capitalized_read: u64,
    pub capitalized_write: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BlkioEntry<'a> {
    #[serde(borrow)]
    op: JsonStr<'a>,
    value: Option<u64>,
}

/// Sums over the interfaces of a container. Counters wrap like those of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct InterfaceTotals {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InterfaceStats {
    rx_bytes: Option<u64>,
    rx_packets: Option<u64>,
    rx_errors: Option<u64>,
    rx_dropped: Option<u64>,
    tx_bytes: Option<u64>,
    tx_packets: Option<u64>,
    tx_errors: Option<u64>,
    tx_dropped: Option<u64>,
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
        json::parse_object("/task document", body)
    }

    pub fn containers(&self) -> &[ContainerMetadata<'a>] {
        &self.containers.items
    }
}

impl<'a> TaskStats<'a> {
    /// Parses the document. The error contains line and column.
    pub fn parse(body: &'a [u8]) -> Result<Self, DocumentError> {
        let BoundedMap(containers) = json::parse_object("/task/stats document", body)?;
        Ok(Self { containers })
    }

    /// Returns the stats of a container; `None` if the agent failed to read it.
    pub fn container(&self, docker_id: &str) -> Option<&ContainerStats<'a>> {
        self.containers.get(docker_id)?.as_ref().filter(|stats| !stats.id.is_empty())
    }
}
