//! After delivery: what was not delivered in time is spooled or goes back to its sender, and everything is accounted for.

use std::time::Duration;

use super::Pipeline;
use crate::deadline::Deadline;
use crate::deliver::remote_write::{RemoteWriteClient, WriteResult};
use crate::deliver::xray::SendResult;
use crate::deliver::xray_otlp::ExportResult;
use crate::model::item_counters::{ItemCounters, ItemKind, ItemStatus};
use crate::model::otlp::ExportTraceServiceRequest;
use crate::model::rejection::{Rejections, join};
use crate::model::segment::SegmentDocument;
use crate::model::series::SeriesBatch;
use crate::model::spool::{Payload, SpoolMessage};
use crate::receiver::ErrorResponse;

/// How long a delivery is tried when there is a spool: exporters wait ten seconds for an answer.
const DELIVERY_TIMEOUT_WITH_SPOOL: Duration = Duration::from_secs(5);

/// Why nothing was tried.
pub(super) const CIRCUIT_OPEN: &str = "it has just failed, and is not asked again for some seconds";

/// Trace ids or names of metrics that are told when something is lost.
pub(super) const MAX_LOGGED_NAMES: usize = 5;

/// What a client is asked to wait before it sends again what could not be delivered.
const RETRY_AFTER_S: u64 = 5;

/// One signal on its way out: what came in, what was made of it, and what became of that.
#[derive(Debug)]
pub(super) struct DeliveryResult {
    /// What came in.
    pub(super) input: ItemKind,
    /// What goes out: the same, or what was made of it.
    pub(super) output: ItemKind,
    /// Items that came in.
    pub(super) received: u64,
    /// Of these, refused here, by reason.
    pub(super) rejected_input: Rejections,
    /// What never became items, by reason.
    pub(super) skipped: Rejections,
    /// Items that were to go out.
    pub(super) produced: u64,
    /// Of these, refused here, by reason.
    pub(super) rejected_output: Rejections,
    /// Of these, left out as the settings ask for: nobody has to be told.
    pub(super) filtered: Rejections,
    pub(super) delivered: u64,
    /// Items refused for good by their destination, by reason.
    pub(super) rejected_by_destination: Rejections,
    /// What can be delivered later.
    pub(super) undelivered: Vec<Payload>,
    /// What the last attempt failed with.
    pub(super) error: String,
    /// Whether somebody sends again what is neither delivered nor spooled.
    pub(super) is_retried: bool,
}

impl DeliveryResult {
    fn new(came: ItemKind, goes: ItemKind) -> Self {
        Self {
            input: came,
            output: goes,
            received: 0,
            rejected_input: Rejections::default(),
            skipped: Rejections::default(),
            produced: 0,
            rejected_output: Rejections::default(),
            filtered: Rejections::default(),
            delivered: 0,
            rejected_by_destination: Rejections::default(),
            undelivered: Vec::new(),
            error: String::new(),
            is_retried: true,
        }
    }

    /// `made` documents from `received` spans, or from as many documents.
    pub(super) fn for_segments(
        came: ItemKind,
        received: u64,
        refused: Rejections,
        made: u64,
        sent: SendResult,
    ) -> Self {
        let undelivered = if sent.undelivered.is_empty() { None } else { Some(Payload::Segments(sent.undelivered)) };
        Self {
            received,
            rejected_input: refused,
            produced: made,
            delivered: sent.delivered,
            rejected_by_destination: sent.rejected,
            undelivered: undelivered.into_iter().collect(),
            error: sent.error.unwrap_or_default(),
            ..Self::new(came, ItemKind::Segments)
        }
    }

    pub(super) fn for_otlp_spans(received: u64, exported: ExportResult) -> Self {
        let undelivered = exported.undelivered;
        let undelivered = if undelivered.is_empty() { None } else { Some(Payload::OtlpTraces(undelivered)) };
        Self {
            received,
            produced: received,
            delivered: exported.delivered,
            rejected_by_destination: exported.rejected,
            undelivered: undelivered.into_iter().collect(),
            error: exported.error.unwrap_or_default(),
            ..Self::new(ItemKind::Spans, ItemKind::Spans)
        }
    }

    /// Samples that came in as such.
    pub(super) fn for_series(written: RelabelAndWriteResult) -> Self {
        let RelabelAndWriteResult { produced: made, rejected: kept_back, filtered: left_out, written } = written;
        let why = written.undelivered.first().map(|undelivered| undelivered.error.clone()).unwrap_or_default();
        let cargo = written.undelivered.into_iter().map(|undelivered| undelivered.request.into_payload());
        Self {
            received: made,
            produced: made,
            rejected_output: kept_back,
            filtered: left_out,
            delivered: written.delivered,
            rejected_by_destination: written.rejected,
            undelivered: cargo.collect(),
            error: why,
            ..Self::new(ItemKind::Samples, ItemKind::Samples)
        }
    }

