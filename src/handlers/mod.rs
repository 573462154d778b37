//! Event handlers, one per trigger. [`Handlers`] routes each event to the handler of its trigger.
//!
//! - `schedule`: the scheduled run. It discovers tasks, scrapes them and writes their series; its parts are in `run`.
//! - `http`: OTLP pushes, X-Ray SDK segments, sampling calls and health checks.
//! - `queue`: SQS messages, which are shards of tasks to scrape or spooled items to deliver again.
//! - `log_events`: Container Insights events from a subscription filter.
//! - `task_events`: task state changes from EventBridge.
//! - `service_events`: deployments and actions of services from EventBridge.
//! - `check`: tests of permissions and connectivity.
//!
//! All of them complete a delivery with `delivery`: it spools undelivered items, updates the counters and logs the result.

mod access;
mod builder;
mod check;
mod delivery;
mod delivery_parts;
mod disabled_features;
mod error;
mod http;
mod log_events;
mod queue;
mod request_summary;
mod run;
mod schedule;
mod self_metrics;
mod service_events;
mod settings_sources;
mod shard_plan;
mod targets;
mod task_events;

use std::sync::Arc;

pub use builder::BuildError;
pub use check::{CheckReport, CheckResult, CheckStatus};
pub use error::HandleError;
pub use settings_sources::settings_sources;
pub use targets::{TargetList, TargetRow, TaskList};

use crate::deadline::Deadline;
use crate::lambda::{Event, Invocation, Response, SqsMessage};
use crate::model::failed_event::FailedEvent;
use crate::model::item_counters::ItemCounters;
use check::CheckHandler;
use http::HttpHandler;
use log_events::LogEventsHandler;
use queue::{QueueHandler, split_failed_events};
use request_summary::RequestSummary;
use schedule::ScheduleHandler;
use self_metrics::{SelfMetrics, SelfMetricsWriter};
use service_events::ServiceEventsHandler;
use targets::TargetLister;
use task_events::TaskEventsHandler;

/// The handlers of one execution environment.
#[derive(Debug)]
pub struct Handlers {
    schedule: ScheduleHandler,
    http: HttpHandler,
    queue: QueueHandler,
    log_events: LogEventsHandler,
    task_events: TaskEventsHandler,
    service_events: ServiceEventsHandler,
    check: CheckHandler,
    targets: Arc<TargetLister>,
    self_metrics: Arc<SelfMetrics>,
    self_metrics_writer: SelfMetricsWriter,
    request_summary: RequestSummary,
}

impl Handlers {
    /// Handles one event of Lambda.
    pub async fn handle(&self, event: Event, deadline: &Deadline) -> Result<Response, HandleError> {
        let invocation = event.0?;
        let trigger = invocation.trigger();
        let response = self.dispatch(invocation, deadline).await;
        self.self_metrics.record_invocation(trigger, deadline);
        self.request_summary.log_if_due(&self.self_metrics, deadline);
        self.self_metrics_writer.write(deadline).await;
        response
    }

    async fn dispatch(&self, invocation: Invocation, deadline: &Deadline) -> Result<Response, HandleError> {
        match invocation {
            Invocation::ScheduledRun(run) => self.schedule.handle(run, deadline).await,
            Invocation::HttpRequest(request) => Ok(self.http.handle(&request, deadline).await.into_response(&request)),
            Invocation::SqsMessages(messages) => Ok(self.handle_messages(messages, deadline).await),
            Invocation::LogEvents(data) => self.log_events.handle(&data, deadline).await,
            Invocation::TaskStateChange(change) => self.task_events.handle(change, deadline).await,
            Invocation::ServiceChange(change) => self.service_events.handle(change, deadline).await,
            Invocation::Check => Ok(Response::Json(self.check(deadline).await.into_json())),
        }
    }

    /// Handles a batch of messages. SQS delivers the messages in the response again.
    async fn handle_messages(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Response {
        let (events, messages) = split_failed_events(messages);
        let mut failed = self.queue.handle(messages, deadline).await;
        for (message_id, record) in events {
            if let Err(error) = self.repeat(&record, deadline).await {
                tracing::warn!(message_id, error = error.to_string(), "event will be repeated");
                failed.push(message_id);
            }
        }
        Response::BatchItemFailures(failed)
    }

    /// Handles an event again that failed, and that `sidecarless redrive` moved to the spool.
    async fn repeat(&self, record: &FailedEvent, deadline: &Deadline) -> Result<(), HandleError> {
        match Event::parse(record.event()).0? {
            Invocation::LogEvents(data) => self.log_events.handle(&data, deadline).await?,
            Invocation::TaskStateChange(change) => self.task_events.handle(change, deadline).await?,
            Invocation::ServiceChange(change) => self.service_events.handle(change, deadline).await?,
            other => {
                tracing::warn!(trigger = other.trigger(), "failed event discarded");
                return Ok(());
            }
        };
        Ok(())
    }

    /// Tests credentials, permissions and connectivity.
    pub async fn check(&self, deadline: &Deadline) -> CheckReport {
        self.check.run(deadline).await
    }

    /// Lists every running task of the configured clusters, by cluster, family and ID.
    pub async fn targets(&self, deadline: &Deadline) -> TargetList {
        self.targets.list(deadline).await
    }

    /// Returns the tasks that the settings include, and the tasks whose definition cannot be read.
    pub async fn tasks(&self, deadline: &Deadline) -> TaskList {
        self.targets.tasks(deadline).await
    }

    /// Returns the item counts since this execution environment started.
    pub fn counters(&self) -> ItemCounters {
        self.self_metrics.counters()
    }
}
