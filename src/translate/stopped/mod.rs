//! A task that stopped: why, as series, and an end to the series that it had.
//!
//! Field words: Amazon ECS Developer Guide, "Amazon ECS stopped tasks error messages". ECS writes its reasons as sentences
//! with names and ids in them; `reason` maps them onto a closed set of words, so that labels stay few.

mod reason;

use crate::model::ecs::{ContainerStatus, TaskStatus};
use crate::model::rejection::Rejections;
use crate::model::series::{InsertOutcome, Labels, STALE_NAN, SeriesBatch};
use crate::model::task::{Task, TaskContainer};
use crate::translate::stats::{
    ContainerIdentity, Level, Options, StatKind, StatsCompat, StatsMetric, StatsResult, StatsSource, TaskIdentity,
    add_container, add_extra, of_task,
};

/// A metric of a task's end, a gauge each.
#[derive(Debug)]
pub struct StoppedMetric {
    pub name: &'static str,
    pub level: Level,
    /// Labels beside those of the task or container.
    pub labels: &'static [&'static str],
}

/// Why a task stopped: always 1.
pub const TASK_STOPPED_INFO: StoppedMetric = StoppedMetric {
    name: "ecs_task_stopped_info",
    level: Level::Task,
    labels: &["stop_code", "reason", "essential_container", "deployment"],
};
/// How a container ended; 128 and more are signals.
pub const CONTAINER_EXIT_CODE: StoppedMetric =
    StoppedMetric { name: "ecs_container_exit_code", level: Level::Container, labels: &["reason", "essential"] };
/// Whether a container was killed for want of memory.
pub const CONTAINER_OOM_KILLED: StoppedMetric =
    StoppedMetric { name: "ecs_container_oom_killed", level: Level::Container, labels: &["essential"] };
pub const STOPPED_METRICS: &[&StoppedMetric] = &[&TASK_STOPPED_INFO, &CONTAINER_EXIT_CODE, &CONTAINER_OOM_KILLED];

/// A task's end.
#[derive(Clone, Copy, Debug)]
pub struct StoppedTask<'a> {
    pub task: &'a Task,
    /// Time of the samples.
    pub at_ms: i64,
}

/// Writes why a task stopped, and how each of its containers did. Of a task that still runs, only containers that have
/// ended have series. Safe to repeat: the same stop at the same time is the same samples.
pub fn stopped_series(stop: &StoppedTask<'_>, extra: &Labels, options: &Options, out: &mut SeriesBatch) -> StatsResult {
    let mut outcome = StatsResult::default();
    let task = stop.task;
    // The receiver has no such metrics, so their labels are never in its edition.
    let mut labels = of_task(&TaskIdentity::from(task), StatsCompat::Corrected, options);
    add_extra(&mut labels, extra);
    let mut writer = StoppedMetricWriter { at_ms: stop.at_ms, out, written: 0 };
    for container in task.containers.iter().filter(|container| has_ended(container)) {
        let mut labels = labels.clone();
        add_container(&mut labels, &ContainerIdentity::from(container), StatsCompat::Corrected, options);
        // The code is the value: as a label it would begin a new series with each.
        labels.remove("aws_ecs_container_exit_code");
        labels.set("essential", container.essential.map_or("", |essential| if essential { "true" } else { "false" }));
        writer.write(&CONTAINER_OOM_KILLED, &mut labels, f64::from(u8::from(reason::is_oom(task, container))));
        labels.set("reason", container.reason.as_deref().map_or("", reason::of_container));
        if let Some(code) = container.exit_code {
            writer.write(&CONTAINER_EXIT_CODE, &mut labels, f64::from(code));
        }
    }
    if task.last_status == TaskStatus::Stopped {
        labels.set("stop_code", task.stop_code.as_deref().map_or("", reason::stop_code));
        labels.set("reason", task.stopped_reason.as_deref().map_or("", reason::of_task));
        labels.set("essential_container", failed_container(task).map_or("", |container| &container.name));
        labels.set("deployment", deployment(task));
        writer.write(&TASK_STOPPED_INFO, &mut labels, 1.0);
    }
    outcome.written = writer.written;
    outcome
}

fn has_ended(container: &TaskContainer) -> bool {
    container.exit_code.is_some() || container.last_status == ContainerStatus::Stopped
}

