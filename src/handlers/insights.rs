//! Container Insights: the slot of a tick, and what a subscription filter pushes.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use super::run_stats::RunStats;
use super::{HandleError, Pipeline, REMOTE_WRITE_DISABLED, run_stats};
use crate::deadline::Deadline;
use crate::discovery::{DiscoveryResult, TaskBatch, TaskListing};
use crate::lambda::Response;
use crate::model::arn::{Arn, cluster_name};
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::scrape::insights::MinuteWindow;
use crate::scrape::log_data::LogData;
use crate::scrape::stats_targets::STATS_PORT;
use crate::translate::insights::{EventContext, event_series, task_id};
use crate::translate::stats::{EnabledSources, StatsSource, source_of};

/// Clusters polled side by side: FilterLogEvents has few calls a second to give.
const CLUSTERS_AT_ONCE: usize = 4;

/// Tasks by their id, each with whether its events are to be passed over.
type TaskIndex<'a> = HashMap<&'a str, (&'a Task, bool)>;

impl Pipeline {
    /// Reads the slot of a tick in every cluster. A cluster that fails never costs the others.
    #[expect(clippy::too_many_arguments, reason = "what a tick has found out so far, and where its series go")]
    pub(super) async fn poll_insights(
        &self,
        tick_ms: i64,
        listing: &TaskListing,
        (found, stopped): (&DiscoveryResult, &[Arc<Task>]),
        round: &mut RunStats,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        let (true, Some(lag)) = (self.settings.sources.insights, self.settings.insights_lag) else {
            return;
        };
        let slot = MinuteWindow::for_run(tick_ms, lag);
        let recent = self.discovery.cached_tasks(deadline);
        let index = self.index(&recent, found, stopped);
        let mut polls = stream::iter(&listing.clusters)
            .map(|cluster| async move { (cluster, self.insights.events(cluster, slot, deadline).await) })
            .buffer_unordered(CLUSTERS_AT_ONCE);
        while let Some((cluster, polled)) = polls.next().await {
            if let Some(failure) = polled.error {
                tracing::error!(reason = failure.to_string(), "Container Insights: {failure}");
            }
            let events = polled.events.iter().map(String::as_str);
            self.write_events(cluster, None, events, &index, round, deadline, out);
        }
    }

    /// Writes log events that were pushed. An error makes Lambda hand them over again.
    pub(super) async fn log_events(&self, data: &str, deadline: &Deadline) -> Result<Response, HandleError> {
        let pushed = LogData::decode(data)?;
        let (true, Some(cluster)) = (self.remote_write.is_some(), pushed.cluster()) else {
            let why = if pushed.is_control_message() { "a control message" } else { REMOTE_WRITE_DISABLED };
            return Ok(Response::Json(json!({"skipped": why})));
        };
        if !self.settings.sources.insights {
            return Ok(Response::Json(json!({"skipped": "SIDECARLESS_SOURCES leaves out insights"})));
        }
        let found = self.describe_event_tasks(cluster, &pushed, deadline).await;
        run_stats::log_discovery(&found);
        let (mut round, mut batch) = (RunStats::default(), SeriesBatch::default());
        let index = self.index(&[], &found, &[]);
        self.write_events(cluster, Some(&pushed.owner), pushed.messages(), &index, &mut round, deadline, &mut batch);
        let account = self.deliver_series(batch, &mut round, deadline).await;
        round.finish_event("log events", &account, deadline).map(Response::Json)
    }

    /// What ECS says of the tasks that pushed events are about: from memory, and of the others by DescribeTasks.
    async fn describe_event_tasks(&self, cluster: &str, pushed: &LogData, deadline: &Deadline) -> DiscoveryResult {
        let mut ids: Vec<String> = pushed.messages().filter_map(|event| task_id(event.as_bytes())).collect();
        ids.sort_unstable();
        ids.dedup();
        let pages = ids.chunks(100).map(|tasks| TaskBatch { cluster: cluster.to_owned(), tasks: tasks.to_vec() });
        self.discovery.describe_uncached(&pages.collect::<Vec<_>>(), deadline).await
    }

    /// Tasks that ended or are about to have events in the slot as well: that they had a better source must not be
    /// forgotten with them.
    fn index<'a>(
        &self,
        recent: &'a [Arc<Task>],
        found: &'a DiscoveryResult,
        stopped: &'a [Arc<Task>],
    ) -> TaskIndex<'a> {
        let known = recent.iter().chain(stopped).chain(&found.tasks).chain(&found.filtered);
        let known = known.map(|task| (&*task.id, (&**task, self.has_better_source(task))));
        // Of a task without its definition nobody knows whether it serves its stats itself.
        let undefined = found.without_definition.iter().map(|task| (&*task.id, (&**task, true)));
        known.chain(undefined).collect()
    }

    fn has_better_source(&self, task: &Task) -> bool {
        self.source(task) == Some(StatsSource::Endpoint) || self.discovery.matching_rule(task).is_err()
    }

    /// Where the stats of a task come from.
    pub(super) fn source(&self, task: &Task) -> Option<StatsSource> {
        let sources = self.settings.sources;
        let endpoint_label = sources.endpoint.then_some(STATS_PORT);
        source_of(task, &EnabledSources { endpoint_label, insights: sources.insights })
    }

    #[expect(clippy::too_many_arguments, reason = "everything that events of one cluster are read against")]
    fn write_events<'a>(
        &self,
        cluster: &str,
        owner: Option<&str>,
        events: impl Iterator<Item = &'a str>,
        index: &TaskIndex<'_>,
        round: &mut RunStats,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        let of_cluster = index.values().map(|(task, _)| *task).find(|task| *task.cluster == *cluster_name(cluster));
        let arn = Arn::parse(cluster);
        let place = |of_arn: fn(&Arn<'_>) -> String, of_task: fn(&Task) -> String| {
            arn.as_ref().map(of_arn).or_else(|| of_cluster.map(of_task)).unwrap_or_default()
        };
        let partition = place(|arn| arn.partition.into(), |task| task.partition.to_string());
        let region = place(|arn| arn.region.into(), |task| task.region.to_string());
        let account = place(|arn| arn.account.into(), |task| task.account.to_string());
        let (nobody, filtered) = (Task::default(), !self.settings.tasks.is_empty());
        let context = EventContext {
            task: &|id| index.get(id).map(|(task, _)| *task),
            has_better_source: &|id| index.get(id).map_or(filtered, |(_, passed_over)| *passed_over),
            partition: if partition.is_empty() { "aws" } else { &partition },
            region: if region.is_empty() { &self.region } else { &region },
            account: if account.is_empty() { owner.unwrap_or_default() } else { &account },
            now_ms: deadline.now_ms(),
            // An event of a service or of the cluster has the cluster's tags, which every task of it has.
            extra_labels: &|task| self.add_target_labels(task.or(of_cluster).unwrap_or(&nobody), Labels::default()),
            options: &self.settings.stats,
        };
        for event in events {
            round.record_log_event(event_series(event.as_bytes(), &context, out));
        }
    }
}
