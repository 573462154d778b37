//! What was spooled is delivered again: once per message and receipt, and not at all while its destination is known to be
//! down. What fails goes back to the queue, to come later each time; it is never spooled anew.

use std::time::Duration;

use super::settle::{KNOWN_TO_BE_DOWN, NAMES_TOLD};
use super::{Pipeline, WITHOUT_PROMETHEUS};
use crate::deadline::Deadline;
use crate::deliver::remote_write::WriteBody;
use crate::deliver::spool::Patience;
use crate::invocation::Message;
use crate::model::ledger::{Fate, Signal};
use crate::model::otlp::split::Part;
use crate::model::refusal::{Refusals, listed};
use crate::model::segment::Document;
use crate::model::spool::{Cargo, Spooled};

/// With less time than this nothing is tried: that it fails would say nothing of its destination.
const LEAST_TIME: Duration = Duration::from_millis(500);

/// How a redelivery ended, but for success.
enum Again {
    /// Its destination does not answer: the message comes again, later.
    Later(Patience, String),
    /// Nobody can deliver it: it goes on to the dead-letter queue by failing until then.
    Poison(String),
}

impl Pipeline {
    /// Delivers spooled messages. Returns the ids of those that have to come again.
    pub(super) async fn redeliver(&self, messages: Vec<Message>, deadline: &Deadline) -> Vec<String> {
        let mut failed = Vec::new();
        for message in messages {
            let Err(again) = self.redeliver_one(&message, deadline).await else { continue };
            match again {
                Again::Later(patience, why) => {
                    tracing::warn!(message_id = message.id, why, "message {} comes again: {why}", message.id);
                    if let Some(spool) = &self.spool {
                        spool.back_off(&message.receipt_handle, message.receive_count, patience, deadline).await;
                    }
                }
                Again::Poison(why) => {
                    tracing::error!(message_id = message.id, why, "message {} cannot be delivered: {why}", message.id);
                }
            }
            failed.push(message.id);
        }
        failed
    }

    async fn redeliver_one(&self, message: &Message, deadline: &Deadline) -> Result<(), Again> {
        let spooled = Spooled::parse(&message.body).map_err(|unreadable| Again::Poison(unreadable.to_string()))?;
        if deadline.left() < LEAST_TIME {
            return Err(Again::Later(Patience::Short, "this invocation has no time left".into()));
        }
        let items = spooled.cargo.items();
        let waited_s = (deadline.now_ms() - spooled.first_ms) / 1_000;
        self.own.see(|sights| sights.saw_waiting(waited_s));
        let (signal, (delivered, rejected)) = match spooled.cargo {
            Cargo::WriteRequest { is_v2, snappy, points } => {
                (Signal::Samples, self.rewrite(WriteBody::from_cargo(is_v2, snappy, points), deadline).await?)
            }
            Cargo::Documents(documents) => (Signal::Segments, self.resend(documents, deadline).await?),
            Cargo::OtlpSpans(parts) => (Signal::Spans, self.export_again(parts, deadline).await?),
        };
        self.own.enter(|ledger| {
            ledger.add(Fate::Redelivered, signal, delivered);
            ledger.add_all(Fate::Dropped, signal, &rejected);
        });
        tracing::info!(items, delivered, waited_s, "{delivered} of {items} spooled items delivered after {waited_s} s");
        if !rejected.is_empty() {
            // Read once more, since it is rare that anybody has to be told.
            let names =
                Spooled::parse(&message.body).map(|spooled| spooled.cargo.names(NAMES_TOLD)).unwrap_or_default();
            let (lost, reasons, names) = (rejected.total(), rejected.to_string(), listed(names));
            tracing::error!(
                rejected = lost,
                reasons,
                names,
                "{lost} spooled items refused for good: {reasons}; among {names}"
            );
        }
        Ok(())
    }

    async fn rewrite(&self, request: WriteBody, deadline: &Deadline) -> Result<(u64, Refusals), Again> {
        let later = |why: &str| Again::Later(Patience::Short, format!("AMP: {why}"));
        let Some(remote_write) = &self.remote_write else { return Err(later(WITHOUT_PROMETHEUS)) };
        if self.amp_circuit.is_open(deadline.now_ms()) {
            return Err(later(KNOWN_TO_BE_DOWN));
        }
        let max_age_ms = self.settings.metrics.max_age_ms.unwrap_or(i64::MAX);
        let (request, aged) = request.without_older(deadline.now_ms().saturating_sub(max_age_ms));
        let mut rejected = Refusals::default();
        rejected.add("too_old", aged, || "AMP takes no samples of this age any more".into());
        if request.points == 0 {
            return Ok((0, rejected));
        }
        let written = remote_write.deliver_all(std::iter::once(request), &deadline.single_attempt()).await;
        self.amp_circuit.note(written.undelivered.is_empty(), deadline.now_ms());
        if let Some(undelivered) = written.undelivered.first() {
            return Err(later(&undelivered.why));
        }
        rejected.merge(written.rejected);
        Ok((written.delivered, rejected))
    }

    async fn resend(&self, documents: Vec<Document>, deadline: &Deadline) -> Result<(u64, Refusals), Again> {
        if self.xray_circuit.is_open(deadline.now_ms()) {
            return Err(of_xray(KNOWN_TO_BE_DOWN));
        }
        let sent = self.xray.send(documents, &deadline.single_attempt()).await;
        self.xray_circuit.note(sent.undelivered.is_empty(), deadline.now_ms());
        if !sent.undelivered.is_empty() {
            return Err(of_xray(&sent.why.unwrap_or_default()));
        }
        Ok((sent.delivered, sent.rejected))
    }

    async fn export_again(&self, parts: Vec<Part>, deadline: &Deadline) -> Result<(u64, Refusals), Again> {
        if self.xray_circuit.is_open(deadline.now_ms()) {
            return Err(of_xray(KNOWN_TO_BE_DOWN));
        }
        let exported = self.xray_http.export_parts(parts, &deadline.single_attempt()).await;
        self.xray_circuit.note(exported.undelivered.is_empty(), deadline.now_ms());
        if !exported.undelivered.is_empty() {
            return Err(of_xray(&exported.why.unwrap_or_default()));
        }
        Ok((exported.delivered, exported.rejected))
    }
}

fn of_xray(why: &str) -> Again {
    Again::Later(Patience::Long, format!("X-Ray: {why}"))
}
