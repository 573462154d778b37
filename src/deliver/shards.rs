//! Queue of shards. Each message invokes this function again.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::StreamExt as _;
use futures_util::stream;
use url::Url;

use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::model::shard::Shard;

/// Limit of SendMessageBatch, together with 1 MiB in total (Amazon SQS API Reference). A shard has at most 14 KB.
const SHARDS_PER_CALL: usize = 10;

/// Maximum number of concurrent calls.
const CONCURRENCY: usize = 8;

/// Queue of shards.
#[derive(Clone, Debug)]
pub struct ShardQueue {
    sqs: Client,
    queue_url: String,
}

/// Numbers of sent and failed shards.
#[must_use]
#[derive(Debug, Default)]
pub struct ShardSendResult {
    pub sent: u64,
    pub failed: u64,
    /// Tasks of the failed shards.
    pub failed_tasks: u64,
    /// Last error.
    pub error: Option<AwsError>,
}

/// Shards of one call that were not sent.
struct BatchError {
    /// IDs of the entries, which are the indexes of the shards.
    failed: Vec<String>,
    error: AwsError,
}

impl ShardQueue {
    pub fn new(sqs: Client, queue_url: &Url) -> Self {
        Self { sqs, queue_url: queue_url.as_str().to_owned() }
    }

    /// Sends shards, each with a delay in seconds.
    pub async fn send(&self, shards: Vec<(Shard, i32)>, deadline: &Deadline) -> ShardSendResult {
        let task_counts: Vec<_> = shards.iter().map(|(shard, _)| shard.tasks.len() as u64).collect();
        let entries: Vec<_> = shards.into_iter().enumerate().filter_map(entry).collect();
        let outcomes = stream::iter(entries.chunks(SHARDS_PER_CALL))
            .map(|chunk| async move { (chunk.len() as u64, self.send_batch(chunk, deadline).await) })
            .buffer_unordered(CONCURRENCY);
        outcomes
            .fold(ShardSendResult::default(), async |sum, (count, result)| sum.merge(count, result, &task_counts))
            .await
    }

    async fn send_batch(
        &self,
        entries: &[SendMessageBatchRequestEntry],
        deadline: &Deadline,
    ) -> Result<(), BatchError> {
        let failed = |error| BatchError { failed: entries.iter().map(|entry| entry.id.clone()).collect(), error };
        let request = self.sqs.send_message_batch().queue_url(&self.queue_url);
        let request = request.set_entries(Some(entries.to_vec())).send();
        let response = deadline.timeout(deadline.remaining(), request).await;
        let response = response.ok_or_else(|| failed(AwsError::out_of_time()))?;
        let output = response.map_err(|error| failed(AwsError::from(&error)))?;
        match output.failed() {
            [] => Ok(()),
            [first, ..] => Err(BatchError {
                failed: output.failed().iter().map(|entry| entry.id.clone()).collect(),
                error: AwsError::from_batch_entry(first.code(), first.message()),
            }),
        }
    }
}

impl ShardSendResult {
    /// Adds the result of a call with `count` shards. `task_counts` are the numbers of tasks of all shards.
    fn merge(mut self, count: u64, result: Result<(), BatchError>, task_counts: &[u64]) -> Self {
        let Err(BatchError { failed, error }) = result else {
            self.sent += count;
            return self;
        };
        let tasks_of = |id: &String| task_counts.get(id.parse::<usize>().ok()?).copied();
        let failed_count = failed.len() as u64;
        self.sent += count.saturating_sub(failed_count);
        self.failed += failed_count;
        self.failed_tasks += failed.iter().filter_map(tasks_of).sum::<u64>();
        self.error = Some(error);
        self
    }
}

fn entry((index, (shard, delay_s)): (usize, (Shard, i32))) -> Option<SendMessageBatchRequestEntry> {
    let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(shard.into_message());
    // Fails only if a required field is missing.
    entry.delay_seconds(delay_s).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_failed_shards_are_counted() {
        let failed = |ids: &[&str]| {
            let failed = ids.iter().map(|&id| id.to_owned()).collect();
            Err(BatchError { failed, error: AwsError::out_of_time() })
        };
        let result = [Ok(()), failed(&["2"]), failed(&["4", "5"])]
            .into_iter()
            .fold(ShardSendResult::default(), |sum, result| sum.merge(2, result, &[100, 50, 40, 7, 100, 3]));
        assert_eq!((result.sent, result.failed, result.failed_tasks), (3, 3, 143));
        assert!(result.error.is_some());
    }
}
