//! The dead-letter queue of the spool, looked through message by message: those that can be delivered go back.
//!
//! SQS' own StartMessageMoveTask would move all of them: what nobody can read would come back again and again.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::aws::sdk_error::describe_sdk_error;
use crate::model::arn::Arn;

/// Messages per call, the service's limit (Amazon SQS API Reference, ReceiveMessage).
const MESSAGES_PER_CALL: i32 = 10;

/// How long a call waits for messages: long enough that SQS asks all of its servers ("Amazon SQS short and long polling").
const LONG_POLL_S: i32 = 2;

/// How long a message that was looked at is out of sight: to move ten takes a second, and nobody else reads this queue.
const VISIBILITY_TIMEOUT_S: i32 = 60;

/// The dead-letter queue, and the queue that its messages came from.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    sqs: Client,
    spool_url: String,
    queue_url: String,
}

/// One message.
#[derive(Clone, Debug)]
pub struct DeadLetterMessage {
    pub id: String,
    pub body: String,
    receipt_handle: String,
}

/// The queues cannot be worked with.
#[derive(Debug, Error)]
pub enum RedriveError {
    #[error("the queue {0} has no dead-letter queue")]
    NoDeadLetterQueue(String),
    #[error("{call} failed: {why}")]
    Call { call: &'static str, why: String },
}

#[derive(Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn")]
    target: String,
}

impl DeadLetterQueue {
    /// Finds the dead-letter queue of a spool by the spool's redrive policy.
    pub async fn of_spool(sqs: Client, spool: &Url) -> Result<Self, RedriveError> {
        let none = || RedriveError::NoDeadLetterQueue(spool.to_string());
        let name = QueueAttributeName::RedrivePolicy;
        let call = sqs.get_queue_attributes().queue_url(spool.as_str()).attribute_names(name.clone()).send();
        let output = call.await.map_err(|error| failed("GetQueueAttributes", describe_sdk_error(&error)))?;
        let policy = output.attributes().and_then(|attributes| attributes.get(&name)).ok_or_else(none)?;
        let policy: RedrivePolicy = serde_json::from_str(policy).map_err(|_| none())?;
        let arn = Arn::parse(&policy.target).ok_or_else(none)?;
        let call = sqs.get_queue_url().queue_name(arn.resource).queue_owner_aws_account_id(arn.account).send();
        let output = call.await.map_err(|error| failed("GetQueueUrl", describe_sdk_error(&error)))?;
        let dead_url = output.queue_url().ok_or_else(none)?.to_owned();
        Ok(Self { sqs, spool_url: spool.as_str().to_owned(), queue_url: dead_url })
    }

    /// The next messages; none: all have been seen.
    pub async fn receive(&self) -> Result<Vec<DeadLetterMessage>, RedriveError> {
        let call = self.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(MESSAGES_PER_CALL);
        let output = call.wait_time_seconds(LONG_POLL_S).visibility_timeout(VISIBILITY_TIMEOUT_S).send().await;
        let output = output.map_err(|error| failed("ReceiveMessage", describe_sdk_error(&error)))?;
        let letter = |message: aws_sdk_sqs::types::Message| {
            let (id, body, receipt_handle) = (message.message_id?, message.body?, message.receipt_handle?);
            Some(DeadLetterMessage { id, body, receipt_handle })
        };
        Ok(output.messages.unwrap_or_default().into_iter().filter_map(letter).collect())
    }

    /// Sends a message back to the spool, and only then takes it out of here: broken off in between, it is delivered
    /// twice, which does no harm.
    pub async fn redrive(&self, letter: &DeadLetterMessage) -> Result<(), RedriveError> {
        let call = self.sqs.send_message().queue_url(&self.spool_url).message_body(&letter.body).send();
        call.await.map_err(|error| failed("SendMessage", describe_sdk_error(&error)))?;
        let call = self.sqs.delete_message().queue_url(&self.queue_url).receipt_handle(&letter.receipt_handle).send();
        call.await.map_err(|error| failed("DeleteMessage", describe_sdk_error(&error)))?;
        Ok(())
    }
}

fn failed(call: &'static str, why: String) -> RedriveError {
    RedriveError::Call { call, why }
}
