//! What the writers of all data types share.

use super::histogram::BoundLabels;
use super::labels::PointLabels;
use super::options::{Options, TranslationResult};
use crate::model::series::{InsertOutcome, LabelRun, Labels, STALE_NAN, Sample, SeriesBatch, encode_label};
use crate::translate::Compat;
use crate::translate::limits;

/// The translation of one request under way.
pub(super) struct Translator<'a> {
    pub(super) options: &'a Options,
    pub(super) now_ms: i64,
    pub(super) out: &'a mut SeriesBatch,
    pub(super) outcome: TranslationResult,
    /// The newest time of any point of the resource under way, that of refused points included.
    pub(super) newest_nanos: u64,
    /// Labels of the point under way; here, so that its buffers serve all points.
    pub(super) point: PointLabels,
    pub(super) bounds: BoundLabels,
}

/// A metric's name in the forms that its series need.
pub(super) struct MetricFamily {
    pub(super) name: String,
    /// Whether `otel_metric_temporality="delta"` is a label of its series.
    pub(super) is_delta: bool,
    /// Whether it counts from a start, so that `_created` has a meaning.
    pub(super) is_cumulative: bool,
    /// A monotonic sum: its points' exemplars are kept.
    pub(super) is_counter: bool,
}

impl MetricFamily {
    /// The label `__name__` of the family's name and a suffix.
    pub(super) fn label(&self, suffix: &str, out: &mut SeriesBatch) -> LabelRun {
        let mut label = Vec::with_capacity(self.name.len() + 24);
        if suffix.is_empty() {
            encode_label(&mut label, "__name__", &self.name);
        } else {
            encode_label(&mut label, "__name__", &[&self.name, suffix].concat());
        }
        out.add_label_run(&label)
    }
}

/// When a point was taken, and since when it counts.
#[derive(Clone, Copy)]
pub(super) struct PointTimes {
    pub(super) timestamp_ms: i64,
    /// 0 when unknown.
    pub(super) start_ms: i64,
}

impl PointTimes {
    pub(super) fn sample(self, value: f64) -> Sample {
        Sample { timestamp_ms: self.timestamp_ms, value }
    }
}

impl<'a> Translator<'a> {
    pub(super) fn new(options: &'a Options, now_ms: i64, out: &'a mut SeriesBatch) -> Self {
        Translator {
            options,
            now_ms,
            out,
            outcome: TranslationResult::default(),
            newest_nanos: 0,
            point: PointLabels::default(),
            bounds: BoundLabels::default(),
        }
    }

    pub(super) fn is_adot(&self) -> bool {
        self.options.naming.compat == Compat::Adot
    }

    /// Counts points of a metric that is refused as a whole. Their times still make `target_info` current.
    pub(super) fn reject_all(
        &mut self,
        times: impl Iterator<Item = u64>,
        reason: &'static str,
        example: impl FnOnce() -> String,
    ) {
        let mut count = 0;
        for nanos in times {
            count += 1;
            if self.age_error(nanos).is_none() {
                self.newest_nanos = self.newest_nanos.max(nanos);
            }
        }
        self.outcome.received += count;
        self.outcome.rejected.add(reason, count, example);
    }

    pub(super) fn reject(&mut self, reason: &'static str, family: &MetricFamily) {
        self.outcome.rejected.add(reason, 1, || format!("a point of {}", family.name));
    }

    /// Counts a point as received, and as refused when its time is none that can be written.
    pub(super) fn accept_point(&mut self, nanos: u64, start_nanos: u64, family: &MetricFamily) -> Option<PointTimes> {
        self.outcome.received += 1;
        if let Some(reason) = self.age_error(nanos) {
            let (timestamp_ms, now_ms) = (millis(nanos), self.now_ms);
            self.outcome.rejected.add(reason, 1, || {
                format!("a point of {} at {timestamp_ms} ms, while it is {now_ms} ms here", family.name)
            });
            return None;
        }
        self.newest_nanos = self.newest_nanos.max(nanos);
        Some(PointTimes { timestamp_ms: millis(nanos), start_ms: millis(start_nanos) })
    }

    /// Why a point of this time cannot be written: AMP refuses what is older than an hour or further ahead than ten
    /// minutes, and names only the first such series of a request.
    fn age_error(&self, nanos: u64) -> Option<&'static str> {
        if nanos == 0 {
            return Some("no_timestamp");
        }
        let age_ms = self.now_ms.saturating_sub(millis(nanos));
        if self.options.max_age_ms.is_some_and(|max| age_ms > max) {
            return Some("too_old");
        }
        self.options.max_ahead_ms.is_some_and(|max| age_ms.saturating_neg() > max).then_some("too_far_in_future")
    }

    /// Counts a point whose series are written.
    pub(super) fn record_written(&mut self, pushed: InsertOutcome, family: &MetricFamily) {
        self.outcome.written += 1;
        if pushed == InsertOutcome::Replaced {
            self.outcome.warnings.add("duplicate_point", 1, || {
                format!("{} has two points of one time and the same labels: the later one is kept", family.name)
            });
        }
    }

    /// Writes the `_created` series of a point, when it is wanted and known.
    pub(super) fn write_created(&mut self, times: PointTimes, family: &MetricFamily) {
        if !self.options.created || !family.is_cumulative || times.start_ms == 0 {
            return;
        }
        let base = family.name.strip_suffix("_total").unwrap_or(&family.name);
        let mut name = Vec::new();
        encode_label(&mut name, "__name__", &format!("{base}_created"));
        let name = self.out.add_label_run(&name);
        let id = self.point.series(name, self.out);
        // Milliseconds of any year that matters are exact in an f64.
        self.out.add_sample(id, times.timestamp_ms, times.start_ms as f64 / 1000.0);
    }

    /// Writes a sample of a series that belongs to no point.
    pub(super) fn write_extra(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) {
        if let Some(reason) = limits::exceeded_limit(labels.iter())
            && !self.options.is_relabelled_later
        {
            let name = labels.get("__name__").unwrap_or_default();
            self.outcome.warnings.add(reason, 1, || format!("{name} is left out"));
            return;
        }
        let id = self.out.series(labels.iter());
        self.out.add_sample(id, timestamp_ms, value);
    }
}

/// Nanoseconds as milliseconds, the way the exporter has it: as a signed number, cut.
pub(super) fn millis(nanos: u64) -> i64 {
    nanos.cast_signed() / 1_000_000
}

/// The value of a point: its own, or the staleness marker when it says that its series has ended.
pub(super) fn value_or_stale(value: f64, is_stale: bool) -> f64 {
    if is_stale { f64::from_bits(STALE_NAN) } else { value }
}
