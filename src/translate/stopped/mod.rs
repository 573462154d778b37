//! Series about stopped tasks, and staleness markers for the series that a task had.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS stopped tasks error messages". ECS reports reasons as sentences that
//! contain names and ids; `reason` maps them to a fixed set of label values. Finding stopped tasks is in `discovery`.

mod reason;

use crate::model::ecs::{ContainerStatus, LaunchType, TaskStatus};
use crate::model::rejection::Rejections;
use crate::model::series::{InsertOutcome, Labels, STALE_NAN, SeriesBatch};
use crate::model::task::{Task, TaskContainer};
use crate::translate::stats::{
    ContainerIdentity, Level, Options, StatKind, StatsCompat, StatsMetric, StatsResult, StatsSource, TaskIdentity,
    add_container_labels, add_extra_labels, task_labels,
};

/// Exit code after SIGKILL.
const SIGKILL_EXIT: i32 = 137;
/// Exit code after SIGTERM.
const SIGTERM_EXIT: i32 = 143;

/// A metric about a stopped task. Each is a gauge.
#[derive(Debug)]
pub struct StoppedMetric {
    pub name: &'static str,
    pub level: Level,
    /// Labels in addition to the labels of the task or container.
    pub labels: &'static [&'static str],
}

/// Stop code and reason of a task. The value is always 1.
pub const TASK_STOPPED_INFO: StoppedMetric = StoppedMetric {
    name: "ecs_task_stopped_info",
    level: Level::Task,
    labels: &["stop_code", "reason", "essential_container", "deployment"],
};
/// Exit code of a container. Codes from 128 are signals.
pub const CONTAINER_EXIT_CODE: StoppedMetric =
    StoppedMetric { name: "ecs_container_exit_code", level: Level::Container, labels: &["reason", "essential"] };
/// 1 if a container was killed because it ran out of memory, 0 otherwise.
pub const CONTAINER_OOM_KILLED: StoppedMetric =
    StoppedMetric { name: "ecs_container_oom_killed", level: Level::Container, labels: &["essential"] };
pub const STOPPED_METRICS: &[&StoppedMetric] = &[&TASK_STOPPED_INFO, &CONTAINER_EXIT_CODE, &CONTAINER_OOM_KILLED];

/// A task that stopped, or in which a container stopped.
#[derive(Clone, Copy, Debug)]
pub struct StoppedTask<'a> {
    pub task: &'a Task,
    /// Time of the samples.
    pub at_ms: i64,
}

/// Writes the reason that a task stopped, and the result of each container that stopped. Writing the same stop at the
/// same time again results in the same samples.
pub fn stopped_series(stop: &StoppedTask<'_>, extra: &Labels, options: &Options, out: &mut SeriesBatch) -> StatsResult {
    let task = stop.task;
    // The receiver has no such metrics, so there is no ADOT variant of their labels.
    let mut labels = task_labels(&TaskIdentity::from(task), StatsCompat::Corrected, options.labels);
    add_extra_labels(&mut labels, extra);
    let mut writer = StoppedMetricWriter { at_ms: stop.at_ms, out, written: 0 };
    let ending = ending_container(task);
    for container in task.containers.iter().filter(|container| has_stopped(container)) {
        let mut labels = labels.clone();
        add_container_labels(&mut labels, &ContainerIdentity::from(container), StatsCompat::Corrected, options.labels);
        // The exit code is the value. As a label, each code would start a new series.
        labels.remove("aws_ecs_container_exit_code");
        labels.set("essential", container.essential.map_or("", |essential| if essential { "true" } else { "false" }));
        writer.write(&CONTAINER_OOM_KILLED, &mut labels, f64::from(u8::from(reason::is_oom(task, container, ending))));
        labels.set("reason", container.reason.as_deref().map_or("", reason::container_reason));
        if let Some(code) = container.exit_code {
            writer.write(&CONTAINER_EXIT_CODE, &mut labels, f64::from(code));
        }
    }
    if task.last_status == TaskStatus::Stopped {
        labels.set("stop_code", task.stop_code.as_deref().map_or("", reason::stop_code));
        labels.set("reason", task.stopped_reason.as_deref().map_or("", reason::task_reason));
        labels.set("essential_container", ending.map_or("", |container| &container.name));
        labels.set("deployment", task.deployment().unwrap_or_default());
        writer.write(&TASK_STOPPED_INFO, &mut labels, 1.0);
    }
    StatsResult { written: writer.written, ..StatsResult::default() }
}

fn has_stopped(container: &TaskContainer) -> bool {
    container.exit_code.is_some() || container.last_status == ContainerStatus::Stopped
}

