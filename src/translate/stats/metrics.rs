//! The table of task and container metrics, the only place that contains their names.

/// Variant of formulas, names and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsCompat {
    /// The receiver with its faults corrected.
    Corrected,
    /// Exactly like the receiver.
    Adot,
}

/// Gauge, or sum since the start of the container. The receiver does not mark sums as monotonic, so they have no
/// `_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    Gauge,
    Sum,
}

/// Whether a metric belongs to a task or to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Task,
    Container,
}

/// One metric under each of its names.
#[derive(Debug)]
pub struct StatsMetric {
    /// OpenTelemetry name: `ecs.task.memory.usage`.
    pub name: &'static str,
    /// `ecs_task_memory_usage`.
    pub default_name: &'static str,
    /// Name that the ADOT sidecar writes, with the unit of the receiver: `ecs_task_memory_usage_Bytes`. `None` if the receiver
    /// does not have the metric: it is not written with the names of ADOT.
    pub adot_name: Option<&'static str>,
    /// Unit, as the receiver spells it.
    pub unit: &'static str,
    pub kind: MetricType,
    pub level: Level,
    pub(crate) stat: StatKind,
}

impl StatsMetric {
    pub fn name_for(&self, compat: StatsCompat) -> Option<&'static str> {
        match compat {
            StatsCompat::Corrected => Some(self.default_name),
            StatsCompat::Adot => self.adot_name,
        }
    }

    /// Returns whether the metric is written by default: the metrics of the sidecar's filter (aws-otel-collector
    /// v0.49.0,
    /// `config/ecs/ecs-amp-xray.yaml`), two more that the published dashboard queries, and restarts: few containers have a
    /// restart policy, and ECS reports their restarts nowhere else.
    pub fn is_default(&self) -> bool {
        use StatKind::{
            CpuReserved, CpuUsageVcpu, CpuUtilized, Duration, MemoryReserved, MemoryUsage, MemoryUtilized, RateRx,
            RateTx, RestartCount, RestartsPerMinute, StorageReadBytes, StorageWriteBytes,
        };
        match self.level {
            Level::Container => matches!(self.stat, Duration | RestartCount | RestartsPerMinute),
            Level::Task => matches!(
                self.stat,
                MemoryReserved
                    | MemoryUtilized
                    | MemoryUsage
                    | CpuReserved
                    | CpuUtilized
                    | CpuUsageVcpu
                    | RateRx
                    | RateTx
                    | StorageReadBytes
                    | StorageWriteBytes
            ),
        }
    }
}

macro_rules! metric {
    ($level:ident, $prefix:literal, $_prefix:literal, $stat:ident $name:literal $bare:literal $unit:literal $suffix:literal $kind:ident) => {
        StatsMetric {
            name: concat!($prefix, $name),
            default_name: concat!($_prefix, $bare),
            adot_name: Some(concat!($_prefix, $bare, "_", $suffix)),
            unit: $unit,
            kind: MetricType::$kind,
            level: Level::$level,
            stat: StatKind::$stat,
        }
    };
    // A metric that the receiver does not have.
    ($level:ident, $stat:ident $name:literal $default_name:literal $unit:literal $kind:ident) => {
        StatsMetric {
            name: $name,
            default_name: $default_name,
            adot_name: None,
            unit: $unit,
            kind: MetricType::$kind,
            level: Level::$level,
            stat: StatKind::$stat,
        }
    };
}

