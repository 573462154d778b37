//! Values of a container, computed from its stats.
//!
//! Formulas: opentelemetry-collector-contrib v0.156.0, `receiver/awsecscontainermetricsreceiver/internal/
//! awsecscontainermetrics` (`metrics_helper.go`, `accumulator.go`). Comments contain the reason where
//! [`StatsCompat::Corrected`] differs.

use super::metrics::{StatKind, StatsCompat};
use crate::model::json::JsonStr;
use crate::model::rejection::Rejections;
use crate::model::task_metadata::{BlkioStats, ContainerMetadata, ContainerStats, CpuStats, CpuUsage, MemoryStats};

pub(crate) const MIB: u64 = 1 << 20;
/// CPU units of one vCPU.
pub(crate) const UNITS: f64 = 1024.0;
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

    pub(crate) fn float(&mut self, stat: StatKind, value: f64) {
        self.set(stat, Value::Float(value));
    }
}

/// Returns the values of a container with stats.
pub(crate) fn running_values(
    container: &ContainerMetadata<'_>,
    stats: &ContainerStats<'_>,
    compat: StatsCompat,
) -> StatValues {
    let mut values = StatValues::default();
    let limits = container.limits.unwrap_or_default();
    memory(&mut values, stats.memory_stats.as_ref(), compat);
    values.integer(StatKind::MemoryReserved, limits.memory.unwrap_or(0));
    cpu(&mut values, stats, limits.cpu.unwrap_or(0.0), compat);
    network(&mut values, stats);
    storage(&mut values, stats.blkio_stats.as_ref(), compat);
    if compat == StatsCompat::Corrected {
        beyond_the_receiver(&mut values, container, stats);
    }
    values
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
            values.integer(stat, value.unwrap_or(0));
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
    let usage = stats.usage.unwrap_or(0);
    values.integer(StatKind::MemoryUsage, usage);
    values.integer(StatKind::MemoryUsageLimit, stats.limit.unwrap_or(0));
    // cgroup v2 has no maximum, and 0 would be wrong.
    if let Some(max) = stats.max_usage.or((compat == StatsCompat::Adot).then_some(0)) {
        values.integer(StatKind::MemoryUsageMax, max);
    }
    values.integer(StatKind::MemoryUtilized, utilized(stats, usage, compat) / MIB);
}

/// Returns the memory in use in bytes. Corrected, it excludes the page cache, which is `inactive_file` under cgroup v2,
/// like the ECS agent (amazon-ecs-agent `agent/stats/utils_unix.go`) and Container Insights.
fn utilized(stats: &MemoryStats, usage: u64, compat: StatsCompat) -> u64 {
    match (compat, stats.stats) {
        (StatsCompat::Adot, Some(breakdown)) => usage.wrapping_sub(breakdown.cache.unwrap_or(0)),
        (StatsCompat::Adot, None) => 0,
        (StatsCompat::Corrected, Some(breakdown)) => {
            usage.saturating_sub(breakdown.cache.or(breakdown.inactive_file).unwrap_or(0))
        }
        (StatsCompat::Corrected, None) => usage,
    }
}

fn cpu(values: &mut StatValues, stats: &ContainerStats<'_>, reserved: f64, compat: StatsCompat) {
    let pair = stats.cpu_stats.as_ref().zip(stats.precpu_stats.as_ref());
    let usages = pair.and_then(|(now, before)| Some((now, now.cpu_usage.as_ref()?, before.cpu_usage.as_ref()?)));
    let (default_stats, default_usage) = (CpuStats::default(), CpuUsage::default());
    let (now, usage, vcpu) = match usages {
        Some((now, usage, before)) => (now, usage, vcpu(stats, usage, before, compat)),
        None => (&default_stats, &default_usage, 0.0),
    };
    values.integer(StatKind::CpuUsageTotal, usage.total_usage.unwrap_or(0));
    values.integer(StatKind::CpuUsageKernelmode, usage.usage_in_kernelmode.unwrap_or(0));
    values.integer(StatKind::CpuUsageUsermode, usage.usage_in_usermode.unwrap_or(0));
    values.integer(StatKind::CpuUsageSystem, now.system_cpu_usage.unwrap_or(0));
    values.integer(StatKind::CpuCores, cores(now, usage, compat));
    values.integer(StatKind::CpuOnlines, now.online_cpus.unwrap_or(0));
    values.float(StatKind::CpuUsageVcpu, vcpu);
    values.float(StatKind::CpuUtilized, container_utilized(vcpu, reserved));
    values.float(StatKind::CpuReserved, reserved);
}

/// Returns percent of one vCPU, divided by the container's CPU units if it has any. This is neither percent nor units,
/// but the series of this name has always had this value.
pub(crate) fn container_utilized(vcpu: f64, reserved: f64) -> f64 {
    let percent = vcpu * 100.0;
    if reserved > 0.0 { percent / reserved } else { percent }
}

/// cgroup v2 has no usage per core. Corrected, the online cores are counted.
fn cores(now: &CpuStats, usage: &CpuUsage, compat: StatsCompat) -> u64 {
    let counted = usage.percpu_count.0;
    if counted == 0 && compat == StatsCompat::Corrected { now.online_cpus.unwrap_or(0) } else { counted }
}

/// Returns the vCPUs used between the two samples of Docker. After a restart of the container the counter is lower:
/// corrected, the result is 0 and not the 18 billion vCPUs of the wrapped difference.
fn vcpu(stats: &ContainerStats<'_>, now: &CpuUsage, before: &CpuUsage, compat: StatsCompat) -> f64 {
    let (total, earlier) = (now.total_usage.unwrap_or(0), before.total_usage.unwrap_or(0));
    let used = match compat {
        StatsCompat::Adot => total.wrapping_sub(earlier),
        StatsCompat::Corrected if is_zero_time(&stats.preread) => 0,
        StatsCompat::Corrected => total.saturating_sub(earlier),
    };
    let elapsed = elapsed_nanos(&stats.preread, &stats.read);
    if elapsed > 0 { used as f64 / elapsed as f64 } else { 0.0 }
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

fn network(values: &mut StatValues, stats: &ContainerStats<'_>) {
    let rate = stats.network_rate_stats.unwrap_or_default();
    values.float(StatKind::RateRx, rate.rx_bytes_per_sec.unwrap_or(0.0));
    values.float(StatKind::RateTx, rate.tx_bytes_per_sec.unwrap_or(0.0));
    let totals = &stats.networks;
    values.integer(StatKind::RxBytes, totals.rx_bytes);
    values.integer(StatKind::RxPackets, totals.rx_packets);
    values.integer(StatKind::RxErrors, totals.rx_errors);
    values.integer(StatKind::RxDropped, totals.rx_dropped);
    values.integer(StatKind::TxBytes, totals.tx_bytes);
    values.integer(StatKind::TxPackets, totals.tx_packets);
    values.integer(StatKind::TxErrors, totals.tx_errors);
    values.integer(StatKind::TxDropped, totals.tx_dropped);
}

/// The operations are in lower case under cgroup v2, which the receiver does not match.
fn storage(values: &mut StatValues, stats: Option<&BlkioStats>, compat: StatsCompat) {
    let totals = stats.map(|stats| stats.io_service_bytes_recursive).unwrap_or_default();
    let (read, write) = match compat {
        StatsCompat::Adot => (totals.capitalized_read, totals.capitalized_write),
        StatsCompat::Corrected => (totals.read, totals.write),
    };
    values.integer(StatKind::StorageReadBytes, read);
    values.integer(StatKind::StorageWriteBytes, write);
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
