//! Dead-letter queue of the spool. Readable messages are moved back to the spool, one at a time.
//!
//! StartMessageMoveTask of SQS would move all messages, including unreadable ones that would fail again.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::aws::error::AwsError;
use crate::model::arn::Arn;

/// Messages per call, the limit of SQS (Amazon SQS API Reference, ReceiveMessage).
const MESSAGES_PER_CALL: i32 = 10;

/// Wait for messages. With long polling, SQS queries all of its servers ("Amazon SQS short and long polling").
const LONG_POLL_S: i32 = 2;

/// Visibility timeout of received messages. Moving ten takes a second, and the queue has no other consumer.
const VISIBILITY_TIMEOUT_S: i32 = 60;

/// Dead-letter queue and its spool.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    sqs: Client,
    spool_url: String,
    queue_url: String,
}

/// Message of the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetterMessage {
    pub id: String,
    pub body: String,
    receipt_handle: String,
}

/// Error of accessing the queues.
#[derive(Debug, Error)]
pub enum RedriveError {
    #[error("the queue {0} has no dead-letter queue")]
    NoDeadLetterQueue(String),
    #[error("{call} failed: {error}")]
    Call { call: &'static str, error: AwsError },
}

#[derive(Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn")]
    target: String,
}

impl DeadLetterQueue {
    /// Finds the dead-letter queue in the redrive policy of the spool.
    pub async fn of_spool(sqs: Client, spool: &Url) -> Result<Self, RedriveError> {
        let none = || RedriveError::NoDeadLetterQueue(spool.to_string());
        let name = QueueAttributeName::RedrivePolicy;
        let call = sqs.get_queue_attributes().queue_url(spool.as_str()).attribute_names(name.clone()).send();
        let output = call.await.map_err(|error| failed("GetQueueAttributes", AwsError::from(&error)))?;
        let policy = output.attributes().and_then(|attributes| attributes.get(&name)).ok_or_else(none)?;
        let policy: RedrivePolicy = serde_json::from_str(policy).map_err(|_| none())?;
        let arn = Arn::parse(&policy.target).ok_or_else(none)?;
        let call = sqs.get_queue_url().queue_name(arn.resource).queue_owner_aws_account_id(arn.account).send();
        let output = call.await.map_err(|error| failed("GetQueueUrl", AwsError::from(&error)))?;
        let dead_url = output.queue_url().ok_or_else(none)?.to_owned();
        Ok(Self { sqs, spool_url: spool.as_str().to_owned(), queue_url: dead_url })
    }

    /// Receives the next messages. The list is empty if none is visible.
    pub async fn receive(&self) -> Result<Vec<DeadLetterMessage>, RedriveError> {
        let call = self.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(MESSAGES_PER_CALL);
        let output = call.wait_time_seconds(LONG_POLL_S).visibility_timeout(VISIBILITY_TIMEOUT_S).send().await;
        let output = output.map_err(|error| failed("ReceiveMessage", AwsError::from(&error)))?;
        let letter = |message: aws_sdk_sqs::types::Message| {
            let (id, body, receipt_handle) = (message.message_id?, message.body?, message.receipt_handle?);
            Some(DeadLetterMessage { id, body, receipt_handle })
        };
        Ok(output.messages.unwrap_or_default().into_iter().filter_map(letter).collect())
    }

    /// Sends a message to the spool and then deletes it from this queue. If it is interrupted in between, the message is
    /// delivered twice, which is harmless.
    pub async fn redrive(&self, letter: &DeadLetterMessage) -> Result<(), RedriveError> {
        let call = self.sqs.send_message().queue_url(&self.spool_url).message_body(&letter.body).send();
        call.await.map_err(|error| failed("SendMessage", AwsError::from(&error)))?;
        let call = self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(&letter.receipt_handle).send();
        call.await.map_err(|error| failed("DeleteMessage", AwsError::from(&error)))?;
        Ok(())
    }
}

fn failed(call: &'static str, error: AwsError) -> RedriveError {
    RedriveError::Call { call, error }
}
