//! Values of a container, computed from its stats.
//!
//! Formulas: opentelemetry-collector-contrib v0.156.0, `receiver/awsecscontainermetricsreceiver/internal/
//! awsecscontainermetrics` (`metrics_helper.go`, `accumulator.go`). Comments contain the reason where
//! [`StatsCompat::Corrected`] differs.

use super::metrics::{StatKind, StatsCompat};
use crate::model::ecs::LaunchType;
use crate::model::json::JsonStr;
use crate::model::rejection::Rejections;
use crate::model::task_metadata::{BlkioStats, ContainerMetadata, ContainerStats, CpuStats, CpuUsage, MemoryStats};

pub(crate) const MIB: u64 = 1 << 20;
/// CPU units of one vCPU.
pub(crate) const UNITS: f64 = 1024.0;
/// Nanoseconds of a unit of CPU time on Windows (Docker Engine API, `ContainerCPUUsage`).
const WINDOWS_CPU_NANOS: u64 = 100;
/// The least CPU shares of Linux.
const LEAST_SHARES: f64 = 2.0;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A value as in the documents. Counters are summed as integers, because f64 would lose precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(u64),
    Float(f64),
}

impl Value {
    /// The receiver uses signed integers, so large values become negative.
    pub(crate) fn as_f64(self, compat: StatsCompat) -> f64 {
        match (self, compat) {
            (Value::Float(value), _) => value,
            (Value::Integer(value), StatsCompat::Corrected) => value as f64,
            (Value::Integer(value), StatsCompat::Adot) => value.cast_signed() as f64,
        }
    }

    pub(super) fn plus(self, other: Value, compat: StatsCompat) -> Value {
        match (self, other, compat) {
            (Value::Integer(a), Value::Integer(b), StatsCompat::Corrected) => Value::Integer(a.saturating_add(b)),
            (Value::Integer(a), Value::Integer(b), StatsCompat::Adot) => Value::Integer(a.wrapping_add(b)),
            (a, b, _) => Value::Float(a.as_f64(compat) + b.as_f64(compat)),
        }
    }

    pub(super) fn larger(self, other: Value) -> Value {
        if other.as_f64(StatsCompat::Corrected) > self.as_f64(StatsCompat::Corrected) { other } else { self }
    }
}

/// The known values of one task or container.
#[derive(Clone, Debug)]
pub(crate) struct StatValues([Option<Value>; StatKind::COUNT]);

impl Default for StatValues {
    fn default() -> Self {
        Self([None; StatKind::COUNT])
    }
}

impl StatValues {
    pub(crate) fn get(&self, stat: StatKind) -> Option<Value> {
        self.0[stat as usize]
    }

    pub(crate) fn set(&mut self, stat: StatKind, value: Value) {
        self.0[stat as usize] = Some(value);
    }

    pub(crate) fn integer(&mut self, stat: StatKind, value: u64) {
        self.set(stat, Value::Integer(value));
    }

    /// Sets a value that is known. The receiver writes 0 for an unknown one.
    pub(crate) fn known(&mut self, stat: StatKind, value: Option<u64>, compat: StatsCompat) {
        if let Some(value) = value.or((compat == StatsCompat::Adot).then_some(0)) {
            self.integer(stat, value);
        }
    }

    pub(crate) fn remove(&mut self, stat: StatKind) {
        self.0[stat as usize] = None;
    }

    pub(crate) fn float(&mut self, stat: StatKind, value: f64) {
        self.set(stat, Value::Float(value));
    }
}

/// Returns the values of a container with stats. Corrected, an unknown value is left out; the receiver writes 0.
pub(crate) fn running_values(
    container: &ContainerMetadata<'_>,
    stats: &ContainerStats<'_>,
    launch_type: &LaunchType,
    compat: StatsCompat,
) -> StatValues {
    let mut values = StatValues::default();
    let limits = container.limits.unwrap_or_default();
    let is_windows = compat == StatsCompat::Corrected && is_windows(stats);
    if is_windows {
        windows_memory(&mut values, stats);
    } else {
        memory(&mut values, stats.memory_stats.as_ref(), compat);
    }
    // The agent reports 0 for a container without a reservation.
    let is_reserved = |mib: &u64| *mib > 0 || compat == StatsCompat::Adot;
    values.known(StatKind::MemoryReserved, limits.memory.filter(is_reserved), compat);
    match compat {
        StatsCompat::Adot => receiver_cpu(&mut values, stats, limits.cpu.unwrap_or(0.0)),
        StatsCompat::Corrected => {
            let unit = if is_windows { WINDOWS_CPU_NANOS } else { 1 };
            cpu(&mut values, stats, reserved_units(limits.cpu, launch_type), unit);
        }
    }
    network(&mut values, stats, compat);
    if is_windows {
        let storage = stats.storage_stats.unwrap_or_default();
        values.known(StatKind::StorageReadBytes, storage.read_size_bytes, compat);
        values.known(StatKind::StorageWriteBytes, storage.write_size_bytes, compat);
    } else {
        storage(&mut values, stats.blkio_stats.as_ref(), compat);
    }
    if compat == StatsCompat::Corrected {
        beyond_the_receiver(&mut values, container, stats);
    }
    values
}

