//! Buckets of exponential histograms as buckets of native histograms.
//!
//! OTLP bucket `i` reaches from base^(offset+i) to base^(offset+i+1); Prometheus names a bucket by its upper bound, so
//! that its index is one higher. Scales above 8 are merged down to schema 8: 2^(scale-8) buckets make one.

use crate::model::otlp::Buckets;
use crate::model::series::NativeBuckets;

/// The finest schema that Prometheus and AMP take.
pub(super) const MAX_SCHEMA: i32 = 8;
/// The coarsest.
pub(super) const MIN_SCHEMA: i32 = -4;

/// As many empty buckets are written out rather than starting a new span: a span costs more than two zeros.
const MAX_GAP: i64 = 2;

/// Non-empty buckets by OTLP index, lowest first, after `shift` halvings of the resolution. `None` when counts or indexes
/// do not fit remote write's integers.
pub(super) fn merge_labels(buckets: Option<&Buckets>, shift: u32) -> Option<Vec<(i64, i64)>> {
    let Some(buckets) = buckets else { return Some(Vec::new()) };
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (position, &count) in buckets.bucket_counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
        let index = (i64::from(buckets.offset) + i64::try_from(position).ok()?) >> shift.min(63);
        let count = i64::try_from(count).ok()?;
        match merged.last_mut() {
            Some((last, sum)) if *last == index => *sum = sum.checked_add(count)?,
            _ => merged.push((index, count)),
        }
    }
    Some(merged)
}

/// The sum of the counts, when it fits.
pub(super) fn total(buckets: &[(i64, i64)]) -> Option<u64> {
    buckets.iter().try_fold(0u64, |sum, &(_, count)| sum.checked_add(u64::try_from(count).ok()?))
}

/// Spans and deltas of buckets by OTLP index, lowest first.
pub(super) fn sparse(buckets: &[(i64, i64)]) -> Option<NativeBuckets> {
    let mut sparse = NativeBuckets::default();
    // Where the next bucket would be without a gap.
    let (mut expected, mut last_count) = (0i64, 0i64);
    for &(index, count) in buckets {
        let index = index + 1;
        let gap = index - expected;
        match sparse.spans.last_mut() {
            Some((_, length)) if gap <= MAX_GAP => {
                for _ in 0..gap {
                    sparse.deltas.push(-last_count);
                    last_count = 0;
                }
                *length += u32::try_from(gap).ok()? + 1;
            }
            _ => sparse.spans.push((i32::try_from(gap).ok()?, 1)),
        }
        sparse.deltas.push(count - last_count);
        last_count = count;
        expected = index + 1;
    }
    Some(sparse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(offset: i32, counts: &[u64], shift: u32) -> (Vec<(i32, u32)>, Vec<i64>) {
        let buckets = Buckets { offset, bucket_counts: counts.to_vec() };
        let sparse = sparse(&merge_labels(Some(&buckets), shift).expect("fits")).expect("fits");
        (sparse.spans, sparse.deltas)
    }

    #[test]
    fn spans_bridge_two_empty_buckets_and_no_more() {
        assert_eq!(native(0, &[1, 2, 3], 0), (vec![(1, 3)], vec![1, 1, 1]));
        assert_eq!(native(-2, &[4, 2, 0, 0, 0, 0, 7], 0), (vec![(-1, 2), (4, 1)], vec![4, -2, 5]));
        assert_eq!(native(0, &[4, 0, 0, 7], 0), (vec![(1, 4)], vec![4, -4, 0, 7]));
        assert_eq!(native(0, &[4, 0, 0, 0, 7], 0), (vec![(1, 1), (3, 1)], vec![4, 3]));
        assert_eq!(native(5, &[0, 0], 0), (vec![], vec![]));
    }

    #[test]
    fn finer_scales_are_merged_into_the_bucket_that_holds_them() {
        assert_eq!(native(-3, &[1; 8], 2), (vec![(0, 3)], vec![3, 1, -3]));
        assert_eq!(native(0, &[0, 0, 1, 2, 3, 4], 1), (vec![(2, 2)], vec![3, 4]));
        assert_eq!(native(5, &[0, 5, 0], 1), (vec![(4, 1)], vec![5]));
    }

    #[test]
    fn counts_and_indexes_that_do_not_fit_are_no_buckets() {
        let buckets = |offset, counts: &[u64]| Buckets { offset, bucket_counts: counts.to_vec() };
        assert_eq!(merge_labels(Some(&buckets(0, &[u64::MAX])), 0), None);
        let far = merge_labels(Some(&buckets(i32::MAX, &[1])), 0).expect("fits an i64");
        assert_eq!(sparse(&far), None);
    }
}
