//! Values of a task: sums over its containers, replaced by the limits of the task where it has them.

use super::TaskScrape;
use super::container_stats::{MIB, StatValues, UNITS, epoch_ms, running_values, stopped_values};
use super::metrics::{StatKind, StatsCompat};
use crate::model::ecs::{ContainerStatus, LaunchType, NetworkLocation, NetworkMode};
use crate::model::rejection::Rejections;
use crate::model::task_metadata::{ContainerMetadata, ContainerStats};

/// Sums the values of a task's containers. Corrected, a sum with an unknown value is left out: a sum of the others would be a
/// counter that decreases, which looks like a reset.
pub(crate) struct TaskAggregate<'a> {
    scrape: &'a TaskScrape<'a>,
    compat: StatsCompat,
    network: NetworkScope,
    values: StatValues,
    /// Sums that a container lacks a value of.
    incomplete: StatSet,
}

/// A set of statistics, one bit for each.
#[derive(Clone, Copy, Debug, Default)]
struct StatSet(u64);

const _: () = assert!(StatKind::COUNT <= u64::BITS as usize, "a set has a bit for each statistic");

impl StatSet {
    const ALL: Self = Self(u64::MAX);

    fn insert(&mut self, stat: StatKind) {
        self.0 |= 1 << stat as u64;
    }

    fn contains(self, stat: StatKind) -> bool {
        self.0 & (1 << stat as u64) != 0
    }
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
        if compat == StatsCompat::Adot {
            set_receiver_defaults(&mut values);
        }
        // Containers that are not read are unknown.
        let has_unread = compat == StatsCompat::Corrected && scrape.task.containers.ignored > 0;
        let incomplete = if has_unread { StatSet::ALL } else { StatSet::default() };
        TaskAggregate { scrape, compat, network, values, incomplete }
    }

    /// Adds the values of a container to the sums, and returns them. A container that runs without stats is unknown.
    pub(crate) fn add_container(
        &mut self,
        container: &ContainerMetadata<'_>,
        stats: Option<&ContainerStats<'_>>,
        rejected: &mut Rejections,
    ) -> StatValues {
        let Some(stats) = stats else {
            if self.compat == StatsCompat::Corrected && is_running(container) {
                self.incomplete = StatSet::ALL;
            }
            return stopped_values(container, self.compat, rejected);
        };
        let values = running_values(container, stats, launch_type(self.scrape), self.compat);
        self.add(&values);
        values
    }

    fn add(&mut self, container: &StatValues) {
        for &stat in StatKind::OF_RECEIVER {
            let Some(value) = container.get(stat) else {
                self.incomplete.insert(stat);
                continue;
            };
            let sum = match self.values.get(stat) {
                Some(sum) if self.is_shared(stat) => sum.larger(value),
                Some(sum) => sum.plus(value, self.compat),
                None => value,
            };
            self.values.set(stat, sum);
        }
    }

    /// Removes sums of which a container lacks its part. A container without a reservation adds nothing to it, and a value that all
    /// containers report needs only one of them.
    fn remove_incomplete(&mut self) {
        for &stat in StatKind::OF_RECEIVER {
            let is_reservation = matches!(stat, StatKind::CpuReserved | StatKind::MemoryReserved);
            if self.incomplete.contains(stat) && !is_reservation && !self.is_shared(stat) {
                self.values.remove(stat);
            }
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
        if self.compat == StatsCompat::Corrected {
            self.remove_incomplete();
        }
        let mut limits = self.scrape.task.limits.unwrap_or_default();
        if self.compat == StatsCompat::Corrected {
            // 0 is no limit.
            limits.memory = limits.memory.filter(|&mib| mib > 0);
            limits.cpu = limits.cpu.filter(|&cpu| cpu > 0.0);
        }
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
        self.utilized_units();
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

    /// The receiver writes 0 for a task without a reservation.
    fn utilized_units(&mut self) {
        let value = |stat| self.values.get(stat).map(|value| value.as_f64(self.compat));
        let has_reservation = value(StatKind::CpuReserved).is_some_and(|units| units > 0.0);
        let utilized = match (value(StatKind::CpuUsageVcpu), self.compat) {
            (Some(vcpu), StatsCompat::Corrected) => vcpu * UNITS,
            (Some(vcpu), StatsCompat::Adot) if has_reservation => vcpu * UNITS,
            (_, StatsCompat::Adot) => 0.0,
            (None, StatsCompat::Corrected) => return self.values.remove(StatKind::CpuUtilized),
        };
        self.values.float(StatKind::CpuUtilized, utilized);
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

/// The receiver writes all series of a task, even without containers.
fn set_receiver_defaults(values: &mut StatValues) {
    for stat in StatKind::OF_RECEIVER {
        match stat {
            StatKind::Duration | StatKind::EphemeralUtilized | StatKind::EphemeralReserved => {}
            StatKind::CpuUsageVcpu
            | StatKind::CpuUtilized
            | StatKind::CpuReserved
            | StatKind::RateRx
            | StatKind::RateTx => values.float(*stat, 0.0),
            _ => values.integer(*stat, 0),
        }
    }
}

/// Returns whether a container runs. Without a status, its times tell.
fn is_running(container: &ContainerMetadata<'_>) -> bool {
    match container.known_status {
        ContainerStatus::Running | ContainerStatus::ResourcesProvisioned => true,
        ContainerStatus::Unspecified => !container.started_at.is_empty() && container.finished_at.is_empty(),
        _ => false,
    }
}

/// Returns the launch type that ECS reports, or else that of the document.
fn launch_type<'a>(scrape: &TaskScrape<'a>) -> &'a LaunchType {
    scrape.described.map_or(&scrape.task.launch_type, |described| &described.launch_type)
}

/// The agent reports the network of a task that has its own interface on each container (amazon-ecs-agent
/// `agent/stats/engine.go`). The mode comes from the task definition or from any container of the document.
fn network_scope(scrape: &TaskScrape<'_>) -> NetworkScope {
    let task = scrape.task;
    let launch_type = launch_type(scrape);
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
