//! Histograms with explicit bounds: `_sum`, `_count`, and a running count for each bound.

use super::context::{MetricFamily, PointTimes, Translator, value_or_stale};
use super::exemplars;
use super::labels::{BaseLabels, ReservedLabel};
use crate::model::otlp::{Exemplar, HistogramDataPoint, NO_RECORDED_VALUE};
use crate::model::series::{InsertOutcome, LabelRun, SeriesBatch, SeriesId, encode_label};
use crate::translate::attributes::write_decimal;

pub(super) const RESERVED: ReservedLabel = ReservedLabel { label: "le" };

/// The label `le` of each bound, kept from one point to the next: most have the same bounds.
#[derive(Debug, Default)]
pub(super) struct BoundLabels {
    bounds: Vec<f64>,
    labels: Vec<LabelRun>,
    /// `le="+Inf"`
    infinity: Option<LabelRun>,
}

/// The names of a histogram's series.
pub(super) struct HistogramSeries {
    pub(super) sum: LabelRun,
    pub(super) count: LabelRun,
    pub(super) bucket: LabelRun,
}

/// A histogram in the form that classic series need.
pub(super) struct ClassicHistogram<'a> {
    pub(super) times: PointTimes,
    pub(super) is_stale: bool,
    pub(super) sum: Option<f64>,
    pub(super) count: u64,
    pub(super) bounds: &'a [f64],
    /// Of each bucket, not yet added up.
    pub(super) counts: &'a [u64],
    pub(super) exemplars: &'a [Exemplar],
}

impl BoundLabels {
    /// Makes these the bounds. Gives back the label of the bucket above them.
    fn set(&mut self, bounds: &[f64], out: &mut SeriesBatch) -> LabelRun {
        let is_same = |(left, right): (&f64, &f64)| left.to_bits() == right.to_bits();
        if let Some(infinity) = self.infinity
            && self.bounds.len() == bounds.len()
            && self.bounds.iter().zip(bounds).all(is_same)
        {
            return infinity;
        }
        let (mut text, mut label) = (String::new(), Vec::new());
        let mut le = |write: &dyn Fn(&mut String)| {
            text.clear();
            label.clear();
            write(&mut text);
            encode_label(&mut label, RESERVED.label, &text);
            out.add_label_run(&label)
        };
        self.bounds = bounds.to_vec();
        self.labels = bounds.iter().map(|&bound| le(&|text| write_decimal(bound, text))).collect();
        *self.infinity.insert(le(&|text| text.push_str("+Inf")))
    }
}

impl HistogramSeries {
    pub(super) fn new(family: &MetricFamily, context: &mut Translator<'_>) -> Self {
        let mut name = |suffix| family.label(suffix, context.out);
        HistogramSeries { sum: name("_sum"), count: name("_count"), bucket: name("_bucket") }
    }
}

pub(super) fn write(
    points: &[HistogramDataPoint],
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) {
    let names = HistogramSeries::new(family, context);
    for point in points {
        write_point(point, &names, family, base, context);
    }
}

fn write_point(
    point: &HistogramDataPoint,
    names: &HistogramSeries,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) {
    let Some(times) = context.accept_point(point.time_unix_nano, point.start_time_unix_nano, family) else { return };
    let is_stale = point.flags & NO_RECORDED_VALUE != 0;
    if let Some(reason) = bucket_error(point)
        && !context.is_adot()
    {
        return context.reject(reason, family);
    }
    if !context.label(&point.attributes, base, family, RESERVED) {
        return;
    }
    let classic = ClassicHistogram {
        times,
        is_stale,
        // An ended series has no sum to tell of, but `_sum` has to end with the others.
        sum: point.sum.or((is_stale && !context.is_adot()).then_some(0.0)),
        count: point.count,
        bounds: &point.explicit_bounds,
        counts: &point.bucket_counts,
        exemplars: &point.exemplars,
    };
    let pushed = write_classic(&classic, names, context);
    context.write_created(times, family);
    context.record_written(pushed, family);
}

/// What makes the buckets of a point meaningless.
fn bucket_error(point: &HistogramDataPoint) -> Option<&'static str> {
    let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
    if bounds.iter().any(|bound| bound.is_nan()) {
        return Some("nan_bounds");
    }
    if bounds.windows(2).any(|pair| matches!(pair, [left, right] if left >= right)) {
        return Some("unsorted_bounds");
    }
    // metrics.proto, HistogramDataPoint: one count more than bounds, or neither counts nor bounds.
    let is_empty = bounds.is_empty() && counts.is_empty();
    (!is_empty && counts.len() != bounds.len() + 1).then_some("mismatched_buckets")
}

/// Writes the classic series of a histogram whose labels stand in [`Context::point`].
pub(super) fn write_classic(
    histogram: &ClassicHistogram<'_>,
    names: &HistogramSeries,
    context: &mut Translator<'_>,
) -> InsertOutcome {
    let Translator { out, point: labels, bounds, .. } = context;
    let times = histogram.times;
    let value = |value| times.sample(value_or_stale(value, histogram.is_stale));
    if let Some(sum) = histogram.sum {
        let id = labels.series(names.sum, out);
        out.push_sample(id, value(sum));
    }
    let id = labels.series(names.count, out);
    let pushed = out.push_sample(id, value(histogram.count as f64));
    let infinity = bounds.set(histogram.bounds, out);
    let mut buckets = Vec::with_capacity(if histogram.exemplars.is_empty() { 0 } else { histogram.bounds.len() + 1 });
    let mut running = 0u64;
    for (&le, &count) in bounds.labels.iter().zip(histogram.counts) {
        running = running.saturating_add(count);
        let id = labels.series_with(names.bucket, le, out);
        out.push_sample(id, value(running as f64));
        if !histogram.exemplars.is_empty() {
            buckets.push(id);
        }
    }
    let infinity = labels.series_with(names.bucket, infinity, out);
    out.push_sample(infinity, value(histogram.count as f64));
    let bucket_of = |example: f64| bucket_of(example, histogram.bounds, &buckets, infinity);
    exemplars::write(histogram.exemplars, bucket_of, context);
    pushed
}

/// The first bucket that holds a value.
fn bucket_of(value: f64, bounds: &[f64], buckets: &[SeriesId], infinity: SeriesId) -> Option<SeriesId> {
    let holding = bounds.iter().zip(buckets).find(|&(&bound, _)| value <= bound);
    Some(holding.map_or(infinity, |(_, &id)| id))
}
