//! Which tasks have container statistics, and what to do about those that have none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::task_series::TaskSeries;
use crate::model::task::Task;
use crate::scrape::stats_targets::{STATS_PORT, STATS_PUSH};
use crate::settings::StatsSources;
use crate::translate::state::SourceCounts;

/// Numbers of tasks by source of their container statistics.
#[derive(Debug, Default)]
pub(in crate::handlers) struct Coverage {
    by_cluster: BTreeMap<Arc<str>, SourceCounts>,
}

impl Coverage {
    pub(in crate::handlers) fn new(series: &TaskSeries, tasks: &[Arc<Task>]) -> Self {
        let mut by_cluster = BTreeMap::<Arc<str>, SourceCounts>::new();
        for task in tasks {
            let source = series.source(task);
            match by_cluster.get_mut(&task.cluster) {
                Some(counts) => counts.add(source),
                None => by_cluster.entry(Arc::clone(&task.cluster)).or_default().add(source),
            }
        }
        Self { by_cluster }
    }

    /// Returns the numbers of a cluster.
    pub(in crate::handlers) fn of(&self, cluster: &str) -> SourceCounts {
        self.by_cluster.get(cluster).copied().unwrap_or_default()
    }

    pub(in crate::handlers) fn total(&self) -> SourceCounts {
        self.by_cluster.values().fold(SourceCounts::default(), |total, counts| total.plus(*counts))
    }

    /// Returns the clusters with tasks that have no source.
    pub(in crate::handlers) fn clusters_without(&self) -> Vec<&str> {
        let without = self.by_cluster.iter().filter(|(_, counts)| counts.none > 0);
        without.map(|(cluster, _)| &**cluster).collect()
    }

    /// Logs the tasks that have no source.
    pub(in crate::handlers) fn log_missing(&self, sources: StatsSources) {
        let (total, clusters) = (self.total(), self.clusters_without());
        let Some(cluster) = clusters.first() else { return };
        tracing::warn!(
            tasks_without_source = total.none,
            tasks = total.total(),
            clusters = clusters.join(","),
            next_step = next_step(sources, cluster),
            "tasks have no source of container statistics"
        );
    }
}

/// Returns why a task has no source of container statistics.
pub(in crate::handlers) fn reason(sources: StatsSources, cluster: &str) -> String {
    let labels: Vec<String> = labels(sources).into_iter().map(|(label, _)| label).collect();
    let mut reasons = Vec::new();
    if !labels.is_empty() {
        reasons.push(format!("no docker label {}", labels.join(" or ")));
    }
    if sources.insights {
        reasons.push(format!("Container Insights is off in cluster {cluster}"));
    }
    let excluded: Vec<&str> = excluded(sources).collect();
    if !excluded.is_empty() {
        reasons.push(format!("SIDECARLESS_SOURCES does not include {}", excluded.join(" and ")));
    }
    reasons.join("; ")
}

/// Returns how tasks of a cluster get a source of container statistics.
pub(in crate::handlers) fn next_step(sources: StatsSources, cluster: &str) -> String {
    let mut steps: Vec<String> = labels(sources).into_iter().map(|(label, step)| format!("{step} {label}")).collect();
    if sources.insights {
        steps.push(format!(
            "run `aws ecs update-cluster-settings --cluster {cluster} --settings name=containerInsights,value=enhanced`"
        ));
    }
    let mut text = format!("{} (docs/quickstart.md)", steps.join(", or "));
    let excluded: Vec<&str> = excluded(sources).collect();
    if steps.is_empty() {
        text = format!("add {} to SIDECARLESS_SOURCES", excluded.join(" or "));
    }
    text
}

/// Returns the docker labels of the enabled sources, and what a task does with each.
fn labels(sources: StatsSources) -> Vec<(String, &'static str)> {
    let (push, value) = STATS_PUSH;
    let labels = [
        (sources.push, format!("{push}={value}"), "let the task push its stats, with the docker label"),
        (sources.endpoint, STATS_PORT.to_owned(), "let it serve them at a port, with the docker label"),
    ];
    labels.into_iter().filter(|(is_enabled, ..)| *is_enabled).map(|(_, label, step)| (label, step)).collect()
}

/// Returns the sources of container statistics that the settings exclude.
fn excluded(sources: StatsSources) -> impl Iterator<Item = &'static str> {
    let all = [(sources.push, "push"), (sources.endpoint, "endpoint"), (sources.insights, "insights")];
    all.into_iter().filter(|(is_enabled, _)| !is_enabled).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_and_next_step_name_the_enabled_sources() {
        let all = StatsSources { push: true, endpoint: true, insights: true, prometheus: true };
        let none = StatsSources { push: false, endpoint: false, insights: false, prometheus: true };
        let expected = "no docker label sidecarless.stats=push or sidecarless.stats.port; Container Insights is off in cluster shop";
        assert_eq!(reason(all, "shop"), expected);
        assert_eq!(
            next_step(all, "shop"),
            "let the task push its stats, with the docker label sidecarless.stats=push, or let it serve them at a port, with the \
             docker label sidecarless.stats.port, or run `aws ecs update-cluster-settings --cluster shop --settings \
             name=containerInsights,value=enhanced` (docs/quickstart.md)"
        );
        let endpoint = StatsSources { endpoint: true, ..none };
        let expected = "no docker label sidecarless.stats.port; SIDECARLESS_SOURCES does not include push and insights";
        assert_eq!(reason(endpoint, "shop"), expected);
        assert_eq!(next_step(none, "shop"), "add push or endpoint or insights to SIDECARLESS_SOURCES");
    }
}