/// Returns whether the stats are of a Windows container, which Docker reports with other fields and units (Docker Engine API,
/// `ContainerStatsResponse`).
fn is_windows(stats: &ContainerStats<'_>) -> bool {
    stats.num_procs.is_some_and(|processors| processors > 0)
        || stats.memory_stats.as_ref().is_some_and(|memory| memory.private_working_set.is_some())
        || stats.storage_stats.is_some_and(|storage| storage.read_size_bytes.is_some())
}

/// Returns the reservation of a container in CPU units; `None` without one. On container instances, the agent reports the least
/// CPU shares of Linux in its place (amazon-ecs-agent `agent/api/container`).
fn reserved_units(limit: Option<f64>, launch_type: &LaunchType) -> Option<f64> {
    let is_on_instance = matches!(launch_type, LaunchType::Ec2 | LaunchType::External | LaunchType::ManagedInstances);
    limit.filter(|&units| units > 0.0 && !(is_on_instance && units == LEAST_SHARES))
}

/// Values that the receiver does not have.
fn beyond_the_receiver(values: &mut StatValues, container: &ContainerMetadata<'_>, stats: &ContainerStats<'_>) {
    // Only containers with a restart policy have a count.
    if let Some(restarts) = container.restart_count {
        values.integer(StatKind::RestartCount, restarts);
    }
    // Without a CPU quota there are no periods, and the other values are always 0. ECS sets the quota of a task on the cgroup above
    // those of its containers, which have shares only (amazon-ecs-agent `agent/api/task/task_linux.go`,
    // BuildLinuxResourceSpec).
    let throttling = stats.cpu_stats.as_ref().and_then(|stats| stats.throttling_data).unwrap_or_default();
    if throttling.periods.is_some_and(|periods| periods > 0) {
        for (stat, value) in [
            (StatKind::ThrottlingPeriods, throttling.periods),
            (StatKind::ThrottledPeriods, throttling.throttled_periods),
            (StatKind::ThrottledTime, throttling.throttled_time),
        ] {
            values.known(stat, value, StatsCompat::Corrected);
        }
    }
}

/// Adds the start time of a container, if it is valid.
pub(crate) fn start_time(values: &mut StatValues, container: &ContainerMetadata<'_>) {
    if let Some(started_ms) = epoch_ms(&container.started_at) {
        values.float(StatKind::StartTime, started_ms as f64 / 1_000.0);
    }
}

/// Returns a time in milliseconds since the epoch. `None` for an invalid time and for the zero time of Go.
pub(super) fn epoch_ms(time: &str) -> Option<i64> {
    let at_ms = time.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    (at_ms > 0).then_some(at_ms)
}

fn memory(values: &mut StatValues, stats: Option<&MemoryStats>, compat: StatsCompat) {
    let default = MemoryStats::default();
    let stats = stats.unwrap_or(&default);
    values.known(StatKind::MemoryUsage, stats.usage, compat);
    values.known(StatKind::MemoryUsageLimit, stats.limit, compat);
    // cgroup v2 has no maximum.
    values.known(StatKind::MemoryUsageMax, stats.max_usage, compat);
    let usage = stats.usage.or((compat == StatsCompat::Adot).then_some(0));
    values.known(StatKind::MemoryUtilized, usage.map(|usage| utilized(stats, usage, compat) / MIB), compat);
}

/// Windows has no page cache in its usage, and no limit and maximum of the same kind.
fn windows_memory(values: &mut StatValues, stats: &ContainerStats<'_>) {
    let used = stats.memory_stats.as_ref().and_then(|memory| memory.private_working_set);
    values.known(StatKind::MemoryUsage, used, StatsCompat::Corrected);
    values.known(StatKind::MemoryUtilized, used.map(|bytes| bytes / MIB), StatsCompat::Corrected);
}

