//! Content of braces: labels, and the metric name if it is quoted.

use std::borrow::Cow;

use super::cursor::{Cursor, SyntaxError, quoted};
use crate::model::exposition::Format;

/// Maximum number of labels of a sample. AMP accepts 150, and relabelling may drop some.
const MAX_LABELS: usize = 10_000;

/// Label of a parsed sample. Empty values are kept, because with `honor_labels` they remove the target's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    pub name: Cow<'a, str>,
    pub value: Cow<'a, str>,
}

/// Parses the content of braces, after `{`, including `}`. A quoted metric name is stored in `metric`, which is `None` where
/// no metric name is allowed (in exemplars).
pub(super) fn braces<'a>(
    cursor: &mut Cursor<'a>,
    format: Format,
    labels: &mut Vec<Label<'a>>,
    mut metric: Option<&mut Cow<'a, str>>,
) -> Result<(), SyntaxError> {
    loop {
        skip_gap(cursor, format);
        if cursor.consume(b"}") {
            return Ok(());
        }
        let is_quoted = cursor.peek() == Some(b'"');
        let name = if is_quoted { string(cursor, format)? } else { cursor.name(false) };
        if name.is_empty() && !is_quoted {
            return Err(cursor.expected("a label name"));
        }
        skip_gap(cursor, format);
        match metric.as_deref_mut() {
            Some(metric) if is_quoted && matches!(cursor.peek(), Some(b',' | b'}')) => {
                if !metric.is_empty() {
                    return Err(cursor.error(format!("second metric name {}", quoted(name.as_bytes()))));
                }
                *metric = name;
            }
            _ if labels.len() == MAX_LABELS => {
                return Err(cursor.error(format!("more than {MAX_LABELS} labels")));
            }
            _ => labels.push(Label { name, value: value(cursor, format)? }),
        }
        skip_gap(cursor, format);
        // Parsers of text 0.0.4 accept missing commas. OpenMetrics requires them.
        if !cursor.consume(b",") && format == Format::OpenMetrics && cursor.peek() != Some(b'}') {
            return Err(cursor.expected("a comma or a closing brace"));
        }
    }
}

fn value<'a>(cursor: &mut Cursor<'a>, format: Format) -> Result<Cow<'a, str>, SyntaxError> {
    if !cursor.consume(b"=") {
        return Err(cursor.expected("an equals sign"));
    }
    skip_gap(cursor, format);
    if cursor.peek() != Some(b'"') {
        return Err(cursor.expected("a label value in quotes"));
    }
    string(cursor, format)
}

/// Skips whitespace between tokens, which text 0.0.4 allows and OpenMetrics does not.
fn skip_gap(cursor: &mut Cursor, format: Format) {
    if format == Format::Text {
        cursor.skip_whitespace();
    }
}

/// Parses a quoted string, from its opening quote. Only text 0.0.4 allows line breaks in it.
pub(super) fn string<'a>(cursor: &mut Cursor<'a>, format: Format) -> Result<Cow<'a, str>, SyntaxError> {
    let opening = *cursor;
    cursor.skip(1);
    let rest = cursor.rest();
    let mut length = 0;
    loop {
        match rest.get(length) {
            Some(b'"') => break,
            Some(b'\\') if !matches!(rest.get(length + 1), None | Some(b'\n')) => length += 2,
            Some(b'\n') if format == Format::Text => length += 1,
            None | Some(b'\n' | b'\\') => return Err(opening.error("string without a closing quote")),
            Some(_) => length += 1,
        }
    }
    cursor.skip(length + 1);
    let raw = rest.get(..length).unwrap_or_default();
    match str::from_utf8(raw) {
        Ok(raw) => Ok(unescaped(raw, true)),
        Err(_) => Err(opening.error(format!("invalid UTF-8 in {}", quoted(raw)))),
    }
}

/// Resolves the escapes `\\`, `\n` and, if `with_quotes`, `\"`. Other backslashes are kept.
pub(super) fn unescaped(raw: &str, with_quotes: bool) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        let ahead = rest.clone().next();
        match ahead {
            Some('\\') => text.push('\\'),
            Some('n') => text.push('\n'),
            Some('"') if with_quotes => text.push('"'),
            _ => {
                text.push('\\');
                continue;
            }
        }
        rest.next();
    }
    Cow::Owned(text)
}
