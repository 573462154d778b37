//! After delivery: what was not delivered in time is spooled or goes back to its sender, and everything is accounted for.

use std::time::Duration;

use super::Pipeline;
use crate::collect::receive::Refused;
use crate::deadline::Deadline;
use crate::deliver::remote_write::{RemoteWrite, Written};
use crate::deliver::xray::Sent;
use crate::deliver::xray_http::Exported;
use crate::model::ledger::{Fate, Ledger, Signal};
use crate::model::otlp::ExportTraceServiceRequest;
use crate::model::refusal::{Refusals, listed};
use crate::model::segment::Document;
use crate::model::series::SeriesBatch;
use crate::model::spool::{Cargo, Spooled};

/// How long a delivery is tried when there is a spool: exporters wait ten seconds for an answer.
const PATIENCE_WITH_SPOOL: Duration = Duration::from_secs(5);

/// Why nothing was tried.
pub(super) const KNOWN_TO_BE_DOWN: &str = "it has just failed, and is not asked again for some seconds";

/// Trace ids or names of metrics that are told when something is lost.
pub(super) const NAMES_TOLD: usize = 5;

/// What a client is asked to wait before it sends again what could not be delivered.
const RETRY_AFTER_S: u64 = 5;

/// One signal on its way out: what came in, what was made of it, and what became of that.
#[derive(Debug)]
pub(super) struct Delivery {
    /// What came in.
    pub(super) came: Signal,
    /// What goes out: the same, or what was made of it.
    pub(super) goes: Signal,
    /// Items that came in.
    pub(super) received: u64,
    /// Of these, refused here, by reason.
    pub(super) refused: Refusals,
    /// What never became items, by reason.
    pub(super) set_aside: Refusals,
    /// Items that were to go out.
    pub(super) made: u64,
    /// Of these, refused here, by reason.
    pub(super) kept_back: Refusals,
    /// Of these, left out as the settings ask for: nobody has to be told.
    pub(super) left_out: Refusals,
    pub(super) delivered: u64,
    /// Items refused for good by their destination, by reason.
    pub(super) rejected: Refusals,
    /// What can be delivered later.
    pub(super) undelivered: Vec<Cargo>,
    /// What the last attempt failed with.
    pub(super) why: String,
    /// Whether somebody sends again what is neither delivered nor spooled.
    pub(super) comes_again: bool,
}

impl Delivery {
    fn of(came: Signal, goes: Signal) -> Self {
        Self {
            came,
            goes,
            received: 0,
            refused: Refusals::default(),
            set_aside: Refusals::default(),
            made: 0,
            kept_back: Refusals::default(),
            left_out: Refusals::default(),
            delivered: 0,
            rejected: Refusals::default(),
            undelivered: Vec::new(),
            why: String::new(),
            comes_again: true,
        }
    }

    /// `made` documents from `received` spans, or from as many documents.
    pub(super) fn of_segments(came: Signal, received: u64, refused: Refusals, made: u64, sent: Sent) -> Self {
        let undelivered = if sent.undelivered.is_empty() { None } else { Some(Cargo::Documents(sent.undelivered)) };
        Self {
            received,
            refused,
            made,
            delivered: sent.delivered,
            rejected: sent.rejected,
            undelivered: undelivered.into_iter().collect(),
            why: sent.why.unwrap_or_default(),
            ..Self::of(came, Signal::Segments)
        }
    }

    pub(super) fn of_otlp_spans(received: u64, exported: Exported) -> Self {
        let undelivered = exported.undelivered;
        let undelivered = if undelivered.is_empty() { None } else { Some(Cargo::OtlpSpans(undelivered)) };
        Self {
            received,
            made: received,
            delivered: exported.delivered,
            rejected: exported.rejected,
            undelivered: undelivered.into_iter().collect(),
            why: exported.why.unwrap_or_default(),
            ..Self::of(Signal::Spans, Signal::Spans)
        }
    }

    /// Samples that came in as such.
    pub(super) fn of_series(written: RelabelledAndWritten) -> Self {
        let RelabelledAndWritten { made, kept_back, left_out, written } = written;
        let why = written.undelivered.first().map(|undelivered| undelivered.why.clone()).unwrap_or_default();
        let cargo = written.undelivered.into_iter().map(|undelivered| undelivered.request.into_cargo());
        Self {
            received: made,
            made,
            kept_back,
            left_out,
            delivered: written.delivered,
            rejected: written.rejected,
            undelivered: cargo.collect(),
            why,
            ..Self::of(Signal::Samples, Signal::Samples)
        }
    }

    /// The same samples, made of data points.
    pub(super) fn made_of_data_points(self, received: u64, refused: Refusals) -> Self {
        Self { came: Signal::DataPoints, received, refused, ..self }
    }

    fn undelivered_items(&self) -> u64 {
        self.undelivered.iter().map(Cargo::items).sum()
    }

    /// Everything that was refused before it was sent.
    fn refused_here(&self) -> Refusals {
        let mut refused = self.refused.clone();
        refused.merge(self.set_aside.clone());
        refused.merge(self.kept_back.clone());
        refused
    }

    fn names(&self) -> Vec<String> {
        let names = self.undelivered.iter().flat_map(|cargo| cargo.names(NAMES_TOLD));
        names.take(NAMES_TOLD).collect()
    }
}

/// Series that have been through the rules of the settings and, as far as they were left, to AMP.
#[derive(Debug)]
pub(super) struct RelabelledAndWritten {
    pub(super) made: u64,
    pub(super) kept_back: Refusals,
    pub(super) left_out: Refusals,
    pub(super) written: Written,
}

