//! Lenient types for JSON of AWS, where values may be null or numbers in strings.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Expected, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::masked::start_of;

/// Maximum characters of an error before its position.
const MAX_ERROR_CHARS: usize = 200;

/// Parse error of a document.
#[derive(Debug, thiserror::Error)]
#[error("invalid {document}: {error}")]
pub struct DocumentError {
    document: &'static str,
    /// Contains line and column, and possibly the start of the invalid value.
    error: String,
}

/// Parses JSON. `document` is a noun for the error, such as `task metadata`.
pub(crate) fn parse<'a, T: Deserialize<'a>>(document: &'static str, body: &'a [u8]) -> Result<T, DocumentError> {
    serde_json::from_slice(body).map_err(|error| document_error(document, &error))
}

/// Parses JSON that is an object. serde would quote all of a string in its place.
pub(crate) fn parse_object<'a, T: Deserialize<'a>>(document: &'static str, body: &'a [u8]) -> Result<T, DocumentError> {
    if body.trim_ascii_start().starts_with(b"\"") {
        return Err(DocumentError { document, error: "it is a string, not an object".to_owned() });
    }
    parse(document, body)
}

/// Returns the error for a document that cannot be parsed.
pub(crate) fn document_error(document: &'static str, error: &serde_json::Error) -> DocumentError {
    DocumentError { document, error: short_error(error) }
}

/// Returns the error for a string where another type is expected. serde would quote all of it.
pub(crate) fn wrong_type<E: serde::de::Error>(text: &str, expected: &dyn Expected) -> E {
    E::invalid_type(Unexpected::Str(start_of(text, MAX_ERROR_CHARS)), expected)
}

/// Returns the text of an error without most of a long value, which it quotes completely.
fn short_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let start = start_of(&text, MAX_ERROR_CHARS);
    if start.len() == text.len() {
        return text;
    }
    format!("{start}... at line {} column {}", error.line(), error.column())
}

/// An object or a list. The error about a string in its place quotes only the start of the string.
#[derive(Debug, Default)]
pub(crate) struct NotText<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NotText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NotTextVisitor(PhantomData)).map(Self)
    }
}

struct NotTextVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NotTextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<T, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(elements))
    }
}

/// A string, borrowed from the body unless it contains escapes. Null is the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct JsonStr<'a>(pub Cow<'a, str>);

impl Deref for JsonStr<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for JsonStr<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonStr<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = JsonStr<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<JsonStr<'de>, E> {
        Ok(JsonStr(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<JsonStr<'de>, E> {
        Ok(JsonStr(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<JsonStr<'de>, E> {
        Ok(JsonStr::default())
    }
}

/// A number, or a string with a number, as in the fields `cpu` and `memory` of ECS. Any other value is `None`, so that one
/// field does not invalidate its document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LenientNumber(pub Option<f64>);

impl LenientNumber {
    /// Returns the value if it is an integer and not negative.
    pub fn as_u64(self) -> Option<u64> {
        self.0.filter(|value| *value >= 0.0 && value.fract() == 0.0).map(|value| value as u64)
    }
}

impl<'de> Deserialize<'de> for LenientNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = LenientNumber;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, value: u64) -> Result<LenientNumber, E> {
        Ok(LenientNumber(Some(value as f64)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<LenientNumber, E> {
        Ok(LenientNumber(Some(value as f64)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<LenientNumber, E> {
        Ok(LenientNumber(Some(value)))
    }

    fn visit_str<E>(self, text: &str) -> Result<LenientNumber, E> {
        Ok(LenientNumber(text.trim().parse().ok().filter(|value: &f64| value.is_finite())))
    }

    fn visit_unit<E>(self) -> Result<LenientNumber, E> {
        Ok(LenientNumber(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<LenientNumber, E> {
        Ok(LenientNumber(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<LenientNumber, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(LenientNumber(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LenientNumber, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(LenientNumber(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_number_accepts_any_json() {
        for (json, expected) in [
            ("1", Some(1.0)),
            ("-1", Some(-1.0)),
            ("0.5", Some(0.5)),
            ("\"512\"", Some(512.0)),
            ("\"a\"", None),
            ("\"nan\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
            ("{\"a\":[1]}", None),
        ] {
            assert_eq!(parse::<LenientNumber>("number", json.as_bytes()).unwrap(), LenientNumber(expected), "{json}");
        }
    }

    #[test]
    fn error_contains_line_and_column() {
        let error = parse::<Vec<JsonStr<'_>>>("list", b"[\"a\",\n 1]").unwrap_err();
        assert_eq!(error.to_string(), "invalid list: invalid type: integer `1`, expected a string at line 2 column 2");
    }
}
