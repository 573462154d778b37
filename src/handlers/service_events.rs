//! Deployments and actions of services from EventBridge.

use std::sync::Arc;

use serde_json::json;

use super::error::HandleError;
use super::run::context::RunContext;
use super::run::report::finish_event;
use super::run::series_writer::{REMOTE_WRITE_DISABLED, SeriesWriter};
use super::run::stats::log_failures;
use super::run::task_series::TaskSeries;
use crate::deadline::Deadline;
use crate::discovery::Discovery;
use crate::lambda::{Response, ServiceChange};
use crate::model::series::Labels;
use crate::model::service_event::{self, ServiceEvent};
use crate::model::shortened::Shortened;
use crate::model::task::Task;
use crate::translate::service_events::service_event_series;

/// Handles events about services.
#[derive(Debug)]
pub(super) struct ServiceEventsHandler {
    pub(super) discovery: Arc<Discovery>,
    pub(super) series: Arc<TaskSeries>,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(super) writer: Option<Arc<SeriesWriter>>,
}

impl ServiceEventsHandler {
    /// Writes the series of an event, and logs its reason, which is a sentence and therefore not a label.
    pub(super) async fn handle(&self, change: ServiceChange, deadline: &Deadline) -> Result<Response, HandleError> {
        let skipped = |reason: &str| Ok(Response::Json(json!({"skipped": reason})));
        let Some(writer) = &self.writer else { return skipped(REMOTE_WRITE_DISABLED) };
        let event = service_event::parse_detail(change.kind, &change.service_arn, change.detail.as_bytes())?;
        let Some(event) = event else { return skipped("the event does not name a service and its cluster") };
        if !self.discovery.selects_cluster(&event.cluster_arn) {
            return skipped("the settings exclude the cluster");
        }
        // A repeated event must have the same time, so the current time is not used.
        let Some(at_ms) = change.at_ms.or(event.at_ms) else { return skipped("the event has no time") };
        log(&event);
        let (cluster_tags, failures) = self.discovery.cluster_tags(&event.cluster_arn, deadline).await;
        log_failures(&failures);
        let cluster = Task { cluster_tags, ..Task::default() };
        let labels = self.series.add_labels(&cluster, Labels::default());
        let mut run = RunContext::for_event(deadline, writer);
        if self.series.is_too_old(at_ms, deadline.now_ms()) {
            run.stats.record_old_event(&event.service, at_ms);
        } else {
            run.stats.record_rejections(service_event_series(&event, at_ms, &labels, &mut run.batch));
        }
        let summary = run.deliver().await;
        finish_event("service_event", &run, &summary).map(Response::Json)
    }
}

/// Logs an event, with a warning if the service has a problem. It is no error of the function, for which an alarm would fire.
fn log(event: &ServiceEvent) {
    let ServiceEvent { cluster, service, name, event_type, deployment, reason, .. } = event;
    let (name, event_type, reason) = (Shortened(name), Shortened(event_type), Shortened(reason));
    if event.event_type == "INFO" {
        tracing::info!(%cluster, %service, event_name = %name, %event_type, %deployment, %reason, "event of a service");
    } else {
        tracing::warn!(%cluster, %service, event_name = %name, %event_type, %deployment, %reason, "event of a service");
    }
}
