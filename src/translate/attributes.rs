//! Formats attribute values as text.
//!
//! The format is the same as `Value.AsString` in pdata (opentelemetry-collector, pdata/pcommon/value.go): numbers as in
//! JSON, bytes in base64, and lists and maps as compact JSON with sorted keys.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::otlp::borrowed::{AnyValue, KeyValue, Value, text};

/// Appends the text of an attribute value. Appends nothing for a missing value.
pub fn write_value(value: Option<&AnyValue<'_>>, out: &mut String) {
    let Some(value) = value.and_then(|value| value.value.as_ref()) else { return };
    let start = out.len();
    match value {
        Value::String(bytes) => out.push_str(&text(bytes)),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => write_display(value, out),
        Value::Double(value) => write_double(*value, out),
        Value::Bytes(bytes) => STANDARD.encode_string(bytes, out),
        Value::Array(_) | Value::KvList(_) => {
            // Go's encoder fails for NaN and infinity, which JSON cannot represent. The text is then empty.
            if write_json(value, out).is_none() {
                out.truncate(start);
            }
        }
    }
}

/// Appends the shortest decimal that parses to the same number, without an exponent: `0.0000001`, `1000000`, `+Inf`. It
/// is the format of `le` and `quantile`.
pub fn write_decimal(number: f64, out: &mut String) {
    if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        write_display(number, out);
    }
}

/// Appends a number in the format of JSON, with an exponent from 1e21 and below 1e-6 (ECMA-262 Number::toString).
fn write_double(number: f64, out: &mut String) {
    let size = number.abs();
    if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        write_display(number, out);
    } else {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                write_display(format_args!("{digits}e+{exponent}"), out)
            }
            _ => out.push_str(&text),
        }
    }
}

fn write_display(value: impl std::fmt::Display, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends JSON. Returns `None` if JSON cannot represent the value.
fn write_json(value: &Value<'_>, out: &mut String) -> Option<()> {
    match value {
        Value::String(bytes) => write_json_string(&text(bytes), out),
        Value::Bool(_) | Value::Int(_) => write_scalar(value, out),
        Value::Double(number) if number.is_finite() => write_double(*number, out),
        Value::Double(_) => return None,
        Value::Bytes(bytes) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        Value::Array(array) => {
            out.push('[');
            for (index, element) in array.values.iter().enumerate() {
                separate(index, out);
                write_element(Some(element), out)?;
            }
            out.push(']');
        }
        Value::KvList(list) => write_object(&list.values, out)?,
    }
    Some(())
}

fn write_scalar(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Bool(value) => write_display(value, out),
        Value::Int(value) => write_display(value, out),
        _ => {}
    }
}

fn write_object(entries: &[KeyValue<'_>], out: &mut String) -> Option<()> {
    let sorted: BTreeMap<_, _> = entries.iter().map(|entry| (text(entry.key), entry.value.as_ref())).collect();
    out.push('{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        separate(index, out);
        write_json_string(&key, out);
        out.push(':');
        write_element(value, out)?;
    }
    out.push('}');
    Some(())
}

fn write_element(element: Option<&AnyValue<'_>>, out: &mut String) -> Option<()> {
    match element.and_then(|element| element.value.as_ref()) {
        Some(value) => write_json(value, out),
        None => {
            out.push_str("null");
            Some(())
        }
    }
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

/// Appends a JSON string. Unlike serde_json, Go's encoder also escapes U+2028 and U+2029.
fn write_json_string(text: &str, out: &mut String) {
    // Serializing a string cannot fail.
    let json = serde_json::to_string(text).unwrap_or_default();
    if json.contains(['\u{2028}', '\u{2029}']) {
        out.push_str(&json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"));
    } else {
        out.push_str(&json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_have_the_format_of_json() {
        for (number, expected) in [
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (1e-6, "0.000001"),
            (123_456.789, "123456.789"),
            (1.0, "1"),
            (-0.0, "-0"),
            (-1.5e300, "-1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let mut out = String::new();
            write_double(number, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn decimals_have_no_exponent() {
        for (number, expected) in [
            (0.005, "0.005"),
            (10.0, "10"),
            (1e6, "1000000"),
            (1e-7, "0.0000001"),
            (1e21, "1000000000000000000000"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = String::new();
            write_decimal(number, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn nested_strings_are_escaped_as_in_go() {
        for (text, expected) in [
            ("plain é", "\"plain é\""),
            ("a\"b\\c\n\r\t\u{8}\u{c}\u{1}", r#""a\"b\\c\n\r\t\b\f\u0001""#),
            ("\u{2028}\u{2029}", r#""\u2028\u2029""#),
        ] {
            let mut out = String::new();
            write_json_string(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
