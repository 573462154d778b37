//! Data points, each of which is decoded into the memory of the one before.

use super::{FieldValue, KeyValue, MalformedMessage, next_field, push_attribute, uint32};
use crate::model::otlp::protobuf::{push_doubles, push_fixed64};
use crate::model::otlp::{ValueAtQuantile, exemplar, number_data_point};

/// A data point of one of the kinds of metrics.
pub trait DataPoint<'a>: Default {
    /// Decodes another point into the memory of this one. After an error, the content is undefined.
    #[inline(always)]
    fn decode_again(&mut self, message: &'a [u8]) -> Result<(), MalformedMessage> {
        self.clear();
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            self.set(number, value)?;
        }
        Ok(())
    }

    /// Sets all fields to their defaults, and keeps the memory of lists.
    fn clear(&mut self);

    /// Adds a field.
    fn set(&mut self, number: u32, value: FieldValue<'a>) -> Result<(), MalformedMessage>;

    fn attributes(&self) -> &[KeyValue<'a>];
}

/// Returns an empty list in the memory of another.
pub(super) fn emptied<T>(list: &mut Vec<T>) -> Vec<T> {
    let mut list = std::mem::take(list);
    list.clear();
    list
}

/// Returns `time_unix_nano` of a point of any kind, which is not decoded; 0 if it is malformed.
pub fn time_of_point(encoded: &[u8]) -> u64 {
    let (mut time, mut rest) = (0, encoded);
    loop {
        match next_field(&mut rest) {
            Ok(Some((3, FieldValue::Fixed64(nanos)))) => time = nanos,
            Ok(Some(_)) => {}
            Ok(None) => return time,
            Err(_) => return 0,
        }
    }
}

/// See [`crate::model::otlp::NumberDataPoint`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumberDataPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub value: Option<number_data_point::Value>,
    pub exemplars: Vec<Exemplar<'a>>,
    pub flags: u32,
}

