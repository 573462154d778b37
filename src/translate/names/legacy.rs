//! The legacy character set of Prometheus names. AMP does not support UTF-8 names.

/// Returns whether a metric name matches `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric(name: &str) -> bool {
    is_legacy(name, |byte| byte == b'_' || byte == b':')
}

/// Returns whether a label name matches `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label(name: &str) -> bool {
    is_legacy(name, |byte| byte == b'_')
}

fn is_legacy(name: &str, is_symbol: impl Fn(u8) -> bool) -> bool {
    name.as_bytes().first().is_some_and(|&first| first.is_ascii_alphabetic() || is_symbol(first))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_symbol(byte))
}

/// Returns whether a byte matches `[a-zA-Z0-9:]`: the words of a metric name consist of these, all other characters
/// separate words.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b':'
}
