//! The numbers of a container.
//!
//! Formulas: opentelemetry-collector-contrib v0.156.0, `receiver/awsecscontainermetricsreceiver/internal/
//! awsecscontainermetrics` (`metrics_helper.go`, `accumulator.go`). Where [`Numbers::Corrected`] parts from them it says
//! why.

use super::StatsCompat;
use super::metrics::StatKind;
use crate::model::json::JsonStr;
use crate::model::rejection::Rejections;
use crate::model::task_metadata::{
    BlkioStats, ContainerMetadata, ContainerStats, CpuStats, CpuUsage, InterfaceStats, MemoryStats,
};

pub(crate) const MIB: u64 = 1 << 20;
/// CPU units of one vCPU.
pub(crate) const UNITS: f64 = 1024.0;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A number as the documents give it: counters must not go through an f64 before they are added up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(u64),
    Float(f64),
}

impl Value {
    /// The receiver's integers are signed, so that its large ones turn negative.
    pub(crate) fn as_f64(self, numbers: StatsCompat) -> f64 {
        match (self, numbers) {
            (Value::Float(value), _) => value,
            (Value::Integer(value), StatsCompat::Corrected) => value as f64,
            (Value::Integer(value), StatsCompat::Adot) => value.cast_signed() as f64,
        }
    }

    pub(super) fn plus(self, other: Value, numbers: StatsCompat) -> Value {
        match (self, other, numbers) {
            (Value::Integer(a), Value::Integer(b), StatsCompat::Corrected) => Value::Integer(a.saturating_add(b)),
            (Value::Integer(a), Value::Integer(b), StatsCompat::Adot) => Value::Integer(a.wrapping_add(b)),
            (a, b, _) => Value::Float(a.as_f64(numbers) + b.as_f64(numbers)),
        }
    }

    pub(super) fn larger(self, other: Value) -> Value {
        if other.as_f64(StatsCompat::Corrected) > self.as_f64(StatsCompat::Corrected) { other } else { self }
    }
}

/// What is known of one task or container.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatValues([Option<Value>; StatKind::ALL.len()]);

impl StatValues {
    pub(crate) fn at(&self, reading: StatKind) -> Option<Value> {
        self.0[reading as usize]
    }

    pub(crate) fn set(&mut self, reading: StatKind, value: Value) {
        self.0[reading as usize] = Some(value);
    }

    pub(crate) fn integer(&mut self, reading: StatKind, value: u64) {
        self.set(reading, Value::Integer(value));
    }

    pub(crate) fn float(&mut self, reading: StatKind, value: f64) {
        self.set(reading, Value::Float(value));
    }
}

/// What a container with statistics uses.
pub(crate) fn of_running(
    container: &ContainerMetadata<'_>,
    stats: &ContainerStats<'_>,
    numbers: StatsCompat,
) -> StatValues {
    let mut readings = StatValues::default();
    let limits = container.limits.unwrap_or_default();
    memory(&mut readings, stats.memory_stats.as_ref(), numbers);
    readings.integer(StatKind::MemoryReserved, limits.memory.unwrap_or(0));
    cpu(&mut readings, stats, limits.cpu.unwrap_or(0.0), numbers);
    network(&mut readings, stats);
    storage(&mut readings, stats.blkio_stats.as_ref(), numbers);
    readings
}

fn memory(readings: &mut StatValues, stats: Option<&MemoryStats>, numbers: StatsCompat) {
    let default = MemoryStats::default();
    let stats = stats.unwrap_or(&default);
    let usage = stats.usage.unwrap_or(0);
    readings.integer(StatKind::MemoryUsage, usage);
    readings.integer(StatKind::MemoryUsageLimit, stats.limit.unwrap_or(0));
    // cgroup v2 keeps no maximum, and an unknown is no zero.
    if let Some(max) = stats.max_usage.or((numbers == StatsCompat::Adot).then_some(0)) {
        readings.integer(StatKind::MemoryUsageMax, max);
    }
    readings.integer(StatKind::MemoryUtilized, utilized(stats, usage, numbers) / MIB);
}

