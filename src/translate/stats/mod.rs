//! Task stats to series: the 55 metrics of OpenTelemetry's awsecscontainermetrics receiver, and a few more.
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
mod pushed;
mod source;

use std::collections::BTreeSet;

pub use labels::{Label, LabelSelection};
pub use metrics::{Level, METRICS, MetricType, StatsCompat, StatsMetric};
pub use options::{MetricSelection, NamingMode, Options};

pub use pushed::{NotOfTask, is_repeated, keep_reported, sample_time, unreported_containers};
pub use source::{EnabledSources, StatsSource, source_of};

pub(crate) use container_stats::{MIB, StatValues, UNITS, container_utilized};
pub(crate) use identity::{ContainerIdentity, TaskIdentity, rfc3339};
pub(crate) use labels::{add_container_labels, task_labels};
pub(crate) use metrics::StatKind;

use crate::model::rejection::Rejections;
use crate::model::series::{InsertOutcome, Labels, STALE_NAN, SeriesBatch};
use crate::model::task::{Task, TaskContainer};
use crate::model::task_metadata::{ContainerMetadata, ContainerStats, MAX_CONTAINERS, TaskMetadata, TaskStats};
use crate::translate::limits::{MAX_VALUE_SIZE, exceeded_limit};
use crate::translate::shared_labels::SharedLabels;

/// The documents of a task from one scrape.
#[derive(Clone, Copy, Debug)]
pub struct TaskScrape<'a> {
    pub task: &'a TaskMetadata<'a>,
    pub stats: &'a TaskStats<'a>,
    /// Time of all samples.
    pub at_ms: i64,
    /// Time at which the documents were received, for the difference to the clock of the task.
    pub received_ms: i64,
    /// The task as ECS describes it; `None` if it is unknown. What ECS reports is never taken from the documents: they come from
    /// a container of the task, which could name another task.
    pub described: Option<&'a Task>,
}

impl<'a> TaskScrape<'a> {
    fn identity(&self) -> TaskIdentity<'a> {
        let document = TaskIdentity::from(self.task);
        let Some(task) = self.described else { return document };
        // ECS reports these with less detail, and under other names.
        let TaskIdentity { pull_started_at, pull_stopped_at, status, .. } = document;
        let described = TaskIdentity::from(task);
        // ECS does not report the zone of every task.
        let zones = [described.availability_zone, document.availability_zone];
        let availability_zone = zones.into_iter().find(|zone| !zone.is_empty()).unwrap_or_default();
        TaskIdentity { pull_started_at, pull_stopped_at, status, availability_zone, ..described }
    }
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
/// except for `container.duration` after it has stopped. A sum of a task that needs an unknown value is not written.
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
    let mut labels_of_task = task_labels(&scrape.identity(), compat, selection);
    add_extra_labels(&mut labels_of_task, extra);
    if !has_valid_labels(&labels_of_task, "task", &mut result.rejected) {
        return;
    }
    let mut aggregate = aggregate::TaskAggregate::new(scrape, compat);
    let needs_times = writer.options.metrics.needs_times();
    let mut seen = SeenContainers::default();
    for container in scrape.task.containers() {
        let stats = scrape.stats.container(&container.docker_id);
        if !seen.is_counted(container, stats, compat, &mut result.rejected) {
            continue;
        }
        let mut values = aggregate.add_container(container, stats, &mut result.rejected);
        if stats.is_some() && needs_times {
            container_stats::start_time(&mut values, container);
        }
        if writer.selected(Level::Container, &values) == 0 {
            continue;
        }
        let mut labels = labels_of_task.clone();
        add_container_labels(&mut labels, &ContainerIdentity::from(container), compat, selection);
        if has_valid_labels(&labels, "container", &mut result.rejected) {
            result.written += writer.write(Level::Container, &values, &labels, out);
        }
    }
    let ignored = scrape.task.containers.ignored;
    result
        .rejected
        .add("too_many_containers", ignored, || format!("a task with more than {MAX_CONTAINERS} containers"));
    let values = aggregate.finish(needs_times);
    result.written += writer.write(Level::Task, &values, &labels_of_task, out);
}