/// The account of one delivery: made = delivered + spooled + refused + lost, in the items of its destination.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) delivered: u64,
    pub(super) spooled: u64,
    /// Refused here or by the destination, by reason.
    pub(super) refused: Refusals,
    /// Neither delivered nor spooled: whoever sent it has to send it again.
    pub(super) lost: u64,
    pub(super) why: String,
}

impl Account {
    /// What the client is told: what was refused for good, or to come again.
    pub(super) fn answer(self) -> Result<Refusals, Refused> {
        if self.lost == 0 {
            return Ok(self.refused);
        }
        Err(Refused::unavailable(self.why, RETRY_AFTER_S))
    }
}

impl Pipeline {
    /// Sends series, unless they had better go to the spool at once.
    pub(super) async fn send_series(&self, to: &RemoteWrite, batch: &SeriesBatch, deadline: &Deadline) -> Written {
        if self.spool.is_some() && self.amp_circuit.is_open(deadline.now_ms()) {
            return to.set_aside(batch, KNOWN_TO_BE_DOWN);
        }
        let written = to.write(batch, &self.patience(deadline)).await;
        if !batch.is_empty() {
            self.amp_circuit.note(written.undelivered.is_empty(), deadline.now_ms());
        }
        written
    }

    /// Sends documents, unless they had better go to the spool at once.
    pub(super) async fn send(&self, documents: Vec<Document>, deadline: &Deadline) -> Sent {
        if documents.is_empty() {
            return Sent::default();
        }
        if self.spool.is_some() && self.xray_circuit.is_open(deadline.now_ms()) {
            return Sent { undelivered: documents, why: Some(KNOWN_TO_BE_DOWN.into()), ..Sent::default() };
        }
        let sent = self.xray.send(documents, &self.patience(deadline)).await;
        self.xray_circuit.note(sent.undelivered.is_empty(), deadline.now_ms());
        sent
    }

    /// With a spool to fall back on, a client is not kept waiting until it gives up.
    fn patience(&self, deadline: &Deadline) -> Deadline {
        if self.spool.is_some() { deadline.at_most(PATIENCE_WITH_SPOOL) } else { *deadline }
    }

    /// Sends spans as OTLP, unless they had better go to the spool at once.
    pub(super) async fn export(&self, spans: ExportTraceServiceRequest, deadline: &Deadline) -> Exported {
        if self.spool.is_some() && self.xray_circuit.is_open(deadline.now_ms()) {
            return self.xray_http.set_aside(spans, KNOWN_TO_BE_DOWN, deadline);
        }
        let exported = self.xray_http.export(spans, &self.patience(deadline)).await;
        self.xray_circuit.note(exported.undelivered.is_empty(), deadline.now_ms());
        exported
    }

    /// Spools what could not be delivered, enters everything into the ledger, and logs what happened: once, here.
    pub(super) async fn settle(&self, mut delivery: Delivery, deadline: &Deadline) -> Account {
        let undelivered = delivery.undelivered_items();
        let mut account = Account { delivered: delivery.delivered, lost: undelivered, ..Account::default() };
        let mut lost_names = Vec::new();
        if let Some(spool) = self.spool.as_ref().filter(|_| undelivered > 0) {
            let (why, first_ms) = (&delivery.why, deadline.started_ms());
            let cargo = std::mem::take(&mut delivery.undelivered).into_iter();
            let spooled = cargo.map(|cargo| Spooled { cargo, why: why.clone(), first_ms });
            let kept = spool.keep(spooled.collect(), deadline).await;
            account.spooled = kept.items;
            account.lost = undelivered - kept.items;
            lost_names = kept.lost_names;
            account.why = kept.why.map(|error| format!("the spool cannot take it now: {error}")).unwrap_or_default();
        } else if undelivered > 0 {
            lost_names = delivery.names();
        }
        if account.why.is_empty() {
            let destination = if delivery.goes.destination() == "amp" { "AMP" } else { "X-Ray" };
            account.why = format!("{destination} cannot take it now: {}", delivery.why);
        }
        self.own.enter(|ledger| enter(&delivery, &account, ledger));
        log(&delivery, &account, &lost_names, deadline);
        account.refused = delivery.refused_here();
        account.refused.merge(delivery.rejected);
        account
    }
}

/// Every item has one fate.
fn enter(delivery: &Delivery, account: &Account, ledger: &mut Ledger) {
    let (came, goes) = (delivery.came, delivery.goes);
    ledger.add(Fate::Received, came, delivery.received);
    ledger.add_all(Fate::Refused, came, &delivery.refused);
    if came != goes {
        ledger.add(Fate::Translated, came, delivery.received.saturating_sub(delivery.refused.total()));
        ledger.add(Fate::Received, goes, delivery.made);
    }
    for refusals in [&delivery.kept_back, &delivery.left_out, &delivery.rejected] {
        ledger.add_all(Fate::Refused, goes, refusals);
    }
    ledger.add(Fate::Delivered, goes, account.delivered);
    ledger.add(Fate::Spooled, goes, account.spooled);
    if delivery.comes_again {
        ledger.add_for(Fate::Refused, goes, "unavailable", account.lost);
    } else {
        ledger.add_for(Fate::Lost, goes, "undelivered", account.lost);
    }
}

fn log(delivery: &Delivery, account: &Account, names: &[String], deadline: &Deadline) {
    let duration_ms = u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Account { delivered, spooled, lost, why, .. } = account;
    let (received, what, goes) = (delivery.received, delivery.came.word(), delivery.goes.word());
    let refused = delivery.refused_here();
    let (set_aside, given_up) = (refused.total(), delivery.rejected.total());
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
    if *lost > 0 && !delivery.comes_again {
        let names = listed(names);
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
    log_refused(what, &refused, &delivery.rejected);
}

fn log_refused(what: &'static str, refused: &Refusals, rejected: &Refusals) {
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
