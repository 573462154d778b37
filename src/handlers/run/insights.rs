//! Container Insights events and the tasks they belong to.

use std::collections::HashMap;
use std::sync::Arc;

use super::context::RunContext;
use super::task_series::TaskSeries;
use crate::discovery::{Discovery, DiscoveryResult};
use crate::model::arn::{Arn, cluster_name};
use crate::model::series::Labels;
use crate::model::task::Task;
use crate::translate::insights::{EventContext, event_series};
use crate::translate::stats::StatsSource;

/// Writes the series of Container Insights events.
#[derive(Debug)]
pub(in crate::handlers) struct EventWriter {
    pub(in crate::handlers) series: Arc<TaskSeries>,
    pub(in crate::handlers) discovery: Arc<Discovery>,
    /// Region of the function, for clusters that are configured with a name instead of an ARN.
    pub(in crate::handlers) region: String,
    /// Whether `SIDECARLESS_TASK_FILTER` is set. The events of unknown tasks are then ignored.
    pub(in crate::handlers) has_task_filter: bool,
}

/// Cluster whose events are written.
pub(in crate::handlers) struct EventSource<'a> {
    /// Name or ARN.
    pub(in crate::handlers) cluster: &'a str,
    /// Account of the log group; `None` if the events were polled.
    pub(in crate::handlers) owner: Option<&'a str>,
    pub(in crate::handlers) tasks: &'a TaskIndex<'a>,
}

/// Tasks by ID.
#[derive(Debug, Default)]
pub(in crate::handlers) struct TaskIndex<'a> {
    by_id: HashMap<&'a str, IndexedTask<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct IndexedTask<'a> {
    task: &'a Task,
    /// Whether the events of the task are ignored.
    has_better_source: bool,
}

impl EventWriter {
    /// Indexes the tasks that events may belong to. `others` are tasks that the discovery did not return: tasks that have
    /// stopped or are stopping have events in the same minute.
    pub(in crate::handlers) fn index<'a>(
        &self,
        others: impl Iterator<Item = &'a Arc<Task>>,
        discovered: &'a DiscoveryResult,
    ) -> TaskIndex<'a> {
        let known = discovered.ended.iter().chain(others).chain(&discovered.tasks).chain(&discovered.filtered);
        let known =
            known.map(|task| (&*task.id, IndexedTask { task, has_better_source: self.has_better_source(task) }));
        // Without its definition it is unknown whether a task has a stats endpoint.
        let without_definition = discovered.without_definition.iter();
        let without_definition =
            without_definition.map(|task| (&*task.id, IndexedTask { task, has_better_source: true }));
        TaskIndex { by_id: known.chain(without_definition).collect() }
    }

    fn has_better_source(&self, task: &Task) -> bool {
        let source = self.series.source(task);
        matches!(source, Some(StatsSource::Push | StatsSource::Endpoint)) || self.discovery.matching_rule(task).is_err()
    }

    /// Writes the series of events.
    pub(in crate::handlers) fn append<'a>(
        &self,
        source: &EventSource<'_>,
        events: impl Iterator<Item = &'a str>,
        run: &mut RunContext<'_>,
    ) {
        let tasks = &source.tasks.by_id;
        let is_in_cluster = |task: &Task| *task.cluster == *cluster_name(source.cluster);
        let cluster_task = tasks.values().map(|indexed| indexed.task).find(|task| is_in_cluster(task));
        let arn = Arn::parse(source.cluster);
        let part = |from_arn: fn(&Arn<'_>) -> String, from_task: fn(&Task) -> String| {
            arn.as_ref().map(from_arn).or_else(|| cluster_task.map(from_task)).unwrap_or_default()
        };
        let partition = part(|arn| arn.partition.into(), |task| task.partition.to_string());
        let region = part(|arn| arn.region.into(), |task| task.region.to_string());
        let account = part(|arn| arn.account.into(), |task| task.account.to_string());
        let context = EventContext {
            task: &|id| tasks.get(id).map(|indexed| indexed.task).filter(|task| is_in_cluster(task)),
            has_better_source: &|id| tasks.get(id).map_or(self.has_task_filter, |indexed| indexed.has_better_source),
            cluster: Some(cluster_name(source.cluster)),
            partition: if partition.is_empty() { "aws" } else { &partition },
            region: if region.is_empty() { &self.region } else { &region },
            account: if account.is_empty() { source.owner.unwrap_or_default() } else { &account },
            // A log group has the region of the function that reads it or is subscribed to it.
            group_takes_precedence: true,
            now_ms: run.deadline.now_ms(),
            max_age_ms: self.series.max_age_ms,
            // Events of a service, of the cluster or of an unknown task get the cluster tags, which every task of the cluster has.
            extra_labels: &|task| match task {
                Some(task) => self.series.add_labels(task, Labels::default()),
                None => self.series.cluster_labels(cluster_task.map_or(&[][..], |task| &*task.cluster_tags)),
            },
            excluded_counts: &|name| self.series.state.has_name(name),
            options: &self.series.stats,
        };
        for event in events {
            let result = event_series(event.as_bytes(), &context, &mut run.batch);
            run.stats.record_log_event(result);
        }
    }
}
