//! The scheduled run: discovers tasks, scrapes them or has them scraped, and writes their series.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join;
use futures_util::stream;
use serde_json::{Value, json};

use super::delivery::DeliverySummary;
use super::error::HandleError;
use super::run::cloudwatch::CloudWatchPoller;
use super::run::context::{RunContext, Step};
use super::run::coverage::Coverage;
use super::run::insights::{EventSource, EventWriter, TaskIndex};
use super::run::report::check_delivered;
use super::run::scrape::TaskScraper;
use super::run::series_writer::{REMOTE_WRITE_DISABLED, SeriesWriter};
use super::run::state::StateCollector;
use super::run::stats::{duration_ms, log_discovery};
use super::run::stopped::{StoppedTaskWriter, stopped_ms};
use super::shard_plan::{ShardPlan, ShardPlanner};
use crate::deadline::Deadline;
use crate::discovery::{ClusterStates, Discovery, DiscoveryResult, StoppedListing, TaskListing};
use crate::lambda::{Response, ScheduledRun};
use crate::model::arn::cluster_name;
use crate::model::ecs::{ContainerInsights, TaskStatus};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::task::Task;
use crate::scrape::insights::{InsightsClient, MinuteWindow};
use crate::translate::stats::StatsSource;
use crate::translate::stopped::StoppedTask;

/// Time from the scheduled time until which a run may start: the precision of EventBridge Scheduler, which is 60 s (EventBridge
/// Scheduler User Guide, "Schedule types in EventBridge Scheduler"), and 15 s for Lambda's queue and a cold start. Lambda retries
/// a failed run a minute later (AWS Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous
/// invocation"), and a throttled one until its event is too old. The next run has started by then.
const MAX_START_DELAY_MS: i64 = 75_000;

/// How long ago a task may have stopped: within the minute since the previous run, and the one before it in case that run
/// failed. Samples that are written twice are equal.
const LOOKBACK_MS: i64 = 120_000;

/// Time between the last Container Insights event of a task, which is at the start of a minute, and the end of its series.
const INSIGHTS_GRACE_MS: i64 = 30_000;

/// Clusters that are polled at the same time. FilterLogEvents has a low request rate limit.
const POLL_CONCURRENCY: usize = 4;

/// Handles scheduled runs.
#[derive(Debug)]
pub(super) struct ScheduleHandler {
    pub(super) discovery: Arc<Discovery>,
    pub(super) shards: ShardPlanner,
    pub(super) scraper: Arc<TaskScraper>,
    pub(super) state: Arc<StateCollector>,
    pub(super) insights: InsightsClient,
    /// `None`: Container Insights is not polled.
    pub(super) insights_lag: Option<Duration>,
    pub(super) events: Arc<EventWriter>,
    pub(super) cloudwatch: Arc<CloudWatchPoller>,
    pub(super) stopped: Arc<StoppedTaskWriter>,
    /// Whether stopped tasks are listed. State change events report them as well.
    pub(super) lists_stopped: bool,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set: scheduled runs do nothing.
    pub(super) writer: Option<Arc<SeriesWriter>>,
}

/// Tasks at the end of their lifetime, which ECS no longer lists as running.
#[derive(Debug, Default)]
struct EndingTasks {
    stopped: Vec<Arc<Task>>,
    /// Tasks that have not stopped yet.
    stopping: Vec<Arc<Task>>,
}

impl EndingTasks {
    /// Returns the tasks whose containers still run while ECS deregisters them from their load balancers (Amazon ECS Developer
    /// Guide, "Task lifecycle").
    fn serving(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.stopping.iter().filter(|task| task.last_status == TaskStatus::Deactivating)
    }
}

/// What a scheduled run found out before its scrapes.
struct StateParts<'a> {
    clusters: ClusterStates,
    listing: &'a TaskListing,
    plan: &'a ShardPlan,
    discovered: &'a DiscoveryResult,
    ending: &'a EndingTasks,
}

/// State of ECS for the summary of a run.
struct StateSummary {
    coverage: Coverage,
    services: usize,
}

