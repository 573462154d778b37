//! Task and Container events: the numbers of Container Insights in the units of the receiver.
//!
//! What the events do not say (CPU by mode and core, cumulative network bytes, memory limits and maxima) is left out; a
//! reservation that they leave out is what the task definition reserves, and never a guessed 0. Units: the ECS agent
//! divides memory by 2^20 though the event calls it megabytes, and the bytes of the network are rates (amazon-ecs-agent
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
/// The endpoint reports 20496 for the 20 GiB of a task: 16 MiB are Fargate's own.
const EPHEMERAL_EXTRA_MIB: f64 = 16.0;

/// What a Task event says, completed by what ECS says of the task.
pub(super) fn of_task(
    event: &PerformanceEvent<'_>,
    task: Option<&Task>,
    approximate: bool,
    numbers: StatsCompat,
) -> StatValues {
    let usage = &event.usage;
    let mut readings = StatValues::default();
    cpu(&mut readings, usage);
    put(&mut readings, StatKind::CpuReserved, positive(usage.cpu_reserved).or_else(|| task.and_then(reserved_cpu)));
    memory(&mut readings, usage, approximate);
    let reserved = positive(usage.memory_reserved).or_else(|| task.and_then(reserved_memory));
    put(&mut readings, StatKind::MemoryReserved, reserved);
    let limit = task.and_then(|task| task.memory_mib).map(|mib| mib.saturating_mul(MIB) as f64);
    put(&mut readings, StatKind::MemoryUsageLimit, limit);
    network(&mut readings, usage, network_multiplier(task, numbers));
    storage(&mut readings, usage);
    let utilized = usage.ephemeral_storage_utilized.0.map(|gigabytes| (gigabytes * MIB_PER_GB).trunc());
    put(&mut readings, StatKind::EphemeralUtilized, utilized);
    put(&mut readings, StatKind::EphemeralReserved, ephemeral_reserved(usage, task));
    readings
}

/// What a Container event says, completed by what ECS says of the container.
pub(super) fn of_container(usage: &Usage, container: Option<&TaskContainer>, approximate: bool) -> StatValues {
    let mut readings = StatValues::default();
    let reserved = usage.cpu_reserved.0;
    cpu(&mut readings, usage);
    let vcpu = usage.cpu_utilized.0.map(|units| units / UNITS);
    put(&mut readings, StatKind::CpuUtilized, vcpu.map(|vcpu| container_utilized(vcpu, reserved.unwrap_or(0.0))));
    put(&mut readings, StatKind::CpuReserved, reserved.or_else(|| container.and_then(|container| container.cpu)));
    memory(&mut readings, usage, approximate);
    let of_definition = || container.and_then(|container| container.memory_mib).map(|mib| mib as f64);
    put(&mut readings, StatKind::MemoryReserved, positive(usage.memory_reserved).or_else(of_definition));
    network(&mut readings, usage, 1.0);
    storage(&mut readings, usage);
    readings
}

fn put(readings: &mut StatValues, reading: StatKind, value: Option<f64>) {
    if let Some(value) = value {
        readings.float(reading, value);
    }
}

/// A reservation of 0 is none.
fn positive(number: LenientNumber) -> Option<f64> {
    number.0.filter(|value| *value > 0.0)
}

fn cpu(readings: &mut StatValues, usage: &Usage) {
    put(readings, StatKind::CpuUtilized, usage.cpu_utilized.0);
    put(readings, StatKind::CpuUsageVcpu, usage.cpu_utilized.0.map(|units| units / UNITS));
}

/// `memory.usage` would hold the page cache, which the event leaves out: what can be written is too little, so it is only
/// written when asked for.
fn memory(readings: &mut StatValues, usage: &Usage, approximate: bool) {
    put(readings, StatKind::MemoryUtilized, usage.memory_utilized.0);
    if approximate {
        put(readings, StatKind::MemoryUsage, usage.memory_utilized.0.map(|mib| mib * MIB as f64));
    }
}

fn network(readings: &mut StatValues, usage: &Usage, times: f64) {
    for (reading, number) in [
        (StatKind::RateRx, usage.network_rx_bytes),
        (StatKind::RateTx, usage.network_tx_bytes),
        (StatKind::RxPackets, usage.network_rx_packets),
        (StatKind::RxErrors, usage.network_rx_errors),
        (StatKind::RxDropped, usage.network_rx_dropped),
        (StatKind::TxPackets, usage.network_tx_packets),
        (StatKind::TxErrors, usage.network_tx_errors),
        (StatKind::TxDropped, usage.network_tx_dropped),
    ] {
        put(readings, reading, number.0.map(|value| value * times));
    }
}

fn storage(readings: &mut StatValues, usage: &Usage) {
    put(readings, StatKind::StorageReadBytes, usage.storage_read_bytes.0);
    put(readings, StatKind::StorageWriteBytes, usage.storage_write_bytes.0);
}

/// The receiver counts the network of a task that has its own interface once for each container.
fn network_multiplier(task: Option<&Task>, numbers: StatsCompat) -> f64 {
    match (numbers, task.filter(|task| task.network_location() == NetworkLocation::Task)) {
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
    let of_definition = task.and_then(|task| task.ephemeral_storage_gib).map(|gib| gib as f64 * 1024.0);
    let of_event = || usage.ephemeral_storage_reserved.0.map(|gigabytes| (gigabytes * MIB_PER_GB).trunc());
    of_definition.map(|mib| mib + EPHEMERAL_EXTRA_MIB).or_else(of_event)
}

/// Who the task is: what ECS says of it, and what the event says where ECS was not asked.
pub(super) fn task_identity<'b, 'a: 'b>(
    event: &'b PerformanceEvent<'_>,
    task: Option<&'b Task>,
    context: &EventContext<'a>,
) -> TaskIdentity<'b> {
    let mut identity = task.map(TaskIdentity::from).unwrap_or_default();
    for (known, said) in [
        (&mut identity.cluster, &*event.cluster_name),
        (&mut identity.id, &*event.task_id),
        (&mut identity.family, &*event.task_definition_family),
        (&mut identity.revision, &*event.task_definition_revision),
        (&mut identity.service, &*event.service_name),
        (&mut identity.availability_zone, &*event.availability_zone),
        (&mut identity.launch_type, &*event.launch_type),
        (&mut identity.status, &*event.known_status),
    ] {
        if known.is_empty() {
            *known = said;
        }
    }
    (identity.region, identity.account) = context.place(event);
    if identity.arn.is_empty() {
        identity.arn = arn(event, context).into();
    }
    let time = |number: LenientNumber| Cow::Owned(rfc3339(number.as_u64().and_then(|at_ms| i64::try_from(at_ms).ok())));
    if identity.pull_started_at.is_empty() {
        identity.pull_started_at = time(event.pull_started_at);
        identity.pull_stopped_at = time(event.pull_stopped_at);
    }
    identity
}

/// The ARN of the new form; empty when its parts are not known.
fn arn(event: &PerformanceEvent<'_>, context: &EventContext<'_>) -> String {
    let (region, account) = context.place(event);
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
    for (known, said) in [
        (&mut identity.name, &*event.container_name),
        (&mut identity.image, &*event.image),
        (&mut identity.status, &*event.container_known_status),
    ] {
        if known.is_empty() {
            *known = said;
        }
    }
    identity
}
