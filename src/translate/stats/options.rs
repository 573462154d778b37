//! Which metrics of a task are written, and under which names.

use super::metrics::{Level, METRICS, StatsMetric};
use super::{LabelSelection, StatsCompat};

/// How task stats are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub names: NamingMode,
    pub metrics: MetricSelection,
    pub labels: LabelSelection,
    /// Whether `memory.usage` is written from Container Insights' `MemoryUtilized`, which lacks the page cache.
    pub approximate_memory_usage: bool,
}

/// Which names, and with them whose arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamingMode {
    /// `ecs_task_cpu_utilized`, corrected.
    #[default]
    Default,
    /// `ecs_task_cpu_utilized_None`, with the receiver's numbers and all of its labels.
    Adot,
    /// Each metric twice, once in each way.
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

impl std::str::FromStr for NamingMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(NamingMode::Default),
            "adot" => Ok(NamingMode::Adot),
            "both" => Ok(NamingMode::Both),
            other => Err(format!("{other:?} is none of bare, adot, both")),
        }
    }
}

/// A choice among [`METRICS`]: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSelection(u64);

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
        let bits = METRICS.iter().enumerate().filter(|(_, metric)| chosen(metric));
        MetricSelection(bits.fold(0, |bits, (index, _)| bits | 1 << index))
    }

    pub(crate) fn metrics(self, level: Level) -> impl Iterator<Item = &'static StatsMetric> {
        METRICS
            .iter()
            .enumerate()
            .filter(move |(index, metric)| metric.level == level && self.0 & (1 << index) != 0)
            .map(|(_, metric)| metric)
    }
}

/// `default`, `all`, or a comma-separated list of metrics by any of their names.
impl std::str::FromStr for MetricSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => return Ok(MetricSelection::default()),
            "all" => return Ok(MetricSelection::all()),
            _ => {}
        }
        let mut selection = MetricSelection(0);
        for name in text.split(',').map(str::trim) {
            let known =
                MetricSelection::select(|metric| [metric.name, metric.default_name, metric.adot_name].contains(&name));
            if known.0 == 0 {
                return Err(format!("{name:?} is no metric of a task or container"));
            }
            selection.0 |= known.0;
        }
        Ok(selection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_chosen_by_any_of_their_names() {
        let chosen: MetricSelection =
            "ecs.task.cpu.cores, container_duration,ecs_task_cpu_utilized_None".parse().unwrap();
        let names: Vec<_> =
            [Level::Task, Level::Container].into_iter().flat_map(|level| chosen.metrics(level)).collect();
        let names: Vec<_> = names.iter().map(|metric| metric.default_name).collect();
        assert_eq!(names, ["ecs_task_cpu_cores", "ecs_task_cpu_utilized", "container_duration"]);
    }

    #[test]
    fn a_metric_that_does_not_exist_is_named() {
        for text in ["ecs_task_cpu", "", "all,default"] {
            assert!(text.parse::<MetricSelection>().is_err(), "{text:?}");
        }
        assert_eq!(
            "ecs_task_cpu".parse::<MetricSelection>().unwrap_err(),
            "\"ecs_task_cpu\" is no metric of a task or container"
        );
    }

    #[test]
    fn names_are_bare_unless_told() {
        assert_eq!(NamingMode::default(), NamingMode::Default);
        assert_eq!("both".parse(), Ok(NamingMode::Both));
        assert!("suffixed".parse::<NamingMode>().is_err());
    }
}
