//! The spool: a segment goes the whole way, into the queue and, by the function that serves it, to X-Ray.

use url::Url;

use super::caller::ArnBuilder;
use super::delivery_checks::segment;
use super::handler::CheckHandler;
use super::remedy::remedy;
use super::report::CheckResult;
use crate::deadline::Deadline;
use crate::deliver::spool::Spool;
use crate::model::spool::{Payload, SpoolMessage};

/// What only the event source mapping does; Lambda made none if it were not allowed (CreateEventSourceMapping).
const POLLER_ACTION: &str = "sqs:ReceiveMessage";

impl CheckHandler {
    pub(super) async fn check_spool(&self, place: &ArnBuilder, deadline: &Deadline) -> Vec<CheckResult> {
        const NO_QUEUE: &str = "SIDECARLESS_SPOOL_QUEUE_URL is not set: what AMP or X-Ray cannot take is not kept";
        let (Some(spool), Some(url)) = (&self.spool, &self.settings.spool_queue) else {
            return vec![CheckResult::skip("sqs:SendMessage", NO_QUEUE)];
        };
        let arn = place.arn("sqs", queue_name(url));
        let found = |action, outcome: Result<&str, String>| match outcome {
            Ok(says) => CheckResult::ok(action, says),
            Err(reason) => {
                let fix = remedy(action, &arn, &reason);
                CheckResult::fail(action, reason, fix)
            }
        };
        let there = spool.check_access(deadline).await.map(|()| "the queue is there");
        let backed_off = spool.check_defer_permission(deadline).await.map(|()| "redelivery may be put off");
        let mut findings =
            vec![found("sqs:GetQueueAttributes", there), found("sqs:ChangeMessageVisibility", backed_off)];
        if findings.iter().all(CheckResult::is_ok) {
            let sent = send(spool, deadline).await;
            let says = "a segment sidecarless-check goes to X-Ray by the queue: it is there in a minute";
            findings.push(found("sqs:SendMessage", sent.map(|()| says)));
        } else {
            findings.push(CheckResult::skip("sqs:SendMessage", "not tried while the others fail"));
        }
        findings.push(CheckResult::skip(
            POLLER_ACTION,
            "done by Lambda, as is sqs:DeleteMessage: its event source mapping checks both",
        ));
        findings
    }
}

async fn send(spool: &Spool, deadline: &Deadline) -> Result<(), String> {
    // A segment of its own, one millisecond older than the one that is written at once.
    let cargo = Payload::Segments(vec![segment(deadline.now_ms() - 1)]);
    let spooled =
        SpoolMessage { payload: cargo, error: "sidecarless check".into(), first_attempt_ms: deadline.now_ms() };
    let kept = spool.enqueue(vec![spooled], deadline).await;
    kept.error.map_or(Ok(()), Err)
}

fn queue_name(url: &Url) -> &str {
    url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or("*")
}