/// Returns whether labels are within the limits, before they are written for each metric.
fn has_valid_labels(labels: &Labels, subject: &str, rejected: &mut Rejections) -> bool {
    let exceeded = exceeded_limit(labels.iter());
    if let Some(reason) = exceeded {
        let long = labels.iter().find(|(_, value)| value.len() > MAX_VALUE_SIZE);
        let long =
            long.map(|(name, value)| format!(": {name} has {} bytes, and the limit is {MAX_VALUE_SIZE}", value.len()));
        rejected.add(reason, 1, || format!("the labels of a {subject}{}", long.unwrap_or_default()));
    }
    exceeded.is_none()
}

/// Adds labels without replacing existing ones.
pub(crate) fn add_extra_labels(labels: &mut Labels, extra: &Labels) {
    for (name, value) in extra.iter() {
        labels.set_default(name, value);
    }
}

/// Containers of a document that were counted.
#[derive(Default)]
struct SeenContainers<'a> {
    ids: BTreeSet<&'a str>,
    /// Name, and whether there are stats.
    names: BTreeSet<(&'a str, bool)>,
}

impl<'a> SeenContainers<'a> {
    /// Returns whether a container counts. The receiver counts all containers, of which each has its own ID. Corrected, two kinds
    /// are excluded: the pause container, which ECS adds under awsvpc on EC2, and a second container with the same name, whose
    /// series would be the same.
    fn is_counted(
        &mut self,
        container: &'a ContainerMetadata<'_>,
        stats: Option<&ContainerStats<'_>>,
        compat: StatsCompat,
        rejected: &mut Rejections,
    ) -> bool {
        // A container that has not started has no ID.
        let is_first_of_id = container.docker_id.is_empty() || self.ids.insert(&container.docker_id);
        if compat == StatsCompat::Corrected && matches!(&*container.kind, "CNI_PAUSE" | "NAMESPACE_PAUSE") {
            return false;
        }
        let is_first_of_name = compat == StatsCompat::Adot || self.names.insert((&*container.name, stats.is_some()));
        if is_first_of_id && is_first_of_name {
            return true;
        }
        let property = if is_first_of_id { "named" } else { "with the ID of another, named" };
        rejected.add("duplicate_container", 1, || {
            format!("a second container {property} {:?} in one task", &*container.name)
        });
        false
    }
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
        let is_written =
            |metric: &&StatsMetric| values.get(metric.stat).is_some() && metric.name_for(self.compat).is_some();
        self.options.metrics.metrics(level).filter(is_written).count() as u64
    }

    /// Writes the selected values of one task or container, and returns the number of new samples. The labels that the series
    /// share are written once.
    pub(crate) fn write(&self, level: Level, values: &StatValues, labels: &Labels, out: &mut SeriesBatch) -> u64 {
        let mut shared = None;
        let mut written = 0;
        for metric in self.options.metrics.metrics(level) {
            let Some((value, name)) = values.get(metric.stat).zip(metric.name_for(self.compat)) else { continue };
            let shared = shared.get_or_insert_with(|| SharedLabels::new(labels, out));
            let id = shared.series(name, out);
            let outcome = out.add_sample(id, self.at_ms, value.as_f64(self.compat));
            written += u64::from(outcome == InsertOutcome::New);
        }
        written
    }

    /// Writes all values, whatever is selected, or staleness markers for their series.
    pub(crate) fn write_known(
        &self,
        level: Level,
        values: &StatValues,
        labels: &Labels,
        is_ending: bool,
        out: &mut SeriesBatch,
    ) -> u64 {
        let mut shared = None;
        let mut written = 0;
        for metric in METRICS.iter().filter(|metric| metric.level == level) {
            let Some((value, name)) = values.get(metric.stat).zip(metric.name_for(self.compat)) else { continue };
            let shared = shared.get_or_insert_with(|| SharedLabels::new(labels, out));
            let id = shared.series(name, out);
            let value = if is_ending { f64::from_bits(STALE_NAN) } else { value.as_f64(self.compat) };
            written += u64::from(out.add_sample(id, self.at_ms, value) == InsertOutcome::New);
        }
        written
    }
}
