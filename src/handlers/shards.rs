//! Many tasks, and scrapes within the minute: messages of a page of tasks each, which come back to this function.

use super::Pipeline;
use super::run_stats::{self, RunStats};
use crate::deadline::Deadline;
use crate::deliver::spool::BackoffClass;
use crate::discovery::{DiscoveryResult, TaskBatch, TaskListing};
use crate::lambda::SqsMessage;
use crate::model::series::SeriesBatch;
use crate::model::shard::Shard;

const MINUTE_S: i32 = 60;

/// What a tick has others do.
#[derive(Debug, Default)]
pub(super) struct ShardPlan {
    /// Whether the tick scrapes the tasks itself.
    pub(super) scrape_inline: bool,
    pub(super) sent: u64,
    pub(super) failed: u64,
}

impl Pipeline {
    /// Sends a message for each page and round of the minute; when the tasks are few, only for the later rounds.
    pub(super) async fn send_shards(&self, listing: &TaskListing, deadline: &Deadline) -> ShardPlan {
        let pages = self.discovery.batches_of(listing, deadline);
        let inline = pages.iter().map(|page| page.tasks.len()).sum::<usize>() <= self.settings.inline_tasks;
        let scrapes = self.settings.sources.endpoint || self.settings.sources.prometheus;
        let Some(queue) = self.shard_queue.as_ref().filter(|_| scrapes) else {
            return ShardPlan { scrape_inline: true, ..ShardPlan::default() };
        };
        let now_ms = deadline.now_ms();
        let delays = scrape_offsets(self.settings.scrape_interval.as_secs()).filter(|&delay_s| delay_s > 0 || !inline);
        let shards = delays.flat_map(|delay_s| {
            let due_ms = now_ms + i64::from(delay_s) * 1_000;
            let shard = move |page: &TaskBatch| (Shard::new(page.cluster.clone(), page.tasks.clone(), due_ms), delay_s);
            pages.iter().map(shard)
        });
        let sent = queue.send(shards.collect(), deadline).await;
        if let Some(why) = sent.error {
            tracing::error!(failed = sent.failed, why, "{} shards could not be sent: {why}", sent.failed);
        }
        ShardPlan { scrape_inline: inline, sent: sent.sent, failed: sent.failed }
    }

    /// The listed tasks as ECS describes them. When shards scrape them, a tick needs to know only which of them Container
    /// Insights is to be read for: what is known from a while ago will do.
    pub(super) async fn describe(
        &self,
        listing: &TaskListing,
        shards: &ShardPlan,
        deadline: &Deadline,
    ) -> DiscoveryResult {
        if shards.scrape_inline {
            return self.discovery.describe_all(listing, deadline).await;
        }
        let mut discovered = DiscoveryResult::default();
        if self.settings.sources.insights && self.settings.insights_lag.is_some() {
            discovered = self.discovery.describe_uncached(&listing.batches, deadline).await;
        }
        discovered.failures.extend(listing.failures.iter().cloned());
        discovered
    }

    /// Scrapes the tasks of some messages. Returns the ids of those that have to come again.
    pub(super) async fn scrape_shards(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Vec<String> {
        let (mut failed, mut done) = (Vec::new(), Vec::new());
        let (mut round, mut batch) = (RunStats::default(), SeriesBatch::default());
        for message in messages {
            match self.scrape_shard(&message, &mut round, deadline, &mut batch).await {
                Ok(()) => done.push(message),
                Err(reason) => {
                    tracing::warn!(message_id = message.id, reason, "shard {} comes again: {reason}", message.id);
                    failed.push(message);
                }
            }
        }
        if !done.is_empty() {
            let account = self.deliver_series(batch, &mut round, deadline).await;
            if round.finish_event("shards", &account, deadline).is_err() {
                failed.extend(done);
            }
        }
        for message in &failed {
            self.retry_soon(message, deadline).await;
        }
        failed.into_iter().map(|message| message.id).collect()
    }

    /// Lets a shard come again while its scrapes are still worth something, which is long before the queue's own time.
    async fn retry_soon(&self, message: &SqsMessage, deadline: &Deadline) {
        if let Some(spool) = &self.spool {
            spool.defer(&message.receipt_handle, 1, BackoffClass::Samples, deadline).await;
        }
    }

    async fn scrape_shard(
        &self,
        message: &SqsMessage,
        round: &mut RunStats,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        let shard = Shard::parse(&message.body).map_err(|unreadable| unreadable.to_string())?;
        if shard.is_late(deadline.now_ms()) {
            round.record_late_shard(&shard);
            return Ok(());
        }
        let page = TaskBatch { cluster: shard.cluster, tasks: shard.tasks };
        let discovered = self.discovery.describe(&[page], deadline).await;
        run_stats::log_discovery(&discovered);
        if let (true, Some(failure)) = (discovered.tasks.is_empty(), discovered.failures.first()) {
            return Err(failure.to_string());
        }
        self.scrape(&discovered.tasks, round, deadline, out).await;
        Ok(())
    }
}

/// When in a minute the rounds are, in seconds after the tick.
fn scrape_offsets(interval_s: u64) -> impl Iterator<Item = i32> + Clone {
    let interval_s = usize::try_from(interval_s.clamp(1, 60)).unwrap_or(60);
    (0..MINUTE_S).step_by(interval_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounds_of_a_minute_are_evenly_spread() {
        for (interval_s, expected) in
            [(60, vec![0]), (30, vec![0, 30]), (20, vec![0, 20, 40]), (15, vec![0, 15, 30, 45])]
        {
            assert_eq!(scrape_offsets(interval_s).collect::<Vec<_>>(), expected);
        }
    }
}