/// The essential container whose end was the end of the task: one killed for memory before one that failed, and that
/// before one that was told to stop.
fn failed_container(task: &Task) -> Option<&TaskContainer> {
    if task.stop_code.as_deref() != Some("EssentialContainerExited") {
        return None;
    }
    let essential =
        task.containers.iter().filter(|container| container.essential != Some(false) && has_ended(container));
    essential.min_by_key(|container| match container.exit_code {
        _ if reason::is_oom(task, container) => 0,
        // SIGKILL and SIGTERM: ECS sends them to the others once an essential container has gone.
        Some(137 | 143) => 2,
        Some(0) => 3,
        Some(_) => 1,
        None => 4,
    })
}

/// The deployment of a service that started the task.
fn deployment(task: &Task) -> &str {
    if task.started_by.starts_with("ecs-svc/") { &task.started_by } else { "" }
}

struct StoppedMetricWriter<'a> {
    at_ms: i64,
    out: &'a mut SeriesBatch,
    written: u64,
}

impl StoppedMetricWriter<'_> {
    fn write(&mut self, metric: &StoppedMetric, labels: &mut Labels, value: f64) {
        self.named(metric.name, labels, value);
    }

    fn named(&mut self, name: &str, labels: &mut Labels, value: f64) {
        labels.set("__name__", name);
        let id = self.out.series(labels.iter());
        self.written += u64::from(self.out.add_sample(id, self.at_ms, value) == InsertOutcome::New);
    }
}

/// Ends the series that a task had from its source of stats, so that no query shows a stopped task for another five
/// minutes. Only labels that stay the same can be told from outside the task: where others are written, such as under
/// the receiver's names, the series end by themselves, and the outcome says `unstable_labels`.
///
/// The marker must be the last of a series: Container Insights events are minutes late, so theirs is to be written once
/// the last event of the task can have been read.
pub fn stale_markers(
    stop: &StoppedTask<'_>,
    source: StatsSource,
    extra: &Labels,
    options: &Options,
    out: &mut SeriesBatch,
) -> StatsResult {
    let mut refused = Rejections::default();
    let mut writer = StoppedMetricWriter { at_ms: stop.at_ms, out, written: 0 };
    for &numbers in options.names.variants() {
        if !options.labels.is_stable(numbers) {
            refused
                .add("unstable_labels", 1, || "labels that change over a task's life are not known outside it".into());
            continue;
        }
        write_stale(&mut writer, &StaleContext { task: stop.task, source, numbers, options }, extra);
    }
    StatsResult { written: writer.written, rejected: refused }
}

struct StaleContext<'a> {
    task: &'a Task,
    source: StatsSource,
    numbers: StatsCompat,
    options: &'a Options,
}

fn write_stale(writer: &mut StoppedMetricWriter<'_>, ending: &StaleContext<'_>, extra: &Labels) {
    let (task, numbers, options) = (ending.task, ending.numbers, ending.options);
    let stale = f64::from_bits(STALE_NAN);
    let mut labels = of_task(&TaskIdentity::from(task), numbers, options);
    add_extra(&mut labels, extra);
    for container in &task.containers {
        let mut identity = ContainerIdentity::from(container);
        for metric in options.metrics.metrics(Level::Container).filter(|metric| had_series(ending, metric, container)) {
            // While it ran it had no exit code; a duration it has only since it stopped.
            identity.exit_code = container.exit_code.map(i64::from).filter(|_| metric.reading == StatKind::Duration);
            let mut labels = labels.clone();
            add_container(&mut labels, &identity, numbers, options);
            writer.named(metric.name_for(numbers), &mut labels, stale);
        }
    }
    for metric in options.metrics.metrics(Level::Task).filter(|metric| ending.source.provides(metric, options)) {
        writer.named(metric.name_for(numbers), &mut labels, stale);
    }
}

/// Whether a container had this series. A duration is only seen of a container that ends before its task, as an essential
/// one never does.
fn had_series(ending: &StaleContext<'_>, metric: &StatsMetric, container: &TaskContainer) -> bool {
    let seen =
        metric.reading != StatKind::Duration || (container.essential != Some(true) && container.exit_code.is_some());
    seen && ending.source.provides(metric, ending.options)
}

#[cfg(test)]
mod tests;
