//! Log line and summary of a run for an event or message.

use serde_json::{Value, json};

use super::context::RunContext;
use super::stats::duration_ms;
use crate::handlers::delivery::DeliverySummary;
use crate::handlers::error::HandleError;

/// Logs a run and returns its summary. Returns an error if the caller has to retry.
pub(in crate::handlers) fn finish_event(
    trigger: &'static str,
    run: &RunContext<'_>,
    summary: &DeliverySummary,
) -> Result<Value, HandleError> {
    let (stats, targets) = (&run.stats, run.stats.targets);
    tracing::info!(
        trigger,
        targets_up = targets.up,
        targets_down = targets.down,
        targets_skipped = targets.skipped,
        insights_events = stats.events,
        stopped_tasks = stats.stopped_tasks,
        duration_ms = duration_ms(run.deadline),
        "run completed"
    );
    check_delivered(summary)?;
    Ok(json!({
        "targets_up": targets.up, "targets_down": targets.down, "insights_events": stats.events,
        "stopped_tasks": stats.stopped_tasks, "delivered": summary.delivered,
        "unconfirmed": summary.unconfirmed, "spooled": summary.spooled,
        "rejected": summary.reported.rejected.total(),
    }))
}

/// Returns an error if samples were neither delivered nor spooled. Lambda then counts the invocation as failed.
pub(in crate::handlers) fn check_delivered(summary: &DeliverySummary) -> Result<(), HandleError> {
    match summary.undelivered {
        0 => Ok(()),
        samples => Err(HandleError::Undelivered { samples, error: summary.error.clone() }),
    }
}
