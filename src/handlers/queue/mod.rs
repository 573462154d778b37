//! SQS messages: shards, and spooled items that are delivered again.

mod redelivery;
mod shards;

pub(super) use redelivery::RedeliveryHandler;
pub(super) use shards::ShardHandler;

use crate::deadline::Deadline;
use crate::lambda::{Response, SqsMessage};
use crate::model::shard;

/// Handles SQS messages.
#[derive(Debug)]
pub(super) struct QueueHandler {
    pub(super) shards: ShardHandler,
    pub(super) redelivery: RedeliveryHandler,
}

impl QueueHandler {
    /// Handles a batch of messages. SQS delivers the messages in the response again.
    pub(super) async fn handle(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Response {
        let is_shard = |message: &SqsMessage| message.message_type().as_deref() == Some(shard::MESSAGE_TYPE);
        let (shards, spooled): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_shard);
        let mut failed = self.shards.handle(shards, deadline).await;
        failed.extend(self.redelivery.handle(spooled, deadline).await);
        Response::BatchItemFailures(failed)
    }
}
