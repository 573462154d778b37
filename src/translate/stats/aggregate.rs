//! The numbers of a task: the sum of its containers', as far as its own limits do not settle them.

use super::container_stats::{MIB, StatValues, UNITS};
use super::metrics::StatKind;
use super::{StatsCompat, TaskScrape};
use crate::model::ecs::{NetworkLocation, NetworkMode};

/// The readings of a task, added up container by container.
pub(crate) struct TaskAggregate<'a> {
    report: &'a TaskScrape<'a>,
    numbers: StatsCompat,
    network: NetworkScope,
    readings: StatValues,
}

/// Whose numbers a container's network statistics are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NetworkScope {
    /// Each container's own: they add up.
    Container,
    /// Every container reports the whole task's: they count once.
    Task,
}

impl<'a> TaskAggregate<'a> {
    pub(crate) fn new(report: &'a TaskScrape<'a>, numbers: StatsCompat) -> Self {
        let network = if numbers == StatsCompat::Corrected { network_scope(report) } else { NetworkScope::Container };
        let mut readings = StatValues::default();
        // The task's series stand even when it has no container to add.
        for reading in StatKind::ALL {
            match reading {
                StatKind::Duration | StatKind::EphemeralUtilized | StatKind::EphemeralReserved => {}
                StatKind::MemoryUsageMax if numbers == StatsCompat::Corrected => {}
                StatKind::CpuUsageVcpu
                | StatKind::CpuUtilized
                | StatKind::CpuReserved
                | StatKind::RateRx
                | StatKind::RateTx => {
                    readings.float(*reading, 0.0);
                }
                _ => readings.integer(*reading, 0),
            }
        }
        TaskAggregate { report, numbers, network, readings }
    }

    pub(crate) fn add(&mut self, container: &StatValues) {
        for &reading in StatKind::ALL {
            let Some(value) = container.at(reading) else { continue };
            let sum = match self.readings.at(reading) {
                Some(sum) if self.is_shared(reading) => sum.larger(value),
                Some(sum) => sum.plus(value, self.numbers),
                None => value,
            };
            self.readings.set(reading, sum);
        }
    }

    /// Whether every container reports one and the same number, of the task or of its host, which then counts once. The
    /// largest is taken: the containers were read a moment apart, and a counter must not go back.
    fn is_shared(&self, reading: StatKind) -> bool {
        use StatKind::{
            CpuCores, CpuOnlines, CpuUsageSystem, RateRx, RateTx, RxBytes, RxDropped, RxErrors, RxPackets, TxBytes,
            TxDropped, TxErrors, TxPackets,
        };
        match reading {
            CpuUsageSystem | CpuCores | CpuOnlines => self.numbers == StatsCompat::Corrected,
            RateRx | RateTx | RxBytes | RxPackets | RxErrors | RxDropped | TxBytes | TxPackets | TxErrors
            | TxDropped => self.network == NetworkScope::Task,
            _ => false,
        }
    }

    /// What the task's own limits settle, and what follows from the sums.
    pub(crate) fn finish(mut self) -> StatValues {
        let limits = self.report.task.limits.unwrap_or_default();
        if let Some(memory) = limits.memory {
            self.readings.integer(StatKind::MemoryReserved, memory);
            if self.numbers == StatsCompat::Corrected {
                // A container without a limit of its own reports 2^63-4096: two of them would wrap to -8192.
                self.readings.integer(StatKind::MemoryUsageLimit, memory.saturating_mul(MIB));
            }
        }
        if let Some(cpu) = limits.cpu {
            self.readings.float(StatKind::CpuReserved, cpu * UNITS);
        }
        let of = |reading| self.readings.at(reading).map_or(0.0, |value| value.as_f64(self.numbers));
        let (vcpu, reserved) = (of(StatKind::CpuUsageVcpu), of(StatKind::CpuReserved));
        self.readings.float(StatKind::CpuUtilized, if reserved > 0.0 { vcpu * UNITS } else { 0.0 });
        self.ephemeral_storage();
        self.readings
    }

    /// Only Fargate tells; elsewhere the receiver writes 0, which is not so.
    fn ephemeral_storage(&mut self) {
        let storage = self.report.task.ephemeral_storage_metrics.unwrap_or_default();
        let guess = (self.numbers == StatsCompat::Adot).then_some(0);
        if let Some(utilized) = storage.utilized.or(guess) {
            self.readings.integer(StatKind::EphemeralUtilized, utilized);
        }
        if let Some(reserved) = storage.reserved.or(guess) {
            self.readings.integer(StatKind::EphemeralReserved, reserved);
        }
    }
}

/// The agent reports the network of a task that has its own interface on each container (amazon-ecs-agent
/// `agent/stats/engine.go`). The mode comes from the task definition or from any container of the document.
fn network_scope(report: &TaskScrape<'_>) -> NetworkScope {
    let task = report.task;
    let is_own = |mode: &NetworkMode| NetworkLocation::new(mode, &task.launch_type) == NetworkLocation::Task;
    let mut networks = task.containers().iter().flat_map(|container| container.networks.iter().flatten());
    if is_own(report.network_mode) || networks.any(|network| is_own(&network.network_mode)) {
        NetworkScope::Task
    } else {
        NetworkScope::Container
    }
}
