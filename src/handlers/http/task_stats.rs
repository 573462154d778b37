//! Pushed task stats: a task sends its two metadata documents, and its series are those of a scrape of the same documents.
//!
//! The checks prove that the sender is in the task, or may read the ECS API: a token alone names no task. What ECS reports about
//! the task becomes labels; the documents provide only numbers.

use std::sync::Arc;

use serde_json::json;
use thiserror::Error;

use super::DELIVERY_TIMEOUT;
use super::identity::TaskIdentifier;
use super::load_shed::DELIVERY_SHARE;
use crate::deadline::Deadline;
use crate::discovery::LookupError;
use crate::handlers::run::series_writer::{REMOTE_WRITE_DISABLED, SeriesWriter};
use crate::handlers::run::task_series::TaskSeries;
use crate::lambda::{HttpResponse, Request};
use crate::model::arn::TaskArn;
use crate::model::budget::{Budget as _, BudgetExceeded};
use crate::model::cache::Cache;
use crate::model::ecs::TaskStatus;
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::series::{Labels, SeriesBatch};
use crate::model::shortened::shortened;
use crate::model::task::Task;
use crate::model::task_metadata::{PushedDocuments, PushedDocumentsError};
use crate::receiver::{self, ErrorResponse, RETRY_AFTER_S};
use crate::translate::stats::{self, NotOfTask, StatsSource};
use crate::work_budget::MemoryLimit;

/// How long the time of the last push of a task is kept. A later push cannot be a repetition, because its documents are newer.
const LAST_PUSH_TTL_MS: i64 = 600_000;

/// Memory for the last pushes of some ten thousand tasks.
const MAX_LAST_PUSH_BYTES: usize = 2 << 20;

/// Writes the series of pushed task stats.
#[derive(Debug)]
pub(in crate::handlers) struct TaskStatsHandler {
    pub(in crate::handlers) identifier: TaskIdentifier,
    pub(in crate::handlers) series: Arc<TaskSeries>,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(in crate::handlers) writer: Option<Arc<SeriesWriter>>,
    pub(in crate::handlers) memory: MemoryLimit,
    last_push: Cache<Arc<str>, i64>,
}

/// Reason to reject a push.
#[derive(Debug, Error)]
enum PushError {
    #[error("stats are not written: {REMOTE_WRITE_DISABLED}")]
    RemoteWriteDisabled,
    #[error("stats are not accepted: SIDECARLESS_SOURCES does not contain push")]
    SourceDisabled,
    #[error(transparent)]
    Documents(#[from] PushedDocumentsError),
    #[error("the /task document has no valid TaskARN: {0}")]
    InvalidArn(String),
    #[error("no task of the clusters in SIDECARLESS_CLUSTERS has the ARN {0}")]
    UnknownTask(String),
    #[error("ECS could not be asked for the task: send the documents again later")]
    LookupFailed,
    #[error("the request is signed by another task or role than {0}")]
    OtherSigner(String),
    #[error("the task is {0}")]
    Ended(TaskStatus),
    #[error("SIDECARLESS_TASK_FILTER excludes the task")]
    Filtered,
    #[error(
        "task definition {family}:{revision} does not declare that it pushes stats: add the docker label sidecarless.stats=push to one \
         of its containers"
    )]
    NotDeclared { family: Arc<str>, revision: Arc<str> },
    #[error(transparent)]
    NotOfTask(#[from] NotOfTask),
    #[error(transparent)]
    BudgetExceeded(#[from] BudgetExceeded),
}

impl PushError {
    /// Returns the value of the label `reason`.
    fn reason(&self) -> &'static str {
        match self {
            Self::RemoteWriteDisabled => "remote_write_disabled",
            Self::SourceDisabled => "push_disabled",
            Self::Documents(_) | Self::InvalidArn(_) => "push_invalid",
            Self::UnknownTask(_) => "push_unknown_task",
            Self::LookupFailed => "push_lookup_failed",
            Self::OtherSigner(_) => "push_other_signer",
            Self::Ended(_) => "push_task_ended",
            Self::Filtered => "push_filtered",
            Self::NotDeclared { .. } => "push_not_declared",
            Self::NotOfTask(NotOfTask::NotReported) => "push_not_reported",
            Self::NotOfTask(_) => "push_other_task",
            Self::BudgetExceeded(_) => "too_large",
        }
    }

    fn into_response(self) -> ErrorResponse {
        let message = self.to_string();
        match self {
            Self::Documents(_) | Self::InvalidArn(_) => ErrorResponse::malformed(message),
            Self::LookupFailed | Self::NotOfTask(NotOfTask::NotReported) => {
                ErrorResponse::unavailable(message, RETRY_AFTER_S)
            }
            Self::BudgetExceeded(exceeded) => ErrorResponse::budget_exceeded(exceeded),
            _ => ErrorResponse::forbidden(message),
        }
    }
}

impl TaskStatsHandler {
    pub(in crate::handlers) fn new(
        identifier: TaskIdentifier,
        series: Arc<TaskSeries>,
        writer: Option<Arc<SeriesWriter>>,
        memory: MemoryLimit,
    ) -> Self {
        let weigh = |task: &Arc<str>, _: &i64| task.len();
        let last_push = Cache::new(LAST_PUSH_TTL_MS, MAX_LAST_PUSH_BYTES, weigh);
        Self { identifier, series, writer, memory, last_push }
    }

