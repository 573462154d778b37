//! Attributes of a resource.

use std::borrow::Cow;

use super::value;
use crate::model::otlp::borrowed::KeyValue;
use crate::model::otlp::borrowed::Value;

/// Attributes of a resource, by key. If a key is repeated, the last value counts.
#[derive(Clone, Copy)]
pub(super) struct ResourceAttributes<'a>(pub(super) &'a [KeyValue<'a>]);

impl<'a> ResourceAttributes<'a> {
    pub(super) fn has(self, key: &str) -> bool {
        self.0.iter().any(|attribute| attribute.key == key.as_bytes())
    }

    pub(super) fn value(self, key: &str) -> Option<&'a Value<'a>> {
        self.0.iter().rev().find(|attribute| attribute.key == key.as_bytes()).and_then(value::content)
    }

    /// Returns the bytes of a string, and an empty slice for other types.
    pub(super) fn bytes(self, key: &str) -> &'a [u8] {
        value::string_bytes(self.value(key))
    }

    /// Returns a string, which is empty for other types.
    pub(super) fn text(self, key: &str) -> Cow<'a, str> {
        value::string(self.value(key))
    }
}
