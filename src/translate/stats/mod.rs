//! Task stats become series: the 55 metrics of OpenTelemetry's awsecscontainermetrics receiver.
//!
//! `metrics` is the table of what can be written and `options` which of it, under which names; `readings` holds the
//! numbers, `labels` who they belong to. The names are the receiver's (opentelemetry-collector-contrib v0.156.0,
//! `receiver/awsecscontainermetricsreceiver`), so that dashboards made for the sidecar keep working. Its numbers come in
//! two editions, [`Numbers`]: as the receiver reckons them, or with its faults mended.

mod identity;
mod image;
mod labels;
mod metrics;
mod options;
mod readings;
mod source;
mod total;

use std::collections::BTreeSet;

pub use labels::{Label, LabelSelection};
pub use metrics::{Kind, Level, METRICS, Metric};
pub use options::{Names, Options, Selection};

pub use source::{Sources, StatsSource, source_of};

pub(crate) use identity::{ContainerIdentity, TaskIdentity, rfc3339};
pub(crate) use labels::{add_container, of_task};
pub(crate) use metrics::Reading;
pub(crate) use readings::{MIB, Readings, UNITS, container_utilized};

use crate::model::refusal::Refusals;
use crate::model::series::{Labels, Pushed, SeriesBatch};
use crate::model::stats::{ContainerDocument, ContainerStats, StatsDocument, TaskDocument};
use crate::model::target::{Task, TaskContainer};

/// What a task said of itself at one time.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    pub task: &'a TaskDocument<'a>,
    pub stats: &'a StatsDocument<'a>,
    /// When it was asked: the time of every sample.
    pub at_ms: i64,
    /// Of the task definition, where it is known: containers of an `awsvpc` task all report the task's network.
    pub network_mode: Option<&'a str>,
    /// Of the task's group, for where the task does not say: agents of ECS before 1.63.1 on EC2, and agents of Anywhere.
    pub service: Option<&'a str>,
}

/// What became of a report.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Samples.
    pub written: u64,
    /// Containers and values that were set aside.
    pub refused: Refusals,
}

/// Whose arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Faults of the receiver mended.
    Corrected,
    /// As the receiver reckons, faults included.
    Adot,
}

/// Writes the series of a task and of its containers.
///
/// `extra` labels go onto every series, but never in place of one that ECS gives. A container without statistics has no
/// series, or, once it has stopped, `container.duration` alone; the task's own series are always written.
pub fn series(report: &Report<'_>, extra: &Labels, options: &Options, out: &mut SeriesBatch) -> Outcome {
    let mut outcome = Outcome::default();
    for &numbers in options.names.editions() {
        edition(report, extra, &Writer { numbers, options, at_ms: report.at_ms }, out, &mut outcome);
    }
    outcome
}

/// The labels that a task's series have, and with `container` those of the container's: for what else is known of them,
/// such as whether a scrape went well.
pub fn labels_of(task: &Task, container: Option<&TaskContainer>, options: &Options) -> Labels {
    let mut labels = of_task(&TaskIdentity::from(task), Numbers::Corrected, options);
    if let Some(container) = container {
        add_container(&mut labels, &ContainerIdentity::from(container), Numbers::Corrected, options);
    }
    labels
}

fn edition(report: &Report<'_>, extra: &Labels, writer: &Writer<'_>, out: &mut SeriesBatch, outcome: &mut Outcome) {
    let numbers = writer.numbers;
    let mut identity = TaskIdentity::from(report.task);
    if identity.service.is_empty() {
        identity.service = report.service.unwrap_or_default();
    }
    let mut task_labels = of_task(&identity, numbers, writer.options);
    add_extra(&mut task_labels, extra);
    let mut total = total::Total::new(report, numbers);
    let mut seen = BTreeSet::new();
    for container in report.task.containers() {
        let stats = report.stats.container(&container.docker_id);
        if !counts(container, stats, &mut seen, numbers, &mut outcome.refused) {
            continue;
        }
        let readings = match stats {
            Some(stats) => {
                let readings = readings::of_running(container, stats, numbers);
                total.add(&readings);
                readings
            }
            None => readings::of_stopped(container, numbers, &mut outcome.refused),
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
fn counts<'a>(
    container: &'a ContainerDocument<'_>,
    stats: Option<&ContainerStats<'_>>,
    seen: &mut BTreeSet<(&'a str, bool)>,
    numbers: Numbers,
    refused: &mut Refusals,
) -> bool {
    if numbers == Numbers::Adot {
        return true;
    }
    if matches!(&*container.kind, "CNI_PAUSE" | "NAMESPACE_PAUSE") {
        return false;
    }
    let first = seen.insert((&*container.name, stats.is_some()));
    if !first {
        refused.add("container_doubled", 1, || format!("a second container named {:?} in one task", &*container.name));
    }
    first
}

/// Writes readings under the names of one edition.
pub(crate) struct Writer<'a> {
    pub(crate) numbers: Numbers,
    pub(crate) options: &'a Options,
    pub(crate) at_ms: i64,
}

impl Writer<'_> {
    /// How many of the readings are both known and asked for.
    pub(crate) fn selected(&self, level: Level, readings: &Readings) -> u64 {
        self.options.metrics.of(level).filter(|metric| readings.at(metric.reading).is_some()).count() as u64
    }

    /// Writes what is selected and known of one task or container; `labels` come back with a name that is not theirs.
    /// Returns how many samples were written; one that was there already does not count.
    pub(crate) fn write(&self, level: Level, readings: &Readings, labels: &mut Labels, out: &mut SeriesBatch) -> u64 {
        let mut written = 0;
        for metric in self.options.metrics.of(level) {
            let Some(value) = readings.at(metric.reading) else { continue };
            labels.set("__name__", metric.rendered(self.numbers));
            let id = out.series(labels.iter());
            let pushed = out.push(id, self.at_ms, value.as_f64(self.numbers));
            written += u64::from(pushed == Pushed::New);
        }
        written
    }
}
