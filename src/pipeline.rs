//! The story: what happens with each trigger, as three verbs: collect, translate, deliver.
//!
//! START READING HERE. How a pipeline is made stands in pipeline/start.rs; what becomes of what cannot be
//! delivered, and the account of it, in pipeline/settle.rs; each source of task stats in the file of its name.

mod account;
mod insights;
mod pages;
mod redeliver;
mod scrape;
mod settle;
mod shards;
mod start;
mod stopped;
mod targets;

use bytes::Bytes;
use serde_json::json;
use thiserror::Error;

use account::Round;
use settle::{Account, Delivery, OWN_SAMPLES};
pub use start::StartError;
pub use targets::{TargetList, TargetRow};

use crate::aws::post::Posted;
use crate::collect::discover::{Discovered, Discovery, DiscoveryError};
use crate::collect::insights::{Insights, PushedError};
use crate::collect::receive::{self, Encoding, Gate, Received, Refused};
use crate::collect::scrape::Scraper;
use crate::config::{Settings, TracesTo};
use crate::deadline::Deadline;
use crate::deliver::circuit::Circuit;
use crate::deliver::remote_write::{RemoteWrite, Written};
use crate::deliver::shards::ShardQueue;
use crate::deliver::spool::Spool;
use crate::deliver::xray::XRay;
use crate::deliver::xray_http::XRayHttp;
use crate::invocation::{HttpReply, Invocation, Message, Reply, Request, Tick, UnknownEvent};
use crate::model::json::Malformed;
use crate::model::otlp::json::Rejected;
use crate::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};
use crate::model::refusal::Refusals;
use crate::model::sampling::SamplingCall;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::shard;
use crate::translate::metrics::Sender;
use crate::translate::{metrics, raw_segments, spans};

/// Why nothing is done with what becomes series.
const WITHOUT_PROMETHEUS: &str = "AWS_PROMETHEUS_ENDPOINT is not set";

/// Everything an invocation needs, made once per environment.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    region: String,
    gate: Gate,
    discovery: Discovery,
    scraper: Scraper,
    insights: Insights,
    /// `None`: a tick scrapes every task itself.
    shard_queue: Option<ShardQueue>,
    /// `None`: metrics are refused by name.
    remote_write: Option<RemoteWrite>,
    xray: XRay,
    /// OTLP and the calls of samplers, which the SDK has no use for.
    xray_http: XRayHttp,
    /// `None`: what cannot be delivered goes back to its sender.
    spool: Option<Spool>,
    amp_circuit: Circuit,
    xray_circuit: Circuit,
}

