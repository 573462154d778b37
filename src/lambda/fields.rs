//! The top level of an event. Fields are parsed only after the event type is determined.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::model::rejection::join;

/// Number of keys in the error about an unknown event, and their length.
const MAX_LISTED_KEYS: usize = 8;
const MAX_KEY_CHARS: usize = 40;

/// JSON of a field, or `None` if it is missing or `null`.
type Field<'a> = Option<&'a RawValue>;

/// Text of the field `body`. It is decoded while the event is read: as [`RawValue`], a text with escapes would be read twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum BodyText<'a> {
    /// Missing or `null`.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    /// A JSON value that is not a string.
    OtherType,
}

/// Fields of all event types.
#[derive(Default)]
pub(super) struct Fields<'a> {
    /// The first keys of the event.
    keys: Vec<String>,
    pub(super) at: Field<'a>,
    pub(super) awslogs: Field<'a>,
    pub(super) body: BodyText<'a>,
    pub(super) detail: Field<'a>,
    pub(super) detail_type: Field<'a>,
    pub(super) headers: Field<'a>,
    pub(super) http_method: Field<'a>,
    pub(super) is_base64_encoded: Field<'a>,
    pub(super) method: Field<'a>,
    pub(super) multi_value_headers: Field<'a>,
    pub(super) path: Field<'a>,
    pub(super) raw_path: Field<'a>,
    pub(super) records: Field<'a>,
    pub(super) request_context: Field<'a>,
    pub(super) resources: Field<'a>,
    pub(super) sidecarless: Field<'a>,
    pub(super) time: Field<'a>,
}

impl<'a> Fields<'a> {
    fn field(&mut self, key: &str) -> Option<&mut Field<'a>> {
        Some(match key {
            "at" => &mut self.at,
            "awslogs" => &mut self.awslogs,
            "detail" => &mut self.detail,
            "detail-type" => &mut self.detail_type,
            "headers" => &mut self.headers,
            "httpMethod" => &mut self.http_method,
            "isBase64Encoded" => &mut self.is_base64_encoded,
            "method" => &mut self.method,
            "multiValueHeaders" => &mut self.multi_value_headers,
            "path" => &mut self.path,
            "rawPath" => &mut self.raw_path,
            "Records" => &mut self.records,
            "requestContext" => &mut self.request_context,
            "resources" => &mut self.resources,
            "sidecarless" => &mut self.sidecarless,
            "time" => &mut self.time,
            _ => return None,
        })
    }

    /// Returns the first keys, for the error about an unknown event.
    pub(super) fn listed_keys(&self) -> String {
        let keys = join(self.keys.iter().map(|key| format!("`{key}`")));
        if keys.is_empty() { "(none)".into() } else { keys }
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Does not quote the text, which can be an event of 6 MB.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::invalid_type(Unexpected::Other("a string"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            match fields.field(&key) {
                Some(field) => *field = map.next_value()?,
                None if key == "body" => fields.body = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
            if fields.keys.len() < MAX_LISTED_KEYS {
                fields.keys.push(key.chars().take(MAX_KEY_CHARS).collect());
            }
        }
        Ok(fields)
    }
}

impl<'de> Deserialize<'de> for BodyText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = BodyText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<BodyText<'de>, E> {
        Ok(BodyText::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<BodyText<'de>, E> {
        Ok(BodyText::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<BodyText<'de>, E> {
        Ok(BodyText::Missing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<BodyText<'de>, E> {
        Ok(BodyText::OtherType)
    }

    fn visit_i64<E>(self, _: i64) -> Result<BodyText<'de>, E> {
        Ok(BodyText::OtherType)
    }

    fn visit_u64<E>(self, _: u64) -> Result<BodyText<'de>, E> {
        Ok(BodyText::OtherType)
    }

    fn visit_f64<E>(self, _: f64) -> Result<BodyText<'de>, E> {
        Ok(BodyText::OtherType)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<BodyText<'de>, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(BodyText::OtherType)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<BodyText<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(BodyText::OtherType)
    }
}

/// Returns the text of a field, or `None` if it is not a string.
pub(super) fn text(field: Field<'_>) -> Option<String> {
    serde_json::from_str(field?.get()).ok()
}

/// Returns the first text of a list, or an empty one for anything else.
pub(super) fn first_text(field: Field<'_>) -> String {
    let texts = field.and_then(|field| serde_json::from_str::<Vec<String>>(field.get()).ok());
    texts.into_iter().flatten().next().unwrap_or_default()
}

/// Returns an RFC 3339 time in milliseconds, or `None` for anything else, such as a placeholder that was not replaced.
pub(super) fn time(field: Field<'_>) -> Option<i64> {
    let time: jiff::Timestamp = text(field)?.parse().ok()?;
    Some(time.as_millisecond())
}

/// Parses a field, or returns the default if it is missing.
pub(super) fn typed<'a, T: Deserialize<'a> + Default>(field: Field<'a>) -> Result<T, serde_json::Error> {
    field.map_or_else(|| Ok(T::default()), |field| serde_json::from_str(field.get()))
}
