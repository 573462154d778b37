//! Label names.

use std::borrow::Cow;

use super::{NameError, Naming, is_legacy_label};

/// The label that an attribute becomes: `http.method` is `http_method`, runs of other characters are one underscore,
/// `5xx` is `key_5xx`, `_x` is `key_x`, and `__x.y__` keeps its frame.
///
/// # Errors
/// Nothing but underscores is left, or the name is none that the backend takes.
pub fn label<'a>(key: &'a str, naming: &Naming) -> Result<Cow<'a, str>, NameError> {
    if naming.strategy.is_utf8() {
        return if is_blank(key) { Err(NameError::Empty) } else { naming.check_label_name(Cow::Borrowed(key)) };
    }
    if is_plain(key) {
        return Ok(Cow::Borrowed(key));
    }
    if key.is_empty() {
        return Err(NameError::Empty);
    }
    let inside = key.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    let name = match inside {
        Some(inside) => format!("__{}__", collapsed(inside)),
        None => prefixed(collapsed(key)),
    };
    if is_blank(&name) { Err(NameError::Empty) } else { Ok(Cow::Owned(name)) }
}

/// The label that a resource attribute becomes on `target_info`: each other character is one underscore, and only a
/// leading digit gets the prefix `key_` (collector-contrib, prometheusremotewrite, remote write 1.0).
///
/// # Errors
/// As [`label`].
pub fn target_label<'a>(key: &'a str, naming: &Naming) -> Result<Cow<'a, str>, NameError> {
    if naming.strategy.is_utf8() {
        return label(key, naming);
    }
    if is_blank(key) {
        return Err(NameError::Empty);
    }
    if is_legacy_label(key) {
        return Ok(Cow::Borrowed(key));
    }
    let replaced: String = key.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
    if is_blank(&replaced) {
        return Err(NameError::Empty);
    }
    let digit = replaced.starts_with(|first: char| first.is_ascii_digit());
    Ok(Cow::Owned(if digit { format!("key_{replaced}") } else { replaced }))
}

/// A name that stays as it is: a letter, then letters, digits and single underscores.
fn is_plain(key: &str) -> bool {
    let mut last = b'_';
    for byte in key.bytes() {
        let ok = byte.is_ascii_alphanumeric() || (byte == b'_' && last != b'_');
        if !ok {
            return false;
        }
        last = byte;
    }
    key.starts_with(|first: char| first.is_ascii_alphabetic())
}

fn is_blank(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'_')
}

fn collapsed(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for char in key.chars() {
        if char.is_ascii_alphanumeric() {
            out.push(char);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

fn prefixed(name: String) -> String {
    match name.as_bytes() {
        [b'0'..=b'9', ..] => format!("key_{name}"),
        [b'_', ..] => format!("key{name}"),
        _ => name,
    }
}
