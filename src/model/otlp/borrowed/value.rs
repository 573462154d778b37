//! Attributes of spans, data points and resources.

use crate::model::otlp;
use crate::model::otlp::protobuf::{FieldValue, MalformedMessage, next_field};

/// Maximum depth of messages below a span or data point, as in prost.
const MAX_DEPTH: u32 = 99;

fn check_depth(depth: u32) -> Result<(), MalformedMessage> {
    if depth > MAX_DEPTH { Err(MalformedMessage::TooDeep) } else { Ok(()) }
}

/// See [`otlp::KeyValue`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValue<'a> {
    pub key: &'a [u8],
    pub value: Option<AnyValue<'a>>,
}

/// See [`otlp::AnyValue`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnyValue<'a> {
    pub value: Option<Value<'a>>,
}

/// See [`otlp::any_value::Value`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    String(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(ArrayValue<'a>),
    KvList(KeyValueList<'a>),
    Bytes(&'a [u8]),
}

/// See [`otlp::ArrayValue`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArrayValue<'a> {
    pub values: Vec<AnyValue<'a>>,
}

/// See [`otlp::KeyValueList`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValueList<'a> {
    pub values: Vec<KeyValue<'a>>,
}

impl<'a> KeyValue<'a> {
    /// Adds the fields of the message. `depth` is the number of messages that it is nested in, below the
    /// span or data point.
    fn merge(&mut self, message: &'a [u8], depth: u32) -> Result<(), MalformedMessage> {
        check_depth(depth)?;
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (1, FieldValue::Bytes(key)) => self.key = key,
                (2, FieldValue::Bytes(value)) => self.value.get_or_insert_default().merge(value, depth + 1)?,
                (1 | 2, _) => return Err(MalformedMessage::OtherType(number)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Decodes an attribute at the end of a list, where it stays.
pub(super) fn push_attribute<'a>(
    list: &mut Vec<KeyValue<'a>>,
    message: &'a [u8],
    depth: u32,
) -> Result<(), MalformedMessage> {
    // The message of the value must not be nested too deep, either.
    if depth < MAX_DEPTH
        && let Some((key, text)) = short_texts(message)
    {
        list.push(KeyValue { key, value: Some(AnyValue { value: Some(Value::String(text)) }) });
        return Ok(());
    }
    list.push(KeyValue::default());
    list.last_mut().map_or(Ok(()), |pair| pair.merge(message, depth))
}

/// Returns key and value of an attribute in the form that most have: both are texts, in order, whose lengths take one byte.
#[inline(always)]
fn short_texts(message: &[u8]) -> Option<(&[u8], &[u8])> {
    // Tags of KeyValue.key, KeyValue.value and AnyValue.string_value.
    let (&[0x0a, key_len @ 0..0x80], rest) = message.split_first_chunk()? else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(key_len))?;
    let (&[0x12, value_len @ 0..0x80, 0x0a, text_len], text) = rest.split_first_chunk()? else { return None };
    (text.len() == usize::from(text_len) && value_len.checked_sub(2) == Some(text_len)).then_some((key, text))
}

impl<'a> AnyValue<'a> {
    /// Adds the fields of one occurrence of the message. The last value counts; lists are appended to a list.
    fn merge(&mut self, message: &'a [u8], depth: u32) -> Result<(), MalformedMessage> {
        check_depth(depth)?;
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            let value = match (number, value) {
                (1, FieldValue::Bytes(text)) => Value::String(text),
                (2, FieldValue::Varint(number)) => Value::Bool(number != 0),
                (3, FieldValue::Varint(number)) => Value::Int(number.cast_signed()),
                (4, FieldValue::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
                (5, FieldValue::Bytes(list)) => {
                    let mut array = match self.value.take() {
                        Some(Value::Array(array)) => array,
                        _ => ArrayValue::default(),
                    };
                    array.merge(list, depth + 1)?;
                    Value::Array(array)
                }
                (6, FieldValue::Bytes(list)) => {
                    let mut members = match self.value.take() {
                        Some(Value::KvList(members)) => members,
                        _ => KeyValueList::default(),
                    };
                    members.merge(list, depth + 1)?;
                    Value::KvList(members)
                }
                (7, FieldValue::Bytes(bytes)) => Value::Bytes(bytes),
                (1..=7, _) => return Err(MalformedMessage::OtherType(number)),
                _ => continue,
            };
            self.value = Some(value);
        }
        Ok(())
    }
}

impl<'a> ArrayValue<'a> {
    fn merge(&mut self, message: &'a [u8], depth: u32) -> Result<(), MalformedMessage> {
        check_depth(depth)?;
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (1, FieldValue::Bytes(item)) => {
                    let mut any = AnyValue::default();
                    any.merge(item, depth + 1)?;
                    self.values.push(any);
                }
                (1, _) => return Err(MalformedMessage::OtherType(number)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> KeyValueList<'a> {
    fn merge(&mut self, message: &'a [u8], depth: u32) -> Result<(), MalformedMessage> {
        check_depth(depth)?;
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (1, FieldValue::Bytes(item)) => push_attribute(&mut self.values, item, depth + 1)?,
                (1, _) => return Err(MalformedMessage::OtherType(number)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Checks an attribute that is not decoded.
pub fn check_attribute(message: &[u8]) -> Result<(), MalformedMessage> {
    check_pair(message, 0)
}

fn check_pair(message: &[u8], depth: u32) -> Result<(), MalformedMessage> {
    check_depth(depth)?;
    let mut rest = message;
    while let Some((number, value)) = next_field(&mut rest)? {
        match (number, value) {
            (1, FieldValue::Bytes(_)) => {}
            (2, FieldValue::Bytes(value)) => check_any(value, depth + 1)?,
            (1 | 2, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
    }
    Ok(())
}

fn check_any(message: &[u8], depth: u32) -> Result<(), MalformedMessage> {
    check_depth(depth)?;
    let mut rest = message;
    while let Some((number, value)) = next_field(&mut rest)? {
        match (number, value) {
            (1 | 7, FieldValue::Bytes(_)) | (2 | 3, FieldValue::Varint(_)) | (4, FieldValue::Fixed64(_)) => {}
            (5, FieldValue::Bytes(list)) => check_list(list, depth + 1, check_any)?,
            (6, FieldValue::Bytes(list)) => check_list(list, depth + 1, check_pair)?,
            (1..=7, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
    }
    Ok(())
}

fn check_list(
    message: &[u8],
    depth: u32,
    check: fn(&[u8], u32) -> Result<(), MalformedMessage>,
) -> Result<(), MalformedMessage> {
    check_depth(depth)?;
    let mut rest = message;
    while let Some((number, value)) = next_field(&mut rest)? {
        match (number, value) {
            (1, FieldValue::Bytes(item)) => check(item, depth + 1)?,
            (1, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
    }
    Ok(())
}

/// Memory of an attribute for each byte of its encoded form, of which the shortest has two.
pub const ATTRIBUTE_EXPANSION: usize = size_of::<KeyValue<'_>>() / 2;

/// Returns decoded attributes, such as those of a resource.
pub fn attributes(decoded: &[otlp::KeyValue]) -> Vec<KeyValue<'_>> {
    decoded.iter().map(KeyValue::from).collect()
}

impl<'a> From<&'a otlp::KeyValue> for KeyValue<'a> {
    fn from(pair: &'a otlp::KeyValue) -> Self {
        Self { key: &pair.key, value: pair.value.as_ref().map(AnyValue::from) }
    }
}

impl<'a> From<&'a otlp::AnyValue> for AnyValue<'a> {
    fn from(any: &'a otlp::AnyValue) -> Self {
        use otlp::any_value::Value as Decoded;
        let value = any.value.as_ref().map(|value| match value {
            Decoded::String(bytes) => Value::String(bytes),
            Decoded::Bool(value) => Value::Bool(*value),
            Decoded::Int(number) => Value::Int(*number),
            Decoded::Double(number) => Value::Double(*number),
            Decoded::Array(array) => {
                Value::Array(ArrayValue { values: array.values.iter().map(AnyValue::from).collect() })
            }
            Decoded::KvList(list) => Value::KvList(KeyValueList { values: attributes(&list.values) }),
            Decoded::Bytes(bytes) => Value::Bytes(bytes),
        });
        Self { value }
    }
}
