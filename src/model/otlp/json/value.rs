//! Conversion of JSON scalars to the types of fields.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use hex::FromHexError;
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::model::masked::start_of;
use crate::model::otlp::number_data_point;

/// Error for a value of the wrong type or format.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct InvalidValue(String);

/// A JSON scalar.
pub(super) enum Scalar<'de> {
    Null,
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Borrowed(&'de str),
    /// A string with escapes.
    Owned(String),
}

/// Integer types of fields.
pub(super) trait Integer: TryFrom<i128> + Default {
    const NAME: &'static str;
}

impl Integer for i32 {
    const NAME: &'static str = "a 32-bit integer";
}
impl Integer for u32 {
    const NAME: &'static str = "an unsigned 32-bit integer";
}
impl Integer for i64 {
    const NAME: &'static str = "a 64-bit integer";
}
impl Integer for u64 {
    const NAME: &'static str = "an unsigned 64-bit integer";
}

impl Scalar<'_> {
    /// Returns text, as a slice of `body` unless it contains escapes.
    pub(super) fn text(self, body: &Bytes) -> Result<Option<Bytes>, InvalidValue> {
        match self {
            Scalar::Null => Ok(None),
            // Borrowed strings are always a part of the body.
            Scalar::Borrowed(text) => Ok(Some(body.slice_ref(text.as_bytes()))),
            Scalar::Owned(text) => Ok(Some(Bytes::from(text))),
            other => Err(other.type_error("a string")),
        }
    }

    /// Decodes hexadecimal digits in upper or lower case.
    pub(super) fn hex(self) -> Result<Option<Bytes>, InvalidValue> {
        let Some(text) = self.characters("hexadecimal digits")? else { return Ok(None) };
        match hex::decode(text) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(FromHexError::OddLength) => {
                Err(InvalidValue(format!("invalid id of {} hexadecimal digits, expected an even number", text.len())))
            }
            Err(_) => Err(InvalidValue(format!("invalid hexadecimal digits {}", quote(text)))),
        }
    }

    /// Decodes base64 of either alphabet, with or without padding.
    pub(super) fn base64(self) -> Result<Option<Bytes>, InvalidValue> {
        let Some(text) = self.characters("base64")? else { return Ok(None) };
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        let bytes = lenient(alphabet)
            .decode(text)
            .map_err(|error| InvalidValue(format!("invalid base64 {}: {error}", quote(text))))?;
        Ok(Some(bytes.into()))
    }

    /// Converts a number or a string to an integer.
    pub(super) fn integer<T: Integer>(self) -> Result<Option<T>, InvalidValue> {
        let wide = match &self {
            Scalar::Null => return Ok(None),
            Scalar::Unsigned(value) => Some(i128::from(*value)),
            Scalar::Signed(value) => Some(i128::from(*value)),
            Scalar::Double(value) => integer_from_f64(*value),
            Scalar::Borrowed(text) => parse_integer(text),
            Scalar::Owned(text) => parse_integer(text),
            Scalar::Boolean(_) => None,
        };
        wide.and_then(|wide| T::try_from(wide).ok()).map(Some).ok_or_else(|| self.type_error(T::NAME))
    }

    /// Converts a number or a string, which may be `NaN`, `Infinity` or `-Infinity`, to a double.
    pub(super) fn double(self) -> Result<Option<f64>, InvalidValue> {
        let value = match &self {
            Scalar::Null => return Ok(None),
            Scalar::Unsigned(value) => Some(*value as f64),
            Scalar::Signed(value) => Some(*value as f64),
            Scalar::Double(value) => Some(*value),
            Scalar::Borrowed(text) => parse_double(text),
            Scalar::Owned(text) => parse_double(text),
            Scalar::Boolean(_) => None,
        };
        value.map(Some).ok_or_else(|| self.type_error("a number"))
    }

    /// Converts a number or a string to an integer if it is one, otherwise to a double.
    pub(super) fn number(self) -> Result<Option<number_data_point::Value>, InvalidValue> {
        let integer = match &self {
            Scalar::Unsigned(value) => i64::try_from(*value).ok(),
            Scalar::Signed(value) => Some(*value),
            Scalar::Borrowed(text) => text.parse().ok(),
            Scalar::Owned(text) => text.parse().ok(),
            _ => None,
        };
        match integer {
            Some(value) => Ok(Some(number_data_point::Value::Int(value))),
            None => Ok(self.double()?.map(number_data_point::Value::Double)),
        }
    }

    pub(super) fn boolean(self) -> Result<Option<bool>, InvalidValue> {
        match self {
            Scalar::Null => Ok(None),
            Scalar::Boolean(value) => Ok(Some(value)),
            other => Err(other.type_error("true or false")),
        }
    }

    /// Converts the number of an enum, or one of its names, numbered from 0.
    pub(super) fn choice(self, names: &[&str]) -> Result<Option<i32>, InvalidValue> {
        let name = match &self {
            Scalar::Borrowed(text) => *text,
            Scalar::Owned(text) => text,
            _ => return self.integer(),
        };
        match names.iter().position(|known| *known == name) {
            Some(number) => Ok(i32::try_from(number).ok()),
            None => self.integer(),
        }
    }

    /// Returns a string that encodes bytes.
    fn characters(&self, expected: &str) -> Result<Option<&str>, InvalidValue> {
        match self {
            Scalar::Null => Ok(None),
            Scalar::Borrowed(text) => Ok(Some(text)),
            Scalar::Owned(text) => Ok(Some(text)),
            other => Err(other.type_error(expected)),
        }
    }

    fn type_error(&self, expected: &str) -> InvalidValue {
        let value = match self {
            Scalar::Null => "null".to_owned(),
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Unsigned(value) => value.to_string(),
            Scalar::Signed(value) => value.to_string(),
            Scalar::Double(value) => value.to_string(),
            Scalar::Borrowed(text) => quote(text),
            Scalar::Owned(text) => quote(text),
        };
        InvalidValue(format!("invalid value {value}, expected {expected}"))
    }
}

/// Returns text in quotes, shortened for an error.
fn quote(text: &str) -> String {
    const MAX_CHARS: usize = 40;
    match start_of(text, MAX_CHARS) {
        all if all.len() == text.len() => format!("{text:?}"),
        start => format!("{start:?}..."),
    }
}

fn lenient(alphabet: &Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// `1e3` and `1.0` are integers (JSON mapping of protobuf).
fn integer_from_f64(value: f64) -> Option<i128> {
    (value.is_finite() && value.fract() == 0.0).then_some(value as i128)
}

fn parse_integer(text: &str) -> Option<i128> {
    text.parse().ok().or_else(|| parse_double(text).and_then(integer_from_f64))
}

fn parse_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string, a number, true, false or null")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Double(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Owned(text.to_owned()))
    }
}
