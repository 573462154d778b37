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
    if summary.undelivered > 0 {
        return Err(HandleError::Undelivered { samples: summary.undelivered, error: summary.error.clone() });
    }
    Ok(json!({
        "targets_up": targets.up, "targets_down": targets.down, "insights_events": stats.events,
        "stopped_tasks": stats.stopped_tasks, "delivered": summary.delivered, "spooled": summary.spooled,
        "rejected": summary.reported.rejected.total(),
    }))
}
