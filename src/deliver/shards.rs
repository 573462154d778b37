//! Shards go to a queue, from where they come back to this function.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::StreamExt as _;
use futures_util::stream;
use url::Url;

use crate::aws::sdk_error::describe_sdk_error;
use crate::deadline::Deadline;
use crate::model::shard::Shard;

/// SendMessageBatch takes ten messages of 1 MiB together; a shard is 14 KB at the most (Amazon SQS API Reference).
const SHARDS_PER_CALL: usize = 10;

/// Calls side by side.
const CONCURRENCY: usize = 8;

/// The queue of shards.
#[derive(Clone, Debug)]
pub struct ShardQueue {
    sqs: Client,
    queue_url: String,
}

/// How many shards were sent.
#[derive(Debug, Default)]
pub struct ShardSendResult {
    pub sent: u64,
    pub failed: u64,
    pub error: Option<String>,
}

impl ShardQueue {
    pub fn new(sqs: Client, queue_url: &Url) -> Self {
        Self { sqs, queue_url: queue_url.as_str().to_owned() }
    }

    /// Sends shards, each to be received so many seconds from now.
    pub async fn send(&self, shards: Vec<(Shard, i32)>, deadline: &Deadline) -> ShardSendResult {
        let entries: Vec<_> = shards.into_iter().enumerate().filter_map(entry).collect();
        let outcomes = stream::iter(entries.chunks(SHARDS_PER_CALL))
            .map(|chunk| async move { (chunk.len() as u64, self.send_batch(chunk, deadline).await) })
            .buffer_unordered(CONCURRENCY);
        outcomes.fold(ShardSendResult::default(), async |sum, (count, failed)| sum.merge(count, failed)).await
    }

    /// How many of a batch were not taken, and why.
    async fn send_batch(
        &self,
        entries: &[SendMessageBatchRequestEntry],
        deadline: &Deadline,
    ) -> Result<(), (u64, String)> {
        let all = entries.len() as u64;
        let request = self.sqs.send_message_batch().queue_url(&self.queue_url);
        let request = request.set_entries(Some(entries.to_vec())).send();
        let out_of_time = || (all, "the invocation ran out of time".to_owned());
        let output = deadline.timeout(deadline.remaining(), request).await.ok_or_else(out_of_time)?;
        let output = output.map_err(|error| (all, describe_sdk_error(&error)))?;
        match output.failed() {
            [] => Ok(()),
            [first, ..] => Err((output.failed().len() as u64, first.message().unwrap_or(first.code()).to_owned())),
        }
    }
}

impl ShardSendResult {
    fn merge(mut self, count: u64, outcome: Result<(), (u64, String)>) -> Self {
        let failed = outcome.as_ref().err().map_or(0, |(failed, _)| *failed);
        self.sent += count - failed.min(count);
        self.failed += failed;
        self.error = outcome.err().map(|(_, why)| why).or(self.error);
        self
    }
}

fn entry((index, (shard, delay_s)): (usize, (Shard, i32))) -> Option<SendMessageBatchRequestEntry> {
    let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(shard.into_message());
    // It fails when a field is missing, and none is.
    entry.delay_seconds(delay_s).build().ok()
}
