//! Data points of exponential histograms.

use super::point::emptied;
use super::{DataPoint, Exemplar, FieldValue, KeyValue, MalformedMessage, next_field, push_attribute, sint32, uint32};
use crate::model::otlp::Buckets;
use crate::model::otlp::protobuf::push_varints;

/// See [`crate::model::otlp::ExponentialHistogramDataPoint`]. Missing buckets are empty ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialHistogramDataPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub positive: Buckets,
    pub negative: Buckets,
    pub flags: u32,
    pub exemplars: Vec<Exemplar<'a>>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub zero_threshold: f64,
}

impl<'a> DataPoint<'a> for ExponentialHistogramDataPoint<'a> {
    fn clear(&mut self) {
        let (attributes, exemplars) = (emptied(&mut self.attributes), emptied(&mut self.exemplars));
        let emptied = |buckets: &mut Buckets| Buckets { offset: 0, bucket_counts: emptied(&mut buckets.bucket_counts) };
        let (positive, negative) = (emptied(&mut self.positive), emptied(&mut self.negative));
        *self = Self { attributes, exemplars, positive, negative, ..Self::default() };
    }

    #[inline(always)]
    fn set(&mut self, number: u32, value: FieldValue<'a>) -> Result<(), MalformedMessage> {
        match (number, value) {
            (1, FieldValue::Bytes(bytes)) => push_attribute(&mut self.attributes, bytes, 0)?,
            (2, FieldValue::Fixed64(nanos)) => self.start_time_unix_nano = nanos,
            (3, FieldValue::Fixed64(nanos)) => self.time_unix_nano = nanos,
            (4, FieldValue::Fixed64(count)) => self.count = count,
            (5, FieldValue::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, FieldValue::Varint(scale)) => self.scale = sint32(scale),
            (7, FieldValue::Fixed64(count)) => self.zero_count = count,
            (8, FieldValue::Bytes(bytes)) => merge_buckets(&mut self.positive, bytes)?,
            (9, FieldValue::Bytes(bytes)) => merge_buckets(&mut self.negative, bytes)?,
            (10, FieldValue::Varint(flags)) => self.flags = uint32(flags),
            (11, FieldValue::Bytes(bytes)) => self.exemplars.push(Exemplar::decode(bytes)?),
            (12, FieldValue::Fixed64(bits)) => self.min = Some(f64::from_bits(bits)),
            (13, FieldValue::Fixed64(bits)) => self.max = Some(f64::from_bits(bits)),
            (14, FieldValue::Fixed64(bits)) => self.zero_threshold = f64::from_bits(bits),
            (1..=14, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
        Ok(())
    }

    fn attributes(&self) -> &[KeyValue<'a>] {
        &self.attributes
    }
}

/// Adds the fields of one occurrence of the message.
fn merge_buckets(buckets: &mut Buckets, message: &[u8]) -> Result<(), MalformedMessage> {
    let mut rest = message;
    while let Some((number, value)) = next_field(&mut rest)? {
        match (number, value) {
            (1, FieldValue::Varint(offset)) => buckets.offset = sint32(offset),
            (2, FieldValue::Bytes(packed)) => push_varints(packed, &mut buckets.bucket_counts)?,
            (2, FieldValue::Varint(count)) => buckets.bucket_counts.push(count),
            (1 | 2, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
    }
    Ok(())
}
