//! Values of attributes that are longer than AMP accepts.

use super::options::Options;
use crate::model::otlp::borrowed::{AnyValue, KeyValue, Value};
use crate::translate::attributes::write_value;
use crate::translate::limits::{LongLabels, MAX_VALUE_SIZE, cut};

/// Bytes of a text beyond the limit that are converted before it is cut: a character has at most four.
const MARGIN: usize = 4;

impl Options {
    /// Returns what becomes of long labels; `None` if relabelling follows, which checks the limits after it has changed the labels.
    pub(super) fn limited_labels(&self) -> Option<LongLabels> {
        (!self.is_relabelled_later).then_some(self.long_labels)
    }
}

/// Returns whether the value is a text that is longer than AMP accepts. Its characters are never removed.
pub(super) fn has_long_text(attribute: &KeyValue<'_>) -> bool {
    long_text(attribute.value.as_ref()).is_some()
}

fn long_text<'a>(value: Option<&AnyValue<'a>>) -> Option<&'a [u8]> {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::String(text)) if text.len() > MAX_VALUE_SIZE => Some(text),
        _ => None,
    }
}

/// Appends the value of a label. A value that is too long is cut, or else not written. Returns its length.
pub(super) fn write_limited(
    value: Option<&AnyValue<'_>>,
    long_labels: Option<LongLabels>,
    out: &mut String,
) -> Option<usize> {
    let Some(long_labels) = long_labels else {
        write_value(value, out);
        return None;
    };
    let is_cut = long_labels == LongLabels::Cut;
    // A long text is not even converted.
    if let Some(text) = long_text(value) {
        if is_cut {
            let start = text.get(..MAX_VALUE_SIZE + MARGIN).unwrap_or(text);
            out.push_str(cut(&String::from_utf8_lossy(start)));
        }
        return Some(text.len());
    }
    let start = out.len();
    write_value(value, out);
    let length = out.len() - start;
    if length <= MAX_VALUE_SIZE {
        return None;
    }
    let kept = out.get(start..).filter(|_| is_cut).map_or(0, |written| cut(written).len());
    out.truncate(start + kept);
    Some(length)
}
