//! Deferral of received messages, in the queue that they came from.
//!
//! A deferred message gets a longer visibility timeout and is not sent a second time: Lambda stops functions that send messages to
//! themselves more than 16 times (AWS Lambda Developer Guide, "Recursive loop detection").

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityError;
use url::Url;

use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::model::arn::Arn;
use crate::model::spool::Payload;

/// First backoff of a message. It doubles with each receive.
const INITIAL_BACKOFF: Duration = Duration::from_secs(30);

/// Timeout of a call that defers a message. The other messages of the batch wait for it.
const DEFER_CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum backoff.
const MAX_BACKOFF: Duration = Duration::from_secs(900);

/// Maximum backoff of samples. AMP accepts them for ten minutes, its maximum out-of-order window: samples that are retried within two
/// minutes after an outage of eight are in time.
const MAX_SAMPLE_BACKOFF: Duration = Duration::from_secs(120);

/// Defers received messages.
#[derive(Clone, Debug)]
pub struct MessageDeferral {
    sqs: Client,
    /// A queue that the settings name. Other queues are at the same endpoint, because Lambda polls queues of its own region only.
    queue_url: Url,
}

/// A message that is still in its queue.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedMessage<'a> {
    /// Queue of the message. Empty if the event does not name it, as that of an emulator.
    pub queue_arn: &'a str,
    pub receipt_handle: &'a str,
    pub receive_count: u32,
}

/// Limit on the time for which a message is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackoffClass {
    /// AMP rejects samples that are too old.
    Samples,
    SpansAndLogs,
}

impl MessageDeferral {
    pub fn new(sqs: Client, queue_url: &Url) -> Self {
        Self { sqs, queue_url: queue_url.clone() }
    }

    /// Checks whether messages of the queue in the settings can be deferred, with an invalid receipt handle: SQS verifies the
    /// permission first.
    pub async fn check_permission(&self, deadline: &Deadline) -> Result<(), AwsError> {
        let call = self.sqs.change_message_visibility().queue_url(self.queue_url.as_str()).receipt_handle("none");
        let call = call.visibility_timeout(0).send();
        match deadline.timeout(deadline.remaining(), call).await.ok_or_else(AwsError::out_of_time)? {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(is_invalid_handle) => Ok(()),
            Err(error) => Err(AwsError::from(&error)),
        }
    }

    /// Defers a message for longer the more often it was received. If the call fails, the message is retried after the visibility timeout
    /// of the queue.
    pub async fn defer(&self, message: ReceivedMessage<'_>, class: BackoffClass, deadline: &Deadline) {
        let ReceivedMessage { queue_arn, receipt_handle, receive_count } = message;
        let seconds = visibility_timeout(receive_count, class, receipt_handle).as_secs();
        let call = self
            .sqs
            .change_message_visibility()
            .queue_url(queue_at(&self.queue_url, queue_arn))
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send();
        let error = match tokio::time::timeout(deadline.remaining_for_spool().min(DEFER_CALL_TIMEOUT), call).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => AwsError::from(&error),
            Err(_) => AwsError::out_of_time(),
        };
        tracing::warn!(error = error.detail, queue = queue_arn, "message could not be deferred");
    }
}

impl BackoffClass {
    pub fn for_payload(payload: &Payload) -> Self {
        match payload {
            Payload::RemoteWrite { .. } | Payload::OtlpMetrics(_) => Self::Samples,
            Payload::Segments(_) | Payload::OtlpTraces(_) | Payload::OtlpLogs(_) => Self::SpansAndLogs,
        }
    }
}

fn is_invalid_handle(error: &ChangeMessageVisibilityError) -> bool {
    error.is_receipt_handle_is_invalid() || error.is_message_not_inflight()
}

/// Returns the URL of the queue with this ARN, at the endpoint of another queue. Queue URLs end with `/<account>/<name>`.
fn queue_at(other: &Url, queue_arn: &str) -> String {
    let Some(Arn { account, resource: name, .. }) = Arn::parse(queue_arn) else { return other.to_string() };
    let mut url = other.clone();
    let parts: Vec<&str> = other.path_segments().map(Iterator::collect).unwrap_or_default();
    if let ([.., other_account, _], Ok(mut path)) = (parts.as_slice(), url.path_segments_mut()) {
        // Emulators have URLs without an account.
        let has_account = other_account.bytes().all(|byte| byte.is_ascii_digit());
        path.pop().pop().push(if has_account { account } else { other_account }).push(name);
    }
    url.into()
}

/// Doubles with each receive, with jitter over the upper half so that the messages of one outage are not retried at the same time.
fn visibility_timeout(receive_count: u32, class: BackoffClass, receipt_handle: &str) -> Duration {
    let doublings = receive_count.saturating_sub(1).min(10);
    let longest = match class {
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

    #[test]
    fn queue_of_an_arn_is_at_the_endpoint_of_another_queue() {
        const ARN: &str = "arn:aws:sqs:eu-west-1:111122223333:shards";
        for (other, arn, expected) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/111122223333/spool",
                ARN,
                "https://sqs.eu-west-1.amazonaws.com/111122223333/shards",
            ),
            (
                "https://sqs.eu-west-1.amazonaws.com/444455556666/shards",
                ARN,
                "https://sqs.eu-west-1.amazonaws.com/111122223333/shards",
            ),
            (
                "http://localhost:4566/queue/eu-west-1/000000000000/spool",
                ARN,
                "http://localhost:4566/queue/eu-west-1/111122223333/shards",
            ),
            ("http://localhost:9324/queue/spool", ARN, "http://localhost:9324/queue/shards"),
            ("http://localhost:9324/spool", ARN, "http://localhost:9324/spool"),
            (
                "https://sqs.eu-west-1.amazonaws.com/111122223333/spool",
                "",
                "https://sqs.eu-west-1.amazonaws.com/111122223333/spool",
            ),
            (
                "https://sqs.eu-west-1.amazonaws.com/111122223333/spool",
                "shards",
                "https://sqs.eu-west-1.amazonaws.com/111122223333/spool",
            ),
        ] {
            let other = Url::parse(other).expect("a URL");
            assert_eq!(queue_at(&other, arn), expected, "{other} {arn}");
        }
    }
}
