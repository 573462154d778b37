//! Series of tasks and containers.

use super::metrics::StateKind;
use super::writer::{Action, Resource, StateWriter};
use crate::model::ecs::{Connectivity, HealthStatus};
use crate::model::series::Labels;
use crate::model::task::{Task, TaskContainer};
use crate::translate::stats::{
    ContainerIdentity, Level, MetricWriter, Options, StatKind, StatValues, StatsCompat, StatsSource, TaskIdentity,
    add_container_labels, add_extra_labels, task_labels,
};

/// Statuses with series. While the status is unknown, there are none.
const HEALTH_STATUSES: [&str; 2] = ["HEALTHY", "UNHEALTHY"];

/// MiB of a GiB.
const MIB_PER_GIB: u64 = 1_024;

/// A task and what its series depend on.
#[derive(Clone, Copy, Debug)]
pub struct StateTask<'a> {
    pub task: &'a Task,
    /// Source of its container statistics.
    pub source: Option<StatsSource>,
    /// Labels that never replace a label from ECS.
    pub extra: &'a Labels,
    pub options: &'a Options,
}

/// Returns the value of the labels `stats_source` and `source`.
pub fn source_name(source: Option<StatsSource>) -> &'static str {
    source.map_or("none", StatsSource::as_str)
}

impl StateWriter<'_> {
    /// Writes the series of a task and of its containers. Without stable labels, series are written but cannot be ended, because
    /// the labels of a stopped task are different.
    pub fn task(&mut self, it: &StateTask<'_>) {
        let StateTask { task, options, .. } = *it;
        if it.source.is_none() {
            self.reservations(it);
        }
        if self.action == Action::End && !options.labels.is_stable(StatsCompat::Corrected) {
            return;
        }
        let mut labels = task_labels(&TaskIdentity::from(task), StatsCompat::Corrected, options.labels);
        add_extra_labels(&mut labels, it.extra);
        let mut resource = Resource::new(labels);
        self.time(&mut resource, StateKind::TaskStarted, task.started_at_ms);
        self.time(&mut resource, StateKind::TaskCreated, task.created_at_ms);
        if let Some((started_ms, stopped_ms)) = task.pull_started_at_ms.zip(task.pull_stopped_at_ms) {
            self.value(&mut resource, StateKind::TaskPull, stopped_ms.saturating_sub(started_ms) as f64 / 1_000.0);
        }
        if task.connectivity != Connectivity::Unspecified {
            let is_disconnected = task.connectivity == Connectivity::Disconnected;
            self.count(&mut resource, StateKind::TaskDisconnected, u32::from(is_disconnected));
        }
        let mut essential = task.containers.iter().filter(|container| container.essential != Some(false));
        self.health(&resource, StateKind::TaskHealth, &task.health, essential.any(|it| it.has_health_check));
        self.task_info(it, &resource);
        for container in &task.containers {
            self.container(container, &resource, options);
        }
    }

    fn task_info(&mut self, it: &StateTask<'_>, resource: &Resource) {
        let task = it.task;
        let deployment = task.deployment();
        let values = [
            task.capacity_provider.as_deref().unwrap_or_default(),
            &*task.platform_version,
            &task.platform_family,
            &task.cpu_architecture.to_ascii_lowercase(),
            deployment.unwrap_or_default(),
            if deployment.is_some() { "" } else { &task.started_by },
            source_name(it.source),
        ];
        self.with(resource, StateKind::TaskInfo, &values, 1.0);
    }

    fn container(&mut self, container: &TaskContainer, task: &Resource, options: &Options) {
        let has_health = container.has_health_check || is_known(&container.health);
        if !(self.metrics.has(StateKind::ContainerInfo) || has_health || container.gpus > 0) {
            return;
        }
        let mut labels = task.labels().clone();
        let mut identity = ContainerIdentity::from(container);
        // A running container has none.
        identity.exit_code = None;
        add_container_labels(&mut labels, &identity, StatsCompat::Corrected, options.labels);
        let mut resource = Resource::new(labels);
        if container.gpus > 0 {
            self.count(&mut resource, StateKind::ContainerGpus, container.gpus);
        }
        self.health(&resource, StateKind::ContainerHealth, &container.health, container.has_health_check);
        let essential = container.essential.map_or("", |is_essential| if is_essential { "true" } else { "false" });
        self.with(&resource, StateKind::ContainerInfo, &[&container.image_digest, essential], 1.0);
    }

    /// Writes the health. ECS does not report the health of a stopped task, so that the series end if there was a health check.
    fn health(&mut self, resource: &Resource, kind: StateKind, health: &HealthStatus, has_health_check: bool) {
        if is_known(health) || (self.action == Action::End && has_health_check) {
            self.states(resource, kind, &HEALTH_STATUSES, health.as_str());
        }
    }

    /// Writes what a task reserves, under the names and with the labels that its container statistics would have.
    fn reservations(&mut self, it: &StateTask<'_>) {
        let StateTask { task, extra, options, .. } = *it;
        let mut values = StatValues::default();
        if let Some(units) = cpu_units(task).filter(|_| self.metrics.has(StateKind::TaskCpuReserved)) {
            values.float(StatKind::CpuReserved, units);
        }
        if let Some(mib) = memory_mib(task).filter(|_| self.metrics.has(StateKind::TaskMemoryReserved)) {
            values.integer(StatKind::MemoryReserved, mib);
        }
        let is_asked = self.metrics.has(StateKind::TaskEphemeralReserved)
            || options.metrics.metrics(Level::Task).any(|metric| metric.stat == StatKind::EphemeralReserved);
        if let Some(gib) = task.ephemeral_storage_gib.filter(|_| is_asked) {
            values.integer(StatKind::EphemeralReserved, gib.saturating_mul(MIB_PER_GIB));
        }
        for &compat in options.names.variants() {
            let is_ending = self.action == Action::End;
            if is_ending && !options.labels.is_stable(compat) {
                continue;
            }
            let mut labels = task_labels(&TaskIdentity::from(task), compat, options.labels);
            add_extra_labels(&mut labels, extra);
            let writer = MetricWriter { compat, options, at_ms: self.at_ms };
            self.written += writer.write_known(Level::Task, &values, &labels, is_ending, self.out);
        }
    }
}

fn is_known(health: &HealthStatus) -> bool {
    matches!(health, HealthStatus::Healthy | HealthStatus::Unhealthy)
}

/// Returns the CPU units of a task, or else the sum of its containers; `None` without a reservation, which ECS reports as 0.
fn cpu_units(task: &Task) -> Option<f64> {
    let of_containers = || task.containers.iter().filter_map(|container| container.cpu).sum();
    Some(task.cpu.unwrap_or_else(of_containers)).filter(|&units| units > 0.0)
}

fn memory_mib(task: &Task) -> Option<u64> {
    let of_containers = || task.containers.iter().filter_map(|container| container.memory_mib);
    let mib = task.memory_mib.unwrap_or_else(|| of_containers().fold(0, u64::saturating_add));
    Some(mib).filter(|&mib| mib > 0)
}
