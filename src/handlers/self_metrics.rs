//! Self metrics of the function: counted during an invocation, and written after it.
//!
//! They are written in a small separate request, at most once a minute and environment, because AMP charges per sample.
//! If a write fails, the next one contains the same counts, because counters only grow. Their samples are not counted.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::deliver::Delivery;
use crate::deliver::remote_write::RemoteWriteClient;
use crate::log;
use crate::model::age::is_younger;
use crate::model::budget::Unlimited;
use crate::model::item_counters::ItemCounters;
use crate::model::series::{Labels, SeriesBatch};
use crate::rules::relabel::{RelabelResult, Rules};
use crate::settings::{SelfMetricsSettings, Settings};
use crate::translate::self_metrics::{self, Gauges, Snapshot};

/// Time between two writes: less than a minute, so that a scheduled run that is a few milliseconds early writes as well.
const INTERVAL_MS: i64 = 50_000;

/// Maximum age of the zero sample of a new counter. AMP does not accept samples that are far behind its newest.
const MAX_ZERO_AGE_MS: i64 = 60_000;

/// Timeout of a write. A client waits for the response of the invocation.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// With less time than this, the next invocation writes.
const MIN_TIME: Duration = Duration::from_millis(250);

/// Counters and gauges of this execution environment.
#[derive(Debug)]
pub(super) struct SelfMetrics {
    settings: SelfMetricsSettings,
    labels: Labels,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counters: ItemCounters,
    gauges: Gauges,
    /// Counters that AMP has.
    last_written: ItemCounters,
    last_attempt_ms: Option<i64>,
    /// Time at which counters that are not in `last_written` were zero.
    zero_ms: Option<i64>,
    /// Counters that were logged.
    last_logged: ItemCounters,
}

/// Series of one write, and the counters that they contain.
struct DueWrite {
    batch: SeriesBatch,
    counters: ItemCounters,
}

impl SelfMetrics {
    pub(super) fn new(settings: &Settings) -> Self {
        let self_metrics = settings.self_metrics.clone();
        // Lambda names a log stream `2026/11/22/[$LATEST]` and 32 hex digits. Emulators use one name for all environments.
        let stream =
            self_metrics.log_stream.as_deref().and_then(|stream| stream.rsplit(']').next()).unwrap_or_default();
        let is_unique = stream.len() == 32 && stream.bytes().all(|byte| byte.is_ascii_hexdigit());
        let instance = if is_unique { stream.to_owned() } else { format!("{:016x}", RandomState::new().hash_one(0)) };
        let mut labels = self_metrics::labels(&instance);
        for (name, value) in &settings.external_labels {
            labels.set_default(name, value);
        }
        Self { settings: self_metrics, labels, state: Mutex::default() }
    }

    /// Returns the labels that distinguish the series of this environment from series of other environments.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn record(&self, record: impl FnOnce(&mut ItemCounters)) {
        record(&mut self.lock().counters);
    }

    pub(super) fn observe(&self, observe: impl FnOnce(&mut Gauges)) {
        observe(&mut self.lock().gauges);
    }

    pub(super) fn counters(&self) -> ItemCounters {
        self.lock().counters.clone()
    }

    /// Counts an invocation, and writes its EMF log line.
    pub(super) fn record_invocation(&self, trigger: &'static str, deadline: &Deadline) {
        let seconds = deadline.elapsed().as_secs_f64();
        let mut state = self.lock();
        state.counters.record_invocation(trigger, seconds);
        state.zero_ms.get_or_insert(deadline.started_ms());
        if self.settings.emf {
            let counted = state.counters.diff(&state.last_logged);
            let function = self.settings.function.as_deref().unwrap_or("sidecarless");
            log::print(&self_metrics::emf(&counted, function, trigger, seconds, deadline.now_ms()));
            state.last_logged = state.counters.clone();
        }
    }

    /// Returns the series to write; `None` if they are disabled, or the last write was less than a minute ago.
    fn take_due(&self, now_ms: i64) -> Option<DueWrite> {
        let mut state = self.lock();
        if !self.settings.amp || state.last_attempt_ms.is_some_and(|at_ms| is_younger(at_ms, INTERVAL_MS, now_ms)) {
            return None;
        }
        // Not before this point: gauges of invocations that write nothing belong to the next write.
        let gauges = std::mem::take(&mut state.gauges);
        let zero_ms = state.zero_ms.unwrap_or(now_ms).clamp(now_ms - MAX_ZERO_AGE_MS, now_ms - 1);
        let State { counters, last_written: written, .. } = &*state;
        let mut batch = SeriesBatch::default();
        let labels = &self.labels;
        Snapshot { counters, written, gauges: &gauges, labels, zero_ms, at_ms: now_ms }.write(&mut batch);
        state.last_attempt_ms = Some(now_ms);
        Some(DueWrite { batch, counters: state.counters.clone() })
    }

    fn mark_written(&self, counters: ItemCounters, at_ms: i64) {
        let mut state = self.lock();
        state.last_written = counters;
        state.zero_ms = Some(at_ms);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the self metrics to AMP.
#[derive(Debug)]
pub(super) struct SelfMetricsWriter {
    pub(super) self_metrics: Arc<SelfMetrics>,
    pub(super) relabel: Arc<Rules>,
    /// `None` if `AWS_PROMETHEUS_ENDPOINT` is not set.
    pub(super) amp: Option<Arc<Delivery<RemoteWriteClient>>>,
}

impl SelfMetricsWriter {
    /// Writes the metrics if they are due. A failure is only logged, because the next write contains the same counts.
    pub(super) async fn write(&self, deadline: &Deadline) {
        let now_ms = deadline.now_ms();
        let Some(amp) = self.amp.as_ref().filter(|amp| !amp.is_open(now_ms)) else { return };
        if deadline.remaining() < MIN_TIME {
            return;
        }
        let Some(DueWrite { batch, counters }) = self.self_metrics.take_due(now_ms) else { return };
        // Filtered samples are not reported: a rule asks for that.
        let Ok(RelabelResult { batch, filtered: _, mut rejected, warnings, modified: _ }) =
            self.relabel.apply(batch, &Unlimited)
        else {
            return;
        };
        let outcome = amp.deliver_once(amp.destination().requests(&batch), &deadline.capped(WRITE_TIMEOUT)).await;
        rejected.merge(warnings);
        rejected.merge(outcome.rejected);
        if !rejected.is_empty() {
            tracing::warn!(rejections = rejected.to_string(), "self metrics rejected");
        }
        match outcome.error {
            None => self.self_metrics.mark_written(counters, now_ms),
            Some(error) => tracing::warn!(error = error.to_string(), "self metrics could not be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_due_every_minute_also_after_the_clock_stepped_back() {
        let mut settings = Settings::default();
        settings.self_metrics.amp = true;
        let metrics = SelfMetrics::new(&settings);
        for (now_ms, is_due) in [
            (1_000_000, true),
            (1_049_999, false),
            (1_050_000, true),
            (700_000, true),
            (749_999, false),
            (750_000, true),
        ] {
            assert_eq!(metrics.take_due(now_ms).is_some(), is_due, "{now_ms}");
        }
    }
}
