//! Container Insights events from a subscription filter.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::error::HandleError;
use super::run::context::RunContext;
use super::run::insights::{EventSource, EventWriter};
use super::run::report::finish_event;
use super::run::series_writer::{REMOTE_WRITE_DISABLED, SeriesWriter};
use super::run::stats::log_discovery;
use crate::deadline::Deadline;
use crate::discovery::{Discovery, DiscoveryResult, TaskBatch};
use crate::lambda::Response;
use crate::scrape::log_data::{LogData, LogPayload};
use crate::translate::insights::task_id;
use crate::work_budget::MemoryLimit;

/// Tasks of one DescribeTasks call, the limit of the service.
const TASKS_PER_BATCH: usize = 100;

/// Events that are decoded and translated together.
const EVENTS_PER_STEP: usize = 20;

/// An account ID has twelve digits.
const ACCOUNT_ID_DIGITS: usize = 12;

/// Part of the time for the descriptions of the tasks of events, as a divisor. The rest is for the delivery.
const LOOKUP_SHARE: u32 = 4;

/// Length of a task ID in the old format; the new one has 32 hex digits.
const MAX_ID_BYTES: usize = 36;

/// Handles log events.
#[derive(Debug)]
pub(super) struct LogEventsHandler {
    pub(super) discovery: Arc<Discovery>,
    pub(super) events: Arc<EventWriter>,
    pub(super) memory: MemoryLimit,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(super) writer: Option<Arc<SeriesWriter>>,
}

impl LogEventsHandler {
    /// Writes the series of log events. Lambda retries the event after an error.
    pub(super) async fn handle(&self, data: &str, deadline: &Deadline) -> Result<Response, HandleError> {
        let skipped = |reason: &str| Ok(Response::Json(json!({"skipped": reason})));
        let payload = LogPayload::decompress(data, self.memory)?;
        let data = payload.parse()?;
        let (Some(writer), Some(cluster)) = (&self.writer, data.cluster()) else {
            return skipped(if data.is_control_message() { "a control message" } else { REMOTE_WRITE_DISABLED });
        };
        if !self.events.series.sources.insights {
            return skipped("SIDECARLESS_SOURCES does not include insights");
        }
        let discovered = self.describe_tasks(cluster, &data, deadline).await;
        log_discovery(&discovered);
        let mut run = RunContext::for_event(deadline, writer);
        let tasks = self.events.index(std::iter::empty(), &discovered);
        let source = EventSource {
            cluster,
            owner: Some(&*data.owner).filter(|owner| owner.len() == ACCOUNT_ID_DIGITS),
            tasks: &tasks,
        };
        let mut messages = data.messages();
        loop {
            let some: Vec<String> = messages.by_ref().take(EVENTS_PER_STEP).collect();
            if some.is_empty() {
                break;
            }
            self.events.append(&source, some.iter().map(String::as_str), &mut run);
            run.deliver_if_full().await;
        }
        let summary = run.deliver().await;
        finish_event("log_events", &run, &summary).map(Response::Json)
    }

    /// Describes the tasks of the events. Cached tasks need no ECS API call.
    async fn describe_tasks(&self, cluster: &str, data: &LogData<'_>, deadline: &Deadline) -> DiscoveryResult {
        let ids: BTreeSet<String> = data
            .messages()
            .filter_map(|event| task_id(event.as_bytes()))
            .filter(|id| id.len() <= MAX_ID_BYTES)
            .collect();
        let ids: Vec<String> = ids.into_iter().collect();
        let batches =
            ids.chunks(TASKS_PER_BATCH).map(|tasks| TaskBatch { cluster: cluster.to_owned(), tasks: tasks.to_vec() });
        let deadline = &deadline.capped(deadline.remaining() / LOOKUP_SHARE);
        self.discovery.describe_uncached(&batches.collect::<Vec<_>>(), deadline).await
    }
}
