//! Limits of Amazon Managed Service for Prometheus for one series.
//!
//! AMP responds with 400 to a request that contains a series over a limit, and names only the first such series. Therefore
//! the function rejects each of them with its name.

use crate::model::series::{SeriesView, label_lengths};
use crate::model::shortened::shortened_to;

/// Labels per series (AMP quota "Labels per metric series").
pub const MAX_LABELS: usize = 150;
/// Bytes of all names and values of one series (AMP quota "Label size", 7 KB).
pub const MAX_LABELS_SIZE: usize = 7 * 1024;
/// Bytes of a label name (Cortex, `-validation.max-length-label-name`).
pub const MAX_NAME_SIZE: usize = 1024;
/// Bytes of a label value, including the metric name (Cortex, `-validation.max-length-label-value`).
pub const MAX_VALUE_SIZE: usize = 2048;

/// Reason of a value that is longer than [`MAX_VALUE_SIZE`].
pub const VALUE_TOO_LONG: &str = "label_value_too_long";

/// Bytes of a label name in a message.
const SHOWN_NAME_BYTES: usize = 100;

/// Treatment of a label whose value is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LongLabels {
    /// The label is dropped, and its series is written without it.
    #[default]
    Drop,
    /// The value is cut.
    Cut,
    /// The series is rejected.
    Reject,
}

impl LongLabels {
    /// Returns what remains of a value that is too long; `None` if its label is dropped.
    pub fn shortened(self, value: &str) -> Option<&str> {
        (self != Self::Drop).then(|| cut(value))
    }

    /// Returns a message that names the label, its length and the limit.
    pub fn describe(self, name: &str, length: usize) -> String {
        let result = match self {
            Self::Drop => "the label is dropped",
            Self::Cut => "its value is cut",
            Self::Reject => "SIDECARLESS_LONG_LABELS can drop or cut it",
        };
        let name = shortened_to(SHOWN_NAME_BYTES, name);
        format!("label {name} has a value of {length} bytes, and the limit is {MAX_VALUE_SIZE}: {result}")
    }
}

/// Returns the part of a value that AMP accepts.
pub fn cut(value: &str) -> &str {
    value.get(..value.floor_char_boundary(MAX_VALUE_SIZE)).unwrap_or_default()
}

/// A series with shorter encoded labels cannot exceed a limit: a label has at least eight bytes, so 150 labels have 1200,
/// and a name or value at its limit is longer by itself.
const SAFE_ENCODED_SIZE: usize = 1024;

/// Returns the limit that labels exceed, as a reason for [`Rejections`](crate::model::rejection::Rejections).
pub fn exceeded_limit<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<&'static str> {
    exceeded_limit_of_lengths(labels.into_iter().map(|(name, value)| (name.len(), value.len())))
}

/// Returns the limit that a series of a batch exceeds. The summary of its labels in the batch is sufficient for most series.
pub fn exceeded_limit_of(series: SeriesView<'_>) -> Option<&'static str> {
    let is_safe = series.labels_len() <= MAX_LABELS_SIZE
        && series.label_count() <= MAX_LABELS
        && series.longest_label() <= MAX_NAME_SIZE;
    if is_safe { None } else { exceeded_limit_encoded(series.label_runs(), None) }
}

/// Returns the limit that runs of encoded labels exceed, together with one more label of the lengths `more`.
pub fn exceeded_limit_encoded<'a>(
    runs: impl Iterator<Item = &'a [u8]> + Clone,
    more: Option<(usize, usize)>,
) -> Option<&'static str> {
    let (name, value) = more.unwrap_or_default();
    if runs.clone().map(<[u8]>::len).sum::<usize>() + name + value < SAFE_ENCODED_SIZE {
        return None;
    }
    exceeded_limit_of_lengths(runs.flat_map(label_lengths).chain(more))
}

/// Returns the limit that labels with names and values of these lengths exceed.
pub fn exceeded_limit_of_lengths(lengths: impl Iterator<Item = (usize, usize)>) -> Option<&'static str> {
    let (mut count, mut size) = (0, 0);
    for (name, value) in lengths {
        if name > MAX_NAME_SIZE {
            return Some("label_name_too_long");
        }
        if value > MAX_VALUE_SIZE {
            return Some(VALUE_TOO_LONG);
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
    fn labels_over_a_limit_have_a_reason_and_labels_at_it_do_not() {
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
