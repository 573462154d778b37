//! SQS messages: shards, spooled items that are delivered again, and failed events that are repeated.

mod redelivery;
mod shards;

pub(super) use redelivery::RedeliveryHandler;
pub(super) use shards::ShardHandler;

use crate::deadline::Deadline;
use crate::deliver::deferral::ReceivedMessage;
use crate::lambda::SqsMessage;
use crate::model::failed_event::FailedEvent;
use crate::model::shard;

/// Handles SQS messages.
#[derive(Debug)]
pub(super) struct QueueHandler {
    pub(super) shards: ShardHandler,
    pub(super) redelivery: RedeliveryHandler,
}

impl QueueHandler {
    /// Handles shards and spooled items. Returns the IDs of the messages that have to be retried.
    pub(super) async fn handle(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Vec<String> {
        let is_shard = |message: &SqsMessage| message.message_type().as_deref() == Some(shard::MESSAGE_TYPE);
        let (shards, spooled): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_shard);
        let mut failed = self.shards.handle(shards, deadline).await;
        failed.extend(self.redelivery.handle(spooled, deadline).await);
        failed
    }
}

fn received(message: &SqsMessage) -> ReceivedMessage<'_> {
    ReceivedMessage {
        queue_arn: &message.queue_arn,
        receipt_handle: &message.receipt_handle,
        receive_count: message.receive_count,
    }
}

/// Separates failed events, with the IDs of their messages, from other messages.
pub(super) fn split_failed_events(messages: Vec<SqsMessage>) -> (Vec<(String, FailedEvent)>, Vec<SqsMessage>) {
    let (mut events, mut others) = (Vec::new(), Vec::new());
    for message in messages {
        // Messages that this function sent have a type. Only others are parsed as records.
        let record = message.message_type().map_or_else(|| FailedEvent::parse(&message.body), |_| None);
        match record {
            Some(record) => events.push((message.id, record)),
            None => others.push(message),
        }
    }
    (events, others)
}
