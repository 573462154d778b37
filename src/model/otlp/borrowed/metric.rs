//! Metrics whose points are not decoded.

use super::{MalformedMessage, int32};
use crate::model::otlp::encoded_attribute::EncodedAttribute;
use crate::model::otlp::protobuf::{FieldValue, Fields, next_field};

/// See [`crate::model::otlp::Metric`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric<'a> {
    pub name: &'a [u8],
    pub description: &'a [u8],
    pub unit: &'a [u8],
    pub data: Option<MetricData<'a>>,
    metadata: Fields<'a>,
}

/// See [`crate::model::otlp::metric::Data`].
#[derive(Clone, Debug, PartialEq)]
pub struct MetricData<'a> {
    pub kind: DataKind,
    /// A [`Temporality`](crate::model::otlp::Temporality); 0 for gauges and summaries.
    pub aggregation_temporality: i32,
    /// `false` for everything but sums.
    pub is_monotonic: bool,
    /// Number of points.
    pub count: u64,
    lists: Fields<'a>,
}

/// Kind of the data of a metric. The values are the field numbers in `Metric`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum DataKind {
    Gauge = 5,
    Sum = 7,
    Histogram = 9,
    ExponentialHistogram = 10,
    Summary = 11,
}

impl DataKind {
    fn from_field(number: u32) -> Option<Self> {
        let kinds = [Self::Gauge, Self::Sum, Self::Histogram, Self::ExponentialHistogram, Self::Summary];
        kinds.into_iter().find(|kind| kind.field() == number)
    }

    fn field(self) -> u32 {
        self as u32
    }

    /// Returns the number of the field with the attributes of a point.
    pub fn attributes_field(self) -> u32 {
        match self {
            Self::Gauge | Self::Sum | Self::Summary => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 1,
        }
    }
}

impl<'a> Metric<'a> {
    /// Decodes the fields of a metric, and counts its points.
    pub fn decode(message: &'a [u8]) -> Result<Self, MalformedMessage> {
        let (mut metric, mut rest) = (Self::default(), message);
        loop {
            let from = rest;
            let Some((number, value)) = next_field(&mut rest)? else { return Ok(metric) };
            match (number, value) {
                (1, FieldValue::Bytes(bytes)) => metric.name = bytes,
                (2, FieldValue::Bytes(bytes)) => metric.description = bytes,
                (3, FieldValue::Bytes(bytes)) => metric.unit = bytes,
                (12, FieldValue::Bytes(_)) if metric.metadata.is_empty() => {
                    metric.metadata = Fields::new(number, from);
                }
                (12, FieldValue::Bytes(_)) => {}
                (1..=3 | 12, _) => return Err(MalformedMessage::OtherType(number)),
                (_, value) => {
                    let Some(kind) = DataKind::from_field(number) else { continue };
                    let FieldValue::Bytes(data) = value else { return Err(MalformedMessage::OtherType(number)) };
                    metric.data_of(kind, from).merge(data)?;
                }
            }
        }
    }

    /// Returns the data of a kind. Data of another kind is replaced, as in a protobuf `oneof`.
    fn data_of(&mut self, kind: DataKind, from: &'a [u8]) -> &mut MetricData<'a> {
        let other = self.data.take().filter(|data| data.kind == kind);
        self.data.insert(other.unwrap_or(MetricData {
            kind,
            aggregation_temporality: 0,
            is_monotonic: false,
            count: 0,
            // The fields after this one contain no data of another kind, or else are replaced again.
            lists: Fields::new(kind.field(), from),
        }))
    }

    /// Returns the encoded entries of the metadata.
    pub fn metadata(&self) -> Fields<'a> {
        self.metadata.clone()
    }

    /// Returns the text of the first entry of the metadata with this key.
    pub fn metadata_text(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.metadata().map(EncodedAttribute).find(|entry| entry.key() == key)?.text()
    }
}

impl<'a> MetricData<'a> {
    /// Adds the fields of one occurrence of the message.
    fn merge(&mut self, message: &'a [u8]) -> Result<(), MalformedMessage> {
        let has_temporality = !matches!(self.kind, DataKind::Gauge | DataKind::Summary);
        let mut rest = message;
        while let Some((number, value)) = next_field(&mut rest)? {
            match (number, value) {
                (1, FieldValue::Bytes(_)) => self.count += 1,
                (1, _) => return Err(MalformedMessage::OtherType(number)),
                (2, value) if has_temporality => {
                    let FieldValue::Varint(temporality) = value else {
                        return Err(MalformedMessage::OtherType(number));
                    };
                    self.aggregation_temporality = int32(temporality);
                }
                (3, value) if self.kind == DataKind::Sum => {
                    let FieldValue::Varint(is_monotonic) = value else {
                        return Err(MalformedMessage::OtherType(number));
                    };
                    self.is_monotonic = is_monotonic != 0;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the encoded points.
    pub fn points(&self) -> Points<'a> {
        Points { lists: self.lists.clone(), list: Fields::new(1, &[]) }
    }
}

/// Encoded points of a metric. Its data can consist of several messages, whose points are one list.
#[derive(Clone, Debug)]
pub struct Points<'a> {
    lists: Fields<'a>,
    list: Fields<'a>,
}

impl<'a> Iterator for Points<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(point) = self.list.next() {
                return Some(point);
            }
            self.list = Fields::new(1, self.lists.next()?);
        }
    }
}
