//! Task stats become series: the 55 metrics of OpenTelemetry's awsecscontainermetrics receiver.
//!
//! `metrics` is the table of what can be written and `options` which of it, under which names; `readings` holds the
//! numbers, `labels` who they belong to. The names are the receiver's (opentelemetry-collector-contrib v0.156.0,
//! `receiver/awsecscontainermetricsreceiver`), so that dashboards made for the sidecar keep working. Its numbers come in
//! two editions, [`Numbers`]: as the receiver reckons them, or with its faults mended.

mod aggregate;
mod container_stats;
mod identity;
mod image;
mod labels;
mod metrics;
mod options;
mod source;

use std::collections::BTreeSet;

pub use labels::{Label, LabelSelection};
pub use metrics::{Level, METRICS, MetricType, StatsMetric};
pub use options::{MetricSelection, NamingMode, Options};

pub use source::{EnabledSources, StatsSource, source_of};

pub(crate) use container_stats::{MIB, StatValues, UNITS, container_utilized};
pub(crate) use identity::{ContainerIdentity, TaskIdentity, rfc3339};
pub(crate) use labels::{add_container, of_task};
pub(crate) use metrics::StatKind;

use crate::model::ecs::NetworkMode;
use crate::model::rejection::Rejections;
use crate::model::series::{InsertOutcome, Labels, SeriesBatch};
use crate::model::task::{Task, TaskContainer};
use crate::model::task_metadata::{ContainerMetadata, ContainerStats, TaskMetadata, TaskStats};

/// What a task said of itself at one time.
#[derive(Clone, Copy, Debug)]
pub struct TaskScrape<'a> {
    pub task: &'a TaskMetadata<'a>,
    pub stats: &'a TaskStats<'a>,
    /// When it was asked: the time of every sample.
    pub at_ms: i64,
    /// Network mode of the task definition; unspecified when the definition is not known.
    pub network_mode: &'a NetworkMode,
    /// Of the task's group, for where the task does not say: agents of ECS before 1.63.1 on EC2, and agents of Anywhere.
    pub service: Option<&'a str>,
}

/// What became of a report.
#[derive(Debug, Default)]
pub struct StatsResult {
    /// Samples.
    pub written: u64,
    /// Containers and values that were set aside.
    pub rejected: Rejections,
}

/// Whose arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsCompat {
    /// Faults of the receiver mended.
    Corrected,
    /// As the receiver reckons, faults included.
    Adot,
}

/// Writes the series of a task and of its containers.
///
/// `extra` labels go onto every series, but never in place of one that ECS gives. A container without statistics has no
/// series, or, once it has stopped, `container.duration` alone; the task's own series are always written.
pub fn series(report: &TaskScrape<'_>, extra: &Labels, options: &Options, out: &mut SeriesBatch) -> StatsResult {
    let mut outcome = StatsResult::default();
    for &numbers in options.names.variants() {
        write_variant(report, extra, &MetricWriter { numbers, options, at_ms: report.at_ms }, out, &mut outcome);
    }
    outcome
}

/// The labels that a task's series have, and with `container` those of the container's: for what else is known of them,
/// such as whether a scrape went well.
pub fn labels_of(task: &Task, container: Option<&TaskContainer>, options: &Options) -> Labels {
    let mut labels = of_task(&TaskIdentity::from(task), StatsCompat::Corrected, options);
    if let Some(container) = container {
        add_container(&mut labels, &ContainerIdentity::from(container), StatsCompat::Corrected, options);
    }
    labels
}

fn write_variant(
    report: &TaskScrape<'_>,
    extra: &Labels,
    writer: &MetricWriter<'_>,
    out: &mut SeriesBatch,
    outcome: &mut StatsResult,
) {
    let numbers = writer.numbers;
    let mut identity = TaskIdentity::from(report.task);
    if identity.service.is_empty() {
        identity.service = report.service.unwrap_or_default();
    }
    let mut task_labels = of_task(&identity, numbers, writer.options);
    add_extra(&mut task_labels, extra);
    let mut total = aggregate::TaskAggregate::new(report, numbers);
    let mut seen = BTreeSet::new();
    for container in report.task.containers() {
        let stats = report.stats.container(&container.docker_id);
        if !is_counted(container, stats, &mut seen, numbers, &mut outcome.rejected) {
            continue;
        }
        let readings = match stats {
            Some(stats) => {
                let readings = container_stats::of_running(container, stats, numbers);
                total.add(&readings);
                readings
            }
            None => container_stats::of_stopped(container, numbers, &mut outcome.rejected),
        };
        if writer.selected(Level::Container, &readings) == 0 {
            continue;
        }
        let mut labels = task_labels.clone();
        add_container(&mut labels, &ContainerIdentity::from(container), numbers, writer.options);
        outcome.written += writer.write(Level::Container, &readings, &mut labels, out);
    }
    outcome.written += writer.write(Level::Task, &total.finish(), &mut task_labels, out);
}

/// Labels that say more, but never in place of what ECS says.
pub(crate) fn add_extra(labels: &mut Labels, extra: &Labels) {
    for (name, value) in extra.iter() {
        labels.set_default(name, value);
    }
}

/// Whether a container has series of its own. The receiver takes every one; here the pause container, which ECS puts
/// beside the user's under awsvpc on EC2, is none, and of two with one name the first stands, as their series could not
/// be told apart.
fn is_counted<'a>(
    container: &'a ContainerMetadata<'_>,
    stats: Option<&ContainerStats<'_>>,
    seen: &mut BTreeSet<(&'a str, bool)>,
    numbers: StatsCompat,
    refused: &mut Rejections,
) -> bool {
    if numbers == StatsCompat::Adot {
        return true;
    }
    if matches!(&*container.kind, "CNI_PAUSE" | "NAMESPACE_PAUSE") {
        return false;
    }
    let first = seen.insert((&*container.name, stats.is_some()));
    if !first {
        refused
            .add("duplicate_container", 1, || format!("a second container named {:?} in one task", &*container.name));
    }
    first
}

/// Writes readings under the names of one edition.
pub(crate) struct MetricWriter<'a> {
    pub(crate) numbers: StatsCompat,
    pub(crate) options: &'a Options,
    pub(crate) at_ms: i64,
}

impl MetricWriter<'_> {
    /// How many of the readings are both known and asked for.
    pub(crate) fn selected(&self, level: Level, readings: &StatValues) -> u64 {
        self.options.metrics.metrics(level).filter(|metric| readings.at(metric.reading).is_some()).count() as u64
    }

    /// Writes what is selected and known of one task or container; `labels` come back with a name that is not theirs.
    /// Returns how many samples were written; one that was there already does not count.
    pub(crate) fn write(&self, level: Level, readings: &StatValues, labels: &mut Labels, out: &mut SeriesBatch) -> u64 {
        let mut written = 0;
        for metric in self.options.metrics.metrics(level) {
            let Some(value) = readings.at(metric.reading) else { continue };
            labels.set("__name__", metric.name_for(self.numbers));
            let id = out.series(labels.iter());
            let pushed = out.add_sample(id, self.at_ms, value.as_f64(self.numbers));
            written += u64::from(pushed == InsertOutcome::New);
        }
        written
    }
}
