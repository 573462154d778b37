//! Pushed task stats: a task sends its two metadata documents, and its series are those of a scrape of the same documents.
//!
//! The checks prove that the sender is in the task, or may read the ECS API: a token alone names no task. What ECS reports about
//! the task becomes labels; the documents provide only numbers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use thiserror::Error;

use super::identity::{LOOKUP_TIMEOUT, TaskIdentifier};
use super::load_shed::DELIVERY_SHARE;
use super::{DELIVERY_TIMEOUT, SPOOL_TIMEOUT};
use crate::deadline::Deadline;
use crate::discovery::{LookupClient, LookupError};
use crate::handlers::run::series_writer::{REMOTE_WRITE_DISABLED, SeriesWriter, TOO_LARGE};
use crate::handlers::run::task_series::TaskSeries;
use crate::handlers::self_metrics::SelfMetrics;
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
use crate::work_budget::{MemoryLimit, WorkBudget};

/// How long the lookup of a task waits for the limit of such lookups: half of the time of a lookup, and the time in which one more
/// call is allowed. Otherwise the sender would send its next stats a minute later.
const MAX_LOOKUP_WAIT: Duration = Duration::from_secs(1);

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
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
    pub(in crate::handlers) memory: MemoryLimit,
    last_push: Cache<Arc<str>, i64>,
}

