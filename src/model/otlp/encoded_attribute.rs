//! Attributes of encoded spans and points, which are read and removed without decoding the rest.

use super::protobuf::{FieldValue, Fields, next_field};

/// An encoded `KeyValue`.
#[derive(Clone, Copy, Debug)]
pub struct EncodedAttribute<'a>(pub(super) &'a [u8]);

impl<'a> EncodedAttribute<'a> {
    pub fn key(self) -> &'a [u8] {
        Fields::new(1, self.0).last().unwrap_or_default()
    }

    /// Returns the value, if it is a text.
    pub fn text(self) -> Option<&'a [u8]> {
        let mut text = None;
        for mut value in Fields::new(2, self.0) {
            while let Ok(Some((number, value))) = next_field(&mut value) {
                text = match (number, value) {
                    (1, FieldValue::Bytes(bytes)) => Some(bytes),
                    // The last value counts.
                    (1..=7, _) => None,
                    _ => text,
                };
            }
        }
        text
    }
}

/// Returns whether a span or point has an attribute that is `removed`. `field` is the number of the field with its attributes.
pub(super) fn has_attribute(item: &[u8], field: u32, removed: &impl Fn(EncodedAttribute<'_>) -> bool) -> bool {
    Fields::new(field, item).any(|attribute| removed(EncodedAttribute(attribute)))
}

/// Returns a span or point without the attributes that are `removed`. `None` if it is malformed.
pub(super) fn without_attributes(
    item: &[u8],
    field: u32,
    removed: &impl Fn(EncodedAttribute<'_>) -> bool,
) -> Option<Vec<u8>> {
    let (mut kept, mut rest) = (Vec::with_capacity(item.len()), item);
    loop {
        let from = rest;
        let Some((number, value)) = next_field(&mut rest).ok()? else { return Some(kept) };
        match value {
            FieldValue::Bytes(attribute) if number == field && removed(EncodedAttribute(attribute)) => {}
            _ => kept.extend_from_slice(from.get(..from.len() - rest.len())?),
        }
    }
}
