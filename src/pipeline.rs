//! The story: what happens with each trigger, as three verbs: collect, translate, deliver.
//!
//! START READING HERE. How a pipeline is made stands in pipeline/start.rs; what becomes of what cannot be
//! delivered, and the account of it, in pipeline/settle.rs; each source of task stats in the file of its name. What was
//! counted goes out by pipeline/own.rs.

mod account;
mod check;
mod identity;
mod insights;
mod own;
mod pages;
mod pages_before;
mod pass_on;
mod pressure;
mod redeliver;
mod scrape;
mod settle;
mod shards;
mod start;
mod stopped;
mod targets;

use serde_json::json;
use thiserror::Error;

use account::Round;
pub use check::{Checked, Finding, Outcome};
use own::OwnMetrics;
use pages_before::PagesBefore;
use settle::{Account, Delivery, RelabelledAndWritten};
pub use start::StartError;
use stopped::Swept;
pub use targets::{TargetList, TargetRow, TaskList};

use crate::aws::sts::Sts;
use crate::collect::discover::{Discovered, Discovery, DiscoveryError};
use crate::collect::insights::{Insights, PushedError};
use crate::collect::receive::{self, Encoding, Gate, Received, Refused, Signals};
use crate::collect::scrape::Scraper;
use crate::config::{Settings, TracesTo};
use crate::deadline::Deadline;
use crate::deliver::circuit::Circuit;
use crate::deliver::logs::LogStream;
use crate::deliver::remote_write::RemoteWrite;
use crate::deliver::shards::ShardQueue;
use crate::deliver::spool::Spool;
use crate::deliver::xray::XRay;
use crate::deliver::xray_http::XRayHttp;
use crate::invocation::{Event, HttpReply, Invocation, Message, Reply, Request, Tick, UnknownEvent};
use crate::model::json::Malformed;
use crate::model::ledger::{Fate, Signal};
use crate::model::otlp::json::Rejected;
use crate::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};
use crate::model::refusal::Refusals;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::shard;
use crate::model::target::Task;
use crate::translate::identity::For;
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
    pages_before: PagesBefore,
    insights: Insights,
    /// `None`: a tick scrapes every task itself.
    shard_queue: Option<ShardQueue>,
    /// `None`: metrics are refused by name.
    remote_write: Option<RemoteWrite>,
    xray: XRay,
    /// OTLP and the calls of samplers, which the SDK has no use for.
    xray_http: XRayHttp,
    /// `None`: logs are refused by name.
    log_stream: Option<LogStream>,
    /// Only asked by `check`.
    sts: Sts,
    /// `None`: what cannot be delivered goes back to its sender.
    spool: Option<Spool>,
    amp_circuit: Circuit,
    xray_circuit: Circuit,
    own: OwnMetrics,
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
    pub async fn handle(&self, event: Event, deadline: &Deadline) -> Result<Reply, HandleError> {
        let invocation = event.0?;
        let trigger = invocation.trigger();
        let outcome = self.answer(invocation, deadline).await;
        self.close(trigger, deadline).await;
        outcome
    }

    async fn answer(&self, invocation: Invocation, deadline: &Deadline) -> Result<Reply, HandleError> {
        match invocation {
            Invocation::Tick(tick) => self.tick(tick, deadline).await,
            Invocation::Check => Ok(Reply::Summary(self.check(deadline).await.into_json())),
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
        // A peer that hangs must leave time for the others, and for writing what they gave.
        let Swept { stopped, stopping } = self.sweep(&listing, &deadline.at_most(deadline.left() / 4)).await;
        let (mut round, mut batch) = (Round::of_tick(), SeriesBatch::default());
        let listed = if shards.inline { found.tasks.as_slice() } else { &[] };
        let most = deadline.at_most(deadline.left() * 3 / 4);
        self.scrape(&[listed, &stopping].concat(), &mut round, &most, &mut batch).await;
        let half = deadline.at_most(deadline.left() / 2);
        self.poll_insights(tick_ms, &listing, (&found, &stopped), &mut round, &half, &mut batch).await;
        self.end_series(tick_ms, &stopped, &mut round, deadline, &mut batch);
        let account = self.write(batch, &mut round, deadline).await;
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

    /// Let the caller in, decode, say whose it is; then whatever is asked for.
    async fn push(&self, request: &Request, deadline: &Deadline) -> HttpReply {
        let outcome = match receive::receive(request, &self.gate, self.log_stream.is_some()) {
            Ok(Received::Traces(mut traces, encoding)) => {
                let resources = traces.resource_spans.iter_mut().map(|spans| &mut spans.resource);
                self.identify(resources, For::Traces, request.caller.as_ref(), deadline).await;
                self.push_traces(traces, encoding, deadline).await
            }
            Ok(Received::Metrics { mut metrics, encoding, sender }) => {
                let resources = metrics.resource_metrics.iter_mut().map(|metrics| &mut metrics.resource);
                self.identify(resources, For::Metrics, request.caller.as_ref(), deadline).await;
                self.push_metrics(metrics, encoding, &Sender { instance: sender }, deadline).await
            }
            Ok(Received::Logs(logs, encoding)) => self.pass_logs_on(&logs, encoding, deadline).await,
            Ok(Received::RawSegments(body)) => self.push_segments(&body, deadline).await,
            Ok(Received::Sampling(call, body)) => Ok(self.pass_on(call, body, deadline).await),
            Ok(Received::Look) => Ok(receive::page(request, self.signals())),
            Err(refused) => Err(refused),
        };
        outcome.unwrap_or_else(|refused| {
            let (status, reason) = (refused.status(), refused.message());
            tracing::warn!(status, path = request.path, reason, "push refused with {status}: {reason}");
            self.own.enter(|ledger| ledger.refuse_push(status));
            refused.into_reply()
        })
    }

    fn signals(&self) -> Signals {
        Signals { metrics: self.remote_write.is_some(), logs: self.log_stream.is_some() }
    }

    /// Spans become segments; what X-Ray has not taken by the end is spooled or goes back to the client.
    async fn push_traces(
        &self,
        traces: ExportTraceServiceRequest,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpReply, Refused> {
        let spans = traces.spans();
        self.has_time_for(Signal::Spans, spans, deadline).map_err(|refused| refused.encoded(encoding))?;
        let delivery = if self.settings.traces_to == TracesTo::XRayOtlp {
            Delivery::of_otlp_spans(spans, self.export(traces, deadline).await)
        } else {
            let segments = spans::segments(&traces, &self.settings.spans);
            let made = segments.documents.len() as u64;
            // Its memory serves the delivery.
            drop(traces);
            let sent = self.send(segments.documents, deadline).await;
            Delivery::of_segments(Signal::Spans, segments.received, segments.refused, made, sent)
        };
        let refused = self.settle(delivery, deadline).await.answer().map_err(|refused| refused.encoded(encoding))?;
        Ok(receive::accepted(encoding, Rejected::Spans, &refused))
    }

    /// Segments that X-Ray SDKs made go to X-Ray as they are.
    async fn push_segments(&self, body: &[u8], deadline: &Deadline) -> Result<HttpReply, Refused> {
        let raw = raw_segments::checked(body).map_err(|malformed| Refused::malformed(malformed.to_string()))?;
        self.has_time_for(Signal::Segments, raw.received, deadline)?;
        let sent = self.send(raw.documents, deadline).await;
        let delivery = Delivery::of_segments(Signal::Segments, raw.received, raw.refused, raw.received, sent);
        Ok(receive::segments_taken(&self.settle(delivery, deadline).await.answer()?))
    }

    /// Data points become series; what AMP has not taken by the end is spooled or goes back to the client.
    async fn push_metrics(
        &self,
        pushed: ExportMetricsServiceRequest,
        encoding: Encoding,
        sender: &Sender,
        deadline: &Deadline,
    ) -> Result<HttpReply, Refused> {
        let encoded = |refused: Refused| refused.encoded(encoding);
        self.has_time_for(Signal::DataPoints, pushed.points(), deadline).map_err(encoded)?;
        let mut batch = SeriesBatch::default();
        let outcome = metrics::series(&pushed, &self.settings.metrics, sender, deadline.started_ms(), &mut batch);
        // Its memory serves the delivery.
        drop(pushed);
        let Some(remote_write) = &self.remote_write else {
            let refused = without_endpoint(outcome.received);
            self.own.enter(|ledger| {
                ledger.add(Fate::Received, Signal::DataPoints, outcome.received);
                ledger.add_all(Fate::Refused, Signal::DataPoints, &refused);
            });
            return Ok(receive::accepted(encoding, Rejected::DataPoints, &refused));
        };
        let written = self.relabel_and_write(remote_write, batch, deadline).await;
        let delivery = Delivery::of_series(written).made_of_data_points(outcome.received, outcome.refused);
        let refused = self.settle(delivery, deadline).await.answer().map_err(encoded)?;
        Ok(receive::accepted(encoding, Rejected::DataPoints, &refused))
    }

    /// Relabels, writes and accounts for series of our own making, and for what was set aside before.
    async fn write(&self, batch: SeriesBatch, round: &mut Round, deadline: &Deadline) -> Account {
        let Some(remote_write) = &self.remote_write else { return Account::default() };
        let set_aside = round.take_refused();
        self.own.enter(|ledger| {
            ledger.add(Fate::Received, Signal::Readings, set_aside.total());
            ledger.add_all(Fate::Refused, Signal::Readings, &set_aside);
        });
        self.own.see(|sights| sights.targets = round.targets());
        let written = self.relabel_and_write(remote_write, batch, deadline).await;
        let delivery = Delivery { set_aside, comes_again: round.comes_again(), ..Delivery::of_series(written) };
        self.settle(delivery, deadline).await
    }

    async fn relabel_and_write(
        &self,
        to: &RemoteWrite,
        batch: SeriesBatch,
        deadline: &Deadline,
    ) -> RelabelledAndWritten {
        let made = batch.points();
        let relabelled = self.settings.relabel.apply(batch);
        let mut left_out = relabelled.notes;
        left_out.add("filtered", relabelled.filtered, String::new);
        let written = self.send_series(to, &relabelled.batch, deadline).await;
        RelabelledAndWritten { made, kept_back: relabelled.refused, left_out, written }
    }

    /// Labels that everything scraped from a task has as well.
    fn labelled(&self, task: &Task, mut labels: Labels) -> Labels {
        self.settings.tag_labels.add(task, &mut labels);
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
