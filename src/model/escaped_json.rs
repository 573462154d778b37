//! JSON text in escaped form, which is the form of a JSON document inside a JSON string.
//!
//! PutTraceSegments takes segment documents as JSON strings, so each quote and each backslash of a document is preceded
//! by a backslash. No other file handles these escapes. Most of a document is short strings from the request, and
//! escaping is most of the cost of writing them. [`JsonWriter`] therefore writes the escaped form directly instead of
//! escaping the finished document a second time, and tests sixteen bytes at a time where `serde_json` tests one. The output is a list
//! of bytes and not a `String`, so that the text of a request is tested once, for escapes and for UTF-8 together.

use std::io::Write as _;

use bytes::Bytes;

use super::otlp::text;

/// JSON text in escaped form: one value, or some members of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EscapedJson(Vec<u8>);

impl EscapedJson {
    /// Escapes a text.
    pub fn from_text(text: &str) -> Self {
        // Serializing a string cannot fail.
        let quoted = serde_json::to_string(text).unwrap_or_default();
        let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        Self(escaped.as_bytes().to_vec())
    }

    /// Returns the text without the escapes.
    pub fn to_text(&self) -> String {
        unescape(&self.0)
    }

    /// Returns the escaped form.
    pub fn into_bytes(self) -> Bytes {
        self.0.into()
    }

    /// Returns the text whose escaped form is `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns an empty text if `escaped` is not valid.
fn unescape(escaped: &[u8]) -> String {
    serde_json::from_slice(&[b"\"", escaped, b"\""].concat()).unwrap_or_default()
}

/// A quote of the JSON text.
const QUOTE: &[u8] = br#"\""#;
/// The end of a key.
const KEY_END: &[u8] = br#"\":"#;

/// Maximum length of one text, in bytes before it is escaped. It is the maximum size of a document ("Segment documents can be up to
/// 64 kB in size", AWS X-Ray Developer Guide), so a document with a longer text is truncated in any case.
pub const MAX_TEXT_BYTES: usize = 64_000;

/// Writes JSON text in escaped form. It writes a comma before a value or a key unless the text ends with `{`, `[` or
/// `:`.
///
/// A few bytes of a request can describe items without end, so the items of a list or an object are written only up to a limit.
#[derive(Debug)]
pub struct JsonWriter {
    out: Vec<u8>,
    /// Length from which no further items are written.
    limit: usize,
    omitted: u64,
}

impl Default for JsonWriter {
    fn default() -> Self {
        Self { out: Vec::new(), limit: usize::MAX, omitted: 0 }
    }
}

impl JsonWriter {
    /// Returns a writer that writes no further items after `bytes`.
    pub fn with_limit(bytes: usize) -> Self {
        Self { limit: bytes, ..Self::default() }
    }

    /// Writes a part of the text, and no further items after `bytes` of it.
    pub fn within<T>(&mut self, bytes: usize, write: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.limit, self.out.len().saturating_add(bytes));
        let result = write(self);
        self.limit = outer;
        result
    }

    /// Writes items up to the limit, and counts the others.
    pub fn each<I: IntoIterator>(&mut self, items: I, mut write: impl FnMut(&mut Self, I::Item)) {
        let mut items = items.into_iter();
        while self.out.len() <= self.limit {
            let Some(item) = items.next() else { return };
            write(self, item);
        }
        self.omitted += items.count() as u64;
    }

