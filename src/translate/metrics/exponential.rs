//! Exponential histograms, written as native histograms or as classic series.

use super::context::{PointTimes, Translator};
use super::family::MetricFamily;
use super::histogram::{self, ClassicHistogram, HistogramSeries};
use super::labels::{BaseLabels, ReservedLabel};
use super::native::{self, MAX_SCHEMA, MIN_SCHEMA};
use super::{exemplars, options};
use crate::model::budget::BudgetExceeded;
use crate::model::otlp::NO_RECORDED_VALUE;
use crate::model::otlp::borrowed::{ExponentialHistogramDataPoint, MetricData};
use crate::model::series::{InsertOutcome, LabelRun, NativeHistogram, STALE_NAN};

const NATIVE: ReservedLabel = ReservedLabel { label: "" };

/// Width of the zero bucket of a point that does not specify it (collector-contrib, `defaultZeroThreshold`).
const ZERO_THRESHOLD: f64 = 1e-128;

/// Maximum scale of classic buckets, a factor of 1.41 between bounds. Bounds are labels, and should stay the same if the
/// application changes its scale.
const CLASSIC_SCALE: i32 = 1;
/// Maximum number of positive or negative classic buckets. Buckets of a wider range are merged.
const CLASSIC_BUCKETS: usize = 80;

/// Memory of a bucket while it is converted: index and count, its span and its delta, each in a list that may just have grown.
const BUCKET_BYTES: usize = 80;

pub(super) fn write<'m>(
    data: &MetricData<'m>,
    point: &mut ExponentialHistogramDataPoint<'m>,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let native_name = family.label("", context.out);
    let classic = (context.options.exponential == options::ExponentialHistogramFormat::Classic)
        .then(|| HistogramSeries::new(family, context));
    for encoded in data.points() {
        if !context.decode(encoded, data.kind, point, family)? {
            continue;
        }
        let point = &*point;
        let start_nanos = point.start_time_unix_nano;
        let Some(times) = context.accept_point(point.time_unix_nano, start_nanos, family) else { continue };
        let reserved = if classic.is_some() { histogram::RESERVED } else { NATIVE };
        let written = match &classic {
            None => native_histogram(point, times, family, context).and_then(|histogram| {
                label(point, base, family, reserved, context)?;
                Ok(push_native(point, histogram, native_name, context)?)
            }),
            Some(names) => classic_buckets(point, context).and_then(|buckets| {
                // Before the labels of the point, which may be discarded.
                let infinity = context.set_bounds(&buckets.bounds)?;
                label(point, base, family, reserved, context)?;
                Ok(push_classic(point, times, &buckets, infinity, names, context)?)
            }),
        };
        match written {
            Ok(inserted) => {
                context.write_created(times, family);
                context.record_written(inserted, family);
            }
            Err(PointError::Reason(reason)) => context.reject(reason, family),
            Err(PointError::AlreadyCounted) => {}
            Err(PointError::Budget(error)) => return Err(error),
        }
    }
    Ok(())
}

