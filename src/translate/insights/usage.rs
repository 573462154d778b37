//! Values of Task and Container events, in the units of the receiver.
//!
//! Values that the events do not contain (CPU by mode and core, cumulative network bytes, memory limits and maxima) are
//! omitted. A missing reservation comes from the task definition and never defaults to 0. Units: the ECS agent divides
//! memory by 2^20, although the event calls it megabytes, and network bytes are rates (amazon-ecs-agent
//! `agent/stats/queue.go`).

use std::borrow::Cow;

use super::EventContext;
use super::event::{PerformanceEvent, Usage};
use crate::model::ecs::NetworkLocation;
use crate::model::json::LenientNumber;
use crate::model::task::{Task, TaskContainer};
use crate::translate::stats::{
    ContainerIdentity, MIB, StatKind, StatValues, StatsCompat, TaskIdentity, UNITS, container_utilized, rfc3339,
};

/// MiB of a decimal gigabyte.
const MIB_PER_GB: f64 = 1e9 / MIB as f64;
/// The endpoint reports 20496 MiB for a task with 20 GiB: Fargate adds 16 MiB.
const EPHEMERAL_EXTRA_MIB: f64 = 16.0;

/// Returns the values of a Task event, completed from the task.
pub(super) fn task_values(
    event: &PerformanceEvent<'_>,
    task: Option<&Task>,
    approximate: bool,
    compat: StatsCompat,
) -> StatValues {
    let usage = &event.usage;
    let mut values = StatValues::default();
    cpu(&mut values, usage);
    put(&mut values, StatKind::CpuReserved, positive(usage.cpu_reserved).or_else(|| task.and_then(reserved_cpu)));
    memory(&mut values, usage, approximate);
    let reserved = positive(usage.memory_reserved).or_else(|| task.and_then(reserved_memory));
    put(&mut values, StatKind::MemoryReserved, reserved);
    let limit = task.and_then(|task| task.memory_mib).map(|mib| mib.saturating_mul(MIB) as f64);
    put(&mut values, StatKind::MemoryUsageLimit, limit);
    network(&mut values, usage, network_multiplier(task, compat));
    storage(&mut values, usage);
    let utilized = usage.ephemeral_storage_utilized.0.map(|gigabytes| (gigabytes * MIB_PER_GB).trunc());
    put(&mut values, StatKind::EphemeralUtilized, utilized);
    put(&mut values, StatKind::EphemeralReserved, ephemeral_reserved(usage, task));
    values
}

/// Returns the values of a Container event, completed from the container.
pub(super) fn container_values(usage: &Usage, container: Option<&TaskContainer>, approximate: bool) -> StatValues {
    let mut values = StatValues::default();
    let of_definition = || container.and_then(|container| container.cpu).filter(|&units| units > 0.0);
    let reserved = positive(usage.cpu_reserved).or_else(of_definition);
    cpu(&mut values, usage);
    let vcpu = usage.cpu_utilized.0.map(|units| units / UNITS);
    put(&mut values, StatKind::CpuUtilized, vcpu.map(|vcpu| container_utilized(vcpu, reserved.unwrap_or(0.0))));
    put(&mut values, StatKind::CpuReserved, reserved);
    memory(&mut values, usage, approximate);
    let from_definition = || container.and_then(|container| container.memory_mib).map(|mib| mib as f64);
    put(&mut values, StatKind::MemoryReserved, positive(usage.memory_reserved).or_else(from_definition));
    network(&mut values, usage, 1.0);
    storage(&mut values, usage);
    // The agent sends the difference since it sent the count before (amazon-ecs-agent `agent/stats/queue.go`,
    // GetRestartStatsSet), and only for containers with a restart policy.
    put(&mut values, StatKind::RestartsPerMinute, usage.restart_count.0);
    values
}

fn put(values: &mut StatValues, stat: StatKind, value: Option<f64>) {
    if let Some(value) = value {
        values.float(stat, value);
    }
}

/// Returns a reservation. 0 means that there is none.
fn positive(number: LenientNumber) -> Option<f64> {
    number.0.filter(|value| *value > 0.0)
}

fn cpu(values: &mut StatValues, usage: &Usage) {
    put(values, StatKind::CpuUtilized, usage.cpu_utilized.0);
    put(values, StatKind::CpuUsageVcpu, usage.cpu_utilized.0.map(|units| units / UNITS));
}

/// `memory.usage` includes the page cache, which the event does not contain. The value is too low, so it is only
/// written if a setting requests it.
fn memory(values: &mut StatValues, usage: &Usage, approximate: bool) {
    put(values, StatKind::MemoryUtilized, usage.memory_utilized.0);
    if approximate {
        put(values, StatKind::MemoryUsage, usage.memory_utilized.0.map(|mib| mib * MIB as f64));
    }
}