impl ScheduleHandler {
    pub(super) async fn handle(&self, event: ScheduledRun, deadline: &Deadline) -> Result<Response, HandleError> {
        let Some(writer) = &self.writer else {
            return Ok(Response::Json(json!({"skipped": REMOTE_WRITE_DISABLED})));
        };
        let scheduled_ms = event.scheduled_ms.unwrap_or(deadline.started_ms());
        let start_delay_ms = deadline.started_ms().saturating_sub(scheduled_ms);
        if start_delay_ms > MAX_START_DELAY_MS {
            return self.handle_late(scheduled_ms, start_delay_ms, writer, deadline).await;
        }
        let mut run = RunContext::scheduled(deadline, writer);
        let listing = self.discovery.list(deadline).await;
        let clusters = self.state.describe_clusters(&listing.clusters, deadline).await;
        let plan = self.shards.send(&self.discovery, &listing, &mut run).await;
        let mut discovered = check_discovery(self.describe(&listing, &plan, deadline).await, &listing, &plan)?;
        let ending = self.ending_tasks(&listing, &run.step_deadline(Step::StoppedTasks)).await;
        discovered.move_ended(ending.stopping.iter().chain(&ending.stopped));
        let state = StateParts { clusters, listing: &listing, plan: &plan, discovered: &discovered, ending: &ending };
        let state = self.scrape(state, scheduled_ms, &mut run).await;
        if let Some(lag) = self.insights_lag {
            let cached = self.discovery.cached_tasks(deadline);
            let tasks = self.events.index(cached.iter().chain(&ending.stopping).chain(&ending.stopped), &discovered);
            self.poll_insights(MinuteWindow::for_run(scheduled_ms, lag), &listing, &tasks, &mut run).await;
        }
        let read = self.cloudwatch.poll(scheduled_ms, &discovered, &mut run).await;
        self.append_stopped_tasks(scheduled_ms, &ending.stopped, &mut run);
        let summary = run.deliver().await;
        self.cloudwatch.remember(read, summary.undelivered == 0, deadline.now_ms());
        let response = finish(&run, event, &listing, &plan, &summary, &state);
        state.coverage.log_missing(self.events.series.sources);
        // Nobody else is told: a failed invocation is counted by Lambda.
        check_delivered(&summary)?;
        Ok(Response::Json(response))
    }

