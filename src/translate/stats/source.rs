//! The source of a task's stats: the best one that it has, for its full life.
//!
//! The choice depends on what the task declares, not on the result of a scrape. Container Insights events are minutes
//! late, so a fallback source would write a second set of past samples with different values.

use super::metrics::{Level, StatKind, StatsMetric};
use super::options::Options;
use crate::model::ecs::ContainerInsights;
use crate::model::task::Task;

/// A source of task stats, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatsSource {
    /// The task sends its metadata documents.
    Push,
    /// A stats endpoint in the task.
    Endpoint,
    /// Container Insights performance log events.
    Insights,
}

impl StatsSource {
    /// Returns the name of the source in outputs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            StatsSource::Push => "push",
            StatsSource::Endpoint => "endpoint",
            StatsSource::Insights => "insights",
        }
    }

    /// Returns whether the source has this metric. Log events contain no cumulative CPU and network bytes, no cores and
    /// no maximum, no memory limit of containers, and the restarts of a minute instead of all restarts.
    pub fn provides(self, metric: &StatsMetric, options: &Options) -> bool {
        use StatKind::{
            ClockDrift, ClockErrorBound, CpuCores, CpuOnlines, CpuUsageKernelmode, CpuUsageSystem, CpuUsageTotal,
            CpuUsageUsermode, Duration, MemoryUsage, MemoryUsageLimit, MemoryUsageMax, RestartCount, RestartsPerMinute,
            RxBytes, StartTime, ThrottledPeriods, ThrottledTime, ThrottlingPeriods, TxBytes,
        };
        match (self, metric.stat) {
            (StatsSource::Push | StatsSource::Endpoint, stat) => stat != RestartsPerMinute,
            (StatsSource::Insights, MemoryUsage) => options.approximate_memory_usage,
            (StatsSource::Insights, MemoryUsageLimit) => metric.level == Level::Task,
            (
                StatsSource::Insights,
                CpuUsageTotal | CpuUsageKernelmode | CpuUsageUsermode | CpuUsageSystem | CpuCores | CpuOnlines
                | MemoryUsageMax | RxBytes | TxBytes | Duration | ClockDrift | ClockErrorBound | RestartCount
                | StartTime | ThrottlingPeriods | ThrottledPeriods | ThrottledTime,
            ) => false,
            (StatsSource::Insights, _) => true,
        }
    }
}

/// The enabled sources.
#[derive(Clone, Copy, Debug)]
pub struct EnabledSources<'a> {
    /// Docker label with which a task declares that it pushes its documents, and its value; `None` if the source is disabled.
    pub push_label: Option<(&'a str, &'a str)>,
    /// Docker label that declares the port of a stats endpoint; `None` if the source is disabled.
    pub endpoint_label: Option<&'a str>,
    pub insights: bool,
}

/// Returns the source of a task's stats; `None` if no enabled source has them. A cluster whose setting is unknown may have Container
/// Insights.
pub fn source_of(task: &Task, sources: &EnabledSources<'_>) -> Option<StatsSource> {
    let containers = || task.containers.iter();
    let is_push = |(label, value)| containers().any(|container| container.docker_label(label) == Some(value));
    if sources.push_label.is_some_and(is_push) {
        return Some(StatsSource::Push);
    }
    let declares = |label| containers().any(|container| container.docker_label(label).is_some());
    if sources.endpoint_label.is_some_and(declares) {
        return Some(StatsSource::Endpoint);
    }
    (sources.insights && task.container_insights != ContainerInsights::Off).then_some(StatsSource::Insights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::TaskContainer;

    #[test]
    fn declared_source_precedes_container_insights() {
        let task = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|&(name, value)| (name.into(), value.into())).collect();
            let declaring = TaskContainer { docker_labels: labels, ..TaskContainer::default() };
            Task { containers: vec![TaskContainer::default(), declaring], ..Task::default() }
        };
        let sources = |push: bool, endpoint: bool, insights| EnabledSources {
            push_label: push.then_some(("stats", "push")),
            endpoint_label: endpoint.then_some("stats.port"),
            insights,
        };
        let (push, endpoint) = (("stats", "push"), ("stats.port", "9000"));
        for (labels, sources, expected) in [
            (vec![endpoint], sources(true, true, true), Some(StatsSource::Endpoint)),
            (vec![endpoint, push], sources(true, true, true), Some(StatsSource::Push)),
            (vec![endpoint, push], sources(false, true, true), Some(StatsSource::Endpoint)),
            (vec![("stats", "pull"), endpoint], sources(true, true, true), Some(StatsSource::Endpoint)),
            (vec![endpoint], sources(true, false, true), Some(StatsSource::Insights)),
            (vec![], sources(true, true, true), Some(StatsSource::Insights)),
            (vec![], sources(true, true, false), None),
        ] {
            assert_eq!(source_of(&task(&labels), &sources), expected, "{labels:?}, {sources:?}");
        }
        let off = |labels| Task { container_insights: ContainerInsights::Off, ..task(labels) };
        assert_eq!(source_of(&off(&[]), &sources(true, true, true)), None);
        assert_eq!(source_of(&off(&[endpoint]), &sources(true, true, true)), Some(StatsSource::Endpoint));
    }
}
