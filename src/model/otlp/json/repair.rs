//! Replaces what is not Unicode in the strings of a body with U+FFFD, as [`text`](crate::model::otlp::text) does for protobuf.
//!
//! A length limit that counts UTF-16 units can cut an emoji in half. JavaScript writes the half as an escape, `\\ud83d`,
//! which JSON allows (RFC 8259, section 8.2), and others write bytes that are not UTF-8. One such character must not cost
//! the batch.

use bytes::Bytes;

use crate::model::budget::{Budget, BudgetExceeded};

/// An escape of one UTF-16 unit: `\u` and four digits.
const ESCAPE_BYTES: usize = 6;
const REPLACEMENT: &[u8; ESCAPE_BYTES] = b"\\ufffd";

/// Returns the text of a body, or `None` if not all its strings are Unicode.
pub(crate) fn unicode(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok().filter(|text| next_unpaired(text, 0).is_none())
}

/// Returns a body all of whose strings are Unicode.
pub(crate) fn repaired(body: &[u8], budget: &dyn Budget) -> Result<Bytes, BudgetExceeded> {
    // The replacement of an invalid byte has three bytes, and the text grows by doubling.
    let growth = if std::str::from_utf8(body).is_ok() { 1 } else { 6 };
    budget.reserve(growth * body.len())?;
    let text = String::from_utf8_lossy(body);
    let mut unpaired = Vec::new();
    let mut from = 0;
    while let Some(at) = next_unpaired(&text, from) {
        if unpaired.len() == unpaired.capacity() {
            budget.reserve(2 * size_of::<usize>() * unpaired.capacity().max(4))?;
        }
        unpaired.push(at);
        from = at + ESCAPE_BYTES;
    }
    let mut bytes = text.into_owned().into_bytes();
    for at in unpaired {
        if let Some(escape) = bytes.get_mut(at..at + ESCAPE_BYTES) {
            escape.copy_from_slice(REPLACEMENT);
        }
    }
    Ok(bytes.into())
}

/// Returns the position of the next escape of a surrogate that is not a part of a pair.
fn next_unpaired(text: &str, from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + text.get(from..)?.find('\\')?;
        from = match (unit(text, at), unit(text, at + ESCAPE_BYTES)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at + 2 * ESCAPE_BYTES,
            (Some(0xd800..=0xdfff), _) => return Some(at),
            (Some(_), _) => at + ESCAPE_BYTES,
            // Of an escaped backslash, the second one begins no escape.
            (None, _) => at + 2,
        };
        from = text.ceil_char_boundary(from);
    }
}

/// Returns the UTF-16 unit of the escape at a position.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + ESCAPE_BYTES)?.strip_prefix("\\u")?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::budget::Unlimited;

    fn repair(body: &[u8]) -> String {
        String::from_utf8(repaired(body, &Unlimited).unwrap().into()).unwrap()
    }

    #[test]
    fn unpaired_surrogates_are_replaced() {
        for (body, expected) in [
            (r#"{"a":"x\ud83d"}"#, r#"{"a":"x\ufffd"}"#),
            (r#"{"a":"\uDE00x"}"#, r#"{"a":"\ufffdx"}"#),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, r#"{"a":"\ufffd\ud83d\ude00"}"#),
            (r#"{"a":"\ude00\ud83d"}"#, r#"{"a":"\ufffd\ufffd"}"#),
            (r#"{"a":"\ud83d\n"}"#, r#"{"a":"\ufffd\n"}"#),
            (r#"{"\ud83d":"\\\ud83d"}"#, r#"{"\ufffd":"\\\ufffd"}"#),
            (r#"{"a":"é\ud83dé"}"#, r#"{"a":"é\ufffdé"}"#),
        ] {
            assert_eq!(unicode(body.as_bytes()), None, "{body}");
            assert_eq!(repair(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn other_bodies_are_unchanged() {
        for body in [
            r#"{"a":"\ud83d\ude00"}"#,
            r#"{"a":"\\ud83d"}"#,
            r#"{"a":"\u00e9 😀 \ufffd"}"#,
            r#"{"a":"\"#,
            r#"{"a":"\u"#,
            r#"{"a":"\ud8"#,
            r#"{"a":"\é"}"#,
            "",
        ] {
            assert_eq!(unicode(body.as_bytes()), Some(body));
            assert_eq!(repair(body.as_bytes()), body);
        }
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(repair(b"{\"a\":\"caf\xe9 \\ud83d\"}"), "{\"a\":\"caf\u{fffd} \\ufffd\"}");
        assert_eq!(repair(b"\"\xf0\x9f\x98\""), "\"\u{fffd}\"");
    }
}
