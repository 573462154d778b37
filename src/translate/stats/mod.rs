//! Task stats to series: the 55 metrics of OpenTelemetry's awsecscontainermetrics receiver.
//!
//! `metrics` is the table of all metrics, `options` selects some of them and their names, `container_stats` and
//! `aggregate` compute the values, and `labels` the labels. Names follow the receiver
//! (opentelemetry-collector-contrib v0.156.0,
//! `receiver/awsecscontainermetricsreceiver`), so that dashboards for the sidecar still work. Values are computed in
//! one of two ways ([`StatsCompat`]). Series from Container Insights events are in `translate::insights`, which uses
//! the same table.

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
pub use metrics::{Level, METRICS, MetricType, StatsCompat, StatsMetric};
pub use options::{MetricSelection, NamingMode, Options};

pub use source::{EnabledSources, StatsSource, source_of};

pub(crate) use container_stats::{MIB, StatValues, UNITS, container_utilized};
pub(crate) use identity::{ContainerIdentity, TaskIdentity, rfc3339};
pub(crate) use labels::{add_container_labels, task_labels};
pub(crate) use metrics::StatKind;

use crate::model::ecs::NetworkMode;
use crate::model::rejection::Rejections;
use crate::model::series::{InsertOutcome, Labels, SeriesBatch};
use crate::model::task::{Task, TaskContainer};
use crate::model::task_metadata::{ContainerMetadata, ContainerStats, TaskMetadata, TaskStats};

/// The documents of a task from one scrape.
#[derive(Clone, Copy, Debug)]
pub struct TaskScrape<'a> {
    pub task: &'a TaskMetadata<'a>,
    pub stats: &'a TaskStats<'a>,
    /// Time of the scrape and of all samples.
    pub at_ms: i64,
    /// Network mode of the task definition; unspecified if there is no definition.
    pub network_mode: &'a NetworkMode,
    /// Service from the task's group, because some agents omit it: on EC2 before 1.63.1, and on ECS Anywhere.
    pub service: Option<&'a str>,
}

/// Number of written samples, and rejected items.
#[must_use]
#[derive(Debug, Default)]
pub struct StatsResult {
    /// Samples.
    pub written: u64,
    /// Rejected containers and values.
    pub rejected: Rejections,
}

/// Writes the series of a task and of its containers.
///
/// `extra` labels are added to all series and never replace a label from ECS. A container without stats has no series,
/// except for `container.duration` after it has stopped. Task series are always written.
pub fn series(scrape: &TaskScrape<'_>, extra: &Labels, options: &Options, out: &mut SeriesBatch) -> StatsResult {
    let mut result = StatsResult::default();
    for &compat in options.names.variants() {
        write_variant(scrape, extra, &MetricWriter { compat, options, at_ms: scrape.at_ms }, out, &mut result);
    }
    result
}

/// Returns the labels of a task's series, and with `container` also the labels of the container, for other series about
/// them, such as `up`.
pub fn labels_of(task: &Task, container: Option<&TaskContainer>, options: &Options) -> Labels {
    let mut labels = task_labels(&TaskIdentity::from(task), StatsCompat::Corrected, options.labels);
    if let Some(container) = container {
        add_container_labels(&mut labels, &ContainerIdentity::from(container), StatsCompat::Corrected, options.labels);
    }
    labels
}

fn write_variant(
    scrape: &TaskScrape<'_>,
    extra: &Labels,
    writer: &MetricWriter<'_>,
    out: &mut SeriesBatch,
    result: &mut StatsResult,
) {
    let (compat, selection) = (writer.compat, writer.options.labels);
    let mut identity = TaskIdentity::from(scrape.task);
    if identity.service.is_empty() {
        identity.service = scrape.service.unwrap_or_default();
    }
    let mut labels_of_task = task_labels(&identity, compat, selection);
    add_extra_labels(&mut labels_of_task, extra);
    let mut aggregate = aggregate::TaskAggregate::new(scrape, compat);
    let mut seen = BTreeSet::new();
    for container in scrape.task.containers() {
        let stats = scrape.stats.container(&container.docker_id);
        if !is_counted(container, stats, &mut seen, compat, &mut result.rejected) {
            continue;
        }
        let values = match stats {
            Some(stats) => {
                let values = container_stats::running_values(container, stats, compat);
                aggregate.add(&values);
                values
            }
            None => container_stats::stopped_values(container, compat, &mut result.rejected),
        };
        if writer.selected(Level::Container, &values) == 0 {
            continue;
        }
        let mut labels = labels_of_task.clone();
        add_container_labels(&mut labels, &ContainerIdentity::from(container), compat, selection);
        result.written += writer.write(Level::Container, &values, &mut labels, out);
    }
    result.written += writer.write(Level::Task, &aggregate.finish(), &mut labels_of_task, out);
}

/// Adds labels without replacing existing ones.
pub(crate) fn add_extra_labels(labels: &mut Labels, extra: &Labels) {
    for (name, value) in extra.iter() {
        labels.set_default(name, value);
    }
}

/// Returns whether a container has series. The receiver counts all containers. Corrected, two kinds are excluded: the
/// pause container, which ECS adds under awsvpc on EC2, and a second container with the same name, whose series would
/// be the same.
fn is_counted<'a>(
    container: &'a ContainerMetadata<'_>,
    stats: Option<&ContainerStats<'_>>,
    seen: &mut BTreeSet<(&'a str, bool)>,
    compat: StatsCompat,
    rejected: &mut Rejections,
) -> bool {
    if compat == StatsCompat::Adot {
        return true;
    }
    if matches!(&*container.kind, "CNI_PAUSE" | "NAMESPACE_PAUSE") {
        return false;
    }
    let first = seen.insert((&*container.name, stats.is_some()));
    if !first {
        rejected
            .add("duplicate_container", 1, || format!("a second container named {:?} in one task", &*container.name));
    }
    first
}

/// Writes values with the names of one variant.
pub(crate) struct MetricWriter<'a> {
    pub(crate) compat: StatsCompat,
    pub(crate) options: &'a Options,
    pub(crate) at_ms: i64,
}

impl MetricWriter<'_> {
    /// Returns the number of values that are selected.
    pub(crate) fn selected(&self, level: Level, values: &StatValues) -> u64 {
        self.options.metrics.metrics(level).filter(|metric| values.get(metric.stat).is_some()).count() as u64
    }

    /// Writes the selected values of one task or container, and returns the number of new samples. `__name__` of
    /// `labels` is overwritten.
    pub(crate) fn write(&self, level: Level, values: &StatValues, labels: &mut Labels, out: &mut SeriesBatch) -> u64 {
        let mut written = 0;
        for metric in self.options.metrics.metrics(level) {
            let Some(value) = values.get(metric.stat) else { continue };
            labels.set("__name__", metric.name_for(self.compat));
            let id = out.series(labels.iter());
            let outcome = out.add_sample(id, self.at_ms, value.as_f64(self.compat));
            written += u64::from(outcome == InsertOutcome::New);
        }
        written
    }
}
