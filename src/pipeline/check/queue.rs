//! The spool: a segment goes the whole way, into the queue and, by the function that serves it, to X-Ray.

use url::Url;

use super::advice::advice;
use super::caller::Place;
use super::finding::Finding;
use super::writes::segment;
use crate::deadline::Deadline;
use crate::deliver::spool::Spool;
use crate::model::spool::{Cargo, Spooled};
use crate::pipeline::Pipeline;

/// What only the event source mapping does; Lambda made none if it were not allowed (CreateEventSourceMapping).
const OF_LAMBDA: &str = "sqs:ReceiveMessage";

impl Pipeline {
    pub(super) async fn check_spool(&self, place: &Place, deadline: &Deadline) -> Vec<Finding> {
        const NO_QUEUE: &str = "SIDECARLESS_SPOOL_QUEUE_URL is not set: what AMP or X-Ray cannot take is not kept";
        let (Some(spool), Some(url)) = (&self.spool, &self.settings.spool_queue) else {
            return vec![Finding::skip("sqs:SendMessage", NO_QUEUE)];
        };
        let arn = place.arn("sqs", queue_name(url));
        let found = |action, outcome: Result<&str, String>| match outcome {
            Ok(says) => Finding::ok(action, says),
            Err(reason) => {
                let fix = advice(action, &arn, &reason);
                Finding::fail(action, reason, fix)
            }
        };
        let there = spool.look(deadline).await.map(|()| "the queue is there");
        let backed_off = spool.may_back_off(deadline).await.map(|()| "redelivery may be put off");
        let mut findings =
            vec![found("sqs:GetQueueAttributes", there), found("sqs:ChangeMessageVisibility", backed_off)];
        if findings.iter().all(Finding::is_well) {
            let sent = send(spool, deadline).await;
            let says = "a segment sidecarless-check goes to X-Ray by the queue: it is there in a minute";
            findings.push(found("sqs:SendMessage", sent.map(|()| says)));
        } else {
            findings.push(Finding::skip("sqs:SendMessage", "not tried while the others fail"));
        }
        findings.push(Finding::skip(
            OF_LAMBDA,
            "done by Lambda, as is sqs:DeleteMessage: its event source mapping checks both",
        ));
        findings
    }
}

async fn send(spool: &Spool, deadline: &Deadline) -> Result<(), String> {
    // A segment of its own, one millisecond older than the one that is written at once.
    let cargo = Cargo::Documents(vec![segment(deadline.now_ms() - 1)]);
    let spooled = Spooled { cargo, why: "sidecarless check".into(), first_ms: deadline.now_ms() };
    let kept = spool.keep(vec![spooled], deadline).await;
    kept.why.map_or(Ok(()), Err)
}

fn queue_name(url: &Url) -> &str {
    url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or("*")
}
