//! Writes JSON text straight into one string, the way it is sent: as a string of JSON itself.
//!
//! PutTraceSegments takes documents as strings. A segment document is mostly short strings copied out of the request, so that
//! escaping is what it costs, and doing it again for the call would cost as much once more: every quote and backslash is
//! written with its backslash here. This writer looks at eight bytes at a time, where `serde_json` looks at one, and lets
//! what a resource says be written once and spliced into the documents of all its spans.

use std::fmt::Write as _;

use crate::model::segment::unescaped;

/// A quote of the JSON text.
const QUOTE: &str = r#"\""#;

/// JSON text while it is written. A comma is set where the text does not end in what opens a list or a value.
#[derive(Debug, Default)]
pub(super) struct JsonWriter {
    out: String,
}

impl JsonWriter {
    pub(super) fn clear(&mut self) {
        self.out.clear();
    }

    /// The text as it stands in a string of JSON.
    pub(super) fn as_escaped(&self) -> &str {
        &self.out
    }

    /// The text as it stands in a string of JSON, to be sent, or to be [spliced](Json::spliced) into another.
    pub(super) fn into_escaped(self) -> String {
        self.out
    }

    /// The text itself.
    pub(super) fn into_text(self) -> String {
        unescaped(&self.out)
    }

    /// Starts a member of the open object; `key` must need no escaping.
    pub(super) fn key(&mut self, key: &str) {
        self.out.reserve(key.len() + 6);
        self.comma();
        self.out.push_str(QUOTE);
        self.out.push_str(key);
        self.out.push_str("\\\":");
    }

    /// Starts a member of the open object whose key came from outside.
    pub(super) fn any_key(&mut self, prefix: &str, key: &str) {
        self.comma();
        self.out.push_str(QUOTE);
        self.out.push_str(prefix);
        escape(&mut self.out, key);
        self.out.push_str("\\\":");
    }

    pub(super) fn text(&mut self, text: &str) {
        self.out.reserve(text.len() + 5);
        self.comma();
        self.out.push_str(QUOTE);
        escape(&mut self.out, text);
        self.out.push_str(QUOTE);
    }

    pub(super) fn int(&mut self, number: i64) {
        self.comma();
        self.out.push_str(itoa::Buffer::new().format(number));
    }

    /// JSON has no word for what is not finite, so that those become strings.
    pub(super) fn float(&mut self, number: f64) {
        if number.is_nan() {
            return self.text("NaN");
        }
        if number.is_infinite() {
            return self.text(if number > 0.0 { "Infinity" } else { "-Infinity" });
        }
        self.comma();
        self.out.push_str(zmij::Buffer::new().format_finite(number));
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.raw_escaped(if value { "true" } else { "false" });
    }

    pub(super) fn null(&mut self) {
        self.raw_escaped("null");
    }

    /// A value that is JSON already, of any origin.
    pub(super) fn raw(&mut self, json: &str) {
        self.comma();
        for char in json.chars() {
            if matches!(char, '"' | '\\') {
                self.out.push('\\');
            }
            self.out.push(char);
        }
    }

    /// A value, or members of the open object, that another of these has written. Nothing when there are none.
    pub(super) fn raw_escaped(&mut self, escaped: &str) {
        if !escaped.is_empty() {
            self.comma();
            self.out.push_str(escaped);
        }
    }

    pub(super) fn open(&mut self, bracket: char) {
        self.comma();
        self.out.push(bracket);
    }

    pub(super) fn close(&mut self, bracket: char) {
        self.out.push(bracket);
    }

    pub(super) fn text_field(&mut self, key: &str, text: &str) {
        self.key(key);
        self.text(text);
    }

