//! The function's own metrics: entered while it works, written when an invocation is over.
//!
//! They go out in a small request of their own, at most once a minute and environment, since AMP bills by the sample;
//! what one writing misses the next one has, as counters only grow. They are not in the counts themselves.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Pipeline;
use crate::deadline::Deadline;
use crate::log;
use crate::model::item_counters::ItemCounters;
use crate::model::series::{Labels, SeriesBatch};
use crate::settings::{SelfMetricsSettings, Settings};
use crate::translate::self_metrics::{self, Gauges, Snapshot};

/// Time between two writings: less than a minute, so that no tick of a minute misses its turn for a few milliseconds.
const INTERVAL_MS: i64 = 50_000;

/// A counter that begins was zero at most this long ago: AMP takes no samples that lie far behind its newest.
const ZERO_AT_MOST_MS: i64 = 60_000;

/// Time that a writing may take: somebody waits for the answer to what the invocation was about.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// With less time than this the next invocation writes.
const MIN_TIME_LEFT: Duration = Duration::from_millis(250);

/// The ledger of this environment, and how much of it has been written.
#[derive(Debug)]
pub(super) struct SelfMetricsWriter {
    settings: SelfMetricsSettings,
    labels: Labels,
    state: Mutex<WriterState>,
}

#[derive(Debug, Default)]
struct WriterState {
    counters: ItemCounters,
    gauges: Gauges,
    /// The ledger as AMP has it.
    last_written: ItemCounters,
    /// When it was last tried, and when counters that are not in `written` were zero.
    last_attempt_ms: Option<i64>,
    zero_ms: Option<i64>,
    /// The ledger as the log has it.
    last_logged: ItemCounters,
}

impl SelfMetricsWriter {
    pub(super) fn new(settings: &Settings) -> Self {
        let to = settings.self_metrics.clone();
        // Lambda names a log stream `2026/11/22/[$LATEST]` and 32 hex digits; its emulator has the same for all.
        let stream = to.log_stream.as_deref().and_then(|stream| stream.rsplit(']').next()).unwrap_or_default();
        let is_unique = stream.len() == 32 && stream.bytes().all(|byte| byte.is_ascii_hexdigit());
        let instance = if is_unique { stream.to_owned() } else { format!("{:016x}", RandomState::new().hash_one(0)) };
        let mut labels = self_metrics::labels(&instance);
        for (name, value) in &settings.external_labels {
            labels.set_default(name, value);
        }
        Self { settings: to, labels, state: Mutex::default() }
    }

    /// What tells this environment's series from those of others.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn record(&self, entries: impl FnOnce(&mut ItemCounters)) {
        entries(&mut self.lock().counters);
    }

    pub(super) fn observe(&self, seen: impl FnOnce(&mut Gauges)) {
        seen(&mut self.lock().gauges);
    }

    pub(super) fn counters(&self) -> ItemCounters {
        self.lock().counters.clone()
    }

    /// Enters the invocation itself, and logs what it did.
    fn record_invocation(&self, trigger: &'static str, deadline: &Deadline) {
        let seconds = deadline.elapsed().as_secs_f64();
        let mut state = self.lock();
        state.counters.record_invocation(trigger, seconds);
        state.zero_ms.get_or_insert(deadline.started_ms());
        if self.settings.emf {
            let entered = state.counters.diff(&state.last_logged);
            let function = self.settings.function.as_deref().unwrap_or("sidecarless");
            log::print(&self_metrics::emf(&entered, function, trigger, seconds, deadline.now_ms()));
            state.last_logged = state.counters.clone();
        }
    }

    /// The series, with the ledger they show; `None`: they are not wanted, or it is too early.
    fn take_due(&self, now_ms: i64) -> Option<(SeriesBatch, ItemCounters)> {
        let mut state = self.lock();
        if !self.settings.amp || state.last_attempt_ms.is_some_and(|tried_ms| now_ms < tried_ms + INTERVAL_MS) {
            return None;
        }
        // Not before: a message may come back in an invocation that writes nothing.
        let sights = std::mem::take(&mut state.gauges);
        let zero_ms = state.zero_ms.unwrap_or(now_ms).clamp(now_ms - ZERO_AT_MOST_MS, now_ms - 1);
        let mut batch = SeriesBatch::default();
        let WriterState { counters: ledger, last_written: written, .. } = &*state;
        let edition =
            Snapshot { counters: ledger, written, gauges: &sights, labels: &self.labels, zero_ms, at_ms: now_ms };
        edition.write(&mut batch);
        state.last_attempt_ms = Some(now_ms);
        Some((batch, state.counters.clone()))
    }

    fn mark_written(&self, ledger: ItemCounters, at_ms: i64) {
        let mut state = self.lock();
        state.last_written = ledger;
        state.zero_ms = Some(at_ms);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// Everything that came in since this environment began, and what became of it.
    pub fn ledger(&self) -> ItemCounters {
        self.self_metrics.counters()
    }

    /// Closes the books of an invocation. AMP is not asked while it is known to be down, and no failure is told but in
    /// the log: the next writing has the same and more.
    pub(super) async fn flush_self_metrics(&self, trigger: &'static str, deadline: &Deadline) {
        self.self_metrics.record_invocation(trigger, deadline);
        let now_ms = deadline.now_ms();
        let Some(remote_write) = self.remote_write.as_ref().filter(|_| !self.amp_circuit.is_open(now_ms)) else {
            return;
        };
        if deadline.remaining() < MIN_TIME_LEFT {
            return;
        }
        let Some((batch, ledger)) = self.self_metrics.take_due(now_ms) else { return };
        let relabelled = self.settings.relabel.apply(batch);
        let written = remote_write.write(&relabelled.batch, &deadline.capped(WRITE_TIMEOUT).single_attempt()).await;
        let reason = match (written.undelivered.first(), written.rejected.iter().next()) {
            (None, None) => return self.self_metrics.mark_written(ledger, now_ms),
            (Some(undelivered), _) => &undelivered.error,
            (None, Some(refusal)) => &refusal.example,
        };
        tracing::warn!(reason, "the function's own metrics could not be written: {reason}");
    }
}