impl<'a> DataPoint<'a> for NumberDataPoint<'a> {
    #[inline(always)]
    fn clear(&mut self) {
        let (attributes, exemplars) = (emptied(&mut self.attributes), emptied(&mut self.exemplars));
        *self = Self { attributes, exemplars, ..Self::default() };
    }

    #[inline(always)]
    fn set(&mut self, number: u32, value: FieldValue<'a>) -> Result<(), MalformedMessage> {
        use number_data_point::Value;
        match (number, value) {
            (2, FieldValue::Fixed64(nanos)) => self.start_time_unix_nano = nanos,
            (3, FieldValue::Fixed64(nanos)) => self.time_unix_nano = nanos,
            (4, FieldValue::Fixed64(bits)) => self.value = Some(Value::Double(f64::from_bits(bits))),
            (5, FieldValue::Bytes(bytes)) => self.exemplars.push(Exemplar::decode(bytes)?),
            (6, FieldValue::Fixed64(bits)) => self.value = Some(Value::Int(bits.cast_signed())),
            (7, FieldValue::Bytes(bytes)) => push_attribute(&mut self.attributes, bytes, 0)?,
            (8, FieldValue::Varint(flags)) => self.flags = uint32(flags),
            (2..=8, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
        Ok(())
    }

    fn attributes(&self) -> &[KeyValue<'a>] {
        &self.attributes
    }
}

/// See [`crate::model::otlp::HistogramDataPoint`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramDataPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub bucket_counts: Vec<u64>,
    pub explicit_bounds: Vec<f64>,
    pub exemplars: Vec<Exemplar<'a>>,
    pub flags: u32,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl<'a> DataPoint<'a> for HistogramDataPoint<'a> {
    #[inline(always)]
    fn clear(&mut self) {
        let (attributes, exemplars) = (emptied(&mut self.attributes), emptied(&mut self.exemplars));
        let (bucket_counts, explicit_bounds) = (emptied(&mut self.bucket_counts), emptied(&mut self.explicit_bounds));
        *self = Self { attributes, exemplars, bucket_counts, explicit_bounds, ..Self::default() };
    }

    #[inline(always)]
    fn set(&mut self, number: u32, value: FieldValue<'a>) -> Result<(), MalformedMessage> {
        match (number, value) {
            (2, FieldValue::Fixed64(nanos)) => self.start_time_unix_nano = nanos,
            (3, FieldValue::Fixed64(nanos)) => self.time_unix_nano = nanos,
            (4, FieldValue::Fixed64(count)) => self.count = count,
            (5, FieldValue::Fixed64(bits)) => self.sum = Some(f64::from_bits(bits)),
            (6, FieldValue::Bytes(packed)) => push_fixed64(packed, &mut self.bucket_counts)?,
            (6, FieldValue::Fixed64(count)) => self.bucket_counts.push(count),
            (7, FieldValue::Bytes(packed)) => push_doubles(packed, &mut self.explicit_bounds)?,
            (7, FieldValue::Fixed64(bits)) => self.explicit_bounds.push(f64::from_bits(bits)),
            (8, FieldValue::Bytes(bytes)) => self.exemplars.push(Exemplar::decode(bytes)?),
            (9, FieldValue::Bytes(bytes)) => push_attribute(&mut self.attributes, bytes, 0)?,
            (10, FieldValue::Varint(flags)) => self.flags = uint32(flags),
            (11, FieldValue::Fixed64(bits)) => self.min = Some(f64::from_bits(bits)),
            (12, FieldValue::Fixed64(bits)) => self.max = Some(f64::from_bits(bits)),
            (2..=12, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
        Ok(())
    }

    fn attributes(&self) -> &[KeyValue<'a>] {
        &self.attributes
    }
}

/// See [`crate::model::otlp::SummaryDataPoint`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryDataPoint<'a> {
    pub attributes: Vec<KeyValue<'a>>,
    pub start_time_unix_nano: u64,
    pub time_unix_nano: u64,
    pub count: u64,
    pub sum: f64,
    pub quantile_values: Vec<ValueAtQuantile>,
    pub flags: u32,
}

impl<'a> DataPoint<'a> for SummaryDataPoint<'a> {
    fn clear(&mut self) {
        let (attributes, quantile_values) = (emptied(&mut self.attributes), emptied(&mut self.quantile_values));
        *self = Self { attributes, quantile_values, ..Self::default() };
    }

    #[inline(always)]
    fn set(&mut self, number: u32, value: FieldValue<'a>) -> Result<(), MalformedMessage> {
        match (number, value) {
            (2, FieldValue::Fixed64(nanos)) => self.start_time_unix_nano = nanos,
            (3, FieldValue::Fixed64(nanos)) => self.time_unix_nano = nanos,
            (4, FieldValue::Fixed64(count)) => self.count = count,
            (5, FieldValue::Fixed64(bits)) => self.sum = f64::from_bits(bits),
            (6, FieldValue::Bytes(bytes)) => self.quantile_values.push(quantile(bytes)?),
            (7, FieldValue::Bytes(bytes)) => push_attribute(&mut self.attributes, bytes, 0)?,
            (8, FieldValue::Varint(flags)) => self.flags = uint32(flags),
            (2..=8, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
        Ok(())
    }

    fn attributes(&self) -> &[KeyValue<'a>] {
        &self.attributes
    }
}

fn quantile(message: &[u8]) -> Result<ValueAtQuantile, MalformedMessage> {
    let (mut at, mut rest) = (ValueAtQuantile::default(), message);
    while let Some((number, value)) = next_field(&mut rest)? {
        match (number, value) {
            (1, FieldValue::Fixed64(bits)) => at.quantile = f64::from_bits(bits),
            (2, FieldValue::Fixed64(bits)) => at.value = f64::from_bits(bits),
            (1 | 2, _) => return Err(MalformedMessage::OtherType(number)),
            _ => {}
        }
    }
    Ok(at)
}

/// See [`crate::model::otlp::Exemplar`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar<'a> {
    pub filtered_attributes: Vec<KeyValue<'a>>,
    pub time_unix_nano: u64,
    pub value: Option<exemplar::Value>,
    pub span_id: &'a [u8],
    pub trace_id: &'a [u8],
}

impl<'a> Exemplar<'a> {
    pub(super) fn decode(message: &'a [u8]) -> Result<Self, MalformedMessage> {
        use exemplar::Value;
        let (mut exemplar, mut rest) = (Self::default(), message);
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (2, FieldValue::Fixed64(nanos)) => exemplar.time_unix_nano = nanos,
                (3, FieldValue::Fixed64(bits)) => exemplar.value = Some(Value::Double(f64::from_bits(bits))),
                (4, FieldValue::Bytes(bytes)) => exemplar.span_id = bytes,
                (5, FieldValue::Bytes(bytes)) => exemplar.trace_id = bytes,
                (6, FieldValue::Fixed64(bits)) => exemplar.value = Some(Value::Int(bits.cast_signed())),
                (7, FieldValue::Bytes(bytes)) => push_attribute(&mut exemplar.filtered_attributes, bytes, 1)?,
                (2..=7, _) => return Err(MalformedMessage::OtherType(number)),
                _ => {}
            }
        }
        Ok(exemplar)
    }
}
