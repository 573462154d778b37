//! Escaped characters.

use crate::rules::InvalidValue;

/// Reads an escaped character from its backslash. Returns the rest.
pub(super) fn char(text: &str) -> Result<(char, &str), InvalidValue> {
    let Some(escaped) = text[1..].chars().next() else {
        return Err(InvalidValue::new("trailing backslash at end of expression"));
    };
    let rest = &text[1 + escaped.len_utf8()..];
    let found = match escaped {
        // A single digit other than zero would be a reference to a group.
        '1'..='7' if !rest.starts_with(|char: char| char.is_digit(8)) => None,
        '0'..='7' => octal(&text[1..]),
        'x' => hexadecimal(rest),
        'a' => Some(('\x07', rest)),
        'f' => Some(('\x0c', rest)),
        'n' => Some(('\n', rest)),
        'r' => Some(('\r', rest)),
        't' => Some(('\t', rest)),
        'v' => Some(('\x0b', rest)),
        _ if escaped.is_ascii() && !escaped.is_ascii_alphanumeric() => Some((escaped, rest)),
        _ => None,
    };
    found.ok_or_else(|| InvalidValue::new(format!("invalid escape sequence \"\\{escaped}\"")))
}

/// Reads up to three octal digits.
fn octal(text: &str) -> Option<(char, &str)> {
    let digits = text.bytes().take(3).take_while(|byte| (b'0'..b'8').contains(byte)).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    Some((char::from_u32(u32::from_str_radix(digits, 8).ok()?)?, rest))
}

/// Reads two hexadecimal digits, or any number of them in braces.
fn hexadecimal(text: &str) -> Option<(char, &str)> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(text) => text.split_once('}')?,
        None => text.split_at_checked(2)?,
    };
    let is_valid = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, 16).ok().filter(|_| is_valid)?;
    Some((char::from_u32(code)?, rest))
}
