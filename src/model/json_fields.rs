//! Fields of JSON documents whose value costs itself, and not the document, if it is of another type.
//!
//! For use with `deserialize_with`. A value that cannot be read is unknown, like one that is null or absent.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::{JsonStr, LenientNumber};

/// 2^64, the first number above the range of `u64`.
const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;

/// Reads an integer that is not negative: a number, also with a fraction of zero, or a text with one.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(FieldVisitor(PhantomData::<Integer>)).map(|Integer(value)| value)
}

/// Reads a finite number, or a text with one.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    LenientNumber::deserialize(deserializer).map(|number| number.0.filter(|value| value.is_finite()))
}

/// Reads an integer of few digits, such as an exit code.
pub(crate) fn small_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    number(deserializer).map(|value| value.filter(|value| value.fract() == 0.0).map(|value| value as i64))
}

/// Reads a text, or an integer as text.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JsonStr<'de>, D::Error> {
    deserializer.deserialize_any(FieldVisitor(PhantomData::<JsonStr<'de>>))
}

/// Reads a value that is spelled as a text.
pub(crate) fn spelled<'de, T: for<'t> From<&'t str>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    text(deserializer).map(|text| (&*text).into())
}

/// Reads an object.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(FieldVisitor(PhantomData::<Object<T>>)).map(|Object(object)| object)
}

/// Reads an object, or its default.
pub(crate) fn object_or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    object(deserializer).map(Option::unwrap_or_default)
}

/// Reads a list, or its default.
pub(crate) fn list_or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(FieldVisitor(PhantomData::<List<T>>)).map(|List(list)| list)
}

/// Reads a list. Null is its default, and a value of another type is unknown.
pub(crate) fn nullable_list<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(FieldVisitor(PhantomData::<NullableList<T>>)).map(|NullableList(list)| list)
}

/// A value that is its default unless it is read.
trait Field<'de>: Default {
    fn from_null() -> Self {
        Self::default()
    }

    fn from_u64(_value: u64) -> Self {
        Self::default()
    }

    fn from_f64(_value: f64) -> Self {
        Self::default()
    }

    fn from_text(_text: &str) -> Self {
        Self::default()
    }

    fn from_borrowed(text: &'de str) -> Self {
        Self::from_text(text)
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

#[derive(Default)]
struct Integer(Option<u64>);

impl Field<'_> for Integer {
    fn from_u64(value: u64) -> Self {
        Self(Some(value))
    }

    fn from_f64(value: f64) -> Self {
        let is_integer = value.fract() == 0.0 && (0.0..TWO_POW_64).contains(&value);
        Self(is_integer.then_some(value as u64))
    }

    fn from_text(text: &str) -> Self {
        let text = text.trim();
        match text.parse() {
            Ok(value) => Self(Some(value)),
            Err(_) => text.parse().map_or(Self(None), Self::from_f64),
        }
    }
}

impl<'de> Field<'de> for JsonStr<'de> {
    fn from_u64(value: u64) -> Self {
        JsonStr(value.to_string().into())
    }

    fn from_text(text: &str) -> Self {
        JsonStr(text.to_owned().into())
    }

    fn from_borrowed(text: &'de str) -> Self {
        JsonStr(text.into())
    }
}

struct Object<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Field<'de> for Object<T> {
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Self(Some(object)))
    }
}

#[derive(Default)]
struct List<T>(T);

impl<'de, T: Deserialize<'de> + Default> Field<'de> for List<T> {
    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(list)).map(Self)
    }
}

struct NullableList<T>(Option<T>);

impl<T> Default for NullableList<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de> + Default> Field<'de> for NullableList<T> {
    fn from_null() -> Self {
        Self(Some(T::default()))
    }

    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(list)).map(|list| Self(Some(list)))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Field<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(T::from_u64(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(u64::try_from(value).map_or_else(|_| T::default(), T::from_u64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        Ok(T::from_f64(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::from_borrowed(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::from_null())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Fields<'a> {
        #[serde(deserialize_with = "integer")]
        integer: Option<u64>,
        #[serde(deserialize_with = "number")]
        number: Option<f64>,
        #[serde(deserialize_with = "small_integer")]
        code: Option<i64>,
        #[serde(borrow, deserialize_with = "text")]
        text: JsonStr<'a>,
        #[serde(deserialize_with = "object")]
        object: Option<Inner>,
        #[serde(deserialize_with = "list_or_default")]
        list: Vec<u8>,
        #[serde(deserialize_with = "nullable_list")]
        nullable: Option<Vec<u8>>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        #[serde(deserialize_with = "integer")]
        a: Option<u64>,
    }

    fn read(field: &str, value: &str) -> Fields<'static> {
        let text = format!("{{\"{field}\":{value}}}");
        serde_json::from_str(text.leak()).expect("every value is read or unknown")
    }

    #[test]
    fn integers_are_read_from_every_spelling() {
        for (value, expected) in [
            ("314572800", Some(314_572_800)),
            ("314572800.0", Some(314_572_800)),
            ("3145728e2", Some(314_572_800)),
            ("\"314572800\"", Some(314_572_800)),
            ("\" 314572800.0 \"", Some(314_572_800)),
            ("18446744073709551615", Some(u64::MAX)),
            ("\"18446744073709551615\"", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("1.5", None),
            ("1e300", None),
            ("\"\"", None),
            ("\"many\"", None),
            ("null", None),
            ("true", None),
            ("[1,[2]]", None),
            ("{\"a\":{}}", None),
        ] {
            assert_eq!(read("integer", value).integer, expected, "{value}");
        }
    }

    #[test]
    fn value_of_another_type_is_unknown() {
        let odd = ["null", "true", "-1", "1.5", "\"x\"", "[1,{}]", "{\"b\":[]}"];
        for value in odd {
            assert_eq!(read("unknown", value), Fields::default());
            assert_eq!(read("integer", value), Fields::default(), "{value}");
        }
        for (field, value) in
            [("text", "5.5"), ("text", "[1]"), ("object", "5"), ("object", "[1]"), ("list", "\"x\""), ("list", "{}")]
        {
            assert_eq!(read(field, value), Fields::default(), "{field} {value}");
        }
        assert_eq!(read("object", "{\"a\":\"x\",\"b\":1}").object, Some(Inner { a: None }), "one odd field");
        assert_eq!(&*read("text", "\"a\\n\"").text, "a\n");
        assert_eq!(&*read("text", "12").text, "12");
        assert_eq!(read("list", "[1,2]").list, [1, 2]);
        for (value, expected) in [("[1]", Some(vec![1])), ("null", Some(vec![])), ("true", None), ("{}", None)] {
            assert_eq!(read("nullable", value).nullable, expected, "{value}");
        }
        assert_eq!((read("number", "\"0.5\"").number, read("code", "137.0").code), (Some(0.5), Some(137)));
        assert_eq!((read("number", "{}").number, read("code", "0.5").code), (None, None));
    }
}
