//! The story: what happens with each trigger, as three verbs: collect, translate, deliver.
//!
//! START READING HERE. How a pipeline is made stands in pipeline/start.rs, what is counted and logged in
//! pipeline/account.rs.

mod account;
mod start;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;
use thiserror::Error;

use account::Round;
pub use start::StartError;

use crate::collect::discover::{Discovered, Discovery, DiscoveryError};
use crate::collect::receive::{self, Encoding, Gate, Received, Refused};
use crate::collect::scrape::{ScrapeError, Scraper, StatsBodies};
use crate::collect::targets::{self, StatsTarget};
use crate::config::{Settings, TracesTo};
use crate::deadline::Deadline;
use crate::deliver::post::Posted;
use crate::deliver::remote_write::RemoteWrite;
use crate::deliver::xray::XRay;
use crate::deliver::xray_http::XRayHttp;
use crate::invocation::{HttpReply, Invocation, Reply, Request, Tick, UnknownEvent};
use crate::model::otlp::json::Rejected;
use crate::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};
use crate::model::refusal::Refusals;
use crate::model::sampling::SamplingCall;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::stats::{StatsDocument, TaskDocument};
use crate::model::target::Task;
use crate::translate::{health, metrics, raw_segments, spans, stats};

/// Targets scraped side by side: most of a scrape is waiting for the task.
const SCRAPES_AT_ONCE: usize = 64;

/// What a client is asked to wait before it sends again what could not be delivered.
const RETRY_AFTER_S: u64 = 5;

/// Everything an invocation needs, made once per environment.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    gate: Gate,
    discovery: Discovery,
    scraper: Scraper,
    /// `None`: metrics are refused by name.
    remote_write: Option<RemoteWrite>,
    xray: XRay,
    /// OTLP and the calls of samplers, which the SDK has no use for.
    xray_http: XRayHttp,
}

/// An invocation failed as a whole: Lambda counts it as an error.
#[derive(Debug, Error)]
pub enum HandleError {
    #[error(transparent)]
    Unknown(#[from] UnknownEvent),
    #[error("no task could be discovered: {0}")]
    Discovery(DiscoveryError),
}

impl Pipeline {
    /// Handles one event, as Lambda hands it over.
    pub async fn handle(&self, event: &str, deadline: &Deadline) -> Result<Reply, HandleError> {
        match Invocation::parse(event)? {
            Invocation::Tick(tick) => self.tick(tick, deadline).await,
            Invocation::Push(request) => Ok(self.push(&request, deadline).await.through(&request)),
        }
    }

    /// Discover the tasks, scrape them, write what they said.
    async fn tick(&self, tick: Tick, deadline: &Deadline) -> Result<Reply, HandleError> {
        let Some(remote_write) = &self.remote_write else {
            return Ok(Reply::Summary(json!({"skipped": "AWS_PROMETHEUS_ENDPOINT is not set"})));
        };
        let tasks = found(self.discovery.tasks(deadline).await)?;
        let mut batch = SeriesBatch::default();
        let round = self.scrape(&tasks, deadline, &mut batch).await;
        let relabelled = self.settings.relabel.apply(batch);
        let written = remote_write.write(&relabelled.batch, deadline).await;
        Ok(Reply::Summary(round.finish(tick, tasks.len(), &relabelled, &written, deadline)))
    }

    /// Let the caller in, decode; then whatever is asked for.
    async fn push(&self, request: &Request<'_>, deadline: &Deadline) -> HttpReply {
        let outcome = match receive::receive(request, &self.gate) {
            Ok(Received::Traces(traces, encoding)) => self.push_traces(traces, encoding, deadline).await,
            Ok(Received::Metrics(metrics, encoding)) => self.push_metrics(&metrics, encoding, deadline).await,
            Ok(Received::RawSegments(body)) => self.push_segments(&body, deadline).await,
            Ok(Received::Sampling(call, body)) => Ok(self.pass_on(call, body, deadline).await),
            Ok(Received::Look) => Ok(receive::page(request, true, self.remote_write.is_some())),
            Err(refused) => Err(refused),
        };
        outcome.unwrap_or_else(|refused| {
            let (status, reason) = (refused.status(), refused.message());
            tracing::warn!(status, path = request.path, reason, "push refused with {status}: {reason}");
            refused.into_reply()
        })
    }

