//! Redelivery of spooled messages: one attempt each time a message is received, and none while the circuit breaker of its
//! destination is open. A message that fails stays in the queue and is deferred for longer each time. Log records that were not
//! delivered with the others of their message get a new message, because CloudWatch Logs would store the others again.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use super::received;
use crate::deadline::Deadline;
use crate::deliver::cloudwatch::{self, OtlpMetricsClient};
use crate::deliver::deferral::{BackoffClass, MessageDeferral};
use crate::deliver::logs::{self, OtlpLogsClient};
use crate::deliver::remote_write::{EncodedRequest, RemoteWriteClient};
use crate::deliver::spool::{EnqueueResult, Spool};
use crate::deliver::xray::{self, XRayClient};
use crate::deliver::xray_otlp::{self, XRayOtlpClient};
use crate::deliver::{Delivery, DeliveryError, Outcome};
use crate::handlers::delivery::MAX_LOGGED_NAMES;
use crate::handlers::run::series_writer::REMOTE_WRITE_DISABLED;
use crate::handlers::self_metrics::SelfMetrics;
use crate::lambda::SqsMessage;
use crate::model::budget::{Budget as _, BudgetExceeded, Unlimited};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::otlp::limits::{EndpointLimits, SplitExport};
use crate::model::otlp::split::EncodedExport;
use crate::model::otlp::wire::WireRequest;
use crate::model::rejection::{Rejections, join};
use crate::model::spool::{MAX_DECODED_BYTES, Payload, SpoolDecodeError, SpoolMessage};
use crate::work_budget::MemoryLimit;

/// Minimum time for an attempt. A failure in less time would not indicate a fault of the destination.
const MIN_TIME: Duration = Duration::from_millis(500);

/// Delivers spooled messages.
#[derive(Debug)]
pub(in crate::handlers) struct RedeliveryHandler {
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(in crate::handlers) amp: Option<Arc<Delivery<RemoteWriteClient>>>,
    pub(in crate::handlers) xray: Arc<Delivery<XRayClient>>,
    pub(in crate::handlers) xray_otlp: Arc<Delivery<XRayOtlpClient>>,
    /// `None` if `SIDECARLESS_METRICS_TO` does not contain `cloudwatch`.
    pub(in crate::handlers) cloudwatch: Option<Arc<Delivery<OtlpMetricsClient>>>,
    /// `None` if `SIDECARLESS_LOG_GROUP` is not set.
    pub(in crate::handlers) logs: Option<Arc<Delivery<OtlpLogsClient>>>,
    /// Queue for the rest of a message that was delivered in part. `None`: the whole message is retried.
    pub(in crate::handlers) spool: Option<Spool>,
    /// `None`: messages are retried after the visibility timeout of their queue.
    pub(in crate::handlers) deferral: Option<MessageDeferral>,
    /// Age from which samples are not sent to AMP; `None`: no limit.
    pub(in crate::handlers) max_sample_age_ms: Option<i64>,
    pub(in crate::handlers) self_metrics: Arc<SelfMetrics>,
    pub(in crate::handlers) memory: MemoryLimit,
}

/// Reason why a message stays in the queue.
enum RedeliveryError {
    /// The message is deferred.
    Retryable { backoff: BackoffClass, error: String },
    /// The message can never be delivered. It fails until SQS moves it to the dead-letter queue.
    Permanent(SpoolDecodeError),
}

