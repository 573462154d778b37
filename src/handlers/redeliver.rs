//! What was spooled is delivered again: once per message and receipt, and not at all while its destination is known to be
//! down. What fails goes back to the queue, to come later each time; it is never spooled anew.

use std::time::Duration;

use super::delivery::{CIRCUIT_OPEN, MAX_LOGGED_NAMES};
use super::{Pipeline, REMOTE_WRITE_DISABLED};
use crate::deadline::Deadline;
use crate::deliver::remote_write::EncodedRequest;
use crate::deliver::spool::BackoffClass;
use crate::lambda::SqsMessage;
use crate::model::item_counters::{ItemKind, ItemStatus};
use crate::model::otlp::split::EncodedTraces;
use crate::model::rejection::{Rejections, join};
use crate::model::segment::SegmentDocument;
use crate::model::spool::{Payload, SpoolMessage};

/// With less time than this nothing is tried: that it fails would say nothing of its destination.
const MIN_TIME_LEFT: Duration = Duration::from_millis(500);

/// How a redelivery ended, but for success.
enum RedeliveryError {
    /// Its destination does not answer: the message comes again, later.
    Retryable(BackoffClass, String),
    /// Nobody can deliver it: it goes on to the dead-letter queue by failing until then.
    Permanent(String),
}

impl Pipeline {
    /// Delivers spooled messages. Returns the ids of those that have to come again.
    pub(super) async fn redeliver(&self, messages: Vec<SqsMessage>, deadline: &Deadline) -> Vec<String> {
        let mut failed = Vec::new();
        for message in messages {
            let Err(again) = self.redeliver_one(&message, deadline).await else { continue };
            match again {
                RedeliveryError::Retryable(patience, why) => {
                    tracing::warn!(message_id = message.id, why, "message {} comes again: {why}", message.id);
                    if let Some(spool) = &self.spool {
                        spool.defer(&message.receipt_handle, message.receive_count, patience, deadline).await;
                    }
                }
                RedeliveryError::Permanent(why) => {
                    tracing::error!(message_id = message.id, why, "message {} cannot be delivered: {why}", message.id);
                }
            }
            failed.push(message.id);
        }
        failed
    }

    async fn redeliver_one(&self, message: &SqsMessage, deadline: &Deadline) -> Result<(), RedeliveryError> {
        let spooled = SpoolMessage::parse(&message.body)
            .map_err(|unreadable| RedeliveryError::Permanent(unreadable.to_string()))?;
        if deadline.remaining() < MIN_TIME_LEFT {
            return Err(RedeliveryError::Retryable(BackoffClass::Samples, "this invocation has no time left".into()));
        }
        let items = spooled.payload.items();
        let waited_s = (deadline.now_ms() - spooled.first_attempt_ms) / 1_000;
        self.self_metrics.observe(|sights| sights.observe_spool_age(waited_s));
        let (signal, (delivered, rejected)) = match spooled.payload {
            Payload::RemoteWrite { snappy, points } => (
                ItemKind::Samples,
                self.redeliver_samples(EncodedRequest::from_payload(snappy, points), deadline).await?,
            ),
            Payload::Segments(documents) => (ItemKind::Segments, self.redeliver_segments(documents, deadline).await?),
            Payload::OtlpTraces(parts) => (ItemKind::Spans, self.redeliver_otlp_traces(parts, deadline).await?),
        };
        self.self_metrics.record(|ledger| {
            ledger.add(ItemStatus::Redelivered, signal, delivered);
            ledger.add_all(ItemStatus::DroppedFromSpool, signal, &rejected);
        });
        tracing::info!(items, delivered, waited_s, "{delivered} of {items} spooled items delivered after {waited_s} s");
        if !rejected.is_empty() {
            // Read once more, since it is rare that anybody has to be told.
            let names = SpoolMessage::parse(&message.body)
                .map(|spooled| spooled.payload.item_names(MAX_LOGGED_NAMES))
                .unwrap_or_default();
            let (lost, reasons, names) = (rejected.total(), rejected.to_string(), join(names));
            tracing::error!(
                rejected = lost,
                reasons,
                names,
                "{lost} spooled items refused for good: {reasons}; among {names}"
            );
        }
        Ok(())
    }

    async fn redeliver_samples(
        &self,
        request: EncodedRequest,
        deadline: &Deadline,
    ) -> Result<(u64, Rejections), RedeliveryError> {
        let later = |why: &str| RedeliveryError::Retryable(BackoffClass::Samples, format!("AMP: {why}"));
        let Some(remote_write) = &self.remote_write else { return Err(later(REMOTE_WRITE_DISABLED)) };
        if self.amp_circuit.is_open(deadline.now_ms()) {
            return Err(later(CIRCUIT_OPEN));
        }
        let max_age_ms = self.settings.metrics.max_age_ms.unwrap_or(i64::MAX);
        let (request, aged) = request.drop_samples_before(deadline.now_ms().saturating_sub(max_age_ms));
        let mut rejected = Rejections::default();
        rejected.add("too_old", aged, || "AMP takes no samples of this age any more".into());
        if request.points == 0 {
            return Ok((0, rejected));
        }
        let written = remote_write.send_requests(std::iter::once(request), &deadline.single_attempt()).await;
        self.amp_circuit.record(written.undelivered.is_empty(), deadline.now_ms());
        if let Some(undelivered) = written.undelivered.first() {
            return Err(later(&undelivered.error));
        }
        rejected.merge(written.rejected);
        Ok((written.delivered, rejected))
    }

    async fn redeliver_segments(
        &self,
        documents: Vec<SegmentDocument>,
        deadline: &Deadline,
    ) -> Result<(u64, Rejections), RedeliveryError> {
        if self.xray_circuit.is_open(deadline.now_ms()) {
            return Err(xray_unavailable(CIRCUIT_OPEN));
        }
        let sent = self.xray.send(documents, &deadline.single_attempt()).await;
        self.xray_circuit.record(sent.undelivered.is_empty(), deadline.now_ms());
        if !sent.undelivered.is_empty() {
            return Err(xray_unavailable(&sent.error.unwrap_or_default()));
        }
        Ok((sent.delivered, sent.rejected))
    }

    async fn redeliver_otlp_traces(
        &self,
        parts: Vec<EncodedTraces>,
        deadline: &Deadline,
    ) -> Result<(u64, Rejections), RedeliveryError> {
        if self.xray_circuit.is_open(deadline.now_ms()) {
            return Err(xray_unavailable(CIRCUIT_OPEN));
        }
        let exported = self.xray_http.export_parts(parts, &deadline.single_attempt()).await;
        self.xray_circuit.record(exported.undelivered.is_empty(), deadline.now_ms());
        if !exported.undelivered.is_empty() {
            return Err(xray_unavailable(&exported.error.unwrap_or_default()));
        }
        Ok((exported.delivered, exported.rejected))
    }
}

fn xray_unavailable(why: &str) -> RedeliveryError {
    RedeliveryError::Retryable(BackoffClass::Spans, format!("X-Ray: {why}"))
}
