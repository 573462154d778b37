//! Spans and data points whose texts, ids and attributes are slices of the request's body.
//!
//! prost would store each text as a counted reference to the body: 40 of them for a typical span, each counted up and down once. The fields
//! are those of the messages in [`crate::model::otlp`], and decoding has the same result, as tests/otlp_borrowed.rs compares.

mod exponential;
mod metric;
mod point;
mod value;

pub use self::exponential::ExponentialHistogramDataPoint;
pub use self::metric::{DataKind, Metric, MetricData, Points};
pub use self::point::{DataPoint, Exemplar, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, time_of_point};
pub use self::value::{
    ATTRIBUTE_EXPANSION, AnyValue, ArrayValue, KeyValue, KeyValueList, Value, attributes, check_attribute,
};
pub use super::text;

use self::value::push_attribute;
use super::protobuf::{FieldValue, MalformedMessage, next_field};

/// See [`crate::model::otlp::Span`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub trace_state: &'a [u8],
    pub parent_span_id: &'a [u8],
    pub flags: u32,
    pub name: &'a [u8],
    pub kind: i32,
    pub start_time_unix_nano: u64,
    pub end_time_unix_nano: u64,
    pub attributes: Vec<KeyValue<'a>>,
    pub dropped_attributes_count: u32,
    pub events: Vec<Event<'a>>,
    pub dropped_events_count: u32,
    pub links: Vec<Link<'a>>,
    pub dropped_links_count: u32,
    pub status: Option<Status<'a>>,
}

/// See [`crate::model::otlp::Event`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event<'a> {
    pub time_unix_nano: u64,
    pub name: &'a [u8],
    pub attributes: Vec<KeyValue<'a>>,
    pub dropped_attributes_count: u32,
}

/// See [`crate::model::otlp::Link`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub trace_state: &'a [u8],
    pub attributes: Vec<KeyValue<'a>>,
    pub dropped_attributes_count: u32,
    pub flags: u32,
}

/// See [`crate::model::otlp::Status`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status<'a> {
    pub message: &'a [u8],
    pub code: i32,
}

impl<'a> Span<'a> {
    /// Decodes another span into the memory of this one. After an error, the content is undefined.
    pub fn decode_again(&mut self, message: &'a [u8]) -> Result<(), MalformedMessage> {
        let (mut attributes, mut events, mut links) =
            (std::mem::take(&mut self.attributes), std::mem::take(&mut self.events), std::mem::take(&mut self.links));
        attributes.clear();
        events.clear();
        links.clear();
        *self = Self { attributes, events, links, ..Self::default() };
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            self.set(number, value)?;
        }
        Ok(())
    }

    fn set(&mut self, number: u32, value: FieldValue<'a>) -> Result<(), MalformedMessage> {
        match (number, value) {
            (1, FieldValue::Bytes(bytes)) => self.trace_id = bytes,
            (2, FieldValue::Bytes(bytes)) => self.span_id = bytes,
            (3, FieldValue::Bytes(bytes)) => self.trace_state = bytes,
            (4, FieldValue::Bytes(bytes)) => self.parent_span_id = bytes,
            (5, FieldValue::Bytes(bytes)) => self.name = bytes,
            (6, FieldValue::Varint(number)) => self.kind = int32(number),
            (7, FieldValue::Fixed64(nanos)) => self.start_time_unix_nano = nanos,
            (8, FieldValue::Fixed64(nanos)) => self.end_time_unix_nano = nanos,
            (9, FieldValue::Bytes(bytes)) => push_attribute(&mut self.attributes, bytes, 0)?,
            (10, FieldValue::Varint(count)) => self.dropped_attributes_count = uint32(count),
            (11, FieldValue::Bytes(bytes)) => self.events.push(Event::decode(bytes)?),
            (12, FieldValue::Varint(count)) => self.dropped_events_count = uint32(count),
            (13, FieldValue::Bytes(bytes)) => self.links.push(Link::decode(bytes)?),
            (14, FieldValue::Varint(count)) => self.dropped_links_count = uint32(count),
            (15, FieldValue::Bytes(bytes)) => self.status.get_or_insert_default().merge(bytes)?,
            (16, FieldValue::Fixed32(flags)) => self.flags = flags,
            (1..=16, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Event<'a> {
    fn decode(message: &'a [u8]) -> Result<Self, MalformedMessage> {
        let (mut event, mut rest) = (Self::default(), message);
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (1, FieldValue::Fixed64(nanos)) => event.time_unix_nano = nanos,
                (2, FieldValue::Bytes(bytes)) => event.name = bytes,
                (3, FieldValue::Bytes(bytes)) => push_attribute(&mut event.attributes, bytes, 1)?,
                (4, FieldValue::Varint(count)) => event.dropped_attributes_count = uint32(count),
                (1..=4, _) => return Err(MalformedMessage::OtherType(number)),
                _ => {}
            }
        }
        Ok(event)
    }
}

impl<'a> Link<'a> {
    fn decode(message: &'a [u8]) -> Result<Self, MalformedMessage> {
        let (mut link, mut rest) = (Self::default(), message);
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (1, FieldValue::Bytes(bytes)) => link.trace_id = bytes,
                (2, FieldValue::Bytes(bytes)) => link.span_id = bytes,
                (3, FieldValue::Bytes(bytes)) => link.trace_state = bytes,
                (4, FieldValue::Bytes(bytes)) => push_attribute(&mut link.attributes, bytes, 1)?,
                (5, FieldValue::Varint(count)) => link.dropped_attributes_count = uint32(count),
                (6, FieldValue::Fixed32(flags)) => link.flags = flags,
                (1..=6, _) => return Err(MalformedMessage::OtherType(number)),
                _ => {}
            }
        }
        Ok(link)
    }
}

impl<'a> Status<'a> {
    /// Adds the fields of one occurrence of the message.
    fn merge(&mut self, message: &'a [u8]) -> Result<(), MalformedMessage> {
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (2, FieldValue::Bytes(bytes)) => self.message = bytes,
                (3, FieldValue::Varint(code)) => self.code = int32(code),
                (2 | 3, _) => return Err(MalformedMessage::OtherType(number)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns the lower half of a number, as decoders of 32-bit fields do.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is sign extension, or ignored")]
fn int32(varint: u64) -> i32 {
    varint as i32
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is ignored")]
fn uint32(varint: u64) -> u32 {
    varint as u32
}

/// Returns a number whose lowest bit is its sign (protobuf.dev, "Encoding", "Signed Integers").
fn sint32(varint: u64) -> i32 {
    let bits = uint32(varint);
    (bits >> 1).cast_signed() ^ -((bits & 1).cast_signed())
}
