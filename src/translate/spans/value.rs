//! Reads OTLP attribute values, and writes them as JSON.

use std::borrow::Cow;

use crate::model::escaped_json::{JsonWriter, MAX_TEXT_BYTES};
use crate::model::otlp::SpanKind;
use crate::model::otlp::borrowed::Value;
use crate::model::otlp::borrowed::{AnyValue, KeyValue, Span, text};
use crate::translate::Compat;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Returns the value. It is `None` both for a missing `AnyValue` and for one without content.
pub(super) fn content<'a>(attribute: &'a KeyValue<'a>) -> Option<&'a Value<'a>> {
    attribute.value.as_ref()?.value.as_ref()
}

/// Returns the bytes of a string, and an empty slice for other types, which are not converted.
pub(super) fn string_bytes<'a>(value: Option<&'a Value<'a>>) -> &'a [u8] {
    match value {
        Some(Value::String(bytes)) => bytes,
        _ => &[],
    }
}

/// Returns the text of a string, and an empty text for other types.
pub(super) fn string<'a>(value: Option<&'a Value<'a>>) -> Cow<'a, str> {
    match value {
        Some(Value::String(bytes)) => text(bytes),
        _ => Cow::Borrowed(""),
    }
}

/// Whether `written` is the lossy conversion of bytes that are not UTF-8.
pub(super) fn is_lossy(bytes: &[u8], written: &str) -> bool {
    // The conversion replaces one to three bytes with three, so the text is never shorter than the bytes.
    written.len() >= bytes.len() && written.contains('\u{fffd}') && text(bytes) == written
}

/// Returns an integer, and 0 for other types.
pub(super) fn int(value: Option<&Value<'_>>) -> i64 {
    match value {
        Some(Value::Int(number)) => *number,
        _ => 0,
    }
}

/// Returns an integer, also from a string or a double, which some SDKs write.
pub(super) fn lenient_int(value: Option<&Value<'_>>) -> Option<i64> {
    match value? {
        Value::Int(number) => Some(*number),
        Value::String(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53 is exact")]
        Value::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
        _ => None,
    }
}

/// Returns the text of a string or an integer, such as a port.
pub(super) fn string_or_int<'a>(value: Option<&'a Value<'a>>) -> Cow<'a, str> {
    match value {
        Some(Value::Int(number)) => Cow::Owned(number.to_string()),
        value => string(value),
    }
}

/// Returns an HTTP status code, and 0 for other values.
pub(super) fn http_status(value: Option<&Value<'_>>, compat: Compat) -> i64 {
    if compat.reads_only_integer_status() { int(value) } else { lenient_int(value).unwrap_or(0) }
}

/// Whether an annotation can hold the value.
pub(super) fn is_scalar(value: &Value<'_>) -> bool {
    matches!(value, Value::String(_) | Value::Bool(_) | Value::Int(_) | Value::Double(_))
}

/// Writes a value as the collector does: bytes as base64, and missing nested values as null.
pub(super) fn write(json: &mut JsonWriter, value: &Value<'_>) {
    match value {
        Value::String(bytes) => json.text_bytes(bytes),
        Value::Bool(value) => json.boolean(*value),
        Value::Int(number) => json.int(*number),
        Value::Double(number) => json.float(*number),
        Value::Bytes([]) => json.null(),
        Value::Bytes(bytes) => json.text(&STANDARD.encode(bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes))),
        Value::Array(array) => json.array(|json| json.each(&array.values, write_any)),
        Value::KvList(list) => json.object(|json| write_members(json, &list.values)),
    }
}

fn write_any(json: &mut JsonWriter, value: &AnyValue) {
    match &value.value {
        Some(value) => write(json, value),
        None => json.null(),
    }
}

/// Writes attributes as members of the open object. If a key is repeated, the last value counts.
pub(super) fn write_members(json: &mut JsonWriter, attributes: &[KeyValue<'_>]) {
    json.each(attributes.iter().enumerate(), |json, (position, attribute)| {
        if is_repeated_later(attributes, position) {
            return;
        }
        json.key_bytes(attribute.key);
        match content(attribute) {
            Some(value) => write(json, value),
            None => json.null(),
        }
    });
}

/// Maximum number of attributes that are compared with one attribute.
const MAX_COMPARED: usize = 128;

/// Whether one of the next [`MAX_COMPARED`] attributes has the same key. Lists are short. In longer ones both members
/// are written, and readers of JSON use the last one.
pub(super) fn is_repeated_later(attributes: &[KeyValue<'_>], position: usize) -> bool {
    let Some((attribute, later)) = attributes.get(position..).and_then(<[KeyValue]>::split_first) else { return false };
    later.iter().take(MAX_COMPARED).any(|other| other.key == attribute.key)
}

/// Returns the kind of a span, which is unspecified for unknown numbers.
pub(super) fn kind(span: &Span<'_>) -> SpanKind {
    SpanKind::try_from(span.kind).unwrap_or(SpanKind::Unspecified)
}
