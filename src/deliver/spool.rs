//! The spool: an SQS queue for undelivered items.
//!
//! The sender gets a success response for spooled items, so they are written before the response, in the time that all other calls
//! leave.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::StreamExt as _;
use futures_util::stream;
use url::Url;

use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::model::spool::{MessageBody, SpoolMessage};

/// Messages that are sent at the same time.
const CONCURRENCY: usize = 8;

/// Names in the log line of items that could not be spooled.
const MAX_LOGGED_NAMES: usize = 5;

/// The spool queue.
#[derive(Clone, Debug)]
pub struct Spool {
    sqs: Client,
    queue_url: String,
}

/// Result of spooling.
#[must_use]
#[derive(Debug, Default)]
pub struct EnqueueResult {
    /// Items that were spooled.
    pub enqueued: u64,
    /// Items that SQS did not accept.
    pub failed: u64,
    /// Items that do not fit into a message.
    pub too_large: u64,
    /// Trace IDs or metric names of some of these.
    pub failed_names: Vec<String>,
    pub error: Option<AwsError>,
}

/// Message that SQS did not accept.
struct EnqueueError {
    error: AwsError,
    names: Vec<String>,
}

impl Spool {
    pub fn new(sqs: Client, queue_url: &Url) -> Self {
        Self { sqs, queue_url: queue_url.as_str().to_owned() }
    }

    /// Spools payloads within the time before the response must be sent.
    pub async fn enqueue(&self, spooled: Vec<SpoolMessage>, deadline: &Deadline) -> EnqueueResult {
        let mut too_large = 0;
        let messages = spooled.into_iter().flat_map(|spooled| {
            let items = spooled.payload.items();
            let messages = spooled.into_messages();
            too_large += items - messages.iter().map(|message| message.items).sum::<u64>().min(items);
            messages
        });
        let outcomes = stream::iter(messages)
            .map(|MessageBody { text, items }| async move { (self.send(text, deadline).await, items) })
            .buffer_unordered(CONCURRENCY);
        let kept =
            outcomes.fold(EnqueueResult::default(), async |kept, (outcome, items)| kept.merge(outcome, items)).await;
        EnqueueResult { too_large, ..kept }
    }

    /// Checks whether the queue exists and its attributes can be read.
    pub async fn check_access(&self, deadline: &Deadline) -> Result<(), AwsError> {
        let attribute = QueueAttributeName::ApproximateNumberOfMessages;
        let call = self.sqs.get_queue_attributes().queue_url(&self.queue_url).attribute_names(attribute).send();
        let response = deadline.timeout(deadline.remaining(), call).await.ok_or_else(AwsError::out_of_time)?;
        response.map(|_| ()).map_err(|error| AwsError::from(&error))
    }

    async fn send(&self, message: String, deadline: &Deadline) -> Result<(), EnqueueError> {
        let call = self.sqs.send_message().queue_url(&self.queue_url).message_body(&message).send();
        let error = match tokio::time::timeout(deadline.remaining_for_spool(), call).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => AwsError::from(&error),
            Err(_) => AwsError::out_of_time(),
        };
        let names = SpoolMessage::parse(&message)
            .map(|spooled| spooled.payload.item_names(MAX_LOGGED_NAMES))
            .unwrap_or_default();
        Err(EnqueueError { error, names })
    }
}

impl EnqueueResult {
    fn merge(mut self, outcome: Result<(), EnqueueError>, items: u64) -> Self {
        match outcome {
            Ok(()) => self.enqueued += items,
            Err(unkept) => {
                self.failed += items;
                self.error = Some(unkept.error);
                self.failed_names.extend(unkept.names);
                self.failed_names.truncate(MAX_LOGGED_NAMES);
            }
        }
        self
    }
}
