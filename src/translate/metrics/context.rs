//! State of the translation of one request.

use super::bounds::BoundLabels;
use super::family::MetricFamily;
use super::labels::{BaseLabels, PointInput, PointLabels, ReservedLabel};
use super::options::{Options, TranslationResult};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::otlp::borrowed::{
    DataKind, DataPoint, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, NumberDataPoint, SummaryDataPoint,
};
use crate::model::otlp::decoded_size;
use crate::model::otlp::protobuf::MalformedMessage;
use crate::model::series::{Checkpoint, InsertOutcome, LabelRun, Labels, STALE_NAN, Sample, SeriesBatch};
use crate::translate::{MALFORMED, limits};

/// Memory of an attribute of a point while its labels are built, if two of them have the same label name.
const ATTRIBUTE_BYTES: usize = 256;

/// State of the translation of one request.
pub(super) struct Translator<'a> {
    pub(super) options: &'a Options,
    pub(super) now_ms: i64,
    pub(super) budget: &'a dyn Budget,
    pub(super) out: &'a mut SeriesBatch,
    pub(super) outcome: TranslationResult,
    /// The newest time of all points of the current resource, including rejected points.
    pub(super) newest_nanos: u64,
    /// Labels of the current point, kept here to reuse the buffers.
    pub(super) point: PointLabels,
    pub(super) bounds: BoundLabels,
    /// The batch before the labels of the current point were written.
    before_point: Checkpoint,
}

/// A point of each kind, into whose memory all points of a request are decoded.
#[derive(Default)]
pub(super) struct PointBuffers<'m> {
    pub(super) number: NumberDataPoint<'m>,
    pub(super) histogram: HistogramDataPoint<'m>,
    pub(super) exponential: ExponentialHistogramDataPoint<'m>,
    pub(super) summary: SummaryDataPoint<'m>,
}

/// Timestamp and start time of a point.
#[derive(Clone, Copy)]
pub(super) struct PointTimes {
    pub(super) timestamp_ms: i64,
    /// 0 if unknown.
    pub(super) start_ms: i64,
}

impl PointTimes {
    pub(super) fn sample(self, value: f64) -> Sample {
        Sample { timestamp_ms: self.timestamp_ms, value }
    }
}

impl<'a> Translator<'a> {
    pub(super) fn new(options: &'a Options, now_ms: i64, budget: &'a dyn Budget, out: &'a mut SeriesBatch) -> Self {
        Translator {
            options,
            now_ms,
            budget,
            out,
            outcome: TranslationResult::default(),
            newest_nanos: 0,
            point: PointLabels::default(),
            bounds: BoundLabels::default(),
            before_point: Checkpoint::default(),
        }
    }

    pub(super) fn is_adot(&self) -> bool {
        self.options.is_adot()
    }

    /// Decodes a point. Returns `false` if it was rejected because it is malformed.
    #[inline(always)]
    pub(super) fn decode<'m, P: DataPoint<'m>>(
        &mut self,
        encoded: &'m [u8],
        kind: DataKind,
        point: &mut P,
        family: &MetricFamily,
    ) -> Result<bool, BudgetExceeded> {
        decoded_size::reserve_point(kind, encoded, self.budget)?;
        match point.decode_again(encoded) {
            Ok(()) => Ok(true),
            Err(error) => self.reject_malformed(error, family).map(|()| false),
        }
    }

    #[cold]
    fn reject_malformed(&mut self, error: MalformedMessage, family: &MetricFamily) -> Result<(), BudgetExceeded> {
        self.outcome.received += 1;
        let example = || format!("a point of {} is not valid protobuf: {error}", family.name);
        self.outcome.rejected.add(MALFORMED, 1, example);
        self.budget.check()
    }

    /// Rejects all points of a metric. Their times still count for `target_info`.
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

    /// Rejects a point that was counted as received.
    pub(super) fn reject(&mut self, reason: &'static str, family: &MetricFamily) {
        self.outcome.rejected.add(reason, 1, || format!("a point of {}", family.name));
    }

    /// Rejects a point because of its labels. `detail` describes the label that exceeds the limit.
    fn reject_labels(&mut self, reason: &'static str, detail: &str, family: &MetricFamily) {
        self.outcome.rejected.add(reason, 1, || match detail {
            _ if detail.is_empty() || reason != limits::VALUE_TOO_LONG => format!("a point of {}", family.name),
            _ => format!("{detail} (a point of {})", family.name),
        });
    }

