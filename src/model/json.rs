//! JSON of AWS as it comes: null where nothing is known, texts borrowed from the body, errors that say where.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A document that is not what it should be, and where.
#[derive(Debug, thiserror::Error)]
#[error("not {document}: {error}")]
pub struct DocumentError {
    document: &'static str,
    /// Names line and column; may quote the value it stumbled over.
    error: serde_json::Error,
}

/// Reads `document`, named as it is to stand in the error.
pub(crate) fn parse<'a, T: Deserialize<'a>>(document: &'static str, body: &'a [u8]) -> Result<T, DocumentError> {
    serde_json::from_slice(body).map_err(|error| DocumentError { document, error })
}

/// A text of the body, borrowed from it unless it has escapes. Null is the empty text.
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
        f.write_str("a text")
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

/// A number, or a text that is one, as ECS writes `cpu` and `memory`. Anything else is no number, and no error: one field
/// does not cost its document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LenientNumber(pub Option<f64>);

impl LenientNumber {
    /// The whole number, when it is one that can count something.
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
    fn a_number_is_a_number_in_whatever_dress() {
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
            assert_eq!(parse::<LenientNumber>("a number", json.as_bytes()).unwrap(), LenientNumber(expected), "{json}");
        }
    }

    #[test]
    fn an_error_says_where() {
        let error = parse::<Vec<JsonStr<'_>>>("a list", b"[\"a\",\n 1]").unwrap_err();
        assert_eq!(error.to_string(), "not a list: invalid type: integer `1`, expected a text at line 2 column 2");
    }
}
