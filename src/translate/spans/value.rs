//! OTLP attribute values: how they are read, and how they are written as JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::json::JsonWriter;
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{AnyValue, KeyValue, Span, SpanKind, text};

/// The value, if there is one: an absent `AnyValue` and one without content are both null.
pub(super) fn content(attribute: &KeyValue) -> Option<&Value> {
    attribute.value.as_ref()?.value.as_ref()
}

/// The bytes of a string; nothing for every other type, which is never turned into a string unasked.
pub(super) fn string_bytes(value: Option<&Value>) -> &[u8] {
    match value {
        Some(Value::String(bytes)) => bytes,
        _ => &[],
    }
}

/// The text of a string; empty for every other type.
pub(super) fn string(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        Some(Value::String(bytes)) => text(bytes),
        _ => Cow::Borrowed(""),
    }
}

/// Whether `written` is what became of bytes that are no UTF-8.
pub(super) fn is_lossy(bytes: &Bytes, written: &str) -> bool {
    // What could not be read made the text longer or left it as long: one byte becomes three, or up to three become three.
    written.len() >= bytes.len() && written.contains('\u{fffd}') && text(bytes) == written
}

/// An int, or 0 for every other type.
pub(super) fn int(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::Int(number)) => *number,
        _ => 0,
    }
}

/// An int, also one that some SDKs write as a string or as a double.
pub(super) fn lenient_int(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Int(number) => Some(*number),
        Value::String(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53 is exact")]
        Value::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
        _ => None,
    }
}

/// What an annotation can hold.
pub(super) fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Bool(_) | Value::Int(_) | Value::Double(_))
}

/// A value as the collector writes it: bytes as base64, nested nulls as null.
pub(super) fn write(json: &mut JsonWriter, value: &Value) {
    match value {
        Value::String(bytes) => json.text(&text(bytes)),
        Value::Bool(value) => json.boolean(*value),
        Value::Int(number) => json.int(*number),
        Value::Double(number) => json.float(*number),
        Value::Bytes(bytes) if bytes.is_empty() => json.null(),
        Value::Bytes(bytes) => json.text(&STANDARD.encode(bytes)),
        Value::Array(array) => {
            json.open('[');
            array.values.iter().for_each(|item| write_any(json, item));
            json.close(']');
        }
        Value::KvList(list) => {
            json.open('{');
            write_members(json, &list.values);
            json.close('}');
        }
    }
}

fn write_any(json: &mut JsonWriter, value: &AnyValue) {
    match &value.value {
        Some(value) => write(json, value),
        None => json.null(),
    }
}

/// Attributes as members of the open object; of two with the same key the later one stands.
pub(super) fn write_members(json: &mut JsonWriter, attributes: &[KeyValue]) {
    for (at, attribute) in attributes.iter().enumerate() {
        if shadowed(attributes, at) {
            continue;
        }
        json.any_key("", &text(&attribute.key));
        match content(attribute) {
            Some(value) => write(json, value),
            None => json.null(),
        }
    }
}

/// More attributes than this are never compared each with each.
const COMPARED: usize = 128;

/// Whether a later attribute has the same key. Lists are short; beyond [`COMPARED`] neighbours it is not looked for:
/// a reader of JSON takes the later member as well.
pub(super) fn shadowed(attributes: &[KeyValue], at: usize) -> bool {
    let Some((attribute, later)) = attributes.get(at..).and_then(<[KeyValue]>::split_first) else { return false };
    later.iter().take(COMPARED).any(|other| other.key == attribute.key)
}

/// A span's kind; numbers that OTLP does not know count as unspecified.
pub(super) fn kind(span: &Span) -> SpanKind {
    SpanKind::try_from(span.kind).unwrap_or(SpanKind::Unspecified)
}