    /// Counts a point as received. Returns `None` if it was rejected because of its time.
    pub(super) fn accept_point(&mut self, nanos: u64, start_nanos: u64, family: &MetricFamily) -> Option<PointTimes> {
        self.outcome.received += 1;
        if let Some(reason) = self.age_error(nanos) {
            let (timestamp_ms, now_ms) = (millis(nanos), self.now_ms);
            self.outcome.rejected.add(reason, 1, || {
                format!("a point of {} has the time {timestamp_ms} ms, the current time is {now_ms} ms", family.name)
            });
            return None;
        }
        self.newest_nanos = self.newest_nanos.max(nanos);
        Some(PointTimes { timestamp_ms: millis(nanos), start_ms: millis(start_nanos) })
    }

    /// Returns the reason to reject a point of this time. AMP rejects samples that are more than one hour old or more than
    /// ten minutes in the future, and its error names only the first such series of a request.
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

    /// Builds the labels of a point in [`Translator::point`]. Returns `false` if the point was rejected. Runs of labels that are
    /// written after this belong to the point: they are discarded if no new series refers to them.
    pub(super) fn label(
        &mut self,
        attributes: &[KeyValue<'_>],
        base: &BaseLabels<'_>,
        family: &MetricFamily,
        reserved: ReservedLabel,
    ) -> Result<bool, BudgetExceeded> {
        if let Some(reason) = base.exceeded {
            self.budget.check()?;
            self.reject_labels(reason, &base.exceeded_by, family);
            return Ok(false);
        }
        self.budget.reserve(base.size + ATTRIBUTE_BYTES * attributes.len())?;
        let (is_delta, naming) = (family.is_delta, &self.options.naming);
        let long_labels = self.options.limited_labels();
        let input = PointInput { attributes, base, reserved, is_delta, naming, long_labels };
        self.point.build(&input, &mut self.outcome.warnings);
        if long_labels.is_some()
            && let Some(reason) = self.point.exceeded_limit(family.name.len(), reserved, self.out)
        {
            let long_label = std::mem::take(&mut self.point.long_label);
            self.reject_labels(reason, &long_label, family);
            return Ok(false);
        }
        self.before_point = self.out.checkpoint();
        self.point.write(reserved, self.out);
        Ok(true)
    }

    /// Writes the labels of the buckets of a histogram. Returns the label of the bucket above the bounds.
    pub(super) fn set_bounds(&mut self, bounds: &[f64]) -> Result<LabelRun, BudgetExceeded> {
        self.bounds.set(bounds, self.budget, self.out)
    }

    /// Counts a point whose series were written.
    pub(super) fn record_written(&mut self, inserted: InsertOutcome, family: &MetricFamily) {
        self.out.discard_unused_labels(self.before_point);
        self.outcome.written += 1;
        if inserted == InsertOutcome::Replaced {
            self.outcome.warnings.add("duplicate_point", 1, || {
                format!("{} has two points with the same time and labels: the last one is used", family.name)
            });
        }
    }

    /// Writes the `_created` series of a point, if it is enabled and the start time is known.
    pub(super) fn write_created(&mut self, times: PointTimes, family: &MetricFamily) {
        let Some(name) = family.created.filter(|_| times.start_ms != 0) else { return };
        let id = self.point.series(name, self.out);
        // An f64 represents the milliseconds of all realistic times exactly.
        self.out.add_sample(id, times.timestamp_ms, times.start_ms as f64 / 1000.0);
    }

    /// Writes a sample of a series that does not belong to a point.
    pub(super) fn write_extra(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) {
        if let Some(reason) = limits::exceeded_limit(labels.iter())
            && !self.options.is_relabelled_later
        {
            return self.warn_not_written(reason, labels.get("__name__").unwrap_or_default());
        }
        let id = self.out.series(labels.iter());
        self.out.add_sample(id, timestamp_ms, value);
    }

    /// Counts a series that does not belong to a point, and that exceeds a limit.
    pub(super) fn warn_not_written(&mut self, reason: &'static str, name: &str) {
        self.outcome.warnings.add(reason, 1, || format!("{name} is not written"));
    }
}

/// Converts nanoseconds to milliseconds as the exporter does: as a signed number, truncated.
pub(super) fn millis(nanos: u64) -> i64 {
    nanos.cast_signed() / 1_000_000
}

/// Returns the value of a point, or the staleness marker if the point marks the end of its series.
pub(super) fn value_or_stale(value: f64, is_stale: bool) -> f64 {
    if is_stale { f64::from_bits(STALE_NAN) } else { value }
}
