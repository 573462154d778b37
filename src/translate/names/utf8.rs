//! Legacy names, and how other names are written with legacy characters.

use std::fmt::Write as _;

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
pub fn is_legacy_metric(name: &str) -> bool {
    is_legacy(name, |byte| byte == b'_' || byte == b':')
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
pub fn is_legacy_label(name: &str) -> bool {
    is_legacy(name, |byte| byte == b'_')
}

fn is_legacy(name: &str, is_sign: impl Fn(u8) -> bool) -> bool {
    name.as_bytes().first().is_some_and(|&first| first.is_ascii_alphabetic() || is_sign(first))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}

/// Prometheus' escaping scheme `values` (prometheus/common, `EscapeName`): `U__`, an underscore doubled, any other
/// character as its code point in hex between underscores. Legacy names stay as they are.
pub fn escape(name: &str) -> String {
    escaped(name, is_legacy_metric, |char| char == ':')
}

/// The same for the name of a label, in which AMP takes no colon: `EscapeName` leaves it there.
pub fn escape_label(name: &str) -> String {
    escaped(name, is_legacy_label, |_| false)
}

fn escaped(name: &str, is_legacy: impl Fn(&str) -> bool, is_sign: impl Fn(char) -> bool) -> String {
    if is_legacy(name) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 16);
    out.push_str("U__");
    for (index, char) in name.chars().enumerate() {
        let is_legal = char.is_ascii_alphabetic() || is_sign(char) || (char.is_ascii_digit() && index > 0);
        if char == '_' {
            out.push_str("__");
        } else if is_legal {
            out.push(char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "_{:x}_", u32::from(char));
        }
    }
    out
}
