//! Tasks that stopped: why, and the end of their series. ECS tells by state change events, and a tick looks for what no
//! event told of: both write the same samples.

use std::sync::Arc;

use serde_json::json;

use super::run_stats::RunStats;
use super::{HandleError, Pipeline, REMOTE_WRITE_DISABLED, run_stats};
use crate::deadline::Deadline;
use crate::discovery::{StoppedListing, TaskListing};
use crate::lambda::{Response, TaskStateChange};
use crate::model::ecs::{ContainerStatus, TaskStatus};
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::model::task_event;
use crate::scrape::insights::MinuteWindow;
use crate::scrape::stats_targets::stats_address;
use crate::translate::stats::StatsSource;
use crate::translate::stopped::{StoppedTask, stale_markers, stopped_series};
use crate::translate::target_health;

/// How far back a tick looks for stopped tasks: the minute since the last tick, and the one before it in case that tick
/// failed. What is written twice is the same.
const LOOKBACK_MS: i64 = 120_000;

/// How long after the last event of a task, which lies on the minute, its series are ended.
const INSIGHTS_GRACE_MS: i64 = 30_000;

/// Tasks at their end.
#[derive(Debug, Default)]
pub(super) struct StoppedTasks {
    pub(super) stopped: Vec<Arc<Task>>,
    /// Those that still serve their last requests: ECS does not list them with the running ones any more.
    pub(super) stopping: Vec<Arc<Task>>,
}

impl Pipeline {
    /// The tasks that ECS lists as stopped, in all clusters of a tick; or those that events have told of.
    pub(super) async fn list_stopped_tasks(&self, listing: &TaskListing, deadline: &Deadline) -> StoppedTasks {
        if !self.settings.stopped_tasks {
            let recent = self.discovery.cached_tasks(deadline).into_iter();
            let stopped = recent.filter(|task| task.last_status == TaskStatus::Stopped).collect();
            return StoppedTasks { stopped, stopping: Vec::new() };
        }
        let StoppedListing { stopped, stopping, failures } =
            self.discovery.list_stopped(&listing.clusters, deadline).await;
        for failure in failures {
            tracing::warn!(reason = failure.to_string(), "stopped tasks: {failure}");
        }
        StoppedTasks { stopped, stopping }
    }

    /// Writes why tasks stopped since the last tick, and ends the series of those whose last sample is written.
    pub(super) fn write_stopped_tasks(
        &self,
        tick_ms: i64,
        stopped: &[Arc<Task>],
        round: &mut RunStats,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        let since_ms = MinuteWindow::containing(tick_ms).start_ms.saturating_sub(LOOKBACK_MS);
        let slot = self.settings.insights_lag.map(|lag| MinuteWindow::for_run(tick_ms, lag));
        for task in stopped.iter().filter(|task| self.discovery.matching_rule(task).is_ok()) {
            let Some(stopped_ms) = stopped_ms(task) else { continue };
            if (since_ms..=deadline.now_ms()).contains(&stopped_ms) {
                round.record_stopped_task();
                self.write_stopped_task(task, stopped_ms, round, out);
            }
            // An event may still come for the minute in which the task stopped, and for the next one.
            let last = MinuteWindow::containing(stopped_ms).next();
            if slot == Some(last) && self.source(task) == Some(StatsSource::Insights) {
                let stop = StoppedTask { task, at_ms: last.start_ms + INSIGHTS_GRACE_MS };
                let extra = self.add_target_labels(task, Labels::default());
                round.record_rejections(stale_markers(&stop, StatsSource::Insights, &extra, &self.settings.stats, out));
            }
        }
    }

    /// A task has changed its state. Only ends are of interest: of the task, or of one of its containers.
    pub(super) async fn task_change(
        &self,
        change: TaskStateChange,
        deadline: &Deadline,
    ) -> Result<Response, HandleError> {
        let skipped = |why: &str| Ok(Response::Json(json!({"skipped": why})));
        if self.remote_write.is_none() {
            return skipped(REMOTE_WRITE_DISABLED);
        }
        let task = task_event::parse_detail(change.detail.as_bytes())?;
        let mut containers = task.containers.iter();
        if task.last_status != TaskStatus::Stopped
            && !containers.any(|container| container.last_status == ContainerStatus::Stopped)
        {
            return skipped("nothing has stopped");
        }
        if self.discovery.cached_task(&task.arn, deadline).is_some_and(|known| known.version > task.version) {
            return skipped("a later state is known");
        }
        let (task, failures) = self.discovery.resolve_event_task(task, deadline).await;
        run_stats::log_failures(&failures);
        let Some(task) = task else { return skipped("the task is none of those looked at") };
        let (mut round, mut batch) = (RunStats::default(), SeriesBatch::default());
        let at_ms = stopped_ms(&task).or(task.updated_at_ms).or(change.at_ms).unwrap_or(deadline.started_ms());
        self.write_stopped_task(&task, at_ms, &mut round, &mut batch);
        round.record_stopped_task();
        let account = self.deliver_series(batch, &mut round, deadline).await;
        round.finish_event("task change", &account, deadline).map(Response::Json)
    }

    /// Why it stopped; and markers, at once, where a scrape wrote its series: nothing can come after them.
    fn write_stopped_task(&self, task: &Arc<Task>, at_ms: i64, round: &mut RunStats, out: &mut SeriesBatch) {
        let (stop, extra) = (StoppedTask { task, at_ms }, self.add_target_labels(task, Labels::default()));
        round.record_rejections(stopped_series(&stop, &extra, &self.settings.stats, out));
        let ended = task.last_status == TaskStatus::Stopped;
        if ended {
            self.mark_targets_stale(task, at_ms, out);
        }
        if ended && self.source(task) == Some(StatsSource::Endpoint) {
            round.record_rejections(stale_markers(&stop, StatsSource::Endpoint, &extra, &self.settings.stats, out));
            if let Some(address) = stats_address(task, &self.settings.scrape_ranges) {
                let labels =
                    self.add_target_labels(task, target_health::stats_target_labels(task, &address.to_string()));
                target_health::mark_stale(&labels, at_ms, out);
            }
        }
    }
}

/// When a task came to its end.
fn stopped_ms(task: &Task) -> Option<i64> {
    if task.last_status != TaskStatus::Stopped {
        return None;
    }
    task.stopped_at_ms.or(task.execution_stopped_at_ms)
}
