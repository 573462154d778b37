//! Task state changes from EventBridge.

use std::sync::Arc;

use serde_json::json;

use super::error::HandleError;
use super::run::context::RunContext;
use super::run::report::finish_event;
use super::run::series_writer::{REMOTE_WRITE_DISABLED, SeriesWriter};
use super::run::stats::log_failures;
use super::run::stopped::{StoppedTaskWriter, stopped_ms};
use crate::deadline::Deadline;
use crate::discovery::Discovery;
use crate::lambda::{Response, TaskStateChange};
use crate::model::ecs::{ContainerStatus, TaskStatus};
use crate::model::task_event;

/// Handles task state changes.
#[derive(Debug)]
pub(super) struct TaskEventsHandler {
    pub(super) discovery: Arc<Discovery>,
    pub(super) stopped: Arc<StoppedTaskWriter>,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(super) writer: Option<Arc<SeriesWriter>>,
}

impl TaskEventsHandler {
    /// Writes the series of a task that stopped, or of a container that stopped. Other changes are skipped.
    pub(super) async fn handle(&self, change: TaskStateChange, deadline: &Deadline) -> Result<Response, HandleError> {
        let skipped = |reason: &str| Ok(Response::Json(json!({"skipped": reason})));
        let Some(writer) = &self.writer else { return skipped(REMOTE_WRITE_DISABLED) };
        let task = task_event::parse_detail(change.detail.as_bytes())?;
        let mut containers = task.containers.iter();
        if task.last_status != TaskStatus::Stopped
            && !containers.any(|container| container.last_status == ContainerStatus::Stopped)
        {
            return skipped("neither the task nor a container has stopped");
        }
        if self.discovery.cached_task(&task.arn, deadline).is_some_and(|cached| cached.version > task.version) {
            return skipped("a later version of the task is cached");
        }
        self.stopped.state.describe_stale_clusters(&[task.cluster_arn.to_string()], deadline).await;
        let (task, failures) = self.discovery.resolve_event_task(task, deadline).await;
        log_failures(&failures);
        let Some(task) = task else { return skipped("the settings exclude the task") };
        let mut run = RunContext::for_event(deadline, writer);
        let at_ms = stopped_ms(&task).or(task.updated_at_ms).or(change.at_ms).unwrap_or(deadline.started_ms());
        self.stopped.append(&task, at_ms, &mut run);
        let summary = run.deliver().await;
        finish_event("task_state_change", &run, &summary).map(Response::Json)
    }
}
