//! The story: what happens with each trigger, as three verbs: collect, translate, deliver.
//!
//! START READING HERE. How a pipeline is made stands in pipeline/start.rs; what becomes of what cannot be
//! delivered, and the account of it, in pipeline/settle.rs; each source of task stats in the file of its name. What was
//! counted goes out by pipeline/own.rs.

mod builder;
mod check;
mod delivery;
mod identity;
mod insights;
mod load_shed;
mod prometheus_scrape;
mod proxy;
mod redeliver;
mod run_stats;
mod scrape;
mod scrape_cache;
mod self_metrics;
mod shards;
mod stopped;
mod targets;

use serde_json::json;
use thiserror::Error;

pub use builder::BuildError;
pub use check::{CheckReport, CheckResult, CheckStatus};
use delivery::{DeliveryResult, DeliverySummary, RelabelAndWriteResult};
use run_stats::RunStats;
use scrape_cache::ScrapeCache;
use self_metrics::SelfMetricsWriter;
use stopped::StoppedTasks;
pub use targets::{TargetList, TargetRow, TaskList};

use crate::aws::sts::StsClient;
use crate::deadline::Deadline;
use crate::deliver::circuit_breaker::CircuitBreaker;
use crate::deliver::logs::OtlpLogsClient;
use crate::deliver::remote_write::RemoteWriteClient;
use crate::deliver::shards::ShardQueue;
use crate::deliver::spool::Spool;
use crate::deliver::xray::XRayClient;
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::discovery::{Discovery, DiscoveryError, DiscoveryResult};
use crate::lambda::{Event, HttpResponse, Invocation, Request, Response, ScheduledRun, SqsMessage, UnknownEvent};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::json::DocumentError;
use crate::model::otlp::json::RejectedItems;
use crate::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::shard;
use crate::model::signal::Signal;
use crate::model::task::Task;
use crate::receiver::{self, Authenticator, DecodedRequest, EnabledSignals, Encoding, ErrorResponse};
use crate::scrape::Scraper;
use crate::scrape::insights::InsightsClient;
use crate::scrape::log_data::LogDataError;
use crate::settings::{Settings, TraceDestination};
use crate::translate::metrics::ClientIdentity;
use crate::translate::{metrics, sdk_segments, spans};

/// Why nothing is done with what becomes series.
const REMOTE_WRITE_DISABLED: &str = "AWS_PROMETHEUS_ENDPOINT is not set";

/// Everything an invocation needs, made once per environment.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    region: String,
    authenticator: Authenticator,
    discovery: Discovery,
    scraper: Scraper,
    scrape_cache: ScrapeCache,
    insights: InsightsClient,
    /// `None`: a tick scrapes every task itself.
    shard_queue: Option<ShardQueue>,
    /// `None`: metrics are refused by name.
    remote_write: Option<RemoteWriteClient>,
    xray: XRayClient,
    /// OTLP and the calls of samplers, which the SDK has no use for.
    xray_http: XRayOtlpClient,
    /// `None`: logs are refused by name.
    log_stream: Option<OtlpLogsClient>,
    /// Only asked by `check`.
    sts: StsClient,
    /// `None`: what cannot be delivered goes back to its sender.
    spool: Option<Spool>,
    amp_circuit: CircuitBreaker,
    xray_circuit: CircuitBreaker,
    self_metrics: SelfMetricsWriter,
}

