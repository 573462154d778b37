//! Metrics that are encoded again with some of their points, which stay encoded.

use bytes::Bytes;
use prost::Message as _;

use super::borrowed::{DataKind, Metric, MetricData};
use super::encoded_attribute::{EncodedAttribute, has_attribute, without_attributes};

/// `Metric` with encoded points and metadata.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EncodedMetric {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    description: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    unit: Bytes,
    #[prost(oneof = "data::Data", tags = "5, 7, 9, 10, 11")]
    data: Option<data::Data>,
    #[prost(bytes = "bytes", repeated, tag = "12")]
    metadata: Vec<Bytes>,
}

/// `Sum`, which has all fields that the data of other kinds has. Default values are not encoded.
#[derive(Clone, PartialEq, prost::Message)]
struct PointList {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    data_points: Vec<Bytes>,
    #[prost(int32, tag = "2")]
    aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    is_monotonic: bool,
}

mod data {
    use super::PointList;

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Data {
        #[prost(message, tag = "5")]
        Gauge(PointList),
        #[prost(message, tag = "7")]
        Sum(PointList),
        #[prost(message, tag = "9")]
        Histogram(PointList),
        #[prost(message, tag = "10")]
        ExponentialHistogram(PointList),
        #[prost(message, tag = "11")]
        Summary(PointList),
    }
}

impl EncodedMetric {
    /// Returns a copy of a metric that has no points yet. `metric` is decoded from `encoded`.
    pub(super) fn without_points(encoded: &Bytes, metric: &Metric<'_>) -> Self {
        let slice = |bytes: &[u8]| encoded.slice_ref(bytes);
        Self {
            name: slice(metric.name),
            description: slice(metric.description),
            unit: slice(metric.unit),
            data: metric.data.as_ref().map(empty_data),
            metadata: metric.metadata().map(slice).collect(),
        }
    }

    pub(super) fn push(&mut self, point: Bytes) {
        use data::Data;
        match &mut self.data {
            Some(
                Data::Gauge(list)
                | Data::Sum(list)
                | Data::Histogram(list)
                | Data::ExponentialHistogram(list)
                | Data::Summary(list),
            ) => list.data_points.push(point),
            None => {}
        }
    }
}

fn empty_data(data: &MetricData<'_>) -> data::Data {
    let MetricData { aggregation_temporality, is_monotonic, .. } = *data;
    let list = PointList { data_points: Vec::new(), aggregation_temporality, is_monotonic };
    match data.kind {
        DataKind::Gauge => data::Data::Gauge(list),
        DataKind::Sum => data::Data::Sum(list),
        DataKind::Histogram => data::Data::Histogram(list),
        DataKind::ExponentialHistogram => data::Data::ExponentialHistogram(list),
        DataKind::Summary => data::Data::Summary(list),
    }
}

/// Removes attributes of points. Returns `None` if there are none to remove. Malformed points are unchanged.
pub(super) fn without_point_attributes(
    encoded: &Bytes,
    removed: &impl Fn(EncodedAttribute<'_>) -> bool,
) -> Option<Bytes> {
    let metric = Metric::decode(encoded).ok()?;
    let data = metric.data.as_ref()?;
    let field = data.kind.attributes_field();
    if !data.points().any(|point| has_attribute(point, field, removed)) {
        return None;
    }
    let mut rewritten = EncodedMetric::without_points(encoded, &metric);
    for point in data.points() {
        let kept = without_attributes(point, field, removed);
        rewritten.push(kept.map_or_else(|| encoded.slice_ref(point), Bytes::from));
    }
    Some(rewritten.encode_to_vec().into())
}
