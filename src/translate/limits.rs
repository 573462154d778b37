//! What Amazon Managed Service for Prometheus takes in one series.
//!
//! A series over a limit makes AMP answer 400 for the request that carries it, and AMP names only the first. So it is
//! refused here, by name.

use crate::model::series::{SeriesView, label_lengths};

/// Labels per series (AMP quota "Labels per metric series").
pub const MAX_LABELS: usize = 150;
/// Bytes of all names and values of one series (AMP quota "Label size", 7 KB).
pub const MAX_LABELS_SIZE: usize = 7 * 1024;
/// Bytes of a label's name (Cortex, `-validation.max-length-label-name`).
pub const MAX_NAME_SIZE: usize = 1024;
/// Bytes of a label's value, the metric's name among them (Cortex, `-validation.max-length-label-value`).
pub const MAX_VALUE_SIZE: usize = 2048;

/// A series whose encoded labels are shorter than this breaks none of the limits: a label takes at least eight bytes, so
/// that 150 of them take 1200, and a name or value at its limit alone takes more.
const SAFE_ENCODED_SIZE: usize = 1024;

/// Which limit labels break, as a reason for [`Refusals`](crate::model::refusal::Refusals).
pub fn exceeded_limit<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<&'static str> {
    check_lengths(labels.into_iter().map(|(name, value)| (name.len(), value.len())))
}

/// As [`broken_limit`], of a series of a batch. What the batch knows of its labels is enough for nearly all.
pub fn exceeded_limit_of(series: SeriesView<'_>) -> Option<&'static str> {
    let is_safe = series.labels_len() <= MAX_LABELS_SIZE
        && series.label_count() <= MAX_LABELS
        && series.longest_label() <= MAX_NAME_SIZE;
    if is_safe { None } else { exceeded_limit_encoded(series.label_runs(), None) }
}

/// As [`broken_limit`], of runs of labels encoded for remote write 1.0, and one more label of these lengths.
pub fn exceeded_limit_encoded<'a>(
    runs: impl Iterator<Item = &'a [u8]> + Clone,
    more: Option<(usize, usize)>,
) -> Option<&'static str> {
    let (name, value) = more.unwrap_or_default();
    if runs.clone().map(<[u8]>::len).sum::<usize>() + name + value < SAFE_ENCODED_SIZE {
        return None;
    }
    check_lengths(runs.flat_map(label_lengths).chain(more))
}

fn check_lengths(lengths: impl Iterator<Item = (usize, usize)>) -> Option<&'static str> {
    let (mut count, mut size) = (0, 0);
    for (name, value) in lengths {
        if name > MAX_NAME_SIZE {
            return Some("label_name_too_long");
        }
        if value > MAX_VALUE_SIZE {
            return Some("label_value_too_long");
        }
        count += 1;
        size += name + value;
    }
    if count > MAX_LABELS {
        return Some("too_many_labels");
    }
    (size > MAX_LABELS_SIZE).then_some("labels_too_large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::SeriesBatch;

    #[test]
    fn each_limit_is_named_and_what_stands_at_it_passes() {
        let long = |length| "x".repeat(length);
        let many = |count| (0..count).map(|index| (format!("l{index:03}"), "v".to_owned())).collect::<Vec<_>>();
        for (labels, expected) in [
            (vec![(long(1024), long(2048))], None),
            (vec![(long(1025), long(1))], Some("label_name_too_long")),
            (vec![(long(1), long(2049))], Some("label_value_too_long")),
            (many(150), None),
            (many(151), Some("too_many_labels")),
            (vec![(long(10), long(2000)); 4], Some("labels_too_large")),
        ] {
            let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            assert_eq!(exceeded_limit(pairs.clone()), expected);
            let mut batch = SeriesBatch::default();
            batch.series(pairs);
            let series = batch.iter().next().expect("there is one");
            assert_eq!(exceeded_limit_of(series), expected);
        }
    }
}
