//! Options for task stats: which metrics and labels are written, and with which names.

use thiserror::Error;

use super::labels::LabelSelection;
use super::metrics::{Level, METRICS, StatsCompat, StatsMetric};

/// Options for task stats.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub names: NamingMode,
    pub metrics: MetricSelection,
    pub labels: LabelSelection,
    /// Whether `memory.usage` is written from `MemoryUtilized` of Container Insights, which does not include the page
    /// cache.
    pub approximate_memory_usage: bool,
}

/// Which names are written, and with them which formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamingMode {
    /// `ecs_task_cpu_utilized`, corrected.
    #[default]
    Default,
    /// `ecs_task_cpu_utilized_None`, with the values and all labels of the receiver.
    Adot,
    /// Both.
    Both,
}

impl NamingMode {
    pub(crate) fn variants(self) -> &'static [StatsCompat] {
        match self {
            NamingMode::Default => &[StatsCompat::Corrected],
            NamingMode::Adot => &[StatsCompat::Adot],
            NamingMode::Both => &[StatsCompat::Corrected, StatsCompat::Adot],
        }
    }
}

/// Error of an unknown naming mode.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown value {0:?}: use default, adot or both")]
pub struct UnknownNamingMode(String);

impl std::str::FromStr for NamingMode {
    type Err = UnknownNamingMode;

    fn from_str(text: &str) -> Result<Self, UnknownNamingMode> {
        match text {
            "default" => Ok(NamingMode::Default),
            "adot" => Ok(NamingMode::Adot),
            "both" => Ok(NamingMode::Both),
            other => Err(UnknownNamingMode(other.to_owned())),
        }
    }
}

/// A set of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MetricSet {
    /// One bit for each of [`METRICS`].
    bits: u64,
    needs_times: bool,
}

/// The metrics that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSelection(MetricSet);

impl Default for MetricSelection {
    fn default() -> Self {
        MetricSelection::select(StatsMetric::is_default)
    }
}

impl MetricSelection {
    pub fn all() -> Self {
        MetricSelection::select(|_| true)
    }

    fn select(chosen: impl Fn(&StatsMetric) -> bool) -> Self {
        let chosen = METRICS.iter().enumerate().filter(|(_, metric)| chosen(metric));
        MetricSelection(chosen.fold(MetricSet::default(), |set, (index, metric)| MetricSet {
            bits: set.bits | 1 << index,
            needs_times: set.needs_times || metric.stat.is_time(),
        }))
    }

    /// Returns whether a metric needs the times in the documents, whose parsing takes a part of the time of a scrape.
    pub(crate) fn needs_times(self) -> bool {
        self.0.needs_times
    }

    pub(crate) fn metrics(self, level: Level) -> impl Iterator<Item = &'static StatsMetric> {
        METRICS
            .iter()
            .enumerate()
            .filter(move |(index, metric)| metric.level == level && self.0.bits & (1 << index) != 0)
            .map(|(_, metric)| metric)
    }
}

/// Error of a metric selection with a name that no metric has.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown metric {0:?}: use names of task or container metrics (docs/metrics.md), default or all")]
pub struct UnknownMetric(String);

/// `default`, `all`, or a comma-separated list of metrics with any of their names.
impl std::str::FromStr for MetricSelection {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        match text {
            "default" => return Ok(MetricSelection::default()),
            "all" => return Ok(MetricSelection::all()),
            _ => {}
        }
        let mut selection = MetricSelection(MetricSet::default());
        for name in text.split(',').map(str::trim) {
            let known = MetricSelection::select(|metric| {
                [metric.name, metric.default_name].contains(&name) || metric.adot_name == Some(name)
            });
            if known.0.bits == 0 {
                return Err(UnknownMetric(name.to_owned()));
            }
            selection.0.bits |= known.0.bits;
            selection.0.needs_times |= known.0.needs_times;
        }
        Ok(selection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_selected_with_any_of_their_names() {
        let chosen: MetricSelection =
            "ecs.task.cpu.cores, container_duration,ecs_task_cpu_utilized_None".parse().unwrap();
        let names: Vec<_> =
            [Level::Task, Level::Container].into_iter().flat_map(|level| chosen.metrics(level)).collect();
        let names: Vec<_> = names.iter().map(|metric| metric.default_name).collect();
        assert_eq!(names, ["ecs_task_cpu_cores", "ecs_task_cpu_utilized", "container_duration"]);
    }

    #[test]
    fn unknown_metric_is_an_error() {
        for text in ["ecs_task_cpu", "", "all,default"] {
            assert!(text.parse::<MetricSelection>().is_err(), "{text:?}");
        }
        let error = "ecs_task_cpu".parse::<MetricSelection>().unwrap_err().to_string();
        assert!(error.starts_with("unknown metric \"ecs_task_cpu\""), "{error}");
    }

    #[test]
    fn default_naming_mode_has_no_unit_suffix() {
        assert_eq!(NamingMode::default(), NamingMode::Default);
        assert_eq!("both".parse(), Ok(NamingMode::Both));
        assert!("suffixed".parse::<NamingMode>().is_err());
    }
}