/// Memory that cannot be had back at once, in bytes. Corrected, it follows the ECS agent (amazon-ecs-agent
/// `agent/stats/utils_unix.go`), as Container Insights does: without the page cache, which cgroup v2 calls inactive_file.
fn utilized(stats: &MemoryStats, usage: u64, numbers: StatsCompat) -> u64 {
    match (numbers, stats.stats) {
        (StatsCompat::Adot, Some(detail)) => usage.wrapping_sub(detail.cache.unwrap_or(0)),
        (StatsCompat::Adot, None) => 0,
        (StatsCompat::Corrected, Some(detail)) => {
            usage.saturating_sub(detail.cache.or(detail.inactive_file).unwrap_or(0))
        }
        (StatsCompat::Corrected, None) => usage,
    }
}

fn cpu(readings: &mut StatValues, stats: &ContainerStats<'_>, reserved: f64, numbers: StatsCompat) {
    let pair = stats.cpu_stats.as_ref().zip(stats.precpu_stats.as_ref());
    let usages = pair.and_then(|(now, before)| Some((now, now.cpu_usage.as_ref()?, before.cpu_usage.as_ref()?)));
    let (default_stats, default_usage) = (CpuStats::default(), CpuUsage::default());
    let (now, usage, vcpu) = match usages {
        Some((now, usage, before)) => (now, usage, vcpu(stats, usage, before, numbers)),
        None => (&default_stats, &default_usage, 0.0),
    };
    readings.integer(StatKind::CpuUsageTotal, usage.total_usage.unwrap_or(0));
    readings.integer(StatKind::CpuUsageKernelmode, usage.usage_in_kernelmode.unwrap_or(0));
    readings.integer(StatKind::CpuUsageUsermode, usage.usage_in_usermode.unwrap_or(0));
    readings.integer(StatKind::CpuUsageSystem, now.system_cpu_usage.unwrap_or(0));
    readings.integer(StatKind::CpuCores, cores(now, usage, numbers));
    readings.integer(StatKind::CpuOnlines, now.online_cpus.unwrap_or(0));
    readings.float(StatKind::CpuUsageVcpu, vcpu);
    readings.float(StatKind::CpuUtilized, container_utilized(vcpu, reserved));
    readings.float(StatKind::CpuReserved, reserved);
}

/// Percent of one vCPU, divided by the container's CPU units where it has any. Neither percent nor units; kept, since a
/// series of this name has always meant this.
pub(crate) fn container_utilized(vcpu: f64, reserved: f64) -> f64 {
    let percent = vcpu * 100.0;
    if reserved > 0.0 { percent / reserved } else { percent }
}

/// cgroup v2 has no usage by core: there the cores online are counted.
fn cores(now: &CpuStats, usage: &CpuUsage, numbers: StatsCompat) -> u64 {
    let counted = usage.percpu_usage.as_ref().map_or(0, Vec::len) as u64;
    if counted == 0 && numbers == StatsCompat::Corrected { now.online_cpus.unwrap_or(0) } else { counted }
}

/// vCPUs in use between the two readings that Docker gives. A counter that went back, as it does when a container is
/// started again, is a new start: 0, not the 18 billion vCPUs of the wrapped difference.
fn vcpu(stats: &ContainerStats<'_>, now: &CpuUsage, before: &CpuUsage, numbers: StatsCompat) -> f64 {
    let (total, earlier) = (now.total_usage.unwrap_or(0), before.total_usage.unwrap_or(0));
    let used = match numbers {
        StatsCompat::Adot => total.wrapping_sub(earlier),
        StatsCompat::Corrected if is_zero_time(&stats.preread) => 0,
        StatsCompat::Corrected => total.saturating_sub(earlier),
    };
    let elapsed = elapsed_nanos(&stats.preread, &stats.read);
    if elapsed > 0 { used as f64 / elapsed as f64 } else { 0.0 }
}

/// Docker's first reading of a container has no earlier one: `0001-01-01T00:00:00Z`, Go's zero time.
fn is_zero_time(time: &str) -> bool {
    time.is_empty() || time.starts_with("0001-")
}

