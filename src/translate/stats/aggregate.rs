//! Values of a task: sums over its containers, replaced by the limits of the task where it has them.

use super::TaskScrape;
use super::container_stats::{MIB, StatValues, UNITS, epoch_ms};
use super::metrics::{StatKind, StatsCompat};
use crate::model::ecs::{NetworkLocation, NetworkMode};

/// Sums the values of a task's containers.
pub(crate) struct TaskAggregate<'a> {
    scrape: &'a TaskScrape<'a>,
    compat: StatsCompat,
    network: NetworkScope,
    values: StatValues,
}

/// Meaning of the network stats of a container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NetworkScope {
    /// The container's traffic, which is summed.
    Container,
    /// The traffic of the full task, which each container reports: it counts once.
    Task,
}

impl<'a> TaskAggregate<'a> {
    pub(crate) fn new(scrape: &'a TaskScrape<'a>, compat: StatsCompat) -> Self {
        let network = if compat == StatsCompat::Corrected { network_scope(scrape) } else { NetworkScope::Container };
        let mut values = StatValues::default();
        // A task has all series, even without containers.
        for stat in StatKind::OF_RECEIVER {
            match stat {
                StatKind::Duration | StatKind::EphemeralUtilized | StatKind::EphemeralReserved => {}
                StatKind::MemoryUsageMax if compat == StatsCompat::Corrected => {}
                StatKind::CpuUsageVcpu
                | StatKind::CpuUtilized
                | StatKind::CpuReserved
                | StatKind::RateRx
                | StatKind::RateTx => {
                    values.float(*stat, 0.0);
                }
                _ => values.integer(*stat, 0),
            }
        }
        TaskAggregate { scrape, compat, network, values }
    }

    pub(crate) fn add(&mut self, container: &StatValues) {
        for &stat in StatKind::OF_RECEIVER {
            let Some(value) = container.get(stat) else { continue };
            let sum = match self.values.get(stat) {
                Some(sum) if self.is_shared(stat) => sum.larger(value),
                Some(sum) => sum.plus(value, self.compat),
                None => value,
            };
            self.values.set(stat, sum);
        }
    }

    /// Returns whether all containers report the same value, of the task or of its host, so that it counts once. The
    /// maximum is used: containers are read at slightly different times, and a counter must not decrease.
    fn is_shared(&self, stat: StatKind) -> bool {
        use StatKind::{
            CpuCores, CpuOnlines, CpuUsageSystem, RateRx, RateTx, RxBytes, RxDropped, RxErrors, RxPackets, TxBytes,
            TxDropped, TxErrors, TxPackets,
        };
        match stat {
            CpuUsageSystem | CpuCores | CpuOnlines => self.compat == StatsCompat::Corrected,
            RateRx | RateTx | RxBytes | RxPackets | RxErrors | RxDropped | TxBytes | TxPackets | TxErrors
            | TxDropped => self.network == NetworkScope::Task,
            _ => false,
        }
    }

    /// Applies the limits of the task and computes values from the sums. `needs_times`: whether the clock drift is one of them.
    pub(crate) fn finish(mut self, needs_times: bool) -> StatValues {
        let limits = self.scrape.task.limits.unwrap_or_default();
        if let Some(memory) = limits.memory {
            self.values.integer(StatKind::MemoryReserved, memory);
            if self.compat == StatsCompat::Corrected {
                // A container without a limit reports 2^63-4096. Two of them would wrap to -8192.
                self.values.integer(StatKind::MemoryUsageLimit, memory.saturating_mul(MIB));
            }
        }
        if let Some(cpu) = limits.cpu {
            self.values.float(StatKind::CpuReserved, cpu * UNITS);
        }
        let value = |stat| self.values.get(stat).map_or(0.0, |value| value.as_f64(self.compat));
        let (vcpu, reserved) = (value(StatKind::CpuUsageVcpu), value(StatKind::CpuReserved));
        self.values.float(StatKind::CpuUtilized, if reserved > 0.0 { vcpu * UNITS } else { 0.0 });
        self.ephemeral_storage();
        if needs_times {
            self.clock_drift();
        }
        let clock = self.scrape.task.clock_drift.unwrap_or_default();
        if let Some(milliseconds) = clock.clock_error_bound.filter(|bound| bound.is_finite()) {
            self.values.float(StatKind::ClockErrorBound, milliseconds / 1_000.0);
        }
        self.values
    }

    /// The time of the newest stats, relative to the time at which they were received.
    fn clock_drift(&mut self) {
        let reads = self.scrape.stats.containers.values().flatten().filter_map(|stats| epoch_ms(&stats.read));
        if let Some(read_ms) = reads.max() {
            self.values.float(StatKind::ClockDrift, read_ms.saturating_sub(self.scrape.received_ms) as f64 / 1_000.0);
        }
    }

    /// Only Fargate reports ephemeral storage. Elsewhere the receiver writes 0, which is wrong.
    fn ephemeral_storage(&mut self) {
        let storage = self.scrape.task.ephemeral_storage_metrics.unwrap_or_default();
        let default = (self.compat == StatsCompat::Adot).then_some(0);
        if let Some(utilized) = storage.utilized.or(default) {
            self.values.integer(StatKind::EphemeralUtilized, utilized);
        }
        if let Some(reserved) = storage.reserved.or(default) {
            self.values.integer(StatKind::EphemeralReserved, reserved);
        }
    }
}

/// The agent reports the network of a task that has its own interface on each container (amazon-ecs-agent
/// `agent/stats/engine.go`). The mode comes from the task definition or from any container of the document.
fn network_scope(scrape: &TaskScrape<'_>) -> NetworkScope {
    let task = scrape.task;
    let launch_type = scrape.described.map_or(&task.launch_type, |described| &described.launch_type);
    let is_own = |mode: &NetworkMode| NetworkLocation::new(mode, launch_type) == NetworkLocation::Task;
    let mut networks = task.containers().iter().flat_map(|container| &container.networks.items);
    if is_own(scrape.described.map_or(&NetworkMode::Unspecified, |described| &described.network_mode))
        || networks.any(|network| is_own(&network.network_mode))
    {
        NetworkScope::Task
    } else {
        NetworkScope::Container
    }
}
