//! Counts of one run: targets, events and stopped tasks, and the inputs that were rejected.

use std::net::SocketAddr;

use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::discovery::{DiscoveryError, DiscoveryResult};
use crate::model::budget::BudgetExceeded;
use crate::model::rejection::Rejections;
use crate::model::shard::Shard;
use crate::model::task::Task;
use crate::scrape::stats_targets::TargetError;
use crate::translate::self_metrics::TargetCounts;
use crate::translate::stats::StatsResult;

use super::target_down::TargetDown;
use super::task_series::TOO_OLD;

/// Counts of one run.
#[derive(Debug, Default)]
pub(in crate::handlers) struct RunStats {
    pub(in crate::handlers) targets: TargetCounts,
    /// Log events of Container Insights.
    pub(in crate::handlers) events: u64,
    /// Metrics of services that were requested from CloudWatch, which charges for them.
    pub(in crate::handlers) cloudwatch_metrics: u64,
    /// Tasks that have stopped, or one of whose containers has.
    pub(in crate::handlers) stopped_tasks: u64,
    /// Targets that cannot be scraped, and values of their documents that were rejected.
    rejected: Rejections,
}

impl RunStats {
    /// Returns the target. Counts it as skipped if it cannot be scraped.
    pub(in crate::handlers) fn record_target<T>(&mut self, target: Result<T, TargetError>) -> Option<T> {
        target
            .map_err(|error| {
                self.targets.skipped += 1;
                self.rejected.add(error.reason(), 1, || error.to_string());
            })
            .ok()
    }

    /// Counts a scrape. Logs it if it failed.
    pub(in crate::handlers) fn record_scrape(
        &mut self,
        task: &Task,
        address: SocketAddr,
        result: Result<Rejections, TargetDown>,
    ) {
        match result {
            Ok(rejected) => {
                self.targets.up += 1;
                self.rejected.merge(rejected);
            }
            Err(error) => {
                self.targets.down += 1;
                tracing::warn!(task = &*task.arn, %address, error = error.to_string(), "scrape failed");
            }
        }
    }

    /// Counts a target that was not scraped because no time was left for it.
    pub(in crate::handlers) fn record_skipped(&mut self) {
        self.targets.skipped += 1;
        self.rejected.add("target_timeout_budget", 1, || "the targets before it used up the time for scrapes".into());
    }

    /// Counts a log event.
    pub(in crate::handlers) fn record_log_event(&mut self, result: StatsResult) {
        self.events += 1;
        self.record_rejections(result);
    }

    /// Counts a task that has stopped, or one of whose containers has.
    pub(in crate::handlers) fn record_stopped_task(&mut self) {
        self.stopped_tasks += 1;
    }

    pub(in crate::handlers) fn record_rejections(&mut self, result: StatsResult) {
        // Written samples are counted with the batch that contains them.
        let StatsResult { written: _, rejected } = result;
        self.rejected.merge(rejected);
    }

    /// Counts an event whose samples AMP does not accept any more: it can be repeated days later, from the dead-letter queue.
    pub(in crate::handlers) fn record_old_event(&mut self, subject: &str, at_ms: i64) {
        self.rejected.add(TOO_OLD, 1, || format!("an event of {subject} with time {at_ms}"));
    }

    /// Counts the tasks of a shard that arrived too late to be scraped.
    pub(in crate::handlers) fn record_late_shard(&mut self, shard: &Shard) {
        let (tasks, cluster) = (shard.tasks.len() as u64, &shard.cluster);
        self.rejected.add("shard_expired", tasks, || format!("shard of {cluster}, due at {}", shard.due_ms));
    }

    /// Counts tasks whose state is not written, because memory or time are used up.
    pub(in crate::handlers) fn record_state_skipped(&mut self, tasks: usize, exceeded: BudgetExceeded) {
        self.rejected.add("state_budget", tasks as u64, || exceeded.to_string());
    }

    /// Counts the tasks of shards that could not be sent.
    pub(in crate::handlers) fn record_unsent_shards(&mut self, tasks: u64, error: &AwsError) {
        self.rejected.add("shard_not_sent", tasks, || error.detail.clone());
    }

    /// Takes the rejected inputs, to be counted with the delivery.
    pub(in crate::handlers) fn take_rejected(&mut self) -> Rejections {
        std::mem::take(&mut self.rejected)
    }
}

/// Logs the failures of a discovery. Nothing is lost while cached tasks replace the missing ones.
pub(in crate::handlers) fn log_discovery(discovered: &DiscoveryResult) {
    log_failures(&discovered.failures);
    if !discovered.without_definition.is_empty() {
        let tasks = discovered.without_definition.len();
        tracing::warn!(tasks, "tasks are not scraped because their definition could not be read");
    }
    if discovered.missing > 0 {
        tracing::info!(missing_tasks = discovered.missing, "tasks disappeared after they were listed");
    }
    if discovered.from_cache > 0 {
        tracing::warn!(cached_tasks = discovered.from_cache, "cached tasks are used because discovery failed");
    }
}

pub(in crate::handlers) fn log_failures(failures: &[DiscoveryError]) {
    for failure in failures {
        tracing::error!(error = failure.to_string(), "discovery failed");
    }
}

/// Returns the time since the invocation started, for logs.
pub(in crate::handlers) fn duration_ms(deadline: &Deadline) -> u64 {
    u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_targets_are_counted_as_targets() {
        let mut stats = RunStats::default();
        stats.record_skipped();
        assert_eq!(stats.targets, TargetCounts { up: 0, down: 0, skipped: 1 });
        assert_eq!(stats.take_rejected().total(), 1);
    }
}