    /// Most optional strings are left out when they are empty.
    pub(super) fn text_field_unless_empty(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.text_field(key, text);
        }
    }

    pub(super) fn boolean_field(&mut self, key: &str, value: bool) {
        self.key(key);
        self.boolean(value);
    }

    /// An object under `key`, or nothing when `write` adds no member.
    pub(super) fn object_unless_empty(&mut self, key: &str, write: impl FnOnce(&mut JsonWriter)) {
        let start = self.out.len();
        self.any_key("", key);
        self.out.push('{');
        let empty = self.out.len();
        write(self);
        if self.out.len() == empty { self.out.truncate(start) } else { self.out.push('}') }
    }

    /// An array under `key`, or nothing when `write` adds no item.
    pub(super) fn array_unless_empty(&mut self, key: &str, write: impl FnOnce(&mut JsonWriter)) {
        let start = self.out.len();
        self.key(key);
        self.out.push('[');
        let empty = self.out.len();
        write(self);
        if self.out.len() == empty { self.out.truncate(start) } else { self.out.push(']') }
    }

    pub(super) fn ends_with(&self, end: char) -> bool {
        self.out.ends_with(end)
    }

    fn comma(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(',');
        }
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Whether any of eight bytes needs escaping: each subtraction borrows into the high bit of a byte that it looks for.
fn any_needs_escape(eight: [u8; 8]) -> bool {
    let word = u64::from_le_bytes(eight);
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = is_zero(word ^ (ONES * u64::from(b'"')));
    let backslash = is_zero(word ^ (ONES * u64::from(b'\\')));
    (control | quote | backslash) & (ONES << 7) != 0
}

fn is_clean(text: &[u8]) -> bool {
    // The last eight bytes overlap the step before them, so that no rest is left.
    let Some(last) = text.last_chunk::<8>() else { return !text.iter().any(|byte| needs_escape(*byte)) };
    let (steps, _) = text.as_chunks::<8>();
    !steps.iter().fold(any_needs_escape(*last), |found, step| found | any_needs_escape(*step))
}

fn escape(out: &mut String, text: &str) {
    if is_clean(text.as_bytes()) {
        out.push_str(text);
    } else {
        escape_slowly(out, text);
    }
}

/// What JSON escapes with a backslash has that backslash escaped in turn.
fn escape_slowly(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(needs_escape) {
        let (clean, from) = rest.split_at(at);
        out.push_str(clean);
        match from.as_bytes().first() {
            Some(b'"') => out.push_str(r#"\\\""#),
            Some(b'\\') => out.push_str(r"\\\\"),
            Some(b'\n') => out.push_str(r"\\n"),
            Some(b'\t') => out.push_str(r"\\t"),
            Some(b'\r') => out.push_str(r"\\r"),
            Some(byte) => {
                // Writing to a String cannot fail.
                let _ = write!(out, r"\\u{byte:04x}");
            }
            None => {}
        }
        rest = from.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_reads_back_as_it_was() {
        for text in
            ["", "plain", "a \"quoted\" \\ path", "tab\tline\nnul\u{0}bell\u{7}", "é€😀 and more than sixteen bytes\r"]
        {
            let mut json = JsonWriter::default();
            json.text(text);
            assert_eq!(serde_json::from_str::<String>(&json.into_text()).unwrap(), text);
        }
    }

    #[test]
    fn members_are_parted_by_commas_and_empty_objects_leave_nothing() {
        let mut json = JsonWriter::default();
        json.open('{');
        json.object_unless_empty("none", |_| {});
        json.text_field("a", "{");
        json.key("b");
        json.open('[');
        json.int(-1);
        json.float(0.5);
        json.float(f64::NAN);
        json.null();
        json.close(']');
        json.object_unless_empty("c", |json| json.boolean_field("d", true));
        json.key("e");
        json.raw(r#"{"f":"\"\\\n"}"#);
        json.close('}');
        assert_eq!(json.into_text(), r#"{"a":"{","b":[-1,0.5,"NaN",null],"c":{"d":true},"e":{"f":"\"\\\n"}}"#);
    }
}