    /// The same samples, made of data points.
    pub(super) fn with_data_points(self, received: u64, refused: Rejections) -> Self {
        Self { input: ItemKind::DataPoints, received, rejected_input: refused, ..self }
    }

    fn undelivered_items(&self) -> u64 {
        self.undelivered.iter().map(Payload::items).sum()
    }

    /// Everything that was refused before it was sent.
    fn rejected_locally(&self) -> Rejections {
        let mut refused = self.rejected_input.clone();
        refused.merge(self.skipped.clone());
        refused.merge(self.rejected_output.clone());
        refused
    }

    fn item_names(&self) -> Vec<String> {
        let names = self.undelivered.iter().flat_map(|cargo| cargo.item_names(MAX_LOGGED_NAMES));
        names.take(MAX_LOGGED_NAMES).collect()
    }
}

/// Series that have been through the rules of the settings and, as far as they were left, to AMP.
#[derive(Debug)]
pub(super) struct RelabelAndWriteResult {
    pub(super) produced: u64,
    pub(super) rejected: Rejections,
    pub(super) filtered: Rejections,
    pub(super) written: WriteResult,
}

/// The account of one delivery: made = delivered + spooled + refused + lost, in the items of its destination.
#[derive(Debug, Default)]
pub(super) struct DeliverySummary {
    pub(super) delivered: u64,
    pub(super) spooled: u64,
    /// Refused here or by the destination, by reason.
    pub(super) rejected: Rejections,
    /// Neither delivered nor spooled: whoever sent it has to send it again.
    pub(super) undelivered: u64,
    pub(super) error: String,
}

impl DeliverySummary {
    /// What the client is told: what was refused for good, or to come again.
    pub(super) fn into_result(self) -> Result<Rejections, ErrorResponse> {
        if self.undelivered == 0 {
            return Ok(self.rejected);
        }
        Err(ErrorResponse::unavailable(self.error, RETRY_AFTER_S))
    }
}

impl Pipeline {
    /// Sends series, unless they had better go to the spool at once.
    pub(super) async fn send_series(
        &self,
        to: &RemoteWriteClient,
        batch: &SeriesBatch,
        deadline: &Deadline,
    ) -> WriteResult {
        if self.spool.is_some() && self.amp_circuit.is_open(deadline.now_ms()) {
            return to.encode_only(batch, CIRCUIT_OPEN);
        }
        let written = to.write(batch, &self.delivery_deadline(deadline)).await;
        if !batch.is_empty() {
            self.amp_circuit.record(written.undelivered.is_empty(), deadline.now_ms());
        }
        written
    }

    /// Sends documents, unless they had better go to the spool at once.
    pub(super) async fn send_segments(&self, documents: Vec<SegmentDocument>, deadline: &Deadline) -> SendResult {
        if documents.is_empty() {
            return SendResult::default();
        }
        if self.spool.is_some() && self.xray_circuit.is_open(deadline.now_ms()) {
            return SendResult { undelivered: documents, error: Some(CIRCUIT_OPEN.into()), ..SendResult::default() };
        }
        let sent = self.xray.send(documents, &self.delivery_deadline(deadline)).await;
        self.xray_circuit.record(sent.undelivered.is_empty(), deadline.now_ms());
        sent
    }

    /// With a spool to fall back on, a client is not kept waiting until it gives up.
    fn delivery_deadline(&self, deadline: &Deadline) -> Deadline {
        if self.spool.is_some() { deadline.capped(DELIVERY_TIMEOUT_WITH_SPOOL) } else { *deadline }
    }

    /// Sends spans as OTLP, unless they had better go to the spool at once.
    pub(super) async fn export_otlp(&self, spans: ExportTraceServiceRequest, deadline: &Deadline) -> ExportResult {
        if self.spool.is_some() && self.xray_circuit.is_open(deadline.now_ms()) {
            return self.xray_http.split_only(spans, CIRCUIT_OPEN, deadline);
        }
        let exported = self.xray_http.export(spans, &self.delivery_deadline(deadline)).await;
        self.xray_circuit.record(exported.undelivered.is_empty(), deadline.now_ms());
        exported
    }

