//! Lists of known names at a place where they are not read.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::read::{FieldValue, with_path};
use crate::model::json::wrong_type;

impl<'de, A: MapAccess<'de>> FieldValue<'_, A> {
    /// Rejects items of another signal. An empty list is ignored: writers that share one type for all signals write it.
    pub(super) fn of_signal(self, signal: &str) -> Result<(), A::Error> {
        self.no_items(&format_args!("{signal} in a request for another signal: send them to /v1/{signal}"))
    }

    /// Rejects items that belong to the list `place`, as seen from here.
    pub(super) fn of_level(self, place: &str) -> Result<(), A::Error> {
        self.no_items(&format_args!("a list at the wrong level: put it into {place}"))
    }

    fn no_items(self, problem: &dyn fmt::Display) -> Result<(), A::Error> {
        with_path(self.map.next_value_seed(NoItems(problem)), self.context, self.name)
    }
}

/// Accepts `null` and an empty array.
#[derive(Clone, Copy)]
struct NoItems<'p>(&'p dyn fmt::Display);

impl<'de> DeserializeSeed<'de> for NoItems<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoItems<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        Err(wrong_type(text, &self))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        items.next_element_seed(Refused(self.0)).map(|_| ())
    }
}

/// Fails for any item, before the item is read.
struct Refused<'p>(&'p dyn fmt::Display);

impl<'de> DeserializeSeed<'de> for Refused<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::custom(self.0))
    }
}
