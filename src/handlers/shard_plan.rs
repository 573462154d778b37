//! Distribution of tasks to shards: SQS messages of up to 100 tasks each, which this function scrapes later.

use std::time::Duration;

use super::run::context::RunContext;
use crate::deliver::shards::ShardQueue;
use crate::discovery::{Discovery, TaskBatch, TaskListing};
use crate::model::shard::Shard;

const MINUTE_S: i32 = 60;

/// Decides which tasks a scheduled run scrapes, and sends shards for the remaining tasks.
#[derive(Debug)]
pub(super) struct ShardPlanner {
    /// `None`: every scheduled run scrapes all tasks itself.
    pub(super) queue: Option<ShardQueue>,
    /// Tasks that a scheduled run scrapes itself.
    pub(super) max_inline_tasks: usize,
    pub(super) scrape_interval: Duration,
}

/// Distribution of the tasks of one scheduled run. By default, nobody scrapes them.
#[derive(Debug, Default)]
pub(super) struct ShardPlan {
    /// Whether the scheduled run scrapes the tasks itself.
    pub(super) scrape_inline: bool,
    pub(super) sent: u64,
    pub(super) failed: u64,
}

impl ShardPlanner {
    /// Sends a shard for every batch of tasks and every scrape within the minute. If there are few tasks, the scheduled run
    /// makes the first scrape itself.
    pub(super) async fn send(
        &self,
        discovery: &Discovery,
        listing: &TaskListing,
        run: &mut RunContext<'_>,
    ) -> ShardPlan {
        let deadline = run.deadline;
        let batches = discovery.batches_of(listing, deadline);
        let tasks: usize = batches.iter().map(|batch| batch.tasks.len()).sum();
        let Some(queue) = &self.queue else { return ShardPlan { scrape_inline: true, sent: 0, failed: 0 } };
        let scrape_inline = tasks <= self.max_inline_tasks;
        let now_ms = deadline.now_ms();
        let interval_s = self.scrape_interval.as_secs();
        let offsets = scrape_offsets(interval_s).filter(|&offset_s| offset_s > 0 || !scrape_inline);
        let shards = offsets.flat_map(|offset_s| {
            let due_ms = now_ms + i64::from(offset_s) * 1_000;
            let shard =
                move |batch: &TaskBatch| (Shard::new(batch.cluster.clone(), batch.tasks.clone(), due_ms), offset_s);
            batches.iter().map(shard)
        });
        let result = queue.send(shards.collect(), deadline).await;
        if let Some(error) = result.error {
            run.stats.record_unsent_shards(result.failed_tasks, &error);
            tracing::error!(count = result.failed, error = error.detail, "shards could not be sent");
        }
        ShardPlan { scrape_inline, sent: result.sent, failed: result.failed }
    }
}

/// Returns the offsets of the scrapes of a minute from its scheduled run, in seconds.
fn scrape_offsets(interval_s: u64) -> impl Iterator<Item = i32> + Clone {
    let interval_s = usize::try_from(interval_s.clamp(1, 60)).unwrap_or(60);
    (0..MINUTE_S).step_by(interval_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapes_of_a_minute_are_evenly_spaced() {
        for (interval_s, expected) in
            [(60, vec![0]), (30, vec![0, 30]), (20, vec![0, 20, 40]), (15, vec![0, 15, 30, 45])]
        {
            assert_eq!(scrape_offsets(interval_s).collect::<Vec<_>>(), expected);
        }
    }
}