    /// Writes the series of the documents in `body`.
    pub(super) async fn push(
        &self,
        body: &[u8],
        request: &Request,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let writer = self.writer.as_ref().ok_or_else(|| PushError::RemoteWriteDisabled.into_response())?;
        let response = self.write(body, request, writer, deadline).await;
        response.unwrap_or_else(|error| {
            writer.self_metrics.record(|counters| {
                counters.add(ItemStatus::Received, ItemKind::ScrapeInputs, 1);
                counters.add_with_reason(ItemStatus::Rejected, ItemKind::ScrapeInputs, error.reason(), 1);
            });
            Err(error.into_response())
        })
    }

    /// The inner error is the one of the delivery, which counts its samples itself.
    async fn write(
        &self,
        body: &[u8],
        request: &Request,
        writer: &SeriesWriter,
        deadline: &Deadline,
    ) -> Result<Result<HttpResponse, ErrorResponse>, PushError> {
        if !self.series.sources.push {
            return Err(PushError::SourceDisabled);
        }
        let budget = self.memory.budget(deadline, deadline.remaining() / DELIVERY_SHARE);
        // Parsed, the documents take hardly more memory than their text.
        budget.reserve(body.len())?;
        let documents = PushedDocuments::parse(body)?;
        let task = self.verified_task(&documents, request, deadline).await?;
        let at_ms = stats::sample_time(&documents.stats, deadline.now_ms());
        if let Some(last_ms) = self.last_push.get(&task.arn, deadline.now_ms())
            && stats::is_repeated(last_ms, at_ms)
        {
            writer.self_metrics.record(|counters| {
                counters.add(ItemStatus::Received, ItemKind::ScrapeInputs, 1);
                counters.add_with_reason(ItemStatus::Filtered, ItemKind::ScrapeInputs, "push_repeated", 1);
            });
            return Ok(Ok(receiver::json_response(&json!({"samples": 0, "ignored": "the task has sent newer stats"}))));
        }
        let mut batch = SeriesBatch::default();
        let scrape =
            stats::TaskScrape { task: &documents.task, stats: &documents.stats, at_ms, described: Some(&task) };
        let labels = self.series.add_labels(&task, Labels::default());
        let stats::StatsResult { written, rejected } = stats::series(&scrape, &labels, &self.series.stats, &mut batch);
        writer.count_inputs(&rejected, None);
        let result = writer.send(writer.prepare(batch, &budget)?, None, &deadline.capped(DELIVERY_TIMEOUT)).await;
        let reported = match writer.tracker.complete(result, deadline).await.into_result() {
            Ok(reported) => reported,
            Err(error) => return Ok(Err(error)),
        };
        // Documents whose samples were not stored are not repeated.
        self.last_push.insert(Arc::clone(&task.arn), at_ms, deadline.now_ms());
        let mut response = json!({"samples": written});
        let mut rejections = rejected;
        rejections.merge(reported.rejected);
        if !rejections.is_empty() {
            response["rejected"] = json!({"count": rejections.total(), "reason": shortened(rejections)});
        }
        Ok(Ok(receiver::json_response(&response)))
    }

    /// Returns the task of the documents, if ECS confirms that they are its own.
    async fn verified_task(
        &self,
        documents: &PushedDocuments<'_>,
        request: &Request,
        deadline: &Deadline,
    ) -> Result<Arc<Task>, PushError> {
        let arn = &*documents.task.task_arn;
        if TaskArn::parse(arn).is_none() {
            return Err(PushError::InvalidArn(shortened(arn)));
        }
        let (discovery, sender) = (&self.identifier.discovery, receiver::sender(request));
        if let Some(caller) = &request.caller {
            let signer = self.identifier.signing_task(caller, sender, deadline).await;
            if signer.is_none_or(|signer| *signer.arn != *arn) {
                return Err(PushError::OtherSigner(shortened(arn)));
            }
        }
        let task = discovery.task_state(arn, sender, deadline).await.map_err(|error| lookup_error(error, arn))?;
        self.check_task(&task)?;
        match stats::check_containers(documents, &task) {
            Ok(()) => Ok(task),
            // A container that was restarted has a new ID.
            Err(_) => {
                let task = discovery
                    .describe_again(&task, sender, deadline)
                    .await
                    .map_err(|error| lookup_error(error, arn))?;
                self.check_task(&task)?;
                stats::check_containers(documents, &task)?;
                Ok(task)
            }
        }
    }

    fn check_task(&self, task: &Task) -> Result<(), PushError> {
        if task.last_status == TaskStatus::Stopped {
            return Err(PushError::Ended(task.last_status.clone()));
        }
        if self.identifier.discovery.matching_rule(task).is_err() {
            return Err(PushError::Filtered);
        }
        if self.series.source(task) != Some(StatsSource::Push) {
            let (family, revision) = (Arc::clone(&task.family), Arc::clone(&task.revision));
            return Err(PushError::NotDeclared { family, revision });
        }
        Ok(())
    }
}

fn lookup_error(error: LookupError, arn: &str) -> PushError {
    match error {
        LookupError::Unknown => PushError::UnknownTask(shortened(arn)),
        LookupError::Unavailable => PushError::LookupFailed,
    }
}