/// An invocation failed as a whole: Lambda counts it as an error.
#[derive(Debug, Error)]
pub enum HandleError {
    #[error(transparent)]
    Unknown(#[from] UnknownEvent),
    #[error("no task could be discovered: {0}")]
    Discovery(DiscoveryError),
    #[error(transparent)]
    LogEvents(#[from] PushedError),
    #[error(transparent)]
    TaskChange(#[from] Malformed),
    #[error("{samples} samples could not be delivered: {why}")]
    Undelivered { samples: u64, why: String },
}

impl Pipeline {
    /// Handles one event, as Lambda hands it over.
    pub async fn handle(&self, event: &str, deadline: &Deadline) -> Result<Reply, HandleError> {
        match Invocation::parse(event)? {
            Invocation::Tick(tick) => self.tick(tick, deadline).await,
            Invocation::Messages(messages) => Ok(self.messages(messages, deadline).await),
            Invocation::LogEvents(data) => self.log_events(&data, deadline).await,
            Invocation::TaskChange(change) => self.task_change(change, deadline).await,
            Invocation::Push(request) => Ok(self.push(&request, deadline).await.through(&request)),
        }
    }

    /// Discover the tasks; scrape them, or have them scraped; read Container Insights' slot; say what stopped; write.
    async fn tick(&self, tick: Tick, deadline: &Deadline) -> Result<Reply, HandleError> {
        if self.remote_write.is_none() {
            return Ok(Reply::Summary(json!({"skipped": WITHOUT_PROMETHEUS})));
        }
        let tick_ms = tick.scheduled_ms.unwrap_or(deadline.started_ms());
        let listing = self.discovery.list(deadline).await;
        let shards = self.send_shards(&listing, deadline).await;
        let found = found(self.describe(&listing, &shards, deadline).await)?;
        let (mut round, mut batch) = (Round::default(), SeriesBatch::default());
        if shards.inline {
            self.scrape(&found.tasks, &mut round, deadline, &mut batch).await;
        }
        let stopped = self.sweep(&listing, deadline).await;
        self.poll_insights(tick_ms, &listing, (&found, &stopped), &mut round, deadline, &mut batch).await;
        self.end_series(tick_ms, &stopped, &mut round, deadline, &mut batch);
        let account = self.write(batch, round.take_refused(), deadline).await;
        Ok(Reply::Summary(round.finish(tick, listing.tasks(), shards, &account, deadline)))
    }

    /// Messages of the queue: those that could not be dealt with come again.
    async fn messages(&self, messages: Vec<Message>, deadline: &Deadline) -> Reply {
        let (shards, others): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.kind().as_deref() == Some(shard::KIND));
        let mut failed = self.scrape_shards(shards, deadline).await;
        failed.extend(self.redeliver(others, deadline).await);
        Reply::Failed(failed)
    }

    /// Let the caller in, decode; then whatever is asked for.
    async fn push(&self, request: &Request<'_>, deadline: &Deadline) -> HttpReply {
        let outcome = match receive::receive(request, &self.gate) {
            Ok(Received::Traces(traces, encoding)) => self.push_traces(traces, encoding, deadline).await,
            Ok(Received::Metrics { metrics, encoding, sender }) => {
                self.push_metrics(metrics, encoding, &Sender { instance: sender }, deadline).await
            }
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

    /// Spans become segments; what X-Ray has not taken by the end is spooled or goes back to the client.
    async fn push_traces(
        &self,
        traces: ExportTraceServiceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpReply, Refused> {
        let delivery = if self.settings.traces_to == TracesTo::XRayOtlp {
            Delivery::of_otlp_spans(self.xray_http.export(traces, deadline).await)
        } else {
            let segments = spans::segments(&traces, &self.settings.spans);
            // Its memory serves the delivery.
            drop(traces);
            let sent = self.send(segments.documents, deadline).await;
            Delivery::of_segments(segments.received, segments.refused, sent)
        };
        let refused = self.settle(delivery, deadline).await.answer().map_err(|refused| refused.encoded(encoding))?;
        Ok(receive::accepted(encoding, Rejected::Spans, &refused))
    }

    /// Segments that X-Ray SDKs made go to X-Ray as they are.
    async fn push_segments(&self, body: &[u8], deadline: &Deadline) -> Result<HttpReply, Refused> {
        let raw = raw_segments::checked(body).map_err(|malformed| Refused::malformed(malformed.to_string()))?;
        let sent = self.send(raw.documents, deadline).await;
        let refused = self.settle(Delivery::of_segments(raw.received, raw.refused, sent), deadline).await.answer()?;
        Ok(receive::segments_taken(&refused))
    }

    /// Data points become series; what AMP has not taken by the end is spooled or goes back to the client.
    async fn push_metrics(
        &self,
        pushed: ExportMetricsServiceRequest,
        encoding: Encoding,
        sender: &Sender,
        deadline: &Deadline,
    ) -> Result<HttpReply, Refused> {
        let mut batch = SeriesBatch::default();
        let outcome = metrics::series(&pushed, &self.settings.metrics, sender, deadline.started_ms(), &mut batch);
        // Its memory serves the delivery.
        drop(pushed);
        let Some(remote_write) = &self.remote_write else {
            return Ok(receive::accepted(encoding, Rejected::DataPoints, &without_endpoint(outcome.received)));
        };
        let relabelled = self.settings.relabel.apply(batch);
        let written = self.send_series(remote_write, &relabelled.batch, deadline).await;
        let mut refused = outcome.refused;
        refused.merge(relabelled.refused);
        let delivery = Delivery::of_series("data points", outcome.received, refused, written);
        let refused = self.settle(delivery, deadline).await.answer().map_err(|refused| refused.encoded(encoding))?;
        Ok(receive::accepted(encoding, Rejected::DataPoints, &refused))
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
            Posted::Failed { why, .. } => {
                Refused::unavailable(format!("X-Ray: {why}"), 1).encoded(Encoding::Json).into_reply()
            }
        }
    }

    /// Relabels, writes and accounts for series of our own making.
    async fn write(&self, batch: SeriesBatch, mut refused: Refusals, deadline: &Deadline) -> Account {
        let points = batch.points();
        let relabelled = self.settings.relabel.apply(batch);
        let written = match &self.remote_write {
            Some(remote_write) => self.send_series(remote_write, &relabelled.batch, deadline).await,
            None => Written::default(),
        };
        refused.merge(relabelled.refused);
        self.settle(Delivery::of_series(OWN_SAMPLES, points, refused, written), deadline).await
    }

    fn labelled(&self, mut labels: Labels) -> Labels {
        for (name, value) in &self.settings.external_labels {
            labels.set_default(name, value);
        }
        labels
    }
}

/// The tasks that were found; an error only when there are none because of one. Each failure is logged.
fn found(discovered: Discovered) -> Result<Discovered, HandleError> {
    account::discovery(&discovered);
    match discovered.failures.first() {
        Some(failure) if discovered.is_empty() => Err(HandleError::Discovery(failure.clone())),
        _ => Ok(discovered),
    }
}

/// All data points of a push, refused by name.
fn without_endpoint(points: u64) -> Refusals {
    let mut refused = Refusals::default();
    let why = "this function has no Prometheus to write to: set AWS_PROMETHEUS_ENDPOINT on it";
    refused.add("no_prometheus_endpoint", points, || why.into());
    refused
}
