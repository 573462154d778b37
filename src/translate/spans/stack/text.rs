//! Parts of stack traces that several languages have in common.

/// Returns the lines after the first, which repeats type and message.
pub(super) fn lines_below_first(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(1)
}

/// Parses a line number as the collector does: 0 for other text, and the limit of the type for numbers beyond it.
pub(super) fn line_number(text: &str) -> i64 {
    match text.parse() {
        Ok(number) => number,
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow => i64::MAX,
            std::num::IntErrorKind::NegOverflow => i64::MIN,
            _ => 0,
        },
    }
}

/// Splits a text after its leading digits. Returns `None` if there are none.
pub(super) fn leading_number(text: &str) -> Option<(i64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    (!digits.is_empty()).then(|| (line_number(digits), rest))
}

/// Splits `path:line:column` or `path:line` from the right, because a path can contain colons.
pub(super) fn split_location(text: &str) -> (&str, i64) {
    let last_number = |text: &'_ str| -> Option<(usize, i64)> {
        let (path, number) = text.rsplit_once(':')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| (path.len(), line_number(number)))
    };
    let Some((end, last)) = last_number(text) else { return (text, 0) };
    let path = text.get(..end).unwrap_or_default();
    match last_number(path) {
        Some((end, line)) => (path.get(..end).unwrap_or_default(), line),
        None => (path, last),
    }
}
