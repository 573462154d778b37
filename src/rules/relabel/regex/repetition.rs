//! Repetitions: `*`, `+`, `?` and `{n,m}`.

use crate::rules::InvalidValue;

/// Maximum number of a repetition, and product of nested ones.
pub(super) const MAX_REPEAT: u32 = 1_000;

/// Minimum and maximum number.
pub(super) type Range = (u32, Option<u32>);

/// Reads a repetition, and a `?` after it. `None` if there is none: a brace that is not a repetition is text.
pub(super) fn read(text: &str) -> Result<Option<(Range, &str)>, InvalidValue> {
    let (range, rest) = match text.as_bytes().first() {
        Some(b'*') => ((0, None), &text[1..]),
        Some(b'+') => ((1, None), &text[1..]),
        Some(b'?') => ((0, Some(1)), &text[1..]),
        Some(b'{') => match braces(&text[1..]) {
            Some(found) => found,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let (min, max) = range;
    if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
        let text = &text[..text.len() - rest.len()];
        return Err(InvalidValue::new(format!("invalid repeat count \"{text}\": at most {MAX_REPEAT}")));
    }
    Ok(Some((range, rest.strip_prefix('?').unwrap_or(rest))))
}

/// Reads the range of a repetition after its `{`.
fn braces(text: &str) -> Option<(Range, &str)> {
    let end = text.find(|char: char| !(char.is_ascii_digit() || char == ','))?;
    let (range, rest) = text.split_at_checked(end)?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_plain = is_number && (text.len() == 1 || !text.starts_with('0'));
        is_plain.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let range = match range.split_once(',') {
        None => number(range).map(|count| (count, Some(count))),
        Some((min, "")) => number(min).map(|min| (min, None)),
        Some((min, max)) => number(min).zip(number(max)).map(|(min, max)| (min, Some(max))),
    };
    Some((range?, rest.strip_prefix('}')?))
}
