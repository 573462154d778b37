//! The source of a task's stats: the best one that it has, for its full life.
//!
//! The choice depends on what the task declares, not on the result of a scrape. Container Insights events are minutes
//! late, so a fallback source would write a second set of past samples with different values.

use super::metrics::{Level, StatKind, StatsMetric};
use super::options::Options;
use crate::model::task::Task;

/// A source of task stats, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatsSource {
    /// A stats endpoint in the task.
    Endpoint,
    /// Container Insights performance log events.
    Insights,
}

impl StatsSource {
    /// Returns whether the source has this metric. Log events contain no cumulative CPU and network bytes, no cores and
    /// no maximum, and no memory limit of containers.
    pub fn provides(self, metric: &StatsMetric, options: &Options) -> bool {
        use StatKind::{
            CpuCores, CpuOnlines, CpuUsageKernelmode, CpuUsageSystem, CpuUsageTotal, CpuUsageUsermode, Duration,
            MemoryUsage, MemoryUsageLimit, MemoryUsageMax, RxBytes, TxBytes,
        };
        match (self, metric.stat) {
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

/// The enabled sources.
#[derive(Clone, Copy, Debug)]
pub struct EnabledSources<'a> {
    /// Docker label that declares the port of a stats endpoint; `None` if the source is disabled.
    pub endpoint_label: Option<&'a str>,
    pub insights: bool,
}

/// Returns the source of a task's stats; `None` if no enabled source has them.
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
    fn declared_endpoint_precedes_container_insights() {
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
