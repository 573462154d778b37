//! Checks of the queues. A segment is spooled, and the function that reads the queue delivers it to X-Ray.

use url::Url;

use super::caller::ArnBuilder;
use super::delivery_checks::segment;
use super::handler::CheckHandler;
use super::report::CheckResult;
use crate::aws::error::AwsError;
use crate::deadline::Deadline;
use crate::deliver::spool::Spool;
use crate::model::spool::{Payload, SpoolMessage};

/// Action of the event source mapping only. Lambda verifies the permission when the mapping is created
/// (CreateEventSourceMapping).
const POLLER_ACTION: &str = "sqs:ReceiveMessage";

/// Verified for each queue whose messages are deferred.
const DEFER_ACTION: &str = "sqs:ChangeMessageVisibility";

impl CheckHandler {
    /// Sends a message only if the other checks of the queue succeed.
    pub(super) async fn check_spool(&self, arns: &ArnBuilder, deadline: &Deadline) -> Vec<CheckResult> {
        const NO_QUEUE: &str =
            "SIDECARLESS_SPOOL_QUEUE_URL is not set: items that AMP or X-Ray do not accept are not stored";
        let (Some(spool), Some(url)) = (&self.spool, &self.settings.spool_queue) else {
            return vec![CheckResult::skip("sqs:SendMessage", NO_QUEUE)];
        };
        let arn = arns.arn("sqs", queue_name(url));
        let check = |action, result, message| result_of(action, &arn, result, message);
        let mut results = vec![check("sqs:GetQueueAttributes", spool.check_access(deadline).await, "the queue exists")];
        if let Some(deferral) = &self.spool_deferral {
            let result = deferral.check_permission(deadline).await;
            results.push(check(DEFER_ACTION, result, "redelivery can be deferred"));
        }
        if results.iter().all(CheckResult::is_ok) {
            let message = "the segment sidecarless-check was spooled: it appears in X-Ray within a minute";
            results.push(check("sqs:SendMessage", send(spool, deadline).await, message));
        } else {
            results.push(CheckResult::skip("sqs:SendMessage", "not tried while another check of the queue fails"));
        }
        results.push(CheckResult::skip(
            POLLER_ACTION,
            "done by Lambda, as is sqs:DeleteMessage: the event source mapping verifies both permissions",
        ));
        results
    }

    /// Checks the queue of the shards if it is not the spool. It sends no shard, because that would scrape tasks.
    pub(super) async fn check_shard_queue(&self, arns: &ArnBuilder, deadline: &Deadline) -> Option<CheckResult> {
        let url = self.settings.shard_queue.as_ref().filter(|url| Some(*url) != self.settings.spool_queue.as_ref())?;
        let arn = arns.arn("sqs", queue_name(url));
        let result = self.shard_deferral.as_ref()?.check_permission(deadline).await;
        Some(result_of(DEFER_ACTION, &arn, result, "shards can be deferred"))
    }
}

fn result_of(action: &'static str, arn: &str, result: Result<(), AwsError>, message: &str) -> CheckResult {
    match result {
        Ok(()) => CheckResult::ok(action, message),
        Err(error) => CheckResult::from_error(action, arn, error.detail.as_str(), &error),
    }
}

async fn send(spool: &Spool, deadline: &Deadline) -> Result<(), AwsError> {
    // One millisecond older, so that its ID differs from the ID of the segment that is written directly.
    let payload = Payload::Segments(vec![segment(deadline.now_ms() - 1)]);
    let message = SpoolMessage { payload, error: "sidecarless check".into(), first_attempt_ms: deadline.now_ms() };
    spool.enqueue(vec![message], deadline).await.error.map_or(Ok(()), Err)
}

fn queue_name(url: &Url) -> &str {
    url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or("*")
}