    /// Returns the number of items that were not written.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Bytes of the escaped form.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    pub fn clear(&mut self) {
        self.out.clear();
        self.omitted = 0;
    }

    /// Returns the text without the escapes.
    pub fn to_text(&self) -> String {
        unescape(&self.out)
    }

    /// Returns the escaped form.
    pub fn escaped(&self) -> &[u8] {
        &self.out
    }

    pub fn into_escaped(self) -> EscapedJson {
        EscapedJson(self.out)
    }

    /// Starts a member of the open object. `name` must not contain characters that JSON escapes.
    pub fn field(&mut self, name: &str) {
        self.out.reserve(name.len() + 6);
        self.comma();
        self.out.extend_from_slice(QUOTE);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(KEY_END);
    }

    /// Starts a member of the open object, with any text as its key.
    pub fn key(&mut self, key: &str) {
        self.key_bytes(key.as_bytes());
    }

    /// Same for a key that may be invalid UTF-8, which is replaced as in [`text`].
    pub fn key_bytes(&mut self, key: &[u8]) {
        self.comma();
        self.out.extend_from_slice(QUOTE);
        escape(&mut self.out, key);
        self.out.extend_from_slice(KEY_END);
    }

    /// Writes a text, of which at most [`MAX_TEXT_BYTES`].
    pub fn text(&mut self, text: &str) {
        self.text_bytes(text.as_bytes());
    }

    /// Same for a text that may be invalid UTF-8, which is replaced as in [`text`].
    pub fn text_bytes(&mut self, text: &[u8]) {
        self.out.reserve(text.len().min(MAX_TEXT_BYTES) + 5);
        self.comma();
        self.out.extend_from_slice(QUOTE);
        escape(&mut self.out, text);
        self.out.extend_from_slice(QUOTE);
    }

    pub fn int(&mut self, number: i64) {
        self.comma();
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Writes a number. Numbers that are not finite become strings, because JSON cannot represent them.
    pub fn float(&mut self, number: f64) {
        if number.is_nan() {
            return self.text("NaN");
        }
        if number.is_infinite() {
            return self.text(if number > 0.0 { "Infinity" } else { "-Infinity" });
        }
        self.comma();
        self.out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    }

    pub fn boolean(&mut self, value: bool) {
        self.comma();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub fn null(&mut self) {
        self.comma();
        self.out.extend_from_slice(b"null");
    }

    /// Writes a value that is JSON text on one line.
    pub fn raw(&mut self, json: &str) {
        self.comma();
        for byte in json.bytes() {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
    }

    /// Writes a value, or members of the open object, that another writer produced. Writes nothing for an empty text.
    pub fn raw_escaped(&mut self, json: &EscapedJson) {
        if !json.is_empty() {
            self.comma();
            self.out.extend_from_slice(&json.0);
        }
    }

    pub fn object(&mut self, write: impl FnOnce(&mut JsonWriter)) {
        self.comma();
        self.out.push(b'{');
        write(self);
        self.out.push(b'}');
    }

    pub fn array(&mut self, write: impl FnOnce(&mut JsonWriter)) {
        self.comma();
        self.out.push(b'[');
        write(self);
        self.out.push(b']');
    }

    pub fn text_field(&mut self, name: &str, text: &str) {
        self.field(name);
        self.text(text);
    }

    pub fn text_field_unless_empty(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.text_field(name, text);
        }
    }

    pub fn int_field(&mut self, name: &str, number: i64) {
        self.field(name);
        self.int(number);
    }

    pub fn float_field(&mut self, name: &str, number: f64) {
        self.field(name);
        self.float(number);
    }

    pub fn boolean_field(&mut self, name: &str, value: bool) {
        self.field(name);
        self.boolean(value);
    }

    pub fn object_field(&mut self, name: &str, write: impl FnOnce(&mut JsonWriter)) {
        self.field(name);
        self.object(write);
    }

    /// Writes an object, or nothing if `write` adds no member.
    pub fn object_field_unless_empty<T>(&mut self, name: &str, write: impl FnOnce(&mut JsonWriter) -> T) -> T {
        self.field_unless_empty(name, *b"{}", write)
    }

    /// Writes an array, or nothing if `write` adds no item.
    pub fn array_field_unless_empty<T>(&mut self, name: &str, write: impl FnOnce(&mut JsonWriter) -> T) -> T {
        self.field_unless_empty(name, *b"[]", write)
    }

    fn field_unless_empty<T>(&mut self, name: &str, brackets: [u8; 2], write: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.out.len();
        self.field(name);
        self.out.push(brackets[0]);
        let start = self.out.len();
        let result = write(self);
        if self.out.len() == start {
            self.out.truncate(before);
        } else {
            self.out.push(brackets[1]);
        }
        result
    }

    /// Whether the open object has no member yet.
    pub fn is_at_object_start(&self) -> bool {
        self.out.ends_with(b"{")
    }

    fn comma(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }
}

/// Returns the first [`MAX_TEXT_BYTES`] of a text, and one character more, so that the document is still too large.
pub fn limited(text: &str) -> &str {
    if text.len() <= MAX_TEXT_BYTES {
        return text;
    }
    text.get(..text.ceil_char_boundary(MAX_TEXT_BYTES + 1)).unwrap_or(text)
}

/// Whether a byte is written as it is: ASCII that JSON does not escape.
fn is_plain(byte: u8) -> bool {
    // One comparison for control characters and for bytes above ASCII.
    (byte.wrapping_sub(0x20) < 0x60) & (byte != b'"') & (byte != b'\\')
}

/// Whether all bytes are plain. The loop has no branches, so that it is compiled to a few vector instructions.
fn all_plain<const N: usize>(bytes: &[u8; N]) -> bool {
    bytes.iter().fold(true, |all, byte| all & is_plain(*byte))
}

/// Chunks that are tested at once. Most texts of a request have 8 to 64 bytes.
const CHUNK: usize = 16;

fn is_plain_text(text: &[u8]) -> bool {
    // The last bytes overlap the previous chunk, so there is no remainder.
    if let Some(last) = text.last_chunk::<CHUNK>() {
        let (chunks, _) = text.as_chunks::<CHUNK>();
        return all_plain(last) && chunks.iter().all(all_plain);
    }
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => all_plain(first) & all_plain(last),
        _ => text.iter().all(|byte| is_plain(*byte)),
    }
}