/// An invocation failed as a whole: Lambda counts it as an error.
#[derive(Debug, Error)]
pub enum HandleError {
    #[error(transparent)]
    Unknown(#[from] UnknownEvent),
    #[error("no task could be discovered: {0}")]
    Discovery(DiscoveryError),
    #[error(transparent)]
    LogEvents(#[from] LogDataError),
    #[error(transparent)]
    TaskChange(#[from] DocumentError),
    #[error("{samples} samples could not be delivered: {why}")]
    Undelivered { samples: u64, why: String },
}

impl Pipeline {
    /// Handles one event, as Lambda hands it over.
    pub async fn handle(&self, event: Event, deadline: &Deadline) -> Result<Response, HandleError> {
        let invocation = event.0?;
        let trigger = invocation.trigger();
        let outcome = self.dispatch(invocation, deadline).await;
        self.flush_self_metrics(trigger, deadline).await;
        outcome
    }

    async fn dispatch(&self, invocation: Invocation, deadline: &Deadline) -> Result<Response, HandleError> {
        match invocation {
            Invocation::ScheduledRun(tick) => self.run_scheduled(tick, deadline).await,
            Invocation::Check => Ok(Response::Json(self.check(deadline).await.into_json())),
            Invocation::SqsMessages(messages) => Ok(self.handle_messages(messages, deadline).await),
            Invocation::LogEvents(data) => self.log_events(&data, deadline).await,
            Invocation::TaskStateChange(change) => self.task_change(change, deadline).await,
            Invocation::HttpRequest(request) => {
                Ok(self.handle_request(&request, deadline).await.into_response(&request))
            }
        }
    }

    /// Discover the tasks; scrape them, or have them scraped; read Container Insights' slot; say what stopped; write.
    async fn run_scheduled(&self, tick: ScheduledRun, deadline: &Deadline) -> Result<Response, HandleError> {
        if self.remote_write.is_none() {
            return Ok(Response::Json(json!({"skipped": REMOTE_WRITE_DISABLED})));
        }
        let tick_ms = tick.scheduled_ms.unwrap_or(deadline.started_ms());
        let listing = self.discovery.list(deadline).await;
        let shards = self.send_shards(&listing, deadline).await;
        let found = check_discovery(self.describe(&listing, &shards, deadline).await)?;
        // A peer that hangs must leave time for the others, and for writing what they gave.
        let StoppedTasks { stopped, stopping } =
            self.list_stopped_tasks(&listing, &deadline.capped(deadline.remaining() / 4)).await;
        let (mut round, mut batch) = (RunStats::for_scheduled_run(), SeriesBatch::default());
        let listed = if shards.scrape_inline { found.tasks.as_slice() } else { &[] };
        let most = deadline.capped(deadline.remaining() * 3 / 4);
        self.scrape(&[listed, &stopping].concat(), &mut round, &most, &mut batch).await;
        let half = deadline.capped(deadline.remaining() / 2);
        self.poll_insights(tick_ms, &listing, (&found, &stopped), &mut round, &half, &mut batch).await;
        self.write_stopped_tasks(tick_ms, &stopped, &mut round, deadline, &mut batch);
        let account = self.deliver_series(batch, &mut round, deadline).await;
        Ok(Response::Json(round.finish(tick, listing.task_count(), shards, &account, deadline)))
    }

    /// Messages of the queue: those that could not be dealt with come again.
    async fn handle_messages(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Response {
        let (shards, others): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.message_type().as_deref() == Some(shard::MESSAGE_TYPE));
        let mut failed = self.scrape_shards(shards, deadline).await;
        failed.extend(self.redeliver(others, deadline).await);
        Response::BatchItemFailures(failed)
    }

    /// Let the caller in, decode, say whose it is; then whatever is asked for.
    async fn handle_request(&self, request: &Request, deadline: &Deadline) -> HttpResponse {
        let outcome = match receiver::decode_request(request, &self.authenticator, self.log_stream.is_some()) {
            Ok(DecodedRequest::Traces(mut traces, encoding)) => {
                let resources = traces.resource_spans.iter_mut().map(|spans| &mut spans.resource);
                self.attach_task_attributes(resources, Signal::Traces, request.caller.as_ref(), deadline).await;
                self.push_traces(traces, encoding, deadline).await
            }
            Ok(DecodedRequest::Metrics { mut metrics, encoding, sender }) => {
                let resources = metrics.resource_metrics.iter_mut().map(|metrics| &mut metrics.resource);
                self.attach_task_attributes(resources, Signal::Metrics, request.caller.as_ref(), deadline).await;
                self.push_metrics(metrics, encoding, &ClientIdentity { instance: sender }, deadline).await
            }
            Ok(DecodedRequest::Logs(logs, encoding)) => self.forward_logs(&logs, encoding, deadline).await,
            Ok(DecodedRequest::SdkSegments(body)) => self.push_segments(&body, deadline).await,
            Ok(DecodedRequest::Sampling(call, body)) => Ok(self.proxy_sampling_call(call, body, deadline).await),
            Ok(DecodedRequest::HealthCheck) => Ok(receiver::health_response(request, self.signals())),
            Err(refused) => Err(refused),
        };
        outcome.unwrap_or_else(|refused| {
            let (status, reason) = (refused.status(), refused.message());
            tracing::warn!(status, path = request.path, reason, "push refused with {status}: {reason}");
            self.self_metrics.record(|ledger| ledger.record_http_error(status));
            refused.into_reply()
        })
    }

    fn signals(&self) -> EnabledSignals {
        EnabledSignals { metrics: self.remote_write.is_some(), logs: self.log_stream.is_some() }
    }

    /// Spans become segments; what X-Ray has not taken by the end is spooled or goes back to the client.
    async fn push_traces(
        &self,
        traces: ExportTraceServiceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let spans = traces.spans();
        self.check_time_budget(ItemKind::Spans, spans, deadline).map_err(|refused| refused.with_encoding(encoding))?;
        let delivery = if self.settings.trace_destination == TraceDestination::XRayOtlp {
            DeliveryResult::for_otlp_spans(spans, self.export_otlp(traces, deadline).await)
        } else {
            let segments = spans::segments(&traces, &self.settings.spans);
            let made = segments.documents.len() as u64;
            // Its memory serves the delivery.
            drop(traces);
            let sent = self.send_segments(segments.documents, deadline).await;
            DeliveryResult::for_segments(ItemKind::Spans, segments.received, segments.rejected, made, sent)
        };
        let refused = self
            .complete_delivery(delivery, deadline)
            .await
            .into_result()
            .map_err(|refused| refused.with_encoding(encoding))?;
        Ok(receiver::partial_success(encoding, RejectedItems::Spans, &refused))
    }

    /// Segments that X-Ray SDKs made go to X-Ray as they are.
    async fn push_segments(&self, body: &[u8], deadline: &Deadline) -> Result<HttpResponse, ErrorResponse> {
        let raw =
            sdk_segments::validate_body(body).map_err(|malformed| ErrorResponse::malformed(malformed.to_string()))?;
        self.check_time_budget(ItemKind::Segments, raw.received, deadline)?;
        let sent = self.send_segments(raw.documents, deadline).await;
        let delivery = DeliveryResult::for_segments(ItemKind::Segments, raw.received, raw.rejected, raw.received, sent);
        Ok(receiver::put_trace_segments_response(&self.complete_delivery(delivery, deadline).await.into_result()?))
    }

    /// Data points become series; what AMP has not taken by the end is spooled or goes back to the client.
    async fn push_metrics(
        &self,
        pushed: ExportMetricsServiceRequest,
        encoding: Encoding,
        sender: &ClientIdentity,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let encoded = |refused: ErrorResponse| refused.with_encoding(encoding);
        self.check_time_budget(ItemKind::DataPoints, pushed.points(), deadline).map_err(encoded)?;
        let mut batch = SeriesBatch::default();
        let outcome = metrics::series(&pushed, &self.settings.metrics, sender, deadline.started_ms(), &mut batch);
        // Its memory serves the delivery.
        drop(pushed);
        let Some(remote_write) = &self.remote_write else {
            let refused = reject_all_points(outcome.received);
            self.self_metrics.record(|ledger| {
                ledger.add(ItemStatus::Received, ItemKind::DataPoints, outcome.received);
                ledger.add_all(ItemStatus::Rejected, ItemKind::DataPoints, &refused);
            });
            return Ok(receiver::partial_success(encoding, RejectedItems::DataPoints, &refused));
        };
        let written = self.relabel_and_write(remote_write, batch, deadline).await;
        let delivery = DeliveryResult::for_series(written).with_data_points(outcome.received, outcome.rejected);
        let refused = self.complete_delivery(delivery, deadline).await.into_result().map_err(encoded)?;
        Ok(receiver::partial_success(encoding, RejectedItems::DataPoints, &refused))
    }

    /// Relabels, writes and accounts for series of our own making, and for what was set aside before.
    async fn deliver_series(&self, batch: SeriesBatch, round: &mut RunStats, deadline: &Deadline) -> DeliverySummary {
        let Some(remote_write) = &self.remote_write else { return DeliverySummary::default() };
        let set_aside = round.take_rejected();
        self.self_metrics.record(|ledger| {
            ledger.add(ItemStatus::Received, ItemKind::ScrapeInputs, set_aside.total());
            ledger.add_all(ItemStatus::Rejected, ItemKind::ScrapeInputs, &set_aside);
        });
        self.self_metrics.observe(|sights| sights.targets = round.targets());
        let written = self.relabel_and_write(remote_write, batch, deadline).await;
        let delivery = DeliveryResult {
            skipped: set_aside,
            is_retried: round.is_retried_by_caller(),
            ..DeliveryResult::for_series(written)
        };
        self.complete_delivery(delivery, deadline).await
    }

    async fn relabel_and_write(
        &self,
        to: &RemoteWriteClient,
        batch: SeriesBatch,
        deadline: &Deadline,
    ) -> RelabelAndWriteResult {
        let made = batch.point_count();
        let relabelled = self.settings.relabel.apply(batch);
        let mut left_out = relabelled.warnings;
        left_out.add("filtered", relabelled.filtered, String::new);
        let written = self.send_series(to, &relabelled.batch, deadline).await;
        RelabelAndWriteResult { produced: made, rejected: relabelled.rejected, filtered: left_out, written }
    }

    /// Labels that everything scraped from a task has as well.
    fn add_target_labels(&self, task: &Task, mut labels: Labels) -> Labels {
        self.settings.tag_labels.add(task, &mut labels);
        for (name, value) in &self.settings.external_labels {
            labels.set_default(name, value);
        }
        labels
    }
}

/// The tasks that were found; an error only when there are none because of one. Each failure is logged.
fn check_discovery(discovered: DiscoveryResult) -> Result<DiscoveryResult, HandleError> {
    run_stats::log_discovery(&discovered);
    match discovered.failures.first() {
        Some(failure) if discovered.is_empty() => Err(HandleError::Discovery(failure.clone())),
        _ => Ok(discovered),
    }
}

/// All data points of a push, refused by name.
fn reject_all_points(points: u64) -> Rejections {
    let mut refused = Rejections::default();
    let why = "this function has no Prometheus to write to: set AWS_PROMETHEUS_ENDPOINT on it";
    refused.add("remote_write_disabled", points, || why.into());
    refused
}
