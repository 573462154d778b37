//! Which source a task's stats come from: one of them, the best it has, for as long as it lives.
//!
//! The choice follows from what the task declares, not from whether a scrape went well: Container Insights events are
//! minutes behind, so a source that stepped in for another would write a series' past a second time, with other numbers.

use super::metrics::{Level, StatKind, StatsMetric};
use super::options::Options;
use crate::model::task::Task;

/// A source of task stats, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatsSource {
    /// The task serves its metadata documents itself.
    Endpoint,
    /// Container Insights performance log events.
    Insights,
}

impl StatsSource {
    /// Whether the source has this metric at all. Log events know no cumulative CPU and network bytes, no cores and no
    /// maximum, and of a container no memory limit.
    pub fn provides(self, metric: &StatsMetric, options: &Options) -> bool {
        use StatKind::{
            CpuCores, CpuOnlines, CpuUsageKernelmode, CpuUsageSystem, CpuUsageTotal, CpuUsageUsermode, Duration,
            MemoryUsage, MemoryUsageLimit, MemoryUsageMax, RxBytes, TxBytes,
        };
        match (self, metric.reading) {
            (StatsSource::Endpoint, _) => true,
            (StatsSource::Insights, MemoryUsage) => options.approximate_memory_usage,
            (StatsSource::Insights, MemoryUsageLimit) => metric.level == Level::Task,
            (
                StatsSource::Insights,
                CpuUsageTotal | CpuUsageKernelmode | CpuUsageUsermode | CpuUsageSystem | CpuCores | CpuOnlines
                | MemoryUsageMax | RxBytes | TxBytes | Duration,
            ) => false,
            (StatsSource::Insights, _) => true,
        }
    }
}

/// The sources in use.
#[derive(Clone, Copy, Debug)]
pub struct EnabledSources<'a> {
    /// The docker label that declares the endpoint's port; `None` when that source is not in use.
    pub endpoint_label: Option<&'a str>,
    pub insights: bool,
}

/// The one source of this task's stats; `None` when no source in use has any.
pub fn source_of(task: &Task, sources: &EnabledSources<'_>) -> Option<StatsSource> {
    let declares = |label| task.containers.iter().any(|container| container.docker_label(label).is_some());
    if sources.endpoint_label.is_some_and(declares) {
        return Some(StatsSource::Endpoint);
    }
    sources.insights.then_some(StatsSource::Insights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::TaskContainer;

    #[test]
    fn a_declared_endpoint_is_better_than_container_insights() {
        let labels = vec![("stats.port".into(), "9000".into())];
        let declaring = TaskContainer { docker_labels: labels, ..TaskContainer::default() };
        let declaring = Task { containers: vec![TaskContainer::default(), declaring], ..Task::default() };
        let both = EnabledSources { endpoint_label: Some("stats.port"), insights: true };
        let insights = EnabledSources { endpoint_label: None, insights: true };
        let endpoint = EnabledSources { endpoint_label: Some("stats.port"), insights: false };
        assert_eq!(source_of(&declaring, &both), Some(StatsSource::Endpoint));
        assert_eq!(source_of(&declaring, &insights), Some(StatsSource::Insights));
        assert_eq!(source_of(&Task::default(), &both), Some(StatsSource::Insights));
        assert_eq!(source_of(&Task::default(), &endpoint), None);
    }
}
