//! What was done, in numbers: the summary of a tick, and the one log line of a push. A line at ERROR means data was lost.

use serde_json::{Value, json};

use crate::collect::targets::StatsTarget;
use crate::deadline::Deadline;
use crate::deliver::remote_write::Written;
use crate::deliver::xray::Sent;
use crate::deliver::xray_http::Exported;
use crate::invocation::Tick;
use crate::model::refusal::Refusals;
use crate::translate::metrics::Outcome;
use crate::translate::relabel::Applied;

/// One round of scrapes.
#[derive(Debug, Default)]
pub(super) struct Round {
    up: u64,
    down: u64,
    /// Targets that must not or cannot be scraped, and values in their documents that were set aside.
    refused: Refusals,
}

impl Round {
    pub(super) fn drop_target(&mut self, reason: impl FnOnce() -> String) {
        self.refused.add("target_dropped", 1, reason);
    }

    /// Counts a scrape; one that failed is logged with its reason.
    pub(super) fn heard(&mut self, target: &StatsTarget, said: Result<Refusals, String>) {
        match said {
            Ok(refused) => {
                self.up += 1;
                self.refused.merge(refused);
            }
            Err(reason) => {
                self.down += 1;
                let (task, address) = (&*target.task.arn, target.address);
                tracing::warn!(task, %address, reason, "scrape of {task} at {address} failed: {reason}");
            }
        }
    }

    /// Logs the tick, and sums it up for whoever invoked by hand.
    pub(super) fn finish(
        mut self,
        tick: Tick,
        tasks: usize,
        relabelled: &Applied,
        written: &Written,
        deadline: &Deadline,
    ) -> Value {
        self.refused.merge(relabelled.refused.clone());
        let points = relabelled.batch.points();
        let refused = self.refused.total();
        if refused > 0 {
            let reasons = self.refused.to_string();
            tracing::warn!(refused, reasons, "tick set aside {refused}: {reasons}");
        }
        log_rejected(&written.rejected);
        let undelivered = undelivered(written);
        let duration_ms = u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (up, down, delivered) = (self.up, self.down, written.delivered);
        tracing::info!(
            tasks,
            up,
            down,
            points,
            delivered,
            undelivered,
            duration_ms,
            scheduled_ms = tick.scheduled_ms,
            "tick: {tasks} tasks, {up} targets up, {down} down, {delivered} of {points} samples delivered"
        );
        json!({
            "tasks": tasks, "targets_up": up, "targets_down": down, "targets_dropped": refused,
            "samples": points, "delivered": delivered, "rejected": written.rejected.total(), "undelivered": undelivered,
        })
    }
}

/// Logs a push of segments. What was refused of it; an error says why it has to come again.
pub(super) fn segments(received: u64, refused: Refusals, sent: Sent, deadline: &Deadline) -> Result<Refusals, String> {
    let push = Push { what: "spans", received, delivered: sent.delivered, undelivered: sent.undelivered.len() as u64 };
    push.finish(refused, sent.rejected, sent.why, deadline)
}

/// Logs a push of spans that went on as OTLP.
pub(super) fn exported(exported: Exported, deadline: &Deadline) -> Result<Refusals, String> {
    let Exported { delivered, rejected, undelivered, why } = exported;
    let received = delivered + rejected.total() + undelivered;
    Push { what: "spans", received, delivered, undelivered }.finish(Refusals::default(), rejected, why, deadline)
}

/// Logs a push of data points.
pub(super) fn metrics(
    outcome: Outcome,
    relabelled: Refusals,
    written: Written,
    deadline: &Deadline,
) -> Result<Refusals, String> {
    let undelivered = undelivered(&written);
    let mut refused = outcome.refused;
    refused.merge(relabelled);
    let push = Push { what: "data points", received: outcome.received, delivered: written.delivered, undelivered };
    let why = written.undelivered.into_iter().next().map(|undelivered| undelivered.why);
    push.finish(refused, written.rejected, why, deadline)
}

/// All data points of a push, refused by name.
pub(super) fn without_endpoint(points: u64) -> Refusals {
    let mut refused = Refusals::default();
    let why = "this function has no Prometheus to write to: set AWS_PROMETHEUS_ENDPOINT on it";
    refused.add("no_prometheus_endpoint", points, || why.into());
    refused
}

/// What came in with one request and what became of it: segments and samples can be more than the spans and points.
struct Push {
    what: &'static str,
    received: u64,
    delivered: u64,
    undelivered: u64,
}

impl Push {
    fn finish(
        self,
        mut refused: Refusals,
        rejected: Refusals,
        why: Option<String>,
        deadline: &Deadline,
    ) -> Result<Refusals, String> {
        let Push { what, received, delivered, undelivered } = self;
        let duration_ms = u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (set_aside, lost) = (refused.total(), rejected.total());
        tracing::info!(
            what,
            received,
            delivered,
            undelivered,
            refused = set_aside,
            rejected = lost,
            duration_ms,
            "push: {received} {what}, {delivered} delivered, {undelivered} not in time, {set_aside} refused, {lost} rejected"
        );
        if set_aside > 0 {
            let reasons = refused.to_string();
            tracing::warn!(what, refused = set_aside, reasons, "{set_aside} {what} refused: {reasons}");
        }
        log_rejected(&rejected);
        refused.merge(rejected);
        if undelivered == 0 { Ok(refused) } else { Err(why.unwrap_or_default()) }
    }
}

fn log_rejected(rejected: &Refusals) {
    if !rejected.is_empty() {
        let (lost, reasons) = (rejected.total(), rejected.to_string());
        tracing::error!(rejected = lost, reasons, "{lost} refused for good by their destination: {reasons}");
    }
}

fn undelivered(written: &Written) -> u64 {
    written.undelivered.iter().map(|undelivered| undelivered.request.points).sum()
}
