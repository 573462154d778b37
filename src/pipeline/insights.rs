//! Container Insights: the slot of a tick, and what a subscription filter pushes.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use super::account::Round;
use super::{HandleError, Pipeline, WITHOUT_PROMETHEUS, account};
use crate::collect::discover::{Discovered, Listing, Page};
use crate::collect::insights::{PushedEvents, Slot};
use crate::collect::targets::STATS_PORT;
use crate::deadline::Deadline;
use crate::invocation::Reply;
use crate::model::arn::{Arn, cluster_name};
use crate::model::series::{Labels, SeriesBatch};
use crate::model::target::Task;
use crate::translate::insights::{Context, event_series, task_id};
use crate::translate::stats::{Sources, StatsSource, source_of};

/// Clusters polled side by side: FilterLogEvents has few calls a second to give.
const CLUSTERS_AT_ONCE: usize = 4;

/// Tasks by their id, each with whether its events are to be passed over.
type Index<'a> = HashMap<&'a str, (&'a Task, bool)>;

impl Pipeline {
    /// Reads the slot of a tick in every cluster. A cluster that fails never costs the others.
    #[expect(clippy::too_many_arguments, reason = "what a tick has found out so far, and where its series go")]
    pub(super) async fn poll_insights(
        &self,
        tick_ms: i64,
        listing: &Listing,
        (found, stopped): (&Discovered, &[Arc<Task>]),
        round: &mut Round,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        let (true, Some(lag)) = (self.settings.sources.insights, self.settings.insights_lag) else {
            return;
        };
        let slot = Slot::of_tick(tick_ms, lag);
        let recent = self.discovery.recent(deadline);
        let index = self.index(&recent, found, stopped);
        let mut polls = stream::iter(&listing.clusters)
            .map(|cluster| async move { (cluster, self.insights.events(cluster, slot, deadline).await) })
            .buffer_unordered(CLUSTERS_AT_ONCE);
        while let Some((cluster, polled)) = polls.next().await {
            if let Some(failure) = polled.failure {
                tracing::error!(reason = failure.to_string(), "Container Insights: {failure}");
            }
            let events = polled.events.iter().map(String::as_str);
            self.events(cluster, None, events, &index, round, deadline, out);
        }
    }

    /// Writes log events that were pushed. An error makes Lambda hand them over again.
    pub(super) async fn log_events(&self, data: &str, deadline: &Deadline) -> Result<Reply, HandleError> {
        let pushed = PushedEvents::unpack(data)?;
        let (true, Some(cluster)) = (self.remote_write.is_some(), pushed.cluster()) else {
            let why = if pushed.is_control() { "a control message" } else { WITHOUT_PROMETHEUS };
            return Ok(Reply::Summary(json!({"skipped": why})));
        };
        if !self.settings.sources.insights {
            return Ok(Reply::Summary(json!({"skipped": "SIDECARLESS_STATS leaves out insights"})));
        }
        let found = self.tasks_of(cluster, &pushed, deadline).await;
        account::discovery(&found);
        let (mut round, mut batch) = (Round::default(), SeriesBatch::default());
        let index = self.index(&[], &found, &[]);
        self.events(cluster, Some(&pushed.owner), pushed.messages(), &index, &mut round, deadline, &mut batch);
        let account = self.write(batch, &mut round, deadline).await;
        round.finish_event("log events", &account, deadline).map(Reply::Summary)
    }

    /// What ECS says of the tasks that pushed events are about: from memory, and of the others by DescribeTasks.
    async fn tasks_of(&self, cluster: &str, pushed: &PushedEvents, deadline: &Deadline) -> Discovered {
        let mut ids: Vec<String> = pushed.messages().filter_map(|event| task_id(event.as_bytes())).collect();
        ids.sort_unstable();
        ids.dedup();
        let pages = ids.chunks(100).map(|tasks| Page { cluster: cluster.to_owned(), tasks: tasks.to_vec() });
        self.discovery.describe_unknown(&pages.collect::<Vec<_>>(), deadline).await
    }

    /// Tasks that ended or are about to have events in the slot as well: that they had a better source must not be
    /// forgotten with them.
    fn index<'a>(&self, recent: &'a [Arc<Task>], found: &'a Discovered, stopped: &'a [Arc<Task>]) -> Index<'a> {
        let known = recent.iter().chain(stopped).chain(&found.tasks).chain(&found.dropped);
        let known = known.map(|task| (&*task.id, (&**task, self.passes_over(task))));
        // Of a task without its definition nobody knows whether it serves its stats itself.
        let undefined = found.undefined.iter().map(|task| (&*task.id, (&**task, true)));
        known.chain(undefined).collect()
    }

    fn passes_over(&self, task: &Task) -> bool {
        self.source(task) == Some(StatsSource::Endpoint) || self.discovery.verdict(task).is_err()
    }

    /// Where the stats of a task come from.
    pub(super) fn source(&self, task: &Task) -> Option<StatsSource> {
        let sources = self.settings.sources;
        let endpoint_label = sources.endpoint.then_some(STATS_PORT);
        source_of(task, &Sources { endpoint_label, insights: sources.insights })
    }

    #[expect(clippy::too_many_arguments, reason = "everything that events of one cluster are read against")]
    fn events<'a>(
        &self,
        cluster: &str,
        owner: Option<&str>,
        events: impl Iterator<Item = &'a str>,
        index: &Index<'_>,
        round: &mut Round,
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
        let context = Context {
            task: &|id| index.get(id).map(|(task, _)| *task),
            covered: &|id| index.get(id).map_or(filtered, |(_, passed_over)| *passed_over),
            partition: if partition.is_empty() { "aws" } else { &partition },
            region: if region.is_empty() { &self.region } else { &region },
            account: if account.is_empty() { owner.unwrap_or_default() } else { &account },
            now_ms: deadline.now_ms(),
            // An event of a service or of the cluster has the cluster's tags, which every task of it has.
            extra: &|task| self.labelled(task.or(of_cluster).unwrap_or(&nobody), Labels::default()),
            options: &self.settings.stats,
        };
        for event in events {
            round.read_event(event_series(event.as_bytes(), &context, out));
        }
    }
}
