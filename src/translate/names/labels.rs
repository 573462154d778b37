//! Label names.

use std::borrow::Cow;

use super::is_legacy_label;

/// Returns the label name of an attribute, or `None` if only underscores remain of it. `http.method` becomes `http_method`,
/// a run of other characters becomes one underscore, `5xx` becomes `key_5xx`, `_x` becomes `key_x`, and `__x.y__` keeps
/// its leading and trailing underscores.
pub fn label(key: &str) -> Option<Cow<'_, str>> {
    if is_plain(key) {
        return Some(Cow::Borrowed(key));
    }
    if key.is_empty() {
        return None;
    }
    let inside = key.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    let name = match inside {
        Some(inside) => format!("__{}__", collapse(inside)),
        None => with_prefix(collapse(key)),
    };
    (!is_blank(&name)).then_some(Cow::Owned(name))
}

/// Returns the label name of a resource attribute on `target_info`, or `None` if only underscores remain of it. Each other
/// character becomes one underscore, and only a leading digit adds the prefix `key_` (collector-contrib,
/// prometheusremotewrite, remote write 1.0).
pub fn target_label(key: &str) -> Option<Cow<'_, str>> {
    if is_blank(key) {
        return None;
    }
    if is_legacy_label(key) {
        return Some(Cow::Borrowed(key));
    }
    let replaced: String = key.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
    if is_blank(&replaced) {
        return None;
    }
    let has_digit_first = replaced.starts_with(|first: char| first.is_ascii_digit());
    Some(Cow::Owned(if has_digit_first { format!("key_{replaced}") } else { replaced }))
}

/// Returns whether a name needs no translation: a letter, then letters, digits and single underscores.
fn is_plain(key: &str) -> bool {
    let mut last = b'_';
    for byte in key.bytes() {
        let is_allowed = byte.is_ascii_alphanumeric() || (byte == b'_' && last != b'_');
        if !is_allowed {
            return false;
        }
        last = byte;
    }
    key.starts_with(|first: char| first.is_ascii_alphabetic())
}

fn is_blank(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'_')
}

fn collapse(key: &str) -> String {
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

fn with_prefix(name: String) -> String {
    match name.as_bytes() {
        [b'0'..=b'9', ..] => format!("key_{name}"),
        [b'_', ..] => format!("key{name}"),
        _ => name,
    }
}
