//! The documents `/task` and `/task/stats` of the task metadata endpoint v4. Only parsing: `translate::stats` computes
//! values.
//!
//! Format: Amazon ECS Developer Guide, "Amazon ECS task metadata endpoint version 4", and `ContainerStats` of Docker
//! (Engine API 1.30) with `network_rate_stats`, which the ECS agent adds. The agent omits unknown fields, writes `null`
//! or `{}` for a container that it could not read, and may add fields at any time. So all fields are optional, and null
//! means absent. A value of another type is absent, too: it costs itself, except
//! for the names of the cluster and the task. Counters are `u64`, because some
//! are too large for an f64. Strings borrow from the body.
//!
//! The endpoint is in a container that anyone may have deployed. Lists are therefore bounded or summed while they are parsed, so
//! that a document takes hardly more memory than its text.

mod lists;
mod pushed;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::ecs::{ContainerStatus, LaunchType, NetworkMode, TaskStatus};
use crate::model::json::{self, DocumentError, JsonStr};
use crate::model::json_fields::{
    integer, list_or_default, nullable_list, number, object, object_or_default, small_integer, spelled, text,
};
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
    #[serde(deserialize_with = "text")]
    pub family: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub revision: JsonStr<'a>,
    #[serde(deserialize_with = "spelled")]
    pub known_status: TaskStatus,
    #[serde(deserialize_with = "object")]
    pub limits: Option<Limits>,
    #[serde(deserialize_with = "text")]
    pub pull_started_at: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub pull_stopped_at: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub availability_zone: JsonStr<'a>,
    #[serde(deserialize_with = "spelled")]
    pub launch_type: LaunchType,
    /// Empty for tasks without a service.
    #[serde(deserialize_with = "text")]
    pub service_name: JsonStr<'a>,
    #[serde(borrow)]
    pub containers: BoundedList<ContainerMetadata<'a>>,
    /// Only on Fargate, on Linux with platform version 1.4 or later.
    #[serde(deserialize_with = "object")]
    pub ephemeral_storage_metrics: Option<EphemeralStorage>,
    /// Only on Fargate.
    #[serde(deserialize_with = "object")]
    pub clock_drift: Option<ClockDrift>,
}

/// An element of `Containers` in `/task`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerMetadata<'a> {
    /// Key of the container in `/task/stats`.
    #[serde(borrow, deserialize_with = "text")]
    pub docker_id: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub name: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub docker_name: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub image: JsonStr<'a>,
    #[serde(rename = "ImageID", deserialize_with = "text")]
    pub image_id: JsonStr<'a>,
    #[serde(deserialize_with = "spelled")]
    pub known_status: ContainerStatus,
    #[serde(deserialize_with = "small_integer")]
    pub exit_code: Option<i64>,
    #[serde(deserialize_with = "object")]
    pub limits: Option<Limits>,
    #[serde(deserialize_with = "text")]
    pub created_at: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub started_at: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub finished_at: JsonStr<'a>,
    /// Only if the container has a restart policy.
    #[serde(deserialize_with = "integer")]
    pub restart_count: Option<u64>,
    /// `NORMAL`, `CNI_PAUSE`, ...
    #[serde(rename = "Type", deserialize_with = "text")]
    pub kind: JsonStr<'a>,
    pub networks: BoundedList<Network>,
}

/// Limits of a task (CPU in vCPU) or of a container (CPU in units); memory in MiB.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Limits {
    #[serde(rename = "CPU", deserialize_with = "number")]
    pub cpu: Option<f64>,
    #[serde(rename = "Memory", deserialize_with = "integer")]
    pub memory: Option<u64>,
}

/// MiB.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EphemeralStorage {
    #[serde(deserialize_with = "integer")]
    pub utilized: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub reserved: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ClockDrift {
    /// Milliseconds.
    #[serde(deserialize_with = "number")]
    pub clock_error_bound: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    #[serde(deserialize_with = "spelled")]
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
    #[serde(borrow, deserialize_with = "text")]
    pub id: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub read: JsonStr<'a>,
    #[serde(deserialize_with = "text")]
    pub preread: JsonStr<'a>,
    #[serde(deserialize_with = "object")]
    pub cpu_stats: Option<CpuStats>,
    #[serde(deserialize_with = "object")]
    pub precpu_stats: Option<CpuStats>,
    #[serde(deserialize_with = "object")]
    pub memory_stats: Option<MemoryStats>,
    #[serde(deserialize_with = "object")]
    pub blkio_stats: Option<BlkioStats>,
    /// Sum over the interfaces.
    #[serde(deserialize_with = "object_or_default")]
    pub networks: InterfaceTotals,
    #[serde(deserialize_with = "object")]
    pub network_rate_stats: Option<NetworkRateStats>,
    /// Only on Windows.
    #[serde(deserialize_with = "object")]
    pub storage_stats: Option<StorageStats>,
    /// Number of processors. 0 or absent on Linux.
    #[serde(deserialize_with = "integer")]
    pub num_procs: Option<u64>,
}