/// From one RFC 3339 time to another, within what a Go `Duration` holds. A time that cannot be read is Go's zero time.
fn elapsed_nanos(from: &str, to: &str) -> i64 {
    let elapsed = unix_nanos(to).saturating_sub(unix_nanos(from));
    i64::try_from(elapsed).unwrap_or(if elapsed > 0 { i64::MAX } else { i64::MIN })
}

fn unix_nanos(time: &str) -> i128 {
    const YEAR_ONE: i128 = -62_135_596_800 * 1_000_000_000;
    time.parse::<jiff::Timestamp>().map_or(YEAR_ONE, jiff::Timestamp::as_nanosecond)
}

fn network(readings: &mut StatValues, stats: &ContainerStats<'_>) {
    let rate = stats.network_rate_stats.unwrap_or_default();
    readings.float(StatKind::RateRx, rate.rx_bytes_per_sec.unwrap_or(0.0));
    readings.float(StatKind::RateTx, rate.tx_bytes_per_sec.unwrap_or(0.0));
    let interfaces = || stats.networks.iter().flat_map(|networks| networks.values().flatten());
    let sum = |of: fn(&InterfaceStats) -> Option<u64>| interfaces().filter_map(of).fold(0_u64, u64::wrapping_add);
    readings.integer(StatKind::RxBytes, sum(|interface| interface.rx_bytes));
    readings.integer(StatKind::RxPackets, sum(|interface| interface.rx_packets));
    readings.integer(StatKind::RxErrors, sum(|interface| interface.rx_errors));
    readings.integer(StatKind::RxDropped, sum(|interface| interface.rx_dropped));
    readings.integer(StatKind::TxBytes, sum(|interface| interface.tx_bytes));
    readings.integer(StatKind::TxPackets, sum(|interface| interface.tx_packets));
    readings.integer(StatKind::TxErrors, sum(|interface| interface.tx_errors));
    readings.integer(StatKind::TxDropped, sum(|interface| interface.tx_dropped));
}

/// cgroup v2 writes the operations in lower case, which the receiver does not find.
fn storage(readings: &mut StatValues, stats: Option<&BlkioStats<'_>>, numbers: StatsCompat) {
    let entries = || stats.and_then(|stats| stats.io_service_bytes_recursive.as_ref()).into_iter().flatten().flatten();
    let is = |op: &JsonStr<'_>, wanted: &str| match numbers {
        StatsCompat::Adot => **op == *wanted,
        StatsCompat::Corrected => op.eq_ignore_ascii_case(wanted),
    };
    let sum = |wanted| {
        let values = entries().filter(|entry| is(&entry.op, wanted)).filter_map(|entry| entry.value);
        values.fold(0_u64, u64::wrapping_add)
    };
    readings.integer(StatKind::StorageReadBytes, sum("Read"));
    readings.integer(StatKind::StorageWriteBytes, sum("Write"));
}

/// How long a container ran that has stopped; nothing for one that has not.
pub(crate) fn of_stopped(
    container: &ContainerMetadata<'_>,
    numbers: StatsCompat,
    refused: &mut Rejections,
) -> StatValues {
    let mut readings = StatValues::default();
    if container.started_at.is_empty() || container.finished_at.is_empty() {
        return readings;
    }
    let is_time = |text: &JsonStr<'_>| text.parse::<jiff::Timestamp>().is_ok();
    let readable = is_time(&container.started_at) && is_time(&container.finished_at);
    if readable {
        let nanos = elapsed_nanos(&container.started_at, &container.finished_at);
        // Whole seconds and the rest apart, as Go's Duration.Seconds does, for the same last bit.
        let seconds = (nanos / NANOS_PER_SECOND) as f64 + (nanos % NANOS_PER_SECOND) as f64 / 1e9;
        readings.float(StatKind::Duration, seconds);
    } else if numbers == StatsCompat::Adot {
        readings.float(StatKind::Duration, 0.0);
    } else {
        refused.add("invalid_container_time", 1, || {
            format!("container {:?} has a time that is no time", &*container.name)
        });
    }
    readings
}
