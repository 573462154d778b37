//! What stands in braces: labels, and the metric's name when it is in quotes.

use std::borrow::Cow;

use super::cursor::{Cursor, SyntaxError, quoted};
use crate::model::exposition::Format;

/// A label as the page has it. An empty value is kept: with `honor_labels` it takes the target's label away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    pub name: Cow<'a, str>,
    pub value: Cow<'a, str>,
}

/// Reads from behind `{` to behind `}`. A metric's name in quotes goes to `metric`, which is `None` where none may stand
/// (in exemplars).
pub(super) fn braces<'a>(
    cursor: &mut Cursor<'a>,
    format: Format,
    labels: &mut Vec<Label<'a>>,
    mut metric: Option<&mut Cow<'a, str>>,
) -> Result<(), SyntaxError> {
    loop {
        gap(cursor, format);
        if cursor.consume(b"}") {
            return Ok(());
        }
        let in_quotes = cursor.peek() == Some(b'"');
        let name = if in_quotes { string(cursor, format)? } else { cursor.name(false) };
        if name.is_empty() && !in_quotes {
            return Err(cursor.expected("a label name"));
        }
        gap(cursor, format);
        match metric.as_deref_mut() {
            Some(metric) if in_quotes && matches!(cursor.peek(), Some(b',' | b'}')) => {
                if !metric.is_empty() {
                    return Err(cursor.error(format!("a second metric name, {}", quoted(name.as_bytes()))));
                }
                *metric = name;
            }
            _ => labels.push(Label { name, value: value(cursor, format)? }),
        }
        gap(cursor, format);
        // Text 0.0.4 as it is read everywhere does without commas; OpenMetrics does not.
        if !cursor.consume(b",") && format == Format::OpenMetrics && cursor.peek() != Some(b'}') {
            return Err(cursor.expected("a comma or a closing brace"));
        }
    }
}

fn value<'a>(cursor: &mut Cursor<'a>, format: Format) -> Result<Cow<'a, str>, SyntaxError> {
    if !cursor.consume(b"=") {
        return Err(cursor.expected("an equals sign"));
    }
    gap(cursor, format);
    if cursor.peek() != Some(b'"') {
        return Err(cursor.expected("a label value in quotes"));
    }
    string(cursor, format)
}

/// Blanks may stand between any two tokens of text 0.0.4, and between none of OpenMetrics.
fn gap(cursor: &mut Cursor, format: Format) {
    if format == Format::Text {
        cursor.skip_whitespace();
    }
}

/// A string in quotes, its quote coming next. Only text 0.0.4 lets it span lines.
pub(super) fn string<'a>(cursor: &mut Cursor<'a>, format: Format) -> Result<Cow<'a, str>, SyntaxError> {
    let opening = *cursor;
    cursor.skip(1);
    let inside = cursor.rest();
    let mut length = 0;
    loop {
        match inside.get(length) {
            Some(b'"') => break,
            Some(b'\\') if !matches!(inside.get(length + 1), None | Some(b'\n')) => length += 2,
            Some(b'\n') if format == Format::Text => length += 1,
            None | Some(b'\n' | b'\\') => return Err(opening.error("a string without its closing quote")),
            Some(_) => length += 1,
        }
    }
    cursor.skip(length + 1);
    let raw = inside.get(..length).unwrap_or_default();
    match str::from_utf8(raw) {
        Ok(raw) => Ok(unescaped(raw, true)),
        Err(_) => Err(opening.error(format!("{} is no UTF-8", quoted(raw)))),
    }
}

/// `\\`, `\n` and, where quotes are escaped at all, `\"` become the character they stand for; any other backslash stays.
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