/// Bytes (Docker Engine API, `ContainerStorageStats`).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StorageStats {
    #[serde(deserialize_with = "integer")]
    pub read_size_bytes: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub write_size_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    #[serde(deserialize_with = "object")]
    pub cpu_usage: Option<CpuUsage>,
    #[serde(deserialize_with = "integer")]
    pub system_cpu_usage: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub online_cpus: Option<u64>,
    #[serde(deserialize_with = "object")]
    pub throttling_data: Option<ThrottlingData>,
}

/// Periods of the CPU quota, and those in which the container was stopped, with the time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThrottlingData {
    #[serde(deserialize_with = "integer")]
    pub periods: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub throttled_periods: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub throttled_time: Option<u64>,
}

/// Nanoseconds on Linux, units of 100 ns on Windows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    #[serde(deserialize_with = "integer")]
    pub total_usage: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub usage_in_kernelmode: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub usage_in_usermode: Option<u64>,
    /// Number of cores. 0 under cgroup v2, which has no usage per core.
    #[serde(rename = "percpu_usage", deserialize_with = "list_or_default")]
    pub percpu_count: ListLength,
}

/// Bytes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    #[serde(deserialize_with = "integer")]
    pub usage: Option<u64>,
    /// Absent under cgroup v2.
    #[serde(deserialize_with = "integer")]
    pub max_usage: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub limit: Option<u64>,
    #[serde(deserialize_with = "object")]
    pub stats: Option<MemoryBreakdown>,
    /// Memory in use on Windows, which has no `usage`.
    #[serde(rename = "privateworkingset", deserialize_with = "integer")]
    pub private_working_set: Option<u64>,
}

/// Reclaimable memory in bytes. Only cgroup v1 has `cache`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemoryBreakdown {
    #[serde(deserialize_with = "integer")]
    pub cache: Option<u64>,
    #[serde(deserialize_with = "integer")]
    pub inactive_file: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BlkioStats {
    /// Null if the container has not used its storage; `None` if it is unknown.
    #[serde(deserialize_with = "nullable_list")]
    pub io_service_bytes_recursive: Option<BlkioTotals>,
}

/// Sums of the entries by operation. Operations are `Read`, `Write`, `Total`, ... under cgroup v1, and lower case under v2.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlkioTotals {
    pub read: Sum,
    pub write: Sum,
    /// Only of the operation `Read`, spelled like this.
    pub capitalized_read: Sum,
    pub capitalized_write: Sum,
}

/// Sum of a counter, which wraps like those of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Sum of the known values.
    pub total: u64,
    /// Number of values.
    pub count: u32,
    pub has_unknown: bool,
}

impl Sum {
    pub(super) fn add(&mut self, value: Option<u64>) {
        self.total = self.total.wrapping_add(value.unwrap_or_default());
        self.count = self.count.saturating_add(1);
        self.has_unknown |= value.is_none();
    }

    /// Returns the sum if all of its values are known.
    pub fn known(self) -> Option<u64> {
        (!self.has_unknown).then_some(self.total)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BlkioEntry<'a> {
    #[serde(borrow, deserialize_with = "text")]
    op: JsonStr<'a>,
    #[serde(deserialize_with = "integer")]
    value: Option<u64>,
}

/// Sums over the interfaces of a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct InterfaceTotals {
    pub rx_bytes: Sum,
    pub rx_packets: Sum,
    pub rx_errors: Sum,
    pub rx_dropped: Sum,
    pub tx_bytes: Sum,
    pub tx_packets: Sum,
    pub tx_errors: Sum,
    pub tx_dropped: Sum,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InterfaceStats {
    #[serde(deserialize_with = "integer")]
    rx_bytes: Option<u64>,
    #[serde(deserialize_with = "integer")]
    rx_packets: Option<u64>,
    #[serde(deserialize_with = "integer")]
    rx_errors: Option<u64>,
    #[serde(deserialize_with = "integer")]
    rx_dropped: Option<u64>,
    #[serde(deserialize_with = "integer")]
    tx_bytes: Option<u64>,
    #[serde(deserialize_with = "integer")]
    tx_packets: Option<u64>,
    #[serde(deserialize_with = "integer")]
    tx_errors: Option<u64>,
    #[serde(deserialize_with = "integer")]
    tx_dropped: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NetworkRateStats {
    #[serde(deserialize_with = "number")]
    pub rx_bytes_per_sec: Option<f64>,
    #[serde(deserialize_with = "number")]
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
