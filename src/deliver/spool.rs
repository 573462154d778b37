//! The spool: an SQS queue for undelivered items.
//!
//! The sender gets a success response for spooled items, so they are written before the response, in the time that all other calls
//! leave. A deferred message gets a longer visibility timeout and is not sent a second time: Lambda stops functions that send
//! messages to themselves more than 16 times (AWS Lambda Developer Guide, "Recursive loop detection").

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityError;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::StreamExt as _;
use futures_util::stream;
use url::Url;

use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::model::spool::{MessageBody, Payload, SpoolMessage};

/// Messages that are sent at the same time.
const CONCURRENCY: usize = 8;

/// Names in the log line of items that could not be spooled.
const MAX_LOGGED_NAMES: usize = 5;

/// First backoff of a message. It doubles with each receive.
const INITIAL_BACKOFF: Duration = Duration::from_secs(30);

/// Timeout of a call that defers a message. The other messages of the batch wait for it.
const DEFER_CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum backoff.
const MAX_BACKOFF: Duration = Duration::from_secs(900);

/// Maximum backoff of samples. AMP accepts them for ten minutes, its maximum out-of-order window: samples that are retried within two
/// minutes after an outage of eight are in time.
const MAX_SAMPLE_BACKOFF: Duration = Duration::from_secs(120);

/// The spool queue.
#[derive(Clone, Debug)]
pub struct Spool {
    sqs: Client,
    queue_url: String,
}

/// Limit on the time for which a message is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackoffClass {
    /// AMP rejects samples that are too old.
    Samples,
    SpansAndLogs,
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

    /// Checks whether messages can be deferred, with an invalid receipt handle: SQS verifies the permission first.
    pub async fn check_defer_permission(&self, deadline: &Deadline) -> Result<(), AwsError> {
        let call = self.sqs.change_message_visibility().queue_url(&self.queue_url).receipt_handle("none");
        let call = call.visibility_timeout(0).send();
        match deadline.timeout(deadline.remaining(), call).await.ok_or_else(AwsError::out_of_time)? {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(is_invalid_handle) => Ok(()),
            Err(error) => Err(AwsError::from(&error)),
        }
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

    /// Defers a message for longer the more often it was received. If the call fails, the message is retried after the visibility timeout
    /// of the queue.
    pub async fn defer(&self, receipt_handle: &str, receive_count: u32, patience: BackoffClass, deadline: &Deadline) {
        let seconds = visibility_timeout(receive_count, patience, receipt_handle).as_secs();
        let call = self
            .sqs
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send();
        let error = match tokio::time::timeout(deadline.remaining_for_spool().min(DEFER_CALL_TIMEOUT), call).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => AwsError::from(&error),
            Err(_) => AwsError::out_of_time(),
        };
        tracing::warn!(error = error.detail, "message could not be deferred");
    }
}

fn is_invalid_handle(error: &ChangeMessageVisibilityError) -> bool {
    error.is_receipt_handle_is_invalid() || error.is_message_not_inflight()
}

impl BackoffClass {
    pub fn for_payload(payload: &Payload) -> Self {
        match payload {
            Payload::RemoteWrite { .. } | Payload::OtlpMetrics(_) => Self::Samples,
            Payload::Segments(_) | Payload::OtlpTraces(_) | Payload::OtlpLogs(_) => Self::SpansAndLogs,
        }
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

/// Doubles with each receive, with jitter over the upper half so that the messages of one outage are not retried at the same time.
fn visibility_timeout(receive_count: u32, patience: BackoffClass, receipt_handle: &str) -> Duration {
    let doublings = receive_count.saturating_sub(1).min(10);
    let longest = match patience {
        BackoffClass::Samples => MAX_SAMPLE_BACKOFF,
        BackoffClass::SpansAndLogs => MAX_BACKOFF,
    };
    let ceiling = INITIAL_BACKOFF.saturating_mul(1 << doublings).min(longest);
    let spread =
        receipt_handle.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 100;
    ceiling / 2 + ceiling / 200 * spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_that_fails_again_is_deferred_for_longer() {
        for (receive_count, long, short) in
            [(0, 30, 30), (1, 30, 30), (2, 60, 60), (3, 120, 120), (5, 480, 120), (6, 900, 120), (1_000, 900, 120)]
        {
            for (class, max) in [(BackoffClass::SpansAndLogs, long), (BackoffClass::Samples, short)] {
                for handle in ["a", "b", "AQEBzWwaftRI0KuVm4tP"] {
                    let wait = visibility_timeout(receive_count, class, handle).as_secs();
                    assert!(wait >= max / 2 && wait <= max, "{class:?} {receive_count}: {wait} of {max}");
                }
            }
        }
    }

    #[test]
    fn samples_of_an_eight_minute_outage_are_retried_in_time() {
        let (outage_s, window_s) = (8 * 60, 10 * 60);
        for handle in ["a", "b", "AQEBzWwaftRI0KuVm4tP"] {
            let (mut at_s, mut receipts) = (0, 0);
            while at_s < outage_s {
                receipts += 1;
                at_s += visibility_timeout(receipts, BackoffClass::Samples, handle).as_secs();
            }
            assert!(at_s <= window_s, "{handle}: {at_s} s");
        }
    }
}