    /// Handles a run that is late. The next run replaces its scrapes, but reads another minute of Container Insights events.
    async fn handle_late(
        &self,
        scheduled_ms: i64,
        start_delay_ms: i64,
        writer: &SeriesWriter,
        deadline: &Deadline,
    ) -> Result<Response, HandleError> {
        let start_delay_s = start_delay_ms / 1_000;
        writer.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, ItemKind::ScrapeInputs, 1);
            counters.add_with_reason(ItemStatus::Rejected, ItemKind::ScrapeInputs, "run_late", 1);
        });
        tracing::warn!(start_delay_s, "scrapes of a late scheduled run skipped");
        let mut run = RunContext::without_scrapes(deadline, writer);
        if let Some(lag) = self.insights_lag {
            let (listing, plan) = (self.discovery.list(deadline).await, ShardPlan::default());
            let discovered = check_discovery(self.describe(&listing, &plan, deadline).await, &listing, &plan)?;
            let cached = self.discovery.cached_tasks(deadline);
            let tasks = self.events.index(cached.iter(), &discovered);
            self.poll_insights(MinuteWindow::for_run(scheduled_ms, lag), &listing, &tasks, &mut run).await;
        }
        let summary = run.deliver().await;
        check_delivered(&summary)?;
        Ok(Response::Json(json!({
            "skipped": format!("it starts {start_delay_s} s late, and the next scheduled run replaces its scrapes"),
            "insights_events": run.stats.events, "delivered": summary.delivered, "spooled": summary.spooled,
        })))
    }

    /// Scrapes tasks, and writes the state of ECS, which is described meanwhile. The tasks of shards are only counted by source, and
    /// only if they were described. Their status may have changed since.
    async fn scrape(&self, parts: StateParts<'_>, scheduled_ms: i64, run: &mut RunContext<'_>) -> StateSummary {
        let StateParts { clusters, listing, plan, discovered, ending } = parts;
        let tasks: Vec<Arc<Task>> = if plan.scrape_inline {
            discovered.tasks.iter().chain(ending.serving()).cloned().collect()
        } else {
            // The shards scrape the others, also those that started to stop after they were listed.
            ending.serving().filter(|task| !listing.contains(&task.arn)).cloned().collect()
        };
        let deadline = &run.step_deadline(Step::State);
        self.state.append_tasks(&tasks, run).await;
        let described = self.state.describe(clusters, listing, &discovered.tasks, scheduled_ms, deadline);
        let (state, ()) = join(Box::pin(described), self.scraper.scrape(&tasks, run)).await;
        self.state.append(&state, run).await;
        let coverage = Coverage::new(&self.events.series, &discovered.tasks);
        let is_known = |cluster: &str| discovered.is_complete(cluster, listing);
        if plan.scrape_inline {
            // Without its definition, a task has no labels that a filter could match.
            let is_selected = |task: &&Arc<Task>| {
                task.last_status != TaskStatus::Stopped && self.discovery.matching_rule(task).is_ok()
            };
            let counted = tasks.iter().chain(discovered.without_definition.iter().filter(is_selected));
            self.state.append_groups(counted, is_known, &state, run.deadline, &mut run.batch);
        }
        if plan.scrape_inline || self.insights_lag.is_some() {
            let clusters =
                listing.clusters.iter().map(|cluster| cluster_name(cluster)).filter(|cluster| is_known(cluster));
            // Without its definition, a task has no labels that declare its source.
            let has_all = |cluster: &&str| !discovered.without_definition.iter().any(|task| *task.cluster == **cluster);
            let known = clusters.filter(has_all);
            self.state.append_sources(known, &coverage, &discovered.tasks, state.at_ms, &mut run.batch);
        }
        StateSummary { coverage, services: state.services.known }
    }

    /// Describes the listed tasks. If shards scrape them, the run only needs to know which tasks Container Insights is the
    /// source of, and cached descriptions suffice for that.
    async fn describe(&self, listing: &TaskListing, plan: &ShardPlan, deadline: &Deadline) -> DiscoveryResult {
        if plan.scrape_inline {
            return self.discovery.describe_all(listing, deadline).await;
        }
        let mut discovered = DiscoveryResult::default();
        if self.insights_lag.is_some() {
            discovered = self.discovery.describe_listed(listing, deadline).await;
        }
        discovered.failures.extend(listing.failures.iter().cloned());
        discovered
    }

    /// Returns the tasks that ECS lists as stopped, or else the stopped tasks of state change events.
    async fn ending_tasks(&self, listing: &TaskListing, deadline: &Deadline) -> EndingTasks {
        if !self.lists_stopped {
            let cached = self.discovery.cached_tasks(deadline).into_iter();
            let stopped = cached.filter(|task| task.last_status == TaskStatus::Stopped).collect();
            return EndingTasks { stopped, stopping: Vec::new() };
        }
        let StoppedListing { stopped, stopping, failures } =
            self.discovery.list_stopped(&listing.clusters, deadline).await;
        for failure in failures {
            tracing::warn!(error = failure.to_string(), "stopped tasks could not be listed");
        }
        EndingTasks { stopped, stopping }
    }

    /// Reads one minute of Container Insights events of every cluster where it is not off. A cluster that fails does not affect other clusters.
    async fn poll_insights(
        &self,
        window: MinuteWindow,
        listing: &TaskListing,
        tasks: &TaskIndex<'_>,
        run: &mut RunContext<'_>,
    ) {
        let deadline = &run.step_deadline(Step::Insights);
        let is_off = |cluster: &str| {
            let described = self.discovery.cached_cluster(cluster);
            described.is_some_and(|cluster| cluster.container_insights == ContainerInsights::Off)
        };
        let clusters = listing.clusters.iter().filter(|cluster| !is_off(cluster));
        let mut pages = pin!(stream::iter(clusters).flat_map_unordered(POLL_CONCURRENCY, |cluster| {
            Box::pin(self.insights.events(cluster, window, deadline).map(move |page| (cluster, page)))
        }));
        while let Some((cluster, page)) = run.wait_for(pages.next()).await {
            match page {
                Ok(events) => {
                    let source = EventSource { cluster, owner: None, tasks };
                    self.events.append(&source, events.iter().map(String::as_str), run);
                    run.deliver_if_full().await;
                }
                Err(error) => {
                    tracing::error!(error = error.to_string(), "Container Insights events could not be read");
                }
            }
        }
    }

    /// Writes why tasks stopped since the previous run, and ends the series whose last sample is written.
    fn append_stopped_tasks(&self, scheduled_ms: i64, stopped: &[Arc<Task>], run: &mut RunContext<'_>) {
        let since_ms = MinuteWindow::containing(scheduled_ms).start_ms.saturating_sub(LOOKBACK_MS);
        let polled = self.insights_lag.map(|lag| MinuteWindow::for_run(scheduled_ms, lag));
        for task in stopped.iter().filter(|task| self.discovery.matching_rule(task).is_ok()) {
            let Some(stopped_ms) = stopped_ms(task) else { continue };
            if (since_ms..=run.deadline.now_ms()).contains(&stopped_ms) {
                self.stopped.append(task, stopped_ms, run);
            }
            // Events may follow for the minute in which the task stopped, and for the next one.
            let last = MinuteWindow::containing(stopped_ms).next();
            if polled == Some(last) && self.events.series.source(task) == Some(StatsSource::Insights) {
                let ended = StoppedTask { task, at_ms: last.start_ms + INSIGHTS_GRACE_MS };
                self.stopped.append_stale_markers(&ended, StatsSource::Insights, run);
            }
        }
    }
}