/// A point was rejected.
enum PointError {
    Reason(&'static str),
    /// The rejection is counted already.
    AlreadyCounted,
    /// The whole request is not processed.
    Budget(BudgetExceeded),
}

impl From<BudgetExceeded> for PointError {
    fn from(error: BudgetExceeded) -> Self {
        PointError::Budget(error)
    }
}

fn label(
    point: &ExponentialHistogramDataPoint<'_>,
    base: &BaseLabels<'_>,
    family: &MetricFamily,
    reserved: ReservedLabel,
    context: &mut Translator<'_>,
) -> Result<(), PointError> {
    if context.label(&point.attributes, base, family, reserved)? { Ok(()) } else { Err(PointError::AlreadyCounted) }
}

fn push_native(
    point: &ExponentialHistogramDataPoint<'_>,
    histogram: NativeHistogram,
    name: LabelRun,
    context: &mut Translator<'_>,
) -> Result<InsertOutcome, BudgetExceeded> {
    let id = context.point.series(name, context.out);
    let inserted = context.out.push_histogram(id, histogram);
    exemplars::write(&point.exemplars, |_| Some(id), context)?;
    Ok(inserted)
}

fn native_histogram(
    point: &ExponentialHistogramDataPoint<'_>,
    times: PointTimes,
    family: &MetricFamily,
    context: &mut Translator<'_>,
) -> Result<NativeHistogram, PointError> {
    let is_stale = point.flags & NO_RECORDED_VALUE != 0;
    let zero_threshold = if point.zero_threshold > 0.0 { point.zero_threshold } else { ZERO_THRESHOLD };
    let empty = NativeHistogram {
        timestamp_ms: times.timestamp_ms,
        zero_threshold,
        schema: point.scale.clamp(MIN_SCHEMA, MAX_SCHEMA),
        is_gauge: family.is_delta,
        ..NativeHistogram::default()
    };
    if is_stale && !context.is_adot() {
        return Ok(NativeHistogram { sum: f64::from_bits(STALE_NAN), ..empty });
    }
    if point.scale < MIN_SCHEMA {
        return Err(PointError::Reason("scale_too_low"));
    }
    reserve_buckets(point, context)?;
    let shift = u32::try_from(point.scale - MAX_SCHEMA).unwrap_or(0);
    let too_large = PointError::Reason("histogram_too_large");
    let sides = |buckets| native::merge_buckets(buckets, shift).and_then(|side| Some((native::total(&side)?, side)));
    let (Some((positive_count, positive)), Some((negative_count, negative))) =
        (sides(&point.positive), sides(&point.negative))
    else {
        return Err(too_large);
    };
    let in_buckets = positive_count.checked_add(negative_count).and_then(|sum| sum.checked_add(point.zero_count));
    let (Some(in_buckets), Some(positive), Some(negative)) =
        (in_buckets, native::sparse(&positive), native::sparse(&negative))
    else {
        return Err(too_large);
    };
    let histogram = NativeHistogram { zero_count: point.zero_count, positive, negative, ..empty };
    if is_stale {
        return Ok(NativeHistogram { sum: f64::from_bits(STALE_NAN), count: STALE_NAN, ..histogram });
    }
    let sum = point.sum.unwrap_or(0.0);
    Ok(NativeHistogram { sum, count: count(point, sum, in_buckets, family, context), ..histogram })
}

/// Returns the count of a native histogram. Prometheus and AMP reject a count that differs from the sum of the buckets, so
/// the sum of the buckets is used. A higher count is valid if the sum is NaN: NaN observations are in no bucket.
fn count(
    point: &ExponentialHistogramDataPoint<'_>,
    sum: f64,
    in_buckets: u64,
    family: &MetricFamily,
    context: &mut Translator<'_>,
) -> u64 {
    if point.count == in_buckets || (sum.is_nan() && point.count > in_buckets) {
        return point.count;
    }
    context.outcome.warnings.add("histogram_count_corrected", 1, || {
        format!("{} has a count of {} but {in_buckets} observations in its buckets", family.name, point.count)
    });
    in_buckets
}

/// Bounds and counts in ascending order. The last count is for the bucket above the last bound.
struct ClassicBuckets {
    bounds: Vec<f64>,
    counts: Vec<u64>,
}

/// Checks the memory for the conversion of the buckets of a point.
fn reserve_buckets(point: &ExponentialHistogramDataPoint<'_>, context: &Translator<'_>) -> Result<(), BudgetExceeded> {
    let buckets = point.positive.bucket_counts.len() + point.negative.bucket_counts.len();
    context.budget.reserve(BUCKET_BYTES * buckets)
}

fn classic_buckets(
    point: &ExponentialHistogramDataPoint<'_>,
    context: &Translator<'_>,
) -> Result<ClassicBuckets, PointError> {
    let too_large = || PointError::Reason("histogram_too_large");
    reserve_buckets(point, context)?;
    let mut scale = i64::from(point.scale.min(CLASSIC_SCALE));
    let shift = u32::try_from(i64::from(point.scale) - scale).unwrap_or(u32::MAX);
    let mut positive = native::merge_buckets(&point.positive, shift).ok_or_else(too_large)?;
    let mut negative = native::merge_buckets(&point.negative, shift).ok_or_else(too_large)?;
    // Indexes have 33 bits, so at most two buckets per side remain after 33 steps.
    while positive.len().max(negative.len()) > CLASSIC_BUCKETS {
        scale -= 1;
        (positive, negative) =
            (native::halve(&positive).ok_or_else(too_large)?, native::halve(&negative).ok_or_else(too_large)?);
    }
    let mut buckets = ClassicBuckets { bounds: Vec::new(), counts: Vec::new() };
    // A negative bucket ranges from -base^(index+1) to -base^index, which is its upper bound.
    for &(index, count) in negative.iter().rev() {
        buckets.push(-power(index, scale), count);
    }
    if point.zero_count > 0 || !negative.is_empty() {
        let zero = if point.zero_threshold > 0.0 { point.zero_threshold } else { 0.0 };
        buckets.push(zero, i64::try_from(point.zero_count).map_err(|_| too_large())?);
    }
    for &(index, count) in &positive {
        // If no bucket ends at the lower bound of this bucket, add an empty bucket that does.
        let lower = power(index, scale);
        if buckets.bounds.last().is_none_or(|&last| last < lower) {
            buckets.push(lower, 0);
        }
        buckets.push(power(index + 1, scale), count);
    }
    buckets.counts.push(0);
    Ok(buckets)
}

impl ClassicBuckets {
    /// Adds a bucket. If its bound is not above the last bound, or is infinite, its count is added to the adjacent bucket.
    fn push(&mut self, bound: f64, count: i64) {
        let count = count.unsigned_abs();
        match (self.bounds.last(), self.counts.last_mut()) {
            (Some(&last), Some(sum)) if last >= bound => *sum = sum.saturating_add(count),
            _ if bound.is_finite() => {
                self.bounds.push(bound);
                self.counts.push(count);
            }
            _ => {}
        }
    }
}

/// Returns base^index, where base = 2^(2^-scale).
fn power(index: i64, scale: i64) -> f64 {
    // Power 0 is 1 even if the base exceeds the range of an f64.
    if index == 0 { 1.0 } else { (index as f64 * (-(scale as f64)).exp2()).exp2() }
}

fn push_classic(
    point: &ExponentialHistogramDataPoint<'_>,
    times: PointTimes,
    buckets: &ClassicBuckets,
    infinity: LabelRun,
    names: &HistogramSeries,
    context: &mut Translator<'_>,
) -> Result<InsertOutcome, BudgetExceeded> {
    let is_stale = point.flags & NO_RECORDED_VALUE != 0;
    let classic = ClassicHistogram {
        times,
        is_stale,
        sum: point.sum.or(is_stale.then_some(0.0)),
        count: point.count,
        bounds: &buckets.bounds,
        infinity,
        counts: &buckets.counts,
        exemplars: &point.exemplars,
    };
    histogram::write_classic(&classic, names, context)
}