    /// Spools what could not be delivered, enters everything into the ledger, and logs what happened: once, here.
    pub(super) async fn complete_delivery(&self, mut delivery: DeliveryResult, deadline: &Deadline) -> DeliverySummary {
        let undelivered = delivery.undelivered_items();
        let mut account =
            DeliverySummary { delivered: delivery.delivered, undelivered: undelivered, ..DeliverySummary::default() };
        let mut lost_names = Vec::new();
        if let Some(spool) = self.spool.as_ref().filter(|_| undelivered > 0) {
            let (why, first_ms) = (&delivery.error, deadline.started_ms());
            let cargo = std::mem::take(&mut delivery.undelivered).into_iter();
            let spooled =
                cargo.map(|cargo| SpoolMessage { payload: cargo, error: why.clone(), first_attempt_ms: first_ms });
            let kept = spool.enqueue(spooled.collect(), deadline).await;
            account.spooled = kept.enqueued;
            account.undelivered = undelivered - kept.enqueued;
            lost_names = kept.failed_names;
            account.error =
                kept.error.map(|error| format!("the spool cannot take it now: {error}")).unwrap_or_default();
        } else if undelivered > 0 {
            lost_names = delivery.item_names();
        }
        if account.error.is_empty() {
            let destination = if delivery.output.destination() == "amp" { "AMP" } else { "X-Ray" };
            account.error = format!("{destination} cannot take it now: {}", delivery.error);
        }
        self.self_metrics.record(|ledger| record_items(&delivery, &account, ledger));
        log(&delivery, &account, &lost_names, deadline);
        account.rejected = delivery.rejected_locally();
        account.rejected.merge(delivery.rejected_by_destination);
        account
    }
}

/// Every item has one fate.
fn record_items(delivery: &DeliveryResult, account: &DeliverySummary, ledger: &mut ItemCounters) {
    let (came, goes) = (delivery.input, delivery.output);
    ledger.add(ItemStatus::Received, came, delivery.received);
    ledger.add_all(ItemStatus::Rejected, came, &delivery.rejected_input);
    if came != goes {
        ledger.add(ItemStatus::Translated, came, delivery.received.saturating_sub(delivery.rejected_input.total()));
        ledger.add(ItemStatus::Received, goes, delivery.produced);
    }
    for refusals in [&delivery.rejected_output, &delivery.filtered, &delivery.rejected_by_destination] {
        ledger.add_all(ItemStatus::Rejected, goes, refusals);
    }
    ledger.add(ItemStatus::Delivered, goes, account.delivered);
    ledger.add(ItemStatus::Spooled, goes, account.spooled);
    if delivery.is_retried {
        ledger.add(ItemStatus::Refused, goes, account.undelivered);
    } else {
        ledger.add_with_reason(ItemStatus::Dropped, goes, "undelivered", account.undelivered);
    }
}

fn log(delivery: &DeliveryResult, account: &DeliverySummary, names: &[String], deadline: &Deadline) {
    let duration_ms = u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX);
    let DeliverySummary { delivered, spooled, undelivered: lost, error: why, .. } = account;
    let (received, what, goes) = (delivery.received, delivery.input.as_str(), delivery.output.as_str());
    let refused = delivery.rejected_locally();
    let (set_aside, given_up) = (refused.total(), delivery.rejected_by_destination.total());
    tracing::info!(
        what,
        received,
        delivered,
        spooled,
        undelivered = lost,
        refused = set_aside,
        rejected = given_up,
        duration_ms,
        "{received} {what}: {delivered} {goes} delivered, {spooled} spooled, {set_aside} refused, {given_up} rejected"
    );
    if *lost > 0 && !delivery.is_retried {
        let names = join(names);
        tracing::error!(
            what,
            lost,
            why,
            names,
            "{lost} {goes} are lost, as nothing keeps them: {why}; among them {names}"
        );
    } else if *spooled + *lost > 0 {
        tracing::warn!(what, spooled, undelivered = lost, why, "{spooled} spooled and {lost} not delivered: {why}");
    }
    log_rejected(what, &refused, &delivery.rejected_by_destination);
}

fn log_rejected(what: &'static str, refused: &Rejections, rejected: &Rejections) {
    let (set_aside, given_up) = (refused.total(), rejected.total());
    if set_aside > 0 {
        let reasons = refused.to_string();
        tracing::warn!(what, refused = set_aside, reasons, "{set_aside} {what} refused: {reasons}");
    }
    if given_up > 0 {
        let reasons = rejected.to_string();
        tracing::error!(
            what,
            rejected = given_up,
            reasons,
            "{given_up} refused for good by their destination: {reasons}"
        );
    }
}
