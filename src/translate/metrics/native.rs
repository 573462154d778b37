//! Conversion of exponential histogram buckets to native histogram buckets.
//!
//! OTLP bucket `i` ranges from base^(offset+i) to base^(offset+i+1). Prometheus identifies a bucket by its upper bound, so
//! its index is one higher. Scales above 8 are reduced to schema 8 by merging 2^(scale-8) buckets into one.

use crate::model::otlp::Buckets;
use crate::model::series::NativeBuckets;

/// The highest resolution that Prometheus and AMP support.
pub(super) const MAX_SCHEMA: i32 = 8;
/// The lowest resolution that they support.
pub(super) const MIN_SCHEMA: i32 = -4;

/// Up to this number of empty buckets are written instead of a new span: a span is larger than two zeros.
const MAX_GAP: i64 = 2;

/// Returns the non-empty buckets by OTLP index in ascending order, after halving the resolution `shift` times. Returns
/// `None` if counts or indexes exceed the integers of remote write.
pub(super) fn merge_buckets(buckets: &Buckets, shift: u32) -> Option<Vec<(i64, i64)>> {
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (position, &count) in buckets.bucket_counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
        let index = (i64::from(buckets.offset) + i64::try_from(position).ok()?) >> shift.min(63);
        let count = i64::try_from(count).ok()?;
        add(&mut merged, index, count)?;
    }
    Some(merged)
}

/// Halves the resolution of buckets. Returns `None` on overflow.
pub(super) fn halve(buckets: &[(i64, i64)]) -> Option<Vec<(i64, i64)>> {
    let mut merged: Vec<(i64, i64)> = Vec::with_capacity(buckets.len() / 2 + 1);
    for &(index, count) in buckets {
        add(&mut merged, index >> 1, count)?;
    }
    Some(merged)
}

/// Adds a count to the last bucket, or as a new one. Returns `None` on overflow.
fn add(merged: &mut Vec<(i64, i64)>, index: i64, count: i64) -> Option<()> {
    match merged.last_mut() {
        Some((last, sum)) if *last == index => *sum = sum.checked_add(count)?,
        _ => merged.push((index, count)),
    }
    Some(())
}

/// Returns the sum of the counts, or `None` on overflow.
pub(super) fn total(buckets: &[(i64, i64)]) -> Option<u64> {
    buckets.iter().try_fold(0u64, |sum, &(_, count)| sum.checked_add(u64::try_from(count).ok()?))
}

/// Converts buckets by OTLP index in ascending order to spans and deltas. Returns `None` on overflow.
pub(super) fn sparse(buckets: &[(i64, i64)]) -> Option<NativeBuckets> {
    let mut sparse = NativeBuckets::default();
    // Index of the next bucket if there is no gap.
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
        let sparse = sparse(&merge_buckets(&buckets, shift).expect("fits")).expect("fits");
        (sparse.spans, sparse.deltas)
    }

    #[test]
    fn span_contains_at_most_two_empty_buckets() {
        assert_eq!(native(0, &[1, 2, 3], 0), (vec![(1, 3)], vec![1, 1, 1]));
        assert_eq!(native(-2, &[4, 2, 0, 0, 0, 0, 7], 0), (vec![(-1, 2), (4, 1)], vec![4, -2, 5]));
        assert_eq!(native(0, &[4, 0, 0, 7], 0), (vec![(1, 4)], vec![4, -4, 0, 7]));
        assert_eq!(native(0, &[4, 0, 0, 0, 7], 0), (vec![(1, 1), (3, 1)], vec![4, 3]));
        assert_eq!(native(5, &[0, 0], 0), (vec![], vec![]));
    }

    #[test]
    fn buckets_of_higher_scales_are_merged() {
        assert_eq!(native(-3, &[1; 8], 2), (vec![(0, 3)], vec![3, 1, -3]));
        assert_eq!(native(0, &[0, 0, 1, 2, 3, 4], 1), (vec![(2, 2)], vec![3, 4]));
        assert_eq!(native(5, &[0, 5, 0], 1), (vec![(4, 1)], vec![5]));
    }

    #[test]
    fn bucket_counts_and_indexes_can_overflow() {
        let buckets = |offset, counts: &[u64]| Buckets { offset, bucket_counts: counts.to_vec() };
        assert_eq!(merge_buckets(&buckets(0, &[u64::MAX]), 0), None);
        let far = merge_buckets(&buckets(i32::MAX, &[1]), 0).expect("fits an i64");
        assert_eq!(sparse(&far), None);
    }
}
