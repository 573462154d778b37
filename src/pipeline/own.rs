//! The function's own metrics: entered while it works, written when an invocation is over.
//!
//! They go out in a small request of their own, at most once a minute and environment, since AMP bills by the sample;
//! what one writing misses the next one has, as counters only grow. They are not in the counts themselves.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Pipeline;
use crate::config::{SelfMetrics, Settings};
use crate::deadline::Deadline;
use crate::log;
use crate::model::ledger::Ledger;
use crate::model::series::{Labels, SeriesBatch};
use crate::translate::own::{self, Edition, Sights};

/// Time between two writings: less than a minute, so that no tick of a minute misses its turn for a few milliseconds.
const INTERVAL_MS: i64 = 50_000;

/// A counter that begins was zero at most this long ago: AMP takes no samples that lie far behind its newest.
const ZERO_AT_MOST_MS: i64 = 60_000;

/// Time that a writing may take: somebody waits for the answer to what the invocation was about.
const PATIENCE: Duration = Duration::from_secs(2);

/// With less time than this the next invocation writes.
const LEAST_TIME: Duration = Duration::from_millis(250);

/// The ledger of this environment, and how much of it has been written.
#[derive(Debug)]
pub(super) struct OwnMetrics {
    to: SelfMetrics,
    labels: Labels,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    sights: Sights,
    /// The ledger as AMP has it.
    written: Ledger,
    /// When it was last tried, and when counters that are not in `written` were zero.
    tried_ms: Option<i64>,
    zero_ms: Option<i64>,
    /// The ledger as the log has it.
    logged: Ledger,
}

impl OwnMetrics {
    pub(super) fn new(settings: &Settings) -> Self {
        let to = settings.self_metrics.clone();
        // Lambda names a log stream `2026/11/22/[$LATEST]` and 32 hex digits; its emulator has the same for all.
        let stream = to.log_stream.as_deref().and_then(|stream| stream.rsplit(']').next()).unwrap_or_default();
        let is_unique = stream.len() == 32 && stream.bytes().all(|byte| byte.is_ascii_hexdigit());
        let instance = if is_unique { stream.to_owned() } else { format!("{:016x}", RandomState::new().hash_one(0)) };
        let mut labels = own::labels(&instance);
        for (name, value) in &settings.external_labels {
            labels.set_default(name, value);
        }
        Self { to, labels, state: Mutex::default() }
    }

    /// What tells this environment's series from those of others.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn enter(&self, entries: impl FnOnce(&mut Ledger)) {
        entries(&mut self.state().ledger);
    }

    pub(super) fn see(&self, seen: impl FnOnce(&mut Sights)) {
        seen(&mut self.state().sights);
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.state().ledger.clone()
    }

    /// Enters the invocation itself, and logs what it did.
    fn close(&self, trigger: &'static str, deadline: &Deadline) {
        let seconds = deadline.elapsed().as_secs_f64();
        let mut state = self.state();
        state.ledger.spend(trigger, seconds);
        state.zero_ms.get_or_insert(deadline.started_ms());
        if self.to.emf {
            let entered = state.ledger.since(&state.logged);
            let function = self.to.function.as_deref().unwrap_or("sidecarless");
            log::print(&own::emf(&entered, function, trigger, seconds, deadline.now_ms()));
            state.logged = state.ledger.clone();
        }
    }

    /// The series, with the ledger they show; `None`: they are not wanted, or it is too early.
    fn due(&self, now_ms: i64) -> Option<(SeriesBatch, Ledger)> {
        let mut state = self.state();
        if !self.to.amp || state.tried_ms.is_some_and(|tried_ms| now_ms < tried_ms + INTERVAL_MS) {
            return None;
        }
        // Not before: a message may come back in an invocation that writes nothing.
        let sights = std::mem::take(&mut state.sights);
        let zero_ms = state.zero_ms.unwrap_or(now_ms).clamp(now_ms - ZERO_AT_MOST_MS, now_ms - 1);
        let mut batch = SeriesBatch::default();
        let State { ledger, written, .. } = &*state;
        let edition = Edition { ledger, written, sights: &sights, labels: &self.labels, zero_ms, at_ms: now_ms };
        edition.write(&mut batch);
        state.tried_ms = Some(now_ms);
        Some((batch, state.ledger.clone()))
    }

    fn has_written(&self, ledger: Ledger, at_ms: i64) {
        let mut state = self.state();
        state.written = ledger;
        state.zero_ms = Some(at_ms);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// Everything that came in since this environment began, and what became of it.
    pub fn ledger(&self) -> Ledger {
        self.own.ledger()
    }

    /// Closes the books of an invocation. AMP is not asked while it is known to be down, and no failure is told but in
    /// the log: the next writing has the same and more.
    pub(super) async fn close(&self, trigger: &'static str, deadline: &Deadline) {
        self.own.close(trigger, deadline);
        let now_ms = deadline.now_ms();
        let Some(remote_write) = self.remote_write.as_ref().filter(|_| !self.amp_circuit.is_open(now_ms)) else {
            return;
        };
        if deadline.left() < LEAST_TIME {
            return;
        }
        let Some((batch, ledger)) = self.own.due(now_ms) else { return };
        let relabelled = self.settings.relabel.apply(batch);
        let written = remote_write.write(&relabelled.batch, &deadline.at_most(PATIENCE).single_attempt()).await;
        let reason = match (written.undelivered.first(), written.rejected.iter().next()) {
            (None, None) => return self.own.has_written(ledger, now_ms),
            (Some(undelivered), _) => &undelivered.why,
            (None, Some(refusal)) => &refusal.example,
        };
        tracing::warn!(reason, "the function's own metrics could not be written: {reason}");
    }
}