/// Returns the memory in use in bytes. Corrected, it excludes the page cache, like Container Insights: `cache` under cgroup v1, and
/// under v2 `inactive_file`, which is subtracted only if it is smaller (docker/cli `cli/command/container/stats_helpers.go`).
fn utilized(stats: &MemoryStats, usage: u64, compat: StatsCompat) -> u64 {
    let breakdown = stats.stats.unwrap_or_default();
    match (compat, breakdown.cache) {
        (StatsCompat::Adot, _) if stats.stats.is_none() => 0,
        (StatsCompat::Adot, cache) => usage.wrapping_sub(cache.unwrap_or(0)),
        (StatsCompat::Corrected, Some(cache)) => usage.saturating_sub(cache),
        (StatsCompat::Corrected, None) => {
            usage - breakdown.inactive_file.filter(|&inactive| inactive < usage).unwrap_or(0)
        }
    }
}

/// Needs the previous sample for all values, like the receiver.
fn receiver_cpu(values: &mut StatValues, stats: &ContainerStats<'_>, reserved: f64) {
    let pair = stats.cpu_stats.as_ref().zip(stats.precpu_stats.as_ref());
    let usages = pair.and_then(|(now, before)| Some((now, now.cpu_usage.as_ref()?, before.cpu_usage.as_ref()?)));
    let (default_stats, default_usage) = (CpuStats::default(), CpuUsage::default());
    let (now, usage, vcpu) = match usages {
        Some((now, usage, before)) => (now, usage, receiver_vcpu(stats, usage, before)),
        None => (&default_stats, &default_usage, 0.0),
    };
    cumulative_cpu(values, now, usage, 1, StatsCompat::Adot);
    values.integer(StatKind::CpuCores, usage.percpu_count.0);
    values.integer(StatKind::CpuOnlines, now.online_cpus.unwrap_or(0));
    values.float(StatKind::CpuUsageVcpu, vcpu);
    values.float(StatKind::CpuUtilized, container_utilized(vcpu, reserved));
    values.float(StatKind::CpuReserved, reserved);
}

/// `unit` is the number of nanoseconds of a unit of CPU time.
fn cpu(values: &mut StatValues, stats: &ContainerStats<'_>, reserved: Option<f64>, unit: u64) {
    if let Some(reserved) = reserved {
        values.float(StatKind::CpuReserved, reserved);
    }
    let Some(now) = &stats.cpu_stats else { return };
    let Some(usage) = &now.cpu_usage else { return };
    cumulative_cpu(values, now, usage, unit, StatsCompat::Corrected);
    let onlines = now.online_cpus.filter(|&cpus| cpus > 0);
    // cgroup v2 has no usage per core, so the online cores are counted.
    let cores = Some(usage.percpu_count.0).filter(|&cores| cores > 0).or(onlines);
    values.known(StatKind::CpuCores, cores, StatsCompat::Corrected);
    values.known(StatKind::CpuOnlines, onlines, StatsCompat::Corrected);
    let before = stats.precpu_stats.as_ref().and_then(|before| before.cpu_usage.as_ref());
    if let Some(vcpu) = before.and_then(|before| vcpu(stats, usage, before, unit)) {
        values.float(StatKind::CpuUsageVcpu, vcpu);
        values.float(StatKind::CpuUtilized, container_utilized(vcpu, reserved.unwrap_or(0.0)));
    }
}

fn cumulative_cpu(values: &mut StatValues, now: &CpuStats, usage: &CpuUsage, unit: u64, compat: StatsCompat) {
    let nanos = |time: Option<u64>| time.map(|time| time.saturating_mul(unit));
    values.known(StatKind::CpuUsageTotal, nanos(usage.total_usage), compat);
    values.known(StatKind::CpuUsageKernelmode, nanos(usage.usage_in_kernelmode), compat);
    values.known(StatKind::CpuUsageUsermode, nanos(usage.usage_in_usermode), compat);
    values.known(StatKind::CpuUsageSystem, now.system_cpu_usage, compat);
}

/// Returns percent of one vCPU, divided by the container's CPU units if it has any. This is neither percent nor units,
/// but the series of this name has always had this value.
pub(crate) fn container_utilized(vcpu: f64, reserved: f64) -> f64 {
    let percent = vcpu * 100.0;
    if reserved > 0.0 { percent / reserved } else { percent }
}

/// The difference wraps after a restart of the container, to 18 billion vCPUs.
fn receiver_vcpu(stats: &ContainerStats<'_>, now: &CpuUsage, before: &CpuUsage) -> f64 {
    let used = now.total_usage.unwrap_or(0).wrapping_sub(before.total_usage.unwrap_or(0));
    let elapsed = elapsed_nanos(&stats.preread, &stats.read);
    if elapsed > 0 { used as f64 / elapsed as f64 } else { 0.0 }
}

