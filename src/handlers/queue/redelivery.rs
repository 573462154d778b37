//! Redelivery of spooled messages: one attempt each time a message is received, and none while the circuit breaker of its
//! destination is open. A message that fails stays in the queue and is deferred for longer each time; no new message is sent.

use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::deliver::remote_write::{EncodedRequest, RemoteWriteClient};
use crate::deliver::spool::{BackoffClass, Spool};
use crate::deliver::xray::{self, XRayClient};
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::deliver::{Delivery, DeliveryError, Outcome};
use crate::handlers::delivery::MAX_LOGGED_NAMES;
use crate::handlers::run::series_writer::REMOTE_WRITE_DISABLED;
use crate::handlers::self_metrics::SelfMetrics;
use crate::lambda::SqsMessage;
use crate::model::budget::{Budget as _, BudgetExceeded};
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::rejection::join;
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
    /// Queue of the messages. `None`: they are retried after the visibility timeout of the queue.
    pub(in crate::handlers) spool: Option<Spool>,
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
                    if let Some(spool) = &self.spool {
                        spool.defer(&message.receipt_handle, message.receive_count, backoff, deadline).await;
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
        let Some(outcome) = self.deliver(spooled.payload, deadline).await else {
            return Err(retryable(format!("AMP: {REMOTE_WRITE_DISABLED}")));
        };
        if !outcome.undelivered.is_empty() {
            if outcome.error.as_ref().is_some_and(DeliveryError::is_access_denied) {
                self.self_metrics.record(|counters| counters.add(ItemStatus::AccessDenied, kind, items));
            }
            let error = outcome.error.map(|error| error.to_string()).unwrap_or_default();
            return Err(retryable(format!("{}: {error}", kind.destination_name())));
        }
        self.complete(message, items, kind, queued_seconds, outcome);
        Ok(())
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
                let mut outcome = self.amp.as_ref()?.deliver_once(request, deadline).await;
                outcome.rejected.add("too_old", too_old, || "older than the samples that AMP accepts".into());
                outcome.into_payloads()
            }
            Payload::Segments(documents) => {
                self.xray.deliver_once(xray::requests(documents), deadline).await.into_payloads()
            }
            Payload::OtlpTraces(parts) => self.xray_otlp.deliver_once(parts, deadline).await.into_payloads(),
        })
    }
}

fn kind(payload: &Payload) -> ItemKind {
    match payload {
        Payload::RemoteWrite { .. } => ItemKind::Samples,
        Payload::Segments(_) => ItemKind::Segments,
        Payload::OtlpTraces(_) => ItemKind::Spans,
    }
}
