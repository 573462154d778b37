//! Shards: messages with up to 100 tasks of one cluster to scrape.

use std::sync::Arc;

use thiserror::Error;

use super::received;
use crate::deadline::Deadline;
use crate::deliver::deferral::{BackoffClass, MessageDeferral, ReceivedMessage};
use crate::discovery::{Discovery, DiscoveryError, TaskBatch};
use crate::handlers::run::context::RunContext;
use crate::handlers::run::report::finish_event;
use crate::handlers::run::scrape::TaskScraper;
use crate::handlers::run::series_writer::{REMOTE_WRITE_DISABLED, SeriesWriter};
use crate::handlers::run::state::StateCollector;
use crate::handlers::run::stats::log_discovery;
use crate::handlers::self_metrics::SelfMetrics;
use crate::lambda::SqsMessage;
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::rejection::Rejections;
use crate::model::shard::{Shard, ShardDecodeError};

/// Scrapes the tasks of shards.
#[derive(Debug)]
pub(in crate::handlers) struct ShardHandler {
    pub(in crate::handlers) discovery: Arc<Discovery>,
    pub(in crate::handlers) scraper: Arc<TaskScraper>,
    pub(in crate::handlers) state: Arc<StateCollector>,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(in crate::handlers) writer: Option<Arc<SeriesWriter>>,
    /// `None`: messages are retried after the visibility timeout of their queue.
    pub(in crate::handlers) deferral: Option<MessageDeferral>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
}

/// Reason why a shard is retried.
#[derive(Debug, Error)]
enum ShardError {
    #[error(transparent)]
    Decode(#[from] ShardDecodeError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
}

impl ShardHandler {
    /// Scrapes the tasks of messages. Returns the IDs of the messages that have to be retried.
    pub(super) async fn handle(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Vec<String> {
        let Some(writer) = &self.writer else {
            self.discard(&messages);
            return Vec::new();
        };
        let (mut failed, mut scraped) = (Vec::new(), Vec::new());
        let mut run = RunContext::for_event(deadline, writer);
        for message in messages {
            match self.scrape(&message, &mut run).await {
                Ok(()) => scraped.push(message),
                Err(error) => {
                    tracing::warn!(message_id = message.id, error = error.to_string(), "shard will be retried");
                    failed.push(message);
                }
            }
        }
        if !scraped.is_empty() {
            let summary = run.deliver().await;
            if let Err(error) = finish_event("sqs", &run, &summary) {
                tracing::warn!(count = scraped.len(), error = error.to_string(), "shards will be retried");
                failed.extend(scraped);
            }
        }
        for message in &failed {
            self.retry_soon(message, deadline).await;
        }
        failed.into_iter().map(|message| message.id).collect()
    }

    /// Counts the tasks of shards that are not scraped because there is no workspace to write to.
    fn discard(&self, messages: &[SqsMessage]) {
        if messages.is_empty() {
            return;
        }
        let mut rejected = Rejections::default();
        for shard in messages.iter().filter_map(|message| Shard::parse(&message.body).ok()) {
            rejected.add("remote_write_disabled", shard.tasks.len() as u64, || format!("shard of {}", shard.cluster));
        }
        tracing::warn!(
            count = messages.len(),
            tasks = rejected.total(),
            error = REMOTE_WRITE_DISABLED,
            "shards discarded"
        );
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, ItemKind::ScrapeInputs, rejected.total());
            counters.add_all(ItemStatus::Rejected, ItemKind::ScrapeInputs, &rejected);
        });
    }

    /// Retries a shard before its scrapes are outdated, which is long before the visibility timeout of the queue.
    async fn retry_soon(&self, message: &SqsMessage, deadline: &Deadline) {
        if let Some(deferral) = &self.deferral {
            let message = ReceivedMessage { receive_count: 1, ..received(message) };
            deferral.defer(message, BackoffClass::Samples, deadline).await;
        }
    }

    async fn scrape(&self, message: &SqsMessage, run: &mut RunContext<'_>) -> Result<(), ShardError> {
        let shard = Shard::parse(&message.body)?;
        if shard.is_late(run.deadline.now_ms()) {
            run.stats.record_late_shard(&shard);
            return Ok(());
        }
        self.state.describe_stale_clusters(std::slice::from_ref(&shard.cluster), run.deadline).await;
        let batch = TaskBatch { cluster: shard.cluster, tasks: shard.tasks };
        let mut discovered = self.discovery.describe(&[batch], run.deadline).await;
        log_discovery(&discovered);
        if let (true, Some(failure)) = (discovered.tasks.is_empty(), discovered.failures.first()) {
            return Err(failure.clone().into());
        }
        discovered.move_ended(None);
        self.state.append_tasks(&discovered.tasks, run).await;
        self.scraper.scrape(&discovered.tasks, run).await;
        Ok(())
    }
}
