//! Fields of an encoded protobuf message, in order, without decoding nested messages.
//!
//! prost owns what it decodes. These functions are for code that only looks at a message, or whose result borrows from it.

use thiserror::Error;

/// Value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    Varint(u64),
    Fixed64(u64),
    /// Bytes, a text, a nested message or packed numbers.
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// A group, a kind of nested message without a length, which OTLP does not use.
    Group,
}

/// Bytes that are not a protobuf message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MalformedMessage {
    #[error("a field ends after the end of its message")]
    TooShort,
    #[error("a number has more than ten bytes")]
    InvalidVarint,
    #[error("a field has the number 0, or one that is too large")]
    InvalidNumber,
    #[error("a field has an unknown wire type")]
    InvalidWireType,
    #[error("field {0} has another type")]
    OtherType(u32),
    #[error("messages are nested too deep")]
    TooDeep,
}

/// Removes the next field from the front of a message. `None` at the end of the message.
///
/// Always inlined, like the functions below: a caller that matches the value then needs no value in memory, and a span has 140 fields.
#[inline(always)]
pub fn next_field<'a>(message: &mut &'a [u8]) -> Result<Option<(u32, FieldValue<'a>)>, MalformedMessage> {
    if message.is_empty() {
        return Ok(None);
    }
    let (number, wire_type) = key(message)?;
    let value = match wire_type {
        WIRE_VARINT => FieldValue::Varint(varint(message)?),
        WIRE_FIXED64 => FieldValue::Fixed64(u64::from_le_bytes(take_array(message)?)),
        WIRE_BYTES => FieldValue::Bytes(take_delimited(message)?),
        WIRE_FIXED32 => FieldValue::Fixed32(u32::from_le_bytes(take_array(message)?)),
        other => skip(other, number, message, MAX_GROUPS).map(|()| FieldValue::Group)?,
    };
    Ok(Some((number, value)))
}

/// Contents of the fields of a number, in a message that is known to be valid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields<'a> {
    number: u32,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(number: u32, message: &'a [u8]) -> Self {
        Self { number, rest: message }
    }

    /// Returns whether nothing of the message is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while let Ok(Some((number, value))) = next_field(&mut self.rest) {
            if let FieldValue::Bytes(content) = value
                && number == self.number
            {
                return Some(content);
            }
        }
        None
    }
}

/// Adds packed integers of eight bytes to a list.
#[inline]
pub fn push_fixed64(packed: &[u8], list: &mut Vec<u64>) -> Result<(), MalformedMessage> {
    let (numbers, rest) = packed.as_chunks();
    list.extend(numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)));
    if rest.is_empty() { Ok(()) } else { Err(MalformedMessage::TooShort) }
}

/// Adds packed doubles to a list.
#[inline]
pub fn push_doubles(packed: &[u8], list: &mut Vec<f64>) -> Result<(), MalformedMessage> {
    let (numbers, rest) = packed.as_chunks();
    list.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
    if rest.is_empty() { Ok(()) } else { Err(MalformedMessage::TooShort) }
}

/// Adds packed integers of variable length to a list.
pub fn push_varints(packed: &[u8], list: &mut Vec<u64>) -> Result<(), MalformedMessage> {
    let mut rest = packed;
    while !rest.is_empty() {
        list.push(varint(&mut rest)?);
    }
    Ok(())
}

/// Wire types (protobuf.dev, "Encoding").
const WIRE_VARINT: u64 = 0;
const WIRE_FIXED64: u64 = 1;
const WIRE_BYTES: u64 = 2;
const WIRE_GROUP: u64 = 3;
const WIRE_END_OF_GROUP: u64 = 4;
const WIRE_FIXED32: u64 = 5;

/// Maximum depth of nested groups, as in prost.
const MAX_GROUPS: u32 = 100;

/// Removes the number and the wire type of a field.
#[inline(always)]
fn key(message: &mut &[u8]) -> Result<(u32, u64), MalformedMessage> {
    let key = varint(message)?;
    match u32::try_from(key >> 3) {
        Ok(number @ 1..=MAX_NUMBER) => Ok((number, key & 7)),
        _ => Err(MalformedMessage::InvalidNumber),
    }
}

/// Largest field number (protobuf.dev, "Assigning Field Numbers").
const MAX_NUMBER: u32 = (1 << 29) - 1;

#[inline(always)]
fn varint(message: &mut &[u8]) -> Result<u64, MalformedMessage> {
    match message.split_first() {
        Some((&first, rest)) if first < 0x80 => {
            *message = rest;
            Ok(u64::from(first))
        }
        _ => long_varint(message),
    }
}

fn long_varint(message: &mut &[u8]) -> Result<u64, MalformedMessage> {
    prost::encoding::decode_varint(message).map_err(|_| {
        let ends = message.len() < MAX_VARINT_BYTES && message.iter().all(|byte| *byte >= 0x80);
        if ends { MalformedMessage::TooShort } else { MalformedMessage::InvalidVarint }
    })
}

/// Seven bits of a number are in each byte.
const MAX_VARINT_BYTES: usize = 10;

#[inline(always)]
fn take_delimited<'a>(message: &mut &'a [u8]) -> Result<&'a [u8], MalformedMessage> {
    let length = usize::try_from(varint(message)?).map_err(|_| MalformedMessage::TooShort)?;
    let (content, rest) = message.split_at_checked(length).ok_or(MalformedMessage::TooShort)?;
    *message = rest;
    Ok(content)
}

#[inline(always)]
fn take_array<const N: usize>(message: &mut &[u8]) -> Result<[u8; N], MalformedMessage> {
    let (bytes, rest) = message.split_first_chunk().ok_or(MalformedMessage::TooShort)?;
    *message = rest;
    Ok(*bytes)
}

/// Removes the value of a field that may be a group, in which up to `depth` groups are nested.
#[cold]
fn skip(wire_type: u64, number: u32, message: &mut &[u8], depth: u32) -> Result<(), MalformedMessage> {
    match wire_type {
        WIRE_VARINT => varint(message).map(drop),
        WIRE_FIXED64 => take_array::<8>(message).map(drop),
        WIRE_BYTES => take_delimited(message).map(drop),
        WIRE_FIXED32 => take_array::<4>(message).map(drop),
        WIRE_GROUP => skip_group(number, message, depth.checked_sub(1).ok_or(MalformedMessage::TooDeep)?),
        _ => Err(MalformedMessage::InvalidWireType),
    }
}

/// Removes the fields of a group, which ends with a key of the same number.
fn skip_group(number: u32, message: &mut &[u8], depth: u32) -> Result<(), MalformedMessage> {
    loop {
        match key(message)? {
            (end, WIRE_END_OF_GROUP) if end == number => return Ok(()),
            (inner, wire_type) => skip(wire_type, inner, message, depth)?,
        }
    }
}