impl RedeliveryHandler {
    /// Delivers spooled messages. Returns the IDs of the messages that have to be retried.
    pub(super) async fn handle(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Vec<String> {
        let mut failed = Vec::new();
        for message in messages {
            let Err(error) = self.redeliver(&message, deadline).await else { continue };
            match error {
                RedeliveryError::Retryable { backoff, error } => {
                    tracing::warn!(message_id = message.id, error, "message will be retried");
                    if let Some(deferral) = &self.deferral {
                        deferral.defer(received(&message), backoff, deadline).await;
                    }
                }
                RedeliveryError::Permanent(error) => {
                    tracing::error!(message_id = message.id, error = error.to_string(), "message cannot be delivered");
                }
            }
            failed.push(message.id);
        }
        failed
    }

    fn parse(&self, message: &SqsMessage) -> Result<SpoolMessage, RedeliveryError> {
        // Another environment may have more memory. The shorter backoff, because the content is not known.
        let retryable = |error: BudgetExceeded| RedeliveryError::Retryable {
            backoff: BackoffClass::Samples,
            error: error.to_string(),
        };
        self.memory.reserve(MAX_DECODED_BYTES).map_err(retryable)?;
        SpoolMessage::parse(&message.body).map_err(RedeliveryError::Permanent)
    }

    async fn redeliver(&self, message: &SqsMessage, deadline: &Deadline) -> Result<(), RedeliveryError> {
        let spooled = self.parse(message)?;
        let backoff = BackoffClass::for_payload(&spooled.payload);
        let retryable = |error: String| RedeliveryError::Retryable { backoff, error };
        if deadline.remaining() < MIN_TIME {
            return Err(retryable("the invocation has no time left".into()));
        }
        let queued_seconds = (deadline.now_ms() - spooled.first_attempt_ms) / 1_000;
        self.self_metrics.observe(|gauges| gauges.observe_spool_age(queued_seconds));
        let (items, kind) = (spooled.payload.items(), kind(&spooled.payload));
        let Some(mut outcome) = self.deliver(spooled.payload, deadline).await else {
            return Err(retryable(format!("{}: {}", kind.destination_name(), disabled(kind))));
        };
        if !outcome.undelivered.is_empty() {
            if outcome.error.as_ref().is_some_and(DeliveryError::is_access_denied) {
                self.self_metrics.record(|counters| counters.add(ItemStatus::AccessDenied, kind, items));
            }
            let error = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
            let is_repeatable = kind != ItemKind::LogRecords || outcome.delivered == 0;
            let rest = std::mem::take(&mut outcome.undelivered);
            if is_repeatable
                || !self.spool_rest(rest, outcome.delivered, &error, spooled.first_attempt_ms, deadline).await
            {
                return Err(retryable(format!("{}: {error}", kind.destination_name())));
            }
        }
        self.complete(message, items, kind, queued_seconds, outcome);
        Ok(())
    }

    /// Sends the undelivered part of a message to the spool. Returns whether all of it is there. Each time it has at least one request
    /// less, and a message has few of them: Lambda stops chains of more than 16 messages.
    async fn spool_rest(
        &self,
        rest: Vec<Payload>,
        delivered: u64,
        error: &str,
        first_attempt_ms: i64,
        deadline: &Deadline,
    ) -> bool {
        let Some(spool) = &self.spool else { return false };
        let messages =
            rest.into_iter().map(|payload| SpoolMessage { payload, error: error.to_owned(), first_attempt_ms });
        let EnqueueResult { enqueued, failed, too_large, .. } = spool.enqueue(messages.collect(), deadline).await;
        let is_complete = failed + too_large == 0;
        tracing::warn!(delivered, spooled = enqueued, failed, error, "message was delivered in part");
        is_complete
    }

    /// Counts and logs the items of a message that does not stay in the queue.
    fn complete(
        &self,
        message: &SqsMessage,
        items: u64,
        kind: ItemKind,
        queued_seconds: i64,
        outcome: Outcome<Payload>,
    ) {
        let Outcome { delivered, unconfirmed, rejected, .. } = outcome;
        self.self_metrics.record(|counters| {
            counters.add(ItemStatus::Redelivered, kind, delivered);
            counters.add_with_reason(ItemStatus::UnconfirmedFromSpool, kind, "partial_redelivery", unconfirmed);
            counters.add_all(ItemStatus::DroppedFromSpool, kind, &rejected);
        });
        if rejected.is_empty() {
            tracing::info!(items, delivered, queued_seconds, "spooled items delivered");
            return;
        }
        // The message is parsed a second time here because rejections are rare.
        let examples = SpoolMessage::parse(&message.body)
            .map(|spooled| spooled.payload.item_names(MAX_LOGGED_NAMES))
            .unwrap_or_default();
        tracing::error!(
            items,
            delivered,
            unconfirmed,
            queued_seconds,
            rejected_by_destination = rejected.total(),
            destination_rejections = rejected.to_string(),
            examples = join(examples),
            "destination rejected spooled items"
        );
    }

    /// Makes one attempt. Returns `None` if there is no destination for the payload.
    async fn deliver(&self, payload: Payload, deadline: &Deadline) -> Option<Outcome<Payload>> {
        Some(match payload {
            Payload::RemoteWrite { snappy, points } => {
                let request = EncodedRequest::from_payload(snappy, points);
                let max_age_ms = self.max_sample_age_ms.unwrap_or(i64::MAX);
                let (request, too_old) = request.drop_samples_before(deadline.now_ms().saturating_sub(max_age_ms));
                // A request without samples contains metadata, unless all its samples were too old.
                let request = Some(request).filter(|request| too_old == 0 || request.points > 0);
                let mut outcome = match (request, &self.amp) {
                    (None, _) => Outcome::default(),
                    (request, Some(amp)) => amp.deliver_once(request, deadline).await,
                    (Some(_), None) => return None,
                };
                outcome.rejected.add("too_old", too_old, || "older than the samples that AMP accepts".into());
                outcome.into_payloads()
            }
            Payload::Segments(documents) => {
                self.xray.deliver_once(xray::requests(documents), deadline).await.into_payloads()
            }
            Payload::OtlpTraces(exports) => {
                let SplitExport { exports, rejected } = within_limits(exports, &xray_otlp::LIMITS, deadline.now_ms());
                let outcome = self.xray_otlp.deliver_once(xray_otlp::requests(exports), deadline).await;
                with_rejected(outcome.into_payloads(), rejected)
            }
            Payload::OtlpMetrics(exports) => {
                let requests = cloudwatch::requests(exports);
                self.cloudwatch.as_ref()?.deliver_once(requests, deadline).await.into_payloads()
            }
            Payload::OtlpLogs(exports) => {
                let logs = self.logs.as_ref()?;
                let SplitExport { exports, rejected } = within_limits(exports, &logs::LIMITS, deadline.now_ms());
                let outcome = logs.deliver_once(logs::requests(exports), deadline).await;
                with_rejected(outcome.into_payloads(), rejected)
            }
        })
    }
}

/// Removes the items that became too old for their endpoint since they were spooled.
fn within_limits(exports: Vec<EncodedExport>, limits: &EndpointLimits, now_ms: i64) -> SplitExport {
    let mut total = SplitExport { exports: Vec::new(), rejected: Rejections::default() };
    for export in exports {
        // The memory is reserved.
        let request = WireRequest::decode(export.body.clone()).ok();
        match request.and_then(|request| limits.split(request, now_ms, &Unlimited).ok()) {
            Some(SplitExport { exports, rejected }) => {
                total.exports.extend(exports);
                total.rejected.merge(rejected);
            }
            // Fails only for a request that this function did not write. The endpoint rejects it.
            None => total.exports.push(export),
        }
    }
    total
}

fn with_rejected(mut outcome: Outcome<Payload>, rejected: Rejections) -> Outcome<Payload> {
    outcome.rejected.merge(rejected);
    outcome
}

/// Returns why there is no destination for items.
fn disabled(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::CloudWatchPoints => "SIDECARLESS_METRICS_TO does not contain cloudwatch",
        ItemKind::LogRecords => "this function does not write logs: set SIDECARLESS_LOG_GROUP on it",
        _ => REMOTE_WRITE_DISABLED,
    }
}

fn kind(payload: &Payload) -> ItemKind {
    match payload {
        Payload::RemoteWrite { .. } => ItemKind::Samples,
        Payload::Segments(_) => ItemKind::Segments,
        Payload::OtlpTraces(_) => ItemKind::Spans,
        Payload::OtlpMetrics(_) => ItemKind::CloudWatchPoints,
        Payload::OtlpLogs(_) => ItemKind::LogRecords,
    }
}