/// Appends a text, of which at most [`MAX_TEXT_BYTES`], and its escapes.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= MAX_TEXT_BYTES && is_plain_text(bytes) {
        out.extend_from_slice(bytes);
    } else {
        escape_slowly(out, limited(&text(bytes)));
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends a text that is escaped twice: once for the document, and once for the JSON string that contains the
/// document.
fn escape_slowly(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (clean, from) = rest.split_at(at);
        out.extend_from_slice(clean);
        match from.first() {
            Some(b'"') => out.extend_from_slice(br#"\\\""#),
            Some(b'\\') => out.extend_from_slice(br"\\\\"),
            Some(b'\n') => out.extend_from_slice(br"\\n"),
            Some(b'\t') => out.extend_from_slice(br"\\t"),
            Some(b'\r') => out.extend_from_slice(br"\\r"),
            Some(byte) => {
                // Writing to memory cannot fail.
                let _ = write!(out, r"\\u{byte:04x}");
            }
            None => {}
        }
        rest = from.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_text_reads_back_unchanged() {
        for text in
            ["", "plain", "a \"quoted\" \\ path", "tab\tline\nnul\u{0}bell\u{7}", "é€😀 and more than sixteen bytes\r"]
        {
            let mut json = JsonWriter::default();
            json.text(text);
            assert_eq!(serde_json::from_str::<String>(&json.into_escaped().to_text()).unwrap(), text);
        }
    }

    #[test]
    fn writer_separates_members_and_omits_empty_objects() {
        let mut json = JsonWriter::default();
        json.object(|json| {
            json.object_field_unless_empty("none", |_| {});
            json.text_field("a", "{");
            json.field("b");
            json.array(|json| {
                json.int(-1);
                json.float(0.5);
                json.float(f64::NAN);
                json.null();
            });
            json.object_field_unless_empty("c", |json| json.boolean_field("d", true));
            json.key("e");
            json.raw(r#"{"f":"\"\\\n"}"#);
        });
        let expected = r#"{"a":"{","b":[-1,0.5,"NaN",null],"c":{"d":true},"e":{"f":"\"\\\n"}}"#;
        assert_eq!(json.into_escaped().to_text(), expected);
    }
}
