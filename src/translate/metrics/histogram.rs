//! Histograms with explicit bounds: `_sum`, `_count` and a cumulative count for each bound.

use super::bounds::LE;
use super::context::{PointTimes, Translator, value_or_stale};
use super::exemplars;
use super::family::MetricFamily;
use super::labels::{BaseLabels, ReservedLabel};
use crate::model::budget::BudgetExceeded;
use crate::model::otlp::NO_RECORDED_VALUE;
use crate::model::otlp::borrowed::{Exemplar, HistogramDataPoint, MetricData};
use crate::model::series::{InsertOutcome, LabelRun, SeriesId};

pub(super) const RESERVED: ReservedLabel = ReservedLabel { label: LE };

/// Names of the series of a histogram.
pub(super) struct HistogramSeries {
    pub(super) sum: LabelRun,
    pub(super) count: LabelRun,
    pub(super) bucket: LabelRun,
}

/// Input of the classic series of a histogram.
pub(super) struct ClassicHistogram<'a> {
    pub(super) times: PointTimes,
    pub(super) is_stale: bool,
    pub(super) sum: Option<f64>,
    pub(super) count: u64,
    pub(super) bounds: &'a [f64],
    /// Label of the bucket above the bounds, as returned by [`Translator::set_bounds`] for them.
    pub(super) infinity: LabelRun,
    /// Count of each bucket, not cumulative.
    pub(super) counts: &'a [u64],
    pub(super) exemplars: &'a [Exemplar<'a>],
}

impl HistogramSeries {
    pub(super) fn new(family: &MetricFamily, context: &mut Translator<'_>) -> Self {
        let mut name = |suffix| family.label(suffix, context.out);
        HistogramSeries { sum: name("_sum"), count: name("_count"), bucket: name("_bucket") }
    }
}

pub(super) fn write<'m>(
    data: &MetricData<'m>,
    point: &mut HistogramDataPoint<'m>,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let names = HistogramSeries::new(family, context);
    for encoded in data.points() {
        if context.decode(encoded, data.kind, point, family)? {
            write_point(point, &names, family, base, context)?;
        }
    }
    Ok(())
}

fn write_point(
    point: &HistogramDataPoint<'_>,
    names: &HistogramSeries,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let start_nanos = point.start_time_unix_nano;
    let Some(times) = context.accept_point(point.time_unix_nano, start_nanos, family) else { return Ok(()) };
    let is_stale = point.flags & NO_RECORDED_VALUE != 0;
    if let Some(reason) = bucket_error(point)
        && !context.is_adot()
    {
        context.reject(reason, family);
        return Ok(());
    }
    // Before the labels of the point, which may be discarded.
    let infinity = context.set_bounds(&point.explicit_bounds)?;
    if !context.label(&point.attributes, base, family, RESERVED)? {
        return Ok(());
    }
    let classic = ClassicHistogram {
        times,
        is_stale,
        // A staleness marker has no sum, but `_sum` must end together with the other series.
        sum: point.sum.or((is_stale && !context.is_adot()).then_some(0.0)),
        count: point.count,
        bounds: &point.explicit_bounds,
        infinity,
        counts: &point.bucket_counts,
        exemplars: &point.exemplars,
    };
    let inserted = write_classic(&classic, names, context)?;
    context.write_created(times, family);
    context.record_written(inserted, family);
    Ok(())
}

/// Returns the reason why the buckets of a point are invalid.
fn bucket_error(point: &HistogramDataPoint<'_>) -> Option<&'static str> {
    let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
    if bounds.iter().any(|bound| bound.is_nan()) {
        return Some("nan_bounds");
    }
    if bounds.windows(2).any(|pair| matches!(pair, [left, right] if left >= right)) {
        return Some("unsorted_bounds");
    }
    // metrics.proto, HistogramDataPoint: one more count than bounds, or neither counts nor bounds.
    let is_empty = bounds.is_empty() && counts.is_empty();
    (!is_empty && counts.len() != bounds.len() + 1).then_some("mismatched_buckets")
}

/// Writes the classic series of a histogram with the labels in [`Translator::point`].
pub(super) fn write_classic(
    histogram: &ClassicHistogram<'_>,
    names: &HistogramSeries,
    context: &mut Translator<'_>,
) -> Result<InsertOutcome, BudgetExceeded> {
    let Translator { out, point: labels, bounds, budget, .. } = context;
    let times = histogram.times;
    let value = |value| times.sample(value_or_stale(value, histogram.is_stale));
    let id = labels.series(names.count, out);
    let mut inserted = out.push_sample(id, value(histogram.count as f64));
    if let Some(sum) = histogram.sum {
        let id = labels.series(names.sum, out);
        inserted = inserted.or(out.push_sample(id, value(sum)));
    }
    let mut buckets = Vec::with_capacity(if histogram.exemplars.is_empty() { 0 } else { histogram.bounds.len() + 1 });
    let mut cumulative = 0u64;
    for (&le, &count) in bounds.labels().iter().zip(histogram.counts) {
        budget.check()?;
        cumulative = cumulative.saturating_add(count);
        let id = labels.series_with(names.bucket, le, out);
        inserted = inserted.or(out.push_sample(id, value(cumulative as f64)));
        if !histogram.exemplars.is_empty() {
            buckets.push(id);
        }
    }
    let infinity = labels.series_with(names.bucket, histogram.infinity, out);
    inserted = inserted.or(out.push_sample(infinity, value(histogram.count as f64)));
    let buckets = ascending(histogram.bounds, buckets);
    let bucket_of = |value: f64| {
        let first = buckets.partition_point(|&(bound, _)| bound < value);
        Some(buckets.get(first).filter(|_| !value.is_nan()).map_or(infinity, |&(_, id)| id))
    };
    exemplars::write(histogram.exemplars, bucket_of, context)?;
    Ok(inserted)
}

/// Returns the buckets whose bound is above all bounds before it, so that the first bucket that contains a value can be found by
/// its bound. Only ADOT mode writes buckets of bounds that are not in order.
fn ascending(bounds: &[f64], buckets: Vec<SeriesId>) -> Vec<(f64, SeriesId)> {
    let mut ascending: Vec<(f64, SeriesId)> = Vec::with_capacity(buckets.len());
    for (&bound, id) in bounds.iter().zip(buckets) {
        if !bound.is_nan() && ascending.last().is_none_or(|&(last, _)| last < bound) {
            ascending.push((bound, id));
        }
    }
    ascending
}