    /// Spans become segments; what X-Ray has not taken by the end goes back to the client.
    async fn push_traces(
        &self,
        traces: ExportTraceServiceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpReply, Refused> {
        if self.settings.traces_to == TracesTo::XRayOtlp {
            let exported = self.xray_http.export(traces, deadline).await;
            return account::exported(exported, deadline)
                .map(|refused| receive::accepted(encoding, Rejected::Spans, &refused))
                .map_err(|why| unavailable("X-Ray", &why).encoded(encoding));
        }
        let segments = spans::segments(&traces, &self.settings.spans);
        let sent = self.xray.send(segments.documents, deadline).await;
        account::segments(segments.received, segments.refused, sent, deadline)
            .map(|refused| receive::accepted(encoding, Rejected::Spans, &refused))
            .map_err(|why| unavailable("X-Ray", &why).encoded(encoding))
    }

    /// Segments that X-Ray SDKs made go to X-Ray as they are.
    async fn push_segments(&self, body: &[u8], deadline: &Deadline) -> Result<HttpReply, Refused> {
        let raw = raw_segments::checked(body).map_err(|malformed| Refused::malformed(malformed.to_string()))?;
        let sent = self.xray.send(raw.documents, deadline).await;
        account::segments(raw.received, raw.refused, sent, deadline)
            .map(|refused| receive::segments_taken(&refused))
            .map_err(|why| unavailable("X-Ray", &why))
    }

    /// Data points become series; what AMP has not taken by the end goes back to the client.
    async fn push_metrics(
        &self,
        pushed: &ExportMetricsServiceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpReply, Refused> {
        let mut batch = SeriesBatch::default();
        let sender = metrics::Sender::default();
        let outcome = metrics::series(pushed, &self.settings.metrics, &sender, deadline.started_ms(), &mut batch);
        let Some(remote_write) = &self.remote_write else {
            return Ok(receive::accepted(encoding, Rejected::DataPoints, &account::without_endpoint(outcome.received)));
        };
        let relabelled = self.settings.relabel.apply(batch);
        let written = remote_write.write(&relabelled.batch, deadline).await;
        account::metrics(outcome, relabelled.refused, written, deadline)
            .map(|refused| receive::accepted(encoding, Rejected::DataPoints, &refused))
            .map_err(|why| unavailable("AMP", &why).encoded(encoding))
    }

    /// A remote sampler asks X-Ray, through us.
    async fn pass_on(&self, call: SamplingCall, body: Bytes, deadline: &Deadline) -> HttpReply {
        match self.xray_http.sampling(call, body, deadline).await {
            Posted::Done { status, body, .. } => receive::passed_on(status.as_u16(), body.into()),
            Posted::Refused { status, reason } => {
                tracing::warn!(
                    status = status.as_u16(),
                    reason,
                    "X-Ray refused a sampler's call with {status}: {reason}"
                );
                receive::passed_on(status.as_u16(), reason.into_bytes())
            }
            Posted::Failed { why, .. } => unavailable("X-Ray", &why).encoded(Encoding::Json).into_reply(),
        }
    }

    /// Scrapes every task that declares a stats endpoint; each is translated as soon as it has answered.
    async fn scrape(&self, tasks: &[Arc<Task>], deadline: &Deadline, out: &mut SeriesBatch) -> Round {
        let mut round = Round::default();
        let mut targets = Vec::new();
        for target in tasks.iter().filter_map(|task| targets::stats_target(task, &self.settings.scrape_ranges)) {
            match target {
                Ok(target) => targets.push(target),
                Err(dropped) => round.drop_target(|| dropped.to_string()),
            }
        }
        let mut scrapes = stream::iter(&targets)
            .map(|target| async move {
                let (at_ms, before) = (deadline.now_ms(), deadline.elapsed());
                let bodies = self.scraper.stats(target, deadline).await;
                Scraped { target, at_ms, seconds: (deadline.elapsed() - before).as_secs_f64(), bodies }
            })
            .buffer_unordered(SCRAPES_AT_ONCE);
        while let Some(scraped) = scrapes.next().await {
            round.heard(scraped.target, self.translate(&scraped, out));
        }
        round
    }

    /// Writes what a target said, and `up` in any case. An error says why the target counts as down.
    fn translate(&self, scraped: &Scraped<'_>, out: &mut SeriesBatch) -> Result<Refusals, String> {
        let task = &scraped.target.task;
        let external = self.labelled(Labels::default());
        let said = scraped.bodies.as_ref().map_err(ScrapeError::to_string).and_then(|bodies| {
            let document = TaskDocument::parse(bytes(&bodies.task)).map_err(|error| error.to_string())?;
            let statistics = StatsDocument::parse(bytes(&bodies.stats)).map_err(|error| error.to_string())?;
            let network_mode = Some(&*task.network_mode);
            let report = stats::Report { task: &document, stats: &statistics, at_ms: scraped.at_ms, network_mode };
            Ok(stats::series(&report, &external, &self.settings.stats, out).refused)
        });
        let labels = self.labelled(health::stats_target_labels(task, &scraped.target.address.to_string()));
        health::series(&labels, scraped.at_ms, said.is_ok(), scraped.seconds, out);
        said
    }

    fn labelled(&self, mut labels: Labels) -> Labels {
        for (name, value) in &self.settings.external_labels {
            labels.set_default(name, value);
        }
        labels
    }
}

/// A target, and what it answered.
struct Scraped<'a> {
    target: &'a StatsTarget,
    at_ms: i64,
    seconds: f64,
    bodies: Result<StatsBodies, ScrapeError>,
}

fn bytes(body: &Bytes) -> &[u8] {
    body
}

/// The tasks that were found; an error only when there are none because of one. Each failure is logged.
fn found(discovered: Discovered) -> Result<Vec<Arc<Task>>, HandleError> {
    for failure in &discovered.failures {
        tracing::error!(reason = failure.to_string(), "discovery: {failure}");
    }
    match discovered.failures.into_iter().next() {
        Some(failure) if discovered.tasks.is_empty() => Err(HandleError::Discovery(failure)),
        _ => Ok(discovered.tasks),
    }
}

fn unavailable(destination: &str, why: &str) -> Refused {
    Refused::unavailable(format!("{destination} cannot take it now: {why}"), RETRY_AFTER_S)
}
