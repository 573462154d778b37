//! Which metrics of a task are written, and under which names.

use super::metrics::{Level, METRICS, Metric};
use super::{LabelSelection, Numbers};

/// How task stats are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub names: Names,
    pub metrics: Selection,
    pub labels: LabelSelection,
    /// Whether `memory.usage` is written from Container Insights' `MemoryUtilized`, which lacks the page cache.
    pub approximate_memory_usage: bool,
}

/// Which names, and with them whose arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// `ecs_task_cpu_utilized`, corrected.
    #[default]
    Bare,
    /// `ecs_task_cpu_utilized_None`, with the receiver's numbers and all of its labels.
    Adot,
    /// Each metric twice, once in each way.
    Both,
}

impl Names {
    pub(crate) fn editions(self) -> &'static [Numbers] {
        match self {
            Names::Bare => &[Numbers::Corrected],
            Names::Adot => &[Numbers::Adot],
            Names::Both => &[Numbers::Corrected, Numbers::Adot],
        }
    }
}

impl std::str::FromStr for Names {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bare" => Ok(Names::Bare),
            "adot" => Ok(Names::Adot),
            "both" => Ok(Names::Both),
            other => Err(format!("{other:?} is none of bare, adot, both")),
        }
    }
}

/// A choice among [`METRICS`]: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection(u64);

impl Default for Selection {
    fn default() -> Self {
        Selection::where_(Metric::by_default)
    }
}

impl Selection {
    pub fn all() -> Self {
        Selection::where_(|_| true)
    }

    fn where_(chosen: impl Fn(&Metric) -> bool) -> Self {
        let bits = METRICS.iter().enumerate().filter(|(_, metric)| chosen(metric));
        Selection(bits.fold(0, |bits, (index, _)| bits | 1 << index))
    }

    pub(crate) fn of(self, level: Level) -> impl Iterator<Item = &'static Metric> {
        METRICS
            .iter()
            .enumerate()
            .filter(move |(index, metric)| metric.level == level && self.0 & (1 << index) != 0)
            .map(|(_, metric)| metric)
    }
}

/// `default`, `all`, or a comma-separated list of metrics by any of their names.
impl std::str::FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => return Ok(Selection::default()),
            "all" => return Ok(Selection::all()),
            _ => {}
        }
        let mut selection = Selection(0);
        for name in text.split(',').map(str::trim) {
            let known = Selection::where_(|metric| [metric.name, metric.bare, metric.adot].contains(&name));
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
        let chosen: Selection = "ecs.task.cpu.cores, container_duration,ecs_task_cpu_utilized_None".parse().unwrap();
        let names: Vec<_> = [Level::Task, Level::Container].into_iter().flat_map(|level| chosen.of(level)).collect();
        let names: Vec<_> = names.iter().map(|metric| metric.bare).collect();
        assert_eq!(names, ["ecs_task_cpu_cores", "ecs_task_cpu_utilized", "container_duration"]);
    }

    #[test]
    fn a_metric_that_does_not_exist_is_named() {
        for text in ["ecs_task_cpu", "", "all,default"] {
            assert!(text.parse::<Selection>().is_err(), "{text:?}");
        }
        assert_eq!(
            "ecs_task_cpu".parse::<Selection>().unwrap_err(),
            "\"ecs_task_cpu\" is no metric of a task or container"
        );
    }

    #[test]
    fn names_are_bare_unless_told() {
        assert_eq!(Names::default(), Names::Bare);
        assert_eq!("both".parse(), Ok(Names::Both));
        assert!("suffixed".parse::<Names>().is_err());
    }
}