/// Reason to reject a push.
#[derive(Debug, Error)]
enum PushError {
    #[error("stats are not accepted: {0}")]
    Disabled(&'static str),
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

/// Documents whose series are written.
struct Accepted<'a> {
    documents: PushedDocuments<'a>,
    task: Arc<Task>,
    at_ms: i64,
    /// Containers that ECS does not report.
    unreported: u64,
}

impl PushError {
    /// Returns the value of the label `reason`; `None` if the sender sends the documents again.
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Disabled(_) => "push_disabled",
            Self::Documents(_) | Self::InvalidArn(_) => "push_invalid",
            Self::UnknownTask(_) => "push_unknown_task",
            Self::OtherSigner(_) => "push_other_signer",
            Self::Ended(_) => "push_task_ended",
            Self::Filtered => "push_filtered",
            Self::NotDeclared { .. } => "push_not_declared",
            Self::NotOfTask(NotOfTask::OtherContainers) => "push_other_task",
            Self::BudgetExceeded(exceeded) if exceeded.is_permanent() => TOO_LARGE,
            Self::LookupFailed | Self::NotOfTask(NotOfTask::NotReported) | Self::BudgetExceeded(_) => return None,
        })
    }

    fn into_response(self) -> ErrorResponse {
        let message = self.to_string();
        match self {
            Self::Disabled(_) => ErrorResponse::disabled(message),
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
        self_metrics: Arc<SelfMetrics>,
        memory: MemoryLimit,
    ) -> Self {
        let weigh = |task: &Arc<str>, _: &i64| task.len();
        let last_push = Cache::new(LAST_PUSH_TTL_MS, MAX_LAST_PUSH_BYTES, weigh);
        Self { identifier, series, writer, self_metrics, memory, last_push }
    }

    /// Writes the series of the documents in `body`.
    pub(super) async fn push(
        &self,
        body: &[u8],
        request: &Request,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let Some(writer) = &self.writer else { return Err(self.rejected(PushError::Disabled(REMOTE_WRITE_DISABLED))) };
        let accepted = self.accept(body, request, deadline).await.map_err(|error| self.rejected(error))?;
        let last_ms = self.last_push.get(&accepted.task.arn, deadline.now_ms());
        if last_ms.is_some_and(|last_ms| stats::is_repeated(last_ms, accepted.at_ms)) {
            self.count(ItemStatus::Filtered, "push_repeated");
            return Ok(receiver::json_response(&json!({"samples": 0, "ignored": "the task has sent newer stats"})));
        }
        self.deliver(&accepted, writer, deadline).await
    }

    /// Counts a push that is not accepted.
    fn rejected(&self, error: PushError) -> ErrorResponse {
        match error.reason() {
            Some(reason) => self.count(ItemStatus::Rejected, reason),
            None => self.count(ItemStatus::Refused, ""),
        }
        error.into_response()
    }

    fn count(&self, status: ItemStatus, reason: &'static str) {
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Received, ItemKind::ScrapeInputs, 1);
            counters.add_with_reason(status, ItemKind::ScrapeInputs, reason, 1);
        });
    }

    /// Parses the documents, and returns those that ECS confirms to be of their task.
    async fn accept<'b>(
        &self,
        body: &'b [u8],
        request: &Request,
        deadline: &Deadline,
    ) -> Result<Accepted<'b>, PushError> {
        if !self.series.sources.push {
            return Err(PushError::Disabled("SIDECARLESS_SOURCES does not contain push"));
        }
        // Parsed, the documents take hardly more memory than their text.
        self.budget(deadline).reserve(body.len())?;
        let mut documents = PushedDocuments::parse(body)?;
        let verified = deadline.timeout(LOOKUP_TIMEOUT, self.verified_task(&documents, request, deadline));
        let (task, unreported) = verified.await.unwrap_or(Err(PushError::LookupFailed))?;
        stats::keep_reported(&mut documents, &task);
        let at_ms = stats::sample_time(&documents.stats, deadline.now_ms());
        Ok(Accepted { documents, task, at_ms, unreported })
    }

    async fn deliver(
        &self,
        accepted: &Accepted<'_>,
        writer: &SeriesWriter,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let Accepted { documents, task, at_ms, unreported } = accepted;
        let mut batch = SeriesBatch::default();
        let scrape = stats::TaskScrape {
            task: &documents.task,
            stats: &documents.stats,
            at_ms: *at_ms,
            received_ms: deadline.now_ms(),
            described: Some(task),
        };
        let labels = self.series.add_labels(task, Labels::default());
        let translated = stats::series(&scrape, &labels, &self.series.stats, &mut batch);
        let stats::StatsResult { written, mut rejected } = translated;
        rejected.add("unreported_container", *unreported, || "ECS does not report a container of the documents".into());
        let prepared = writer.prepare(batch, &self.budget(deadline));
        let prepared = prepared.map_err(|error| self.rejected(PushError::BudgetExceeded(error)))?;
        writer.count_inputs(&rejected, None);
        let result = writer.send(prepared, None, &deadline.capped(DELIVERY_TIMEOUT)).await;
        let reported = writer.tracker.complete(result, &deadline.capped(SPOOL_TIMEOUT)).await.into_result()?;
        // Documents whose samples were not stored may be sent again.
        self.last_push.insert(Arc::clone(&task.arn), *at_ms, deadline.now_ms());
        rejected.merge(reported.rejected);
        let mut response = json!({"samples": written});
        if !rejected.is_empty() {
            response["rejected"] = json!({"count": rejected.total(), "reason": shortened(rejected)});
        }
        Ok(receiver::json_response(&response))
    }

    /// Returns the task of the documents, and the number of their containers that ECS does not report.
    async fn verified_task(
        &self,
        documents: &PushedDocuments<'_>,
        request: &Request,
        deadline: &Deadline,
    ) -> Result<(Arc<Task>, u64), PushError> {
        let arn = &*documents.task.task_arn;
        if TaskArn::parse(arn).is_none() {
            return Err(PushError::InvalidArn(shortened(arn)));
        }
        let client = LookupClient { sender: receiver::sender(request), max_wait: MAX_LOOKUP_WAIT };
        let discovery = &self.identifier.discovery;
        if let Some(caller) = &request.caller {
            match self.identifier.signing_task(caller, client, deadline).await {
                Ok(signer) if *signer.arn == *arn => {}
                Err(LookupError::Unavailable) => return Err(PushError::LookupFailed),
                _ => return Err(PushError::OtherSigner(shortened(arn))),
            }
        }
        let task = discovery.pushing_task(arn, client, deadline).await.map_err(|error| match error {
            LookupError::Unknown => PushError::UnknownTask(shortened(arn)),
            LookupError::Unavailable => PushError::LookupFailed,
        })?;
        self.check_task(&task)?;
        let unreported = stats::unreported_containers(documents, &task);
        if unreported == Ok(0) {
            return Ok((task, 0));
        }
        // A container that was restarted has a new ID.
        let task = discovery.refreshed_task(&task, client, deadline).await.unwrap_or(task);
        self.check_task(&task)?;
        let unreported = stats::unreported_containers(documents, &task)?;
        Ok((task, unreported))
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

    fn budget<'d>(&self, deadline: &'d Deadline) -> WorkBudget<'d> {
        self.memory.budget(deadline, deadline.remaining() / DELIVERY_SHARE)
    }
}
