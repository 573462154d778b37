//! One round of scrapes, events and stops, counted: what a tick tells whoever invoked it by hand.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::HandleError;
use super::delivery::DeliverySummary;
use super::shards::ShardPlan;
use crate::deadline::Deadline;
use crate::discovery::{DiscoveryError, DiscoveryResult};
use crate::lambda::ScheduledRun;
use crate::model::rejection::Rejections;
use crate::model::shard::Shard;
use crate::model::task::Task;
use crate::scrape::stats_targets::TargetError;
use crate::translate::self_metrics::TargetCounts;
use crate::translate::stats;

/// One round of scrapes.
#[derive(Debug, Default)]
pub(super) struct RunStats {
    up: u64,
    down: u64,
    skipped: u64,
    /// Nobody asks for this round again.
    is_scheduled: bool,
    /// Log events of Container Insights.
    events: u64,
    stopped: u64,
    /// Targets that must not or cannot be scraped, and values in their documents that were set aside.
    rejected: Rejections,
}

impl RunStats {
    /// The round of a tick, which nobody repeats when it fails.
    pub(super) fn for_scheduled_run() -> Self {
        Self { is_scheduled: true, ..Self::default() }
    }

    pub(super) fn is_retried_by_caller(&self) -> bool {
        !self.is_scheduled
    }

    /// What was scraped; `None`: it is not a round of scrapes.
    pub(super) fn targets(&self) -> Option<TargetCounts> {
        let Self { up, down, skipped: dropped, .. } = *self;
        (self.is_scheduled || up + down + dropped > 0).then_some(TargetCounts { up, down, skipped: dropped })
    }

    /// The target, unless it must not or cannot be scraped: then it is counted.
    pub(super) fn record_target<T>(&mut self, target: Result<T, TargetError>) -> Option<T> {
        target
            .map_err(|dropped| {
                self.skipped += 1;
                self.rejected.add(dropped.reason(), 1, || dropped.to_string());
            })
            .ok()
    }

    /// Counts a scrape; one that failed is logged with its reason.
    pub(super) fn record_scrape(&mut self, task: &Task, address: SocketAddr, said: Result<Rejections, String>) {
        match said {
            Ok(refused) => {
                self.up += 1;
                self.rejected.merge(refused);
            }
            Err(reason) => {
                self.down += 1;
                let task = &*task.arn;
                tracing::warn!(task, %address, reason, "scrape of {task} at {address} failed: {reason}");
            }
        }
    }

    /// Counts a target that there was no time for.
    pub(super) fn record_skipped(&mut self) {
        self.rejected.add("target_timeout_budget", 1, || "those before it took all the time that there was".into());
    }

    /// Counts a log event that was read.
    pub(super) fn record_log_event(&mut self, outcome: stats::StatsResult) {
        self.events += 1;
        self.record_rejections(outcome);
    }

    /// Counts a task that has come to its end, or one of whose containers has.
    pub(super) fn record_stopped_task(&mut self) {
        self.stopped += 1;
    }

    pub(super) fn record_rejections(&mut self, outcome: stats::StatsResult) {
        self.rejected.merge(outcome.rejected);
    }

    /// Counts the tasks of a shard that came too late to be scraped.
    pub(super) fn record_late_shard(&mut self, shard: &Shard) {
        let (tasks, cluster) = (shard.tasks.len() as u64, &shard.cluster);
        self.rejected.add("shard_expired", tasks, || format!("a shard of {cluster} that was due at {}", shard.due_ms));
    }

    /// Takes out what was set aside, for the account of the samples.
    pub(super) fn take_rejected(&mut self) -> Rejections {
        std::mem::take(&mut self.rejected)
    }

    /// Logs the tick, and sums it up for whoever invoked by hand.
    pub(super) fn finish(
        self,
        tick: ScheduledRun,
        tasks: usize,
        shards: ShardPlan,
        account: &DeliverySummary,
        deadline: &Deadline,
    ) -> Value {
        let duration_ms = milliseconds(deadline);
        let RunStats { up, down, events, stopped, .. } = self;
        let shards_sent = shards.sent;
        tracing::info!(
            tasks,
            up,
            down,
            events,
            stopped,
            shards_sent,
            duration_ms,
            scheduled_ms = tick.scheduled_ms,
            "tick: {tasks} tasks, {up} targets up, {down} down, {events} Container Insights events, {stopped} stopped"
        );
        json!({
            "tasks": tasks, "targets_up": up, "targets_down": down, "insights_events": events, "stopped": stopped,
            "shards_sent": shards_sent, "shards_failed": shards.failed, "delivered": account.delivered,
            "spooled": account.spooled, "refused": account.rejected.total(), "undelivered": account.undelivered,
        })
    }

    /// Logs a trigger other than the tick. An error when samples are left that have to come again.
    pub(super) fn finish_event(
        self,
        what: &'static str,
        account: &DeliverySummary,
        deadline: &Deadline,
    ) -> Result<Value, HandleError> {
        let RunStats { up, down, events, stopped, .. } = self;
        let duration_ms = milliseconds(deadline);
        tracing::info!(what, up, down, events, stopped, duration_ms, "{what}: {up} targets up, {down} down");
        if account.undelivered > 0 {
            return Err(HandleError::Undelivered { samples: account.undelivered, why: account.error.clone() });
        }
        Ok(json!({
            "targets_up": up, "targets_down": down, "insights_events": events, "stopped": stopped,
            "delivered": account.delivered, "spooled": account.spooled, "refused": account.rejected.total(),
        }))
    }
}

/// Logs what could not be asked. Where the last minutes' tasks stand in, nothing is lost yet.
pub(super) fn log_discovery(discovered: &DiscoveryResult) {
    log_failures(&discovered.failures);
    let recalled = discovered.from_cache;
    let gone = discovered.missing;
    if gone > 0 {
        tracing::info!(gone, "{gone} tasks have gone since they were listed");
    }
    if recalled > 0 {
        tracing::warn!(recalled, "{recalled} tasks are taken as they were in the last minutes");
    }
}

pub(super) fn log_failures(failures: &[DiscoveryError]) {
    for failure in failures {
        tracing::error!(reason = failure.to_string(), "discovery: {failure}");
    }
}

fn milliseconds(deadline: &Deadline) -> u64 {
    u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX)
}