/// `shared` rows are metrics of tasks and of containers, `new` rows metrics that the receiver does not have.
macro_rules! table {
    (shared { $($stat:ident $name:literal $bare:literal $unit:literal $suffix:literal $kind:ident;)* }
     task { $($of_task:ident $task_name:literal $task_bare:literal $task_unit:literal $task_suffix:literal $task_kind:ident;)* }
     container { $($own:ident $own_name:literal $own_bare:literal $own_unit:literal $own_suffix:literal $own_kind:ident;)* }
     new { $($level:ident $new:ident $new_name:literal $new_default:literal $new_unit:literal $new_kind:ident;)* }
    ) => {
        /// A statistic of a task or container.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum StatKind { $($stat,)* $($of_task,)* $($own,)* $($new,)* }

        impl StatKind {
            pub(crate) const COUNT: usize =
                [$(StatKind::$stat,)* $(StatKind::$of_task,)* $(StatKind::$own,)* $(StatKind::$new,)*].len();

            /// Statistics of the receiver, which sums most of them over the containers of a task.
            pub(crate) const OF_RECEIVER: &[StatKind] = &[$(StatKind::$stat,)* $(StatKind::$of_task,)* $(StatKind::$own,)*];
        }

        /// All metrics, those of the receiver first.
        pub const METRICS: &[StatsMetric] = &[
            $(metric!(Task, "ecs.task.", "ecs_task_", $stat $name $bare $unit $suffix $kind),)*
            $(metric!(Task, "ecs.task.", "ecs_task_", $of_task $task_name $task_bare $task_unit $task_suffix $task_kind),)*
            $(metric!(Container, "container.", "container_", $stat $name $bare $unit $suffix $kind),)*
            $(metric!(Container, "container.", "container_", $own $own_name $own_bare $own_unit $own_suffix $own_kind),)*
            $(metric!($level, $new $new_name $new_default $new_unit $new_kind),)*
        ];
    };
}

table! {
    shared {
        MemoryUsage "memory.usage" "memory_usage" "Bytes" "Bytes" Gauge;
        MemoryUsageMax "memory.usage.max" "memory_usage_max" "Bytes" "Bytes" Gauge;
        MemoryUsageLimit "memory.usage.limit" "memory_usage_limit" "Bytes" "Bytes" Gauge;
        MemoryUtilized "memory.utilized" "memory_utilized" "MiB" "MiB" Gauge;
        MemoryReserved "memory.reserved" "memory_reserved" "MiB" "MiB" Gauge;
        CpuUsageTotal "cpu.usage.total" "cpu_usage_total" "Nanoseconds" "Nanoseconds" Sum;
        CpuUsageKernelmode "cpu.usage.kernelmode" "cpu_usage_kernelmode" "Nanoseconds" "Nanoseconds" Sum;
        CpuUsageUsermode "cpu.usage.usermode" "cpu_usage_usermode" "Nanoseconds" "Nanoseconds" Sum;
        CpuUsageSystem "cpu.usage.system" "cpu_usage_system" "Nanoseconds" "Nanoseconds" Sum;
        CpuCores "cpu.cores" "cpu_cores" "Count" "Count" Gauge;
        CpuOnlines "cpu.onlines" "cpu_onlines" "Count" "Count" Gauge;
        CpuUsageVcpu "cpu.usage.vcpu" "cpu_usage_vcpu" "vCPU" "vCPU" Gauge;
        CpuUtilized "cpu.utilized" "cpu_utilized" "None" "None" Gauge;
        CpuReserved "cpu.reserved" "cpu_reserved" "None" "None" Gauge;
        RateRx "network.rate.rx" "network_rate_rx" "Bytes/Second" "Bytes_per_Second" Gauge;
        RateTx "network.rate.tx" "network_rate_tx" "Bytes/Second" "Bytes_per_Second" Gauge;
        RxBytes "network.io.usage.rx_bytes" "network_io_usage_rx_bytes" "Bytes" "Bytes" Sum;
        RxPackets "network.io.usage.rx_packets" "network_io_usage_rx_packets" "Count" "Count" Sum;
        RxErrors "network.io.usage.rx_errors" "network_io_usage_rx_errors" "Count" "Count" Sum;
        RxDropped "network.io.usage.rx_dropped" "network_io_usage_rx_dropped" "Count" "Count" Sum;
        TxBytes "network.io.usage.tx_bytes" "network_io_usage_tx_bytes" "Bytes" "Bytes" Sum;
        TxPackets "network.io.usage.tx_packets" "network_io_usage_tx_packets" "Count" "Count" Sum;
        TxErrors "network.io.usage.tx_errors" "network_io_usage_tx_errors" "Count" "Count" Sum;
        TxDropped "network.io.usage.tx_dropped" "network_io_usage_tx_dropped" "Count" "Count" Sum;
        StorageReadBytes "storage.read_bytes" "storage_read_bytes" "Bytes" "Bytes" Sum;
        StorageWriteBytes "storage.write_bytes" "storage_write_bytes" "Bytes" "Bytes" Sum;
    }
    task {
        EphemeralUtilized "ephemeral_storage.utilized" "ephemeral_storage_utilized" "MiB" "MiB" Gauge;
        EphemeralReserved "ephemeral_storage.reserved" "ephemeral_storage_reserved" "MiB" "MiB" Gauge;
    }
    container {
        Duration "duration" "duration" "Seconds" "Seconds" Gauge;
    }
    new {
        Task ClockDrift "ecs.task.clock.drift.seconds" "ecs_task_clock_drift_seconds" "Seconds" Gauge;
        Task ClockErrorBound "ecs.task.clock.error_bound.seconds" "ecs_task_clock_error_bound_seconds" "Seconds" Gauge;
        Container RestartCount "container.restart.count" "container_restart_count" "Count" Sum;
        Container RestartsPerMinute "container.restarts_per_minute" "container_restarts_per_minute" "Count" Gauge;
        Container StartTime "container.start_time.seconds" "container_start_time_seconds" "Seconds" Gauge;
        Container ThrottlingPeriods "container.cpu.throttling.periods" "container_cpu_throttling_periods" "Count" Sum;
        Container ThrottledPeriods "container.cpu.throttling.throttled_periods" "container_cpu_throttling_throttled_periods" "Count" Sum;
        Container ThrottledTime "container.cpu.throttling.throttled_time" "container_cpu_throttling_throttled_time" "Nanoseconds" Sum;
    }
}

