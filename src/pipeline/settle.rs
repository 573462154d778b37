//! After delivery: what was not delivered in time is spooled or goes back to its sender, and everything is accounted for.

use std::time::Duration;

use super::Pipeline;
use crate::collect::receive::Refused;
use crate::deadline::Deadline;
use crate::deliver::remote_write::{RemoteWrite, Written};
use crate::deliver::xray::Sent;
use crate::deliver::xray_http::Exported;
use crate::model::refusal::Refusals;
use crate::model::segment::Document;
use crate::model::series::SeriesBatch;
use crate::model::spool::{Cargo, Spooled};

/// How long a delivery is tried when there is a spool: exporters wait ten seconds for an answer.
const PATIENCE_WITH_SPOOL: Duration = Duration::from_secs(5);

/// Why nothing was tried.
pub(super) const KNOWN_TO_BE_DOWN: &str = "it has just failed, and is not asked again for some seconds";

/// What a tick and its like deliver: nobody sends it again.
pub(super) const OWN_SAMPLES: &str = "samples";

/// What a client is asked to wait before it sends again what could not be delivered.
const RETRY_AFTER_S: u64 = 5;

/// One signal on its way out: what came in, and what became of it. Segments and samples can be more than the spans and
/// data points they were made from.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// `spans`, `data points`, `samples`.
    pub(super) what: &'static str,
    /// `X-Ray` or `AMP`.
    pub(super) destination: &'static str,
    pub(super) received: u64,
    pub(super) delivered: u64,
    /// Items refused here, by reason.
    pub(super) refused: Refusals,
    /// Items refused for good by their destination, by reason.
    pub(super) rejected: Refusals,
    /// What can be delivered later.
    pub(super) undelivered: Vec<Cargo>,
    /// Items that can be delivered later but not be spooled.
    pub(super) not_kept: u64,
    /// What the last attempt failed with.
    pub(super) why: String,
}

impl Delivery {
    pub(super) fn of_segments(received: u64, refused: Refusals, sent: Sent) -> Self {
        let undelivered =
            if sent.undelivered.is_empty() { Vec::new() } else { vec![Cargo::Documents(sent.undelivered)] };
        Self {
            what: "spans",
            destination: "X-Ray",
            received,
            delivered: sent.delivered,
            refused,
            rejected: sent.rejected,
            undelivered,
            not_kept: 0,
            why: sent.why.unwrap_or_default(),
        }
    }

    pub(super) fn of_otlp_spans(exported: Exported) -> Self {
        Self {
            what: "spans",
            destination: "X-Ray",
            received: exported.delivered + exported.rejected.total() + exported.undelivered,
            delivered: exported.delivered,
            rejected: exported.rejected,
            not_kept: exported.undelivered,
            why: exported.why.unwrap_or_default(),
            ..Self::default()
        }
    }

    pub(super) fn of_series(what: &'static str, received: u64, refused: Refusals, written: Written) -> Self {
        let why = written.undelivered.first().map(|undelivered| undelivered.why.clone()).unwrap_or_default();
        let cargo = written.undelivered.into_iter().map(|undelivered| undelivered.request.into_cargo());
        Self {
            what,
            destination: "AMP",
            received,
            delivered: written.delivered,
            refused,
            rejected: written.rejected,
            undelivered: cargo.collect(),
            not_kept: 0,
            why,
        }
    }

    fn undelivered_items(&self) -> u64 {
        self.not_kept + self.undelivered.iter().map(Cargo::items).sum::<u64>()
    }
}

/// The account of one delivery: received = delivered + spooled + refused + lost, in the items of its destination.
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

    /// Spools what could not be delivered, and logs what happened: once, here.
    pub(super) async fn settle(&self, delivery: Delivery, deadline: &Deadline) -> Account {
        let undelivered = delivery.undelivered_items();
        let mut account = Account { delivered: delivery.delivered, lost: undelivered, ..Account::default() };
        if let Some(spool) = self.spool.as_ref().filter(|_| !delivery.undelivered.is_empty()) {
            let (why, first_ms) = (&delivery.why, deadline.started_ms());
            let spooled = |cargo| Spooled { cargo, why: why.clone(), first_ms };
            let kept = spool.keep(delivery.undelivered.into_iter().map(spooled).collect(), deadline).await;
            account.spooled = kept.items;
            account.lost = undelivered - kept.items;
            account.why = kept.why.map(|error| format!("the spool cannot take it now: {error}")).unwrap_or_default();
        }
        if account.why.is_empty() {
            account.why = format!("{} cannot take it now: {}", delivery.destination, delivery.why);
        }
        log(delivery.what, delivery.received, &account, (&delivery.refused, &delivery.rejected), deadline);
        account.refused = delivery.refused;
        account.refused.merge(delivery.rejected);
        account
    }
}

fn log(
    what: &'static str,
    received: u64,
    account: &Account,
    (refused, rejected): (&Refusals, &Refusals),
    deadline: &Deadline,
) {
    let duration_ms = u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Account { delivered, spooled, lost, why, .. } = account;
    let (set_aside, given_up) = (refused.total(), rejected.total());
    tracing::info!(
        what,
        received,
        delivered,
        spooled,
        undelivered = lost,
        refused = set_aside,
        rejected = given_up,
        duration_ms,
        "{received} {what}: {delivered} delivered, {spooled} spooled, {set_aside} refused, {given_up} rejected"
    );
    if *lost > 0 && what == OWN_SAMPLES {
        tracing::error!(what, lost, why, "{lost} samples are lost, as there is no spool to keep them: {why}");
    } else if *spooled + *lost > 0 {
        tracing::warn!(what, spooled, undelivered = lost, why, "{spooled} spooled and {lost} not delivered: {why}");
    }
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