/// Returns the essential container whose exit ended the task. ECS does not report the order of the exits, but it sends SIGTERM, and
/// then SIGKILL, only to the containers that still run after the first exit. So it is the one that ran out of memory by its reason,
/// or else one that exited with a code of its own. If a signal ended all of them, ECS did not send the first one, and only SIGKILL
/// comes from elsewhere without a request.
fn ending_container(task: &Task) -> Option<&TaskContainer> {
    if !reason::is_essential_exit(task) {
        return None;
    }
    let essential =
        task.containers.iter().filter(|container| container.essential != Some(false) && has_stopped(container));
    essential.min_by_key(|container| match container.exit_code {
        _ if reason::is_reported_oom(container) => 0,
        Some(0) => 2,
        Some(SIGKILL_EXIT) => 3,
        Some(SIGTERM_EXIT) => 4,
        Some(_) => 1,
        None => 5,
    })
}

struct StoppedMetricWriter<'a> {
    at_ms: i64,
    out: &'a mut SeriesBatch,
    written: u64,
}

impl StoppedMetricWriter<'_> {
    fn write(&mut self, metric: &StoppedMetric, labels: &mut Labels, value: f64) {
        self.write_named(metric.name, labels, value);
    }

    /// Writes a staleness marker.
    fn write_stale(&mut self, metric: &StatsMetric, compat: StatsCompat, labels: &mut Labels) {
        if let Some(name) = metric.name_for(compat) {
            self.write_named(name, labels, f64::from_bits(STALE_NAN));
        }
    }

    fn write_named(&mut self, name: &str, labels: &mut Labels, value: f64) {
        labels.set("__name__", name);
        let id = self.out.series(labels.iter());
        self.written += u64::from(self.out.add_sample(id, self.at_ms, value) == InsertOutcome::New);
    }
}

/// Writes staleness markers for the series that a task had from its stats source, so that queries do not return a
/// stopped task for another five minutes. This needs labels that can be derived outside of the task. With labels that
/// change during its life, such as with the names of the receiver, there are no markers, and the result contains
/// `unstable_labels`.
///
/// A marker must be the last sample of its series. Container Insights events are minutes late, so write their markers
/// after the last event of the task may have arrived.
pub fn stale_markers(
    stop: &StoppedTask<'_>,
    source: StatsSource,
    extra: &Labels,
    options: &Options,
    out: &mut SeriesBatch,
) -> StatsResult {
    let mut rejected = Rejections::default();
    let mut writer = StoppedMetricWriter { at_ms: stop.at_ms, out, written: 0 };
    for &compat in options.names.variants() {
        if !options.labels.is_stable(compat) {
            rejected.add("unstable_labels", 1, || {
                "labels that change during the life of a task cannot be derived outside of it".into()
            });
            continue;
        }
        write_stale(&mut writer, &StaleSeries { task: stop.task, source, compat, options }, extra);
    }
    StatsResult { written: writer.written, rejected }
}

struct StaleSeries<'a> {
    task: &'a Task,
    source: StatsSource,
    compat: StatsCompat,
    options: &'a Options,
}

fn write_stale(writer: &mut StoppedMetricWriter<'_>, stale: &StaleSeries<'_>, extra: &Labels) {
    let (task, compat, options) = (stale.task, stale.compat, stale.options);
    let mut labels = task_labels(&TaskIdentity::from(task), compat, options.labels);
    add_extra_labels(&mut labels, extra);
    for container in &task.containers {
        let mut identity = ContainerIdentity::from(container);
        for metric in options.metrics.metrics(Level::Container).filter(|metric| had_series(stale, metric, container)) {
            // A running container has no exit code, and only a stopped container has a duration.
            identity.exit_code = container.exit_code.map(i64::from).filter(|_| metric.stat == StatKind::Duration);
            let mut labels = labels.clone();
            add_container_labels(&mut labels, &identity, compat, options.labels);
            writer.write_stale(metric, compat, &mut labels);
        }
    }
    for metric in options.metrics.metrics(Level::Task).filter(|metric| task_had_series(stale, metric)) {
        writer.write_stale(metric, compat, &mut labels);
    }
}

/// Returns whether a container had this series. A duration is only written for containers that stop before their task,
/// which is never the case for essential ones.
fn had_series(stale: &StaleSeries<'_>, metric: &StatsMetric, container: &TaskContainer) -> bool {
    let is_possible =
        metric.stat != StatKind::Duration || (container.essential != Some(true) && container.exit_code.is_some());
    is_possible && !metric.stat.is_optional() && stale.source.provides(metric, stale.options)
}

/// Returns whether a task had this series. The names of the receiver have a value for tasks elsewhere than on Fargate, too.
fn task_had_series(stale: &StaleSeries<'_>, metric: &StatsMetric) -> bool {
    // ECS may omit the launch type, but reports the ephemeral storage of tasks on Fargate.
    let is_on_fargate = stale.task.launch_type == LaunchType::Fargate || stale.task.ephemeral_storage_gib.is_some();
    let is_possible = is_on_fargate || stale.compat == StatsCompat::Adot || !metric.stat.is_of_fargate();
    is_possible && !metric.stat.is_optional() && stale.source.provides(metric, stale.options)
}

#[cfg(test)]
mod tests;