/// Returns the vCPUs used between the two samples of Docker; `None` if there is no previous one: its usage is then 0 or its time the
/// zero time of Go. After a restart of the container the counter is lower, and the result is 0.
fn vcpu(stats: &ContainerStats<'_>, now: &CpuUsage, before: &CpuUsage, unit: u64) -> Option<f64> {
    let total = now.total_usage?;
    let earlier = before.total_usage.filter(|&total| total > 0 && !is_zero_time(&stats.preread))?;
    let is_time = |time: &JsonStr<'_>| time.parse::<jiff::Timestamp>().is_ok();
    let elapsed = elapsed_nanos(&stats.preread, &stats.read);
    (elapsed > 0 && is_time(&stats.preread) && is_time(&stats.read))
        .then(|| total.saturating_sub(earlier).saturating_mul(unit) as f64 / elapsed as f64)
}

/// The first sample of a container has no previous one: its time is `0001-01-01T00:00:00Z`, the zero time of Go.
fn is_zero_time(time: &str) -> bool {
    time.is_empty() || time.starts_with("0001-")
}

/// Returns the time between two RFC 3339 times, limited to the range of a Go `Duration`. An invalid time is the zero
/// time of Go.
fn elapsed_nanos(from: &str, to: &str) -> i64 {
    let elapsed = unix_nanos(to).saturating_sub(unix_nanos(from));
    i64::try_from(elapsed).unwrap_or(if elapsed > 0 { i64::MAX } else { i64::MIN })
}

fn unix_nanos(time: &str) -> i128 {
    const YEAR_ONE: i128 = -62_135_596_800 * 1_000_000_000;
    time.parse::<jiff::Timestamp>().map_or(YEAR_ONE, jiff::Timestamp::as_nanosecond)
}

fn network(values: &mut StatValues, stats: &ContainerStats<'_>, compat: StatsCompat) {
    let rate = stats.network_rate_stats.unwrap_or_default();
    for (stat, rate) in [(StatKind::RateRx, rate.rx_bytes_per_sec), (StatKind::RateTx, rate.tx_bytes_per_sec)] {
        if let Some(rate) = rate.or((compat == StatsCompat::Adot).then_some(0.0)) {
            values.float(stat, rate);
        }
    }
    let totals = &stats.networks;
    for (stat, sum) in [
        (StatKind::RxBytes, totals.rx_bytes),
        (StatKind::RxPackets, totals.rx_packets),
        (StatKind::RxErrors, totals.rx_errors),
        (StatKind::RxDropped, totals.rx_dropped),
        (StatKind::TxBytes, totals.tx_bytes),
        (StatKind::TxPackets, totals.tx_packets),
        (StatKind::TxErrors, totals.tx_errors),
        (StatKind::TxDropped, totals.tx_dropped),
    ] {
        match compat {
            StatsCompat::Adot => values.integer(stat, sum.total),
            // A container without an interface of its own, such as under `host`, has no network stats.
            StatsCompat::Corrected => values.known(stat, sum.known().filter(|_| sum.count > 0), compat),
        }
    }
}

/// The operations are in lower case under cgroup v2, which the receiver does not match. Without entries, the container has not used
/// its storage yet.
fn storage(values: &mut StatValues, stats: Option<&BlkioStats>, compat: StatsCompat) {
    let known = stats.and_then(|stats| stats.io_service_bytes_recursive);
    let totals = known.unwrap_or_default();
    let (read, write) = match compat {
        StatsCompat::Adot => (Some(totals.capitalized_read.total), Some(totals.capitalized_write.total)),
        StatsCompat::Corrected if known.is_none() => (None, None),
        StatsCompat::Corrected => (totals.read.known(), totals.write.known()),
    };
    values.known(StatKind::StorageReadBytes, read, compat);
    values.known(StatKind::StorageWriteBytes, write, compat);
}

/// Returns the duration of a stopped container; no values for a running one.
pub(crate) fn stopped_values(
    container: &ContainerMetadata<'_>,
    compat: StatsCompat,
    rejected: &mut Rejections,
) -> StatValues {
    let mut values = StatValues::default();
    if container.started_at.is_empty() || container.finished_at.is_empty() {
        return values;
    }
    let is_time = |text: &JsonStr<'_>| text.parse::<jiff::Timestamp>().is_ok();
    let is_valid = is_time(&container.started_at) && is_time(&container.finished_at);
    if is_valid {
        let nanos = elapsed_nanos(&container.started_at, &container.finished_at);
        // Converts seconds and nanoseconds separately, like Duration.Seconds of Go, for bit-identical results.
        let seconds = (nanos / NANOS_PER_SECOND) as f64 + (nanos % NANOS_PER_SECOND) as f64 / 1e9;
        values.float(StatKind::Duration, seconds);
    } else if compat == StatsCompat::Adot {
        values.float(StatKind::Duration, 0.0);
    } else {
        rejected.add("invalid_container_time", 1, || format!("container {:?} has an invalid time", &*container.name));
    }
    values
}