impl StatKind {
    /// Returns whether the statistic is computed from a time in the documents that no other statistic needs.
    pub(crate) fn is_time(self) -> bool {
        matches!(self, StatKind::ClockDrift | StatKind::StartTime)
    }

    /// Returns whether only some tasks or containers have the statistic, which ECS does not tell: it has no staleness markers.
    pub(crate) fn is_optional(self) -> bool {
        use StatKind::{
            ClockErrorBound, MemoryUsageMax, RestartCount, RestartsPerMinute, ThrottledPeriods, ThrottledTime,
            ThrottlingPeriods,
        };
        matches!(
            self,
            ClockErrorBound
                | MemoryUsageMax
                | RestartCount
                | RestartsPerMinute
                | ThrottlingPeriods
                | ThrottledPeriods
                | ThrottledTime
        )
    }

    /// Returns whether only tasks on Fargate have the statistic.
    pub(crate) fn is_of_fargate(self) -> bool {
        matches!(self, Self::EphemeralUtilized | Self::EphemeralReserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The remote write exporter splits names at characters that are not letters or digits, and appends the unit.
    fn words(text: &str) -> String {
        text.replace(['.', '_'], "_")
    }

    #[test]
    fn there_are_55_metrics_named_after_name_and_unit() {
        let of_receiver = METRICS.iter().filter_map(|metric| Some((metric, metric.adot_name?)));
        assert_eq!(of_receiver.clone().count(), 55);
        for (metric, adot_name) in of_receiver {
            assert_eq!(adot_name, format!("{}_{}", metric.default_name, metric.unit.replace('/', "_per_")));
            assert!(!adot_name.ends_with("_total") && !adot_name.ends_with("_ratio"), "{adot_name}");
        }
        for metric in METRICS {
            assert_eq!(metric.default_name, words(metric.name));
            let prefix = if metric.level == Level::Task { "ecs.task." } else { "container." };
            assert!(metric.name.starts_with(prefix), "{}", metric.name);
        }
    }

    #[test]
    fn eleven_metrics_and_restarts_are_written_by_default() {
        let names: Vec<_> = METRICS.iter().filter(|metric| metric.is_default()).map(|metric| metric.name).collect();
        assert_eq!(names.len(), 13, "{names:?}");
    }
}