/// Logs failures of the discovery. Returns an error if, because of them, there is no task to scrape: a run that leaves the
/// scrapes to shards only has to list tasks.
fn check_discovery(
    discovered: DiscoveryResult,
    listing: &TaskListing,
    plan: &ShardPlan,
) -> Result<DiscoveryResult, HandleError> {
    log_discovery(&discovered);
    let is_empty = discovered.is_empty() && (plan.scrape_inline || listing.task_count() == 0);
    match discovered.failures.first() {
        Some(failure) if is_empty && plan.sent == 0 => Err(HandleError::Discovery(failure.clone())),
        _ => Ok(discovered),
    }
}

/// Logs a scheduled run, and returns its summary.
fn finish(
    run: &RunContext<'_>,
    event: ScheduledRun,
    listing: &TaskListing,
    plan: &ShardPlan,
    summary: &DeliverySummary,
    state: &StateSummary,
) -> Value {
    let (stats, targets, tasks) = (&run.stats, run.stats.targets, listing.task_count());
    let (clusters, sources) = (listing.clusters.len(), state.coverage.total());
    tracing::info!(
        clusters,
        services = state.services,
        tasks,
        tasks_with_push = sources.push,
        tasks_with_endpoint = sources.endpoint,
        tasks_with_insights = sources.insights,
        tasks_without_source = sources.none,
        series = run.series_count(),
        targets_up = targets.up,
        targets_down = targets.down,
        targets_skipped = targets.skipped,
        insights_events = stats.events,
        cloudwatch_metrics = stats.cloudwatch_metrics,
        stopped_tasks = stats.stopped_tasks,
        shards_sent = plan.sent,
        shards_failed = plan.failed,
        undelivered = summary.undelivered,
        duration_ms = duration_ms(run.deadline),
        scheduled_ms = event.scheduled_ms,
        "scheduled run completed"
    );
    json!({
        "clusters": clusters, "services": state.services, "tasks": tasks, "tasks_without_source": sources.none,
        "series": run.series_count(), "targets_up": targets.up, "targets_down": targets.down, "insights_events": stats.events,
        "cloudwatch_metrics": stats.cloudwatch_metrics,
        "stopped_tasks": stats.stopped_tasks, "shards_sent": plan.sent, "shards_failed": plan.failed,
        "delivered": summary.delivered, "unconfirmed": summary.unconfirmed, "spooled": summary.spooled, "rejected": summary.reported.rejected.total(),
        "undelivered": summary.undelivered,
    })
}