fn network(values: &mut StatValues, usage: &Usage, multiplier: f64) {
    for (stat, number) in [
        (StatKind::RateRx, usage.network_rx_bytes),
        (StatKind::RateTx, usage.network_tx_bytes),
        (StatKind::RxPackets, usage.network_rx_packets),
        (StatKind::RxErrors, usage.network_rx_errors),
        (StatKind::RxDropped, usage.network_rx_dropped),
        (StatKind::TxPackets, usage.network_tx_packets),
        (StatKind::TxErrors, usage.network_tx_errors),
        (StatKind::TxDropped, usage.network_tx_dropped),
    ] {
        put(values, stat, number.0.map(|value| value * multiplier));
    }
}

fn storage(values: &mut StatValues, usage: &Usage) {
    put(values, StatKind::StorageReadBytes, usage.storage_read_bytes.0);
    put(values, StatKind::StorageWriteBytes, usage.storage_write_bytes.0);
}

/// The receiver counts the network of a task that has its own interface once for each container.
fn network_multiplier(task: Option<&Task>, compat: StatsCompat) -> f64 {
    match (compat, task.filter(|task| task.network_location() == NetworkLocation::Task)) {
        (StatsCompat::Adot, Some(task)) => task.containers.len().max(1) as f64,
        _ => 1.0,
    }
}

fn reserved_cpu(task: &Task) -> Option<f64> {
    let containers = || task.containers.iter().filter_map(|container| container.cpu).sum();
    Some(task.cpu.unwrap_or_else(containers)).filter(|units| *units > 0.0)
}

fn reserved_memory(task: &Task) -> Option<f64> {
    let containers =
        || task.containers.iter().filter_map(|container| container.memory_mib).fold(0, u64::saturating_add);
    Some(task.memory_mib.unwrap_or_else(containers) as f64).filter(|mib| *mib > 0.0)
}

fn ephemeral_reserved(usage: &Usage, task: Option<&Task>) -> Option<f64> {
    let from_definition = task.and_then(|task| task.ephemeral_storage_gib).map(|gib| gib as f64 * 1024.0);
    let from_event = || usage.ephemeral_storage_reserved.0.map(|gigabytes| (gigabytes * MIB_PER_GB).trunc());
    from_definition.map(|mib| mib + EPHEMERAL_EXTRA_MIB).or_else(from_event)
}

/// Returns the identity of a task, with values from the event for a task that was not described.
pub(super) fn task_identity<'b, 'a: 'b>(
    event: &'b PerformanceEvent<'_>,
    task: Option<&'b Task>,
    context: &EventContext<'a>,
) -> TaskIdentity<'b> {
    let mut identity = task.map(TaskIdentity::from).unwrap_or_default();
    // What ECS does not report of a described task, such as a service, it does not have.
    let identity_of_event = |text: &'b str| if task.is_none() { text } else { "" };
    for (value, from_event) in [
        (&mut identity.cluster, identity_of_event(&event.cluster_name)),
        (&mut identity.id, identity_of_event(&event.task_id)),
        (&mut identity.family, identity_of_event(&event.task_definition_family)),
        (&mut identity.revision, identity_of_event(&event.task_definition_revision)),
        (&mut identity.service, identity_of_event(&event.service_name)),
        (&mut identity.availability_zone, identity_of_event(&event.availability_zone)),
        (&mut identity.launch_type, &*event.launch_type),
        (&mut identity.status, &*event.known_status),
    ] {
        if value.is_empty() {
            *value = from_event;
        }
    }
    if task.is_none() {
        (identity.region, identity.account) = context.region_and_account(event);
        identity.arn = arn(event, context).into();
    }
    let time = |number: LenientNumber| Cow::Owned(rfc3339(number.as_u64().and_then(|at_ms| i64::try_from(at_ms).ok())));
    if identity.pull_started_at.is_empty() {
        identity.pull_started_at = time(event.pull_started_at);
        identity.pull_stopped_at = time(event.pull_stopped_at);
    }
    identity
}

/// Returns the ARN in the new format; empty if a part is unknown.
fn arn(event: &PerformanceEvent<'_>, context: &EventContext<'_>) -> String {
    let (region, account) = context.region_and_account(event);
    if region.is_empty() || account.is_empty() || event.cluster_name.is_empty() {
        return String::new();
    }
    let (partition, cluster, id) = (context.partition, &*event.cluster_name, &*event.task_id);
    format!("arn:{partition}:ecs:{region}:{account}:task/{cluster}/{id}")
}

pub(super) fn container_identity<'a>(
    event: &'a PerformanceEvent<'_>,
    container: Option<&'a TaskContainer>,
) -> ContainerIdentity<'a> {
    let mut identity = container.map(ContainerIdentity::from).unwrap_or_default();
    for (value, from_event) in [
        (&mut identity.name, &*event.container_name),
        (&mut identity.image, &*event.image),
        (&mut identity.status, &*event.container_known_status),
    ] {
        if value.is_empty() {
            *value = from_event;
        }
    }
    identity
}
