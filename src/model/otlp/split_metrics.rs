//! Splits export requests of metrics. A limit counts data points, which are nested one level deeper than spans and log records, so a
//! metric can be in several requests. Points stay encoded, and keep fields that this function does not know.

use bytes::Bytes;
use prost::Message;

use super::borrowed::{
    DataKind, DataPoint, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, MetricData, NumberDataPoint,
    SummaryDataPoint,
};
use super::encoded_metric::EncodedMetric;
use super::limits::SplitExport;
use super::metrics_request::{MetricsRequest, ResourceMetricsRequest, ScopeMetricsRequest};
use super::protobuf::MalformedMessage;
use super::split::{EncodedExport, RequestLimits};
use super::{decoded_size, text};
use crate::model::budget::{Budget, BudgetExceeded, Unlimited};
use crate::model::rejection::Rejections;
use crate::model::shortened::shortened;

/// Maximum size of tag and length of a nested message: 1 + 5 bytes.
const MESSAGE_OVERHEAD: usize = 6;

/// Messages around the fields of a point: resource, scope, metric, data and the point.
const NESTED_MESSAGES: usize = 5;

/// Limits of an endpoint for metrics.
#[derive(Clone, Copy, Debug)]
pub struct MetricLimits {
    pub request: RequestLimits,
    /// Attributes of one data point.
    pub attributes: usize,
}

impl MetricLimits {
    /// Splits a request into requests that the endpoint accepts. Data points that it would not accept are removed.
    ///
    /// # Errors
    /// Returns an error if the requests do not fit into the budget: each repeats the resource, the scope and the metric of its points.
    pub fn split(&self, request: &MetricsRequest, budget: &dyn Budget) -> Result<SplitExport, BudgetExceeded> {
        let mut splitter = Splitter::new(*self, budget);
        for resource in &request.resource_metrics {
            splitter.depth = 0;
            let resource_bytes = encoded_len(resource.resource.as_ref()) + resource.schema_url.len();
            for scope in &resource.scope_metrics {
                splitter.depth = splitter.depth.min(1);
                let scope_bytes = encoded_len(scope.scope.as_ref()) + scope.schema_url.len();
                for encoded in &scope.metrics {
                    splitter.depth = splitter.depth.min(2);
                    splitter.add_metric(resource, scope, encoded, [resource_bytes, scope_bytes])?;
                }
            }
        }
        splitter.close()?;
        Ok(splitter.done)
    }
}

/// Returns two halves of an encoded request. `None` if it has fewer than two data points, or cannot be decoded.
pub fn halves(export: &EncodedExport) -> Option<Vec<EncodedExport>> {
    if export.items < 2 {
        return None;
    }
    let items = usize::try_from(export.items.div_ceil(2)).ok()?;
    let request = MetricsRequest::from_protobuf(export.body.clone()).ok()?;
    let limits = MetricLimits { request: RequestLimits { items, bytes: usize::MAX }, attributes: usize::MAX };
    // The halves are hardly larger than the request.
    limits.split(&request, &Unlimited).ok().map(|split| split.exports)
}

/// A metric and what encloses it.
struct Place<'a> {
    resource: &'a ResourceMetricsRequest,
    scope: &'a ScopeMetricsRequest,
    encoded: &'a Bytes,
    /// The metric without points.
    metric: EncodedMetric,
    name: &'a [u8],
    /// Sizes of the resource without scopes, of the scope without metrics, and of the metric without points.
    bytes: [usize; 3],
}

struct Splitter<'b> {
    limits: MetricLimits,
    budget: &'b dyn Budget,
    done: SplitExport,
    current: MetricsRequest,
    /// The metric of the last points, which is not in `current` yet.
    metric: Option<EncodedMetric>,
    /// How many of the resource, the scope and the metric of the next point are the last ones of `current`.
    depth: usize,
    points: usize,
    /// Upper bound of the size of `current`.
    bytes: usize,
}

impl<'b> Splitter<'b> {
    fn new(limits: MetricLimits, budget: &'b dyn Budget) -> Self {
        let done = SplitExport { exports: Vec::new(), rejected: Rejections::default() };
        let current = MetricsRequest::default();
        Self { limits, budget, done, current, metric: None, depth: 0, points: 0, bytes: 0 }
    }

    fn add_metric(
        &mut self,
        resource: &ResourceMetricsRequest,
        scope: &ScopeMetricsRequest,
        encoded: &Bytes,
        [resource_bytes, scope_bytes]: [usize; 2],
    ) -> Result<(), BudgetExceeded> {
        // Malformed metrics were not accepted.
        let Ok(metric) = Metric::decode(encoded) else { return Ok(()) };
        let Some(data) = &metric.data else { return Ok(()) };
        let without_points = EncodedMetric::without_points(encoded, &metric);
        let bytes = [resource_bytes, scope_bytes, without_points.encoded_len()];
        let place = Place { resource, scope, encoded, metric: without_points, name: metric.name, bytes };
        match data.kind {
            DataKind::Gauge | DataKind::Sum => self.add_points::<NumberDataPoint<'_>>(&place, data),
            DataKind::Histogram => self.add_points::<HistogramDataPoint<'_>>(&place, data),
            DataKind::ExponentialHistogram => self.add_points::<ExponentialHistogramDataPoint<'_>>(&place, data),
            DataKind::Summary => self.add_points::<SummaryDataPoint<'_>>(&place, data),
        }
    }

    fn add_points<'a, P: DataPoint<'a>>(
        &mut self,
        place: &Place<'_>,
        data: &MetricData<'a>,
    ) -> Result<(), BudgetExceeded> {
        let mut point = P::default();
        for encoded in data.points() {
            decoded_size::reserve_point(data.kind, encoded, self.budget)?;
            let bytes = encoded.len() + NESTED_MESSAGES * MESSAGE_OVERHEAD;
            let attributes = point.decode_again(encoded).map(|()| point.attributes().len());
            if let Some((reason, message)) = self.invalid(place, attributes, bytes) {
                let name = shortened(text(place.name));
                self.done.rejected.add(reason, 1, || format!("a data point of \"{name}\" {message}"));
                continue;
            }
            let RequestLimits { items, bytes: max_bytes } = self.limits.request;
            if self.points >= items || self.bytes + self.missing_bytes(place) + bytes > max_bytes {
                self.close()?;
            }
            self.open(place);
            if let Some(metric) = &mut self.metric {
                metric.push(place.encoded.slice_ref(encoded));
                self.points += 1;
                self.bytes += bytes;
            }
        }
        Ok(())
    }

    /// Returns why the endpoint would not accept a point.
    fn invalid(
        &self,
        place: &Place<'_>,
        attributes: Result<usize, MalformedMessage>,
        bytes: usize,
    ) -> Option<(&'static str, String)> {
        let MetricLimits { request, attributes: max_attributes } = self.limits;
        let attributes = match attributes {
            Ok(attributes) => attributes,
            Err(error) => return Some(("malformed", format!("is not valid protobuf: {error}"))),
        };
        if attributes > max_attributes {
            return Some((
                "too_many_labels",
                format!("has {attributes} attributes, and the limit is {max_attributes}"),
            ));
        }
        let total = place.bytes.iter().sum::<usize>() + bytes;
        let message = || format!("has {total} bytes with its resource and scope, and the limit is {}", request.bytes);
        (total > request.bytes).then(|| ("too_large", message()))
    }

    /// Returns the size of what has to be opened for a point.
    fn missing_bytes(&self, place: &Place<'_>) -> usize {
        place.bytes.iter().skip(self.depth).sum()
    }

    /// Opens the metric of the next point.
    fn open(&mut self, place: &Place<'_>) {
        self.bytes += self.missing_bytes(place);
        if self.depth < 3 {
            self.close_metric();
        }
        if self.depth < 1 {
            let (resource, schema_url) = (place.resource.resource.clone(), place.resource.schema_url.clone());
            let scope_metrics = Vec::new();
            self.current.resource_metrics.push(ResourceMetricsRequest { resource, schema_url, scope_metrics });
        }
        let Some(resource) = self.current.resource_metrics.last_mut() else { return };
        if self.depth < 2 {
            let (scope, schema_url) = (place.scope.scope.clone(), place.scope.schema_url.clone());
            resource.scope_metrics.push(ScopeMetricsRequest { scope, schema_url, metrics: Vec::new() });
        }
        if self.depth < 3 {
            self.metric = Some(place.metric.clone());
        }
        self.depth = 3;
    }

    /// Encodes the metric of the last points.
    fn close_metric(&mut self) {
        let resource = self.current.resource_metrics.last_mut();
        let scope = resource.and_then(|resource| resource.scope_metrics.last_mut());
        if let (Some(metric), Some(scope)) = (self.metric.take(), scope) {
            scope.metrics.push(metric.encode_to_vec().into());
        }
    }

    fn close(&mut self) -> Result<(), BudgetExceeded> {
        // The last metric, and the request with its copy of each metric.
        self.budget.reserve(2 * self.bytes)?;
        self.close_metric();
        let current = std::mem::take(&mut self.current);
        if self.points > 0 {
            let body = Bytes::from(current.encode_to_vec());
            self.done.exports.push(EncodedExport { body, items: self.points as u64 });
        }
        (self.points, self.bytes, self.depth) = (0, 0, 0);
        Ok(())
    }
}

fn encoded_len(message: Option<&impl Message>) -> usize {
    message.map_or(0, Message::encoded_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::metric::Data;
    use crate::model::otlp::{
        ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint, InstrumentationScope, KeyValue, Metric,
        NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    };

    fn point(time: u64, attributes: usize) -> NumberDataPoint {
        let attributes = vec![KeyValue { key: "k".into(), value: None }; attributes];
        NumberDataPoint { time_unix_nano: time, attributes, ..NumberDataPoint::default() }
    }

    fn request(scopes: usize, points: u64) -> ExportMetricsServiceRequest {
        let data_points = (1..=points).map(|time| point(time, 1)).collect();
        let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
        let histogram = HistogramDataPoint { time_unix_nano: 99, count: 1, ..HistogramDataPoint::default() };
        let histogram = Histogram { data_points: vec![histogram], aggregation_temporality: 2 };
        let metric = |name: &'static str, data| {
            let (name, unit) = (name.into(), "s".into());
            Metric { name, unit, data: Some(data), ..Metric::default() }
        };
        let metrics = vec![metric("sum", Data::Sum(sum)), metric("histogram", Data::Histogram(histogram))];
        let scope = |n: usize| {
            let scope = InstrumentationScope { name: format!("scope {n}").into(), ..InstrumentationScope::default() };
            ScopeMetrics { scope: Some(scope), metrics: metrics.clone(), schema_url: "https://example.com/1".into() }
        };
        let scope_metrics = (0..scopes).map(scope).collect();
        let resource = ResourceMetrics { scope_metrics, ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![resource.clone(), resource] }
    }

    /// Returns scope, metric and time of each point, and asserts that metrics keep their other fields.
    fn points(exports: &[EncodedExport]) -> Vec<(Bytes, Bytes, u64)> {
        let mut found = Vec::new();
        for export in exports {
            let request = ExportMetricsServiceRequest::decode(export.body.clone()).unwrap();
            assert_eq!(MetricsRequest::from(&request).points(), export.items);
            for scope in request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics) {
                let name = scope.scope.unwrap_or_default().name;
                for metric in scope.metrics {
                    assert_eq!(metric.unit, "s");
                    let times: Vec<u64> = match metric.data.unwrap() {
                        Data::Sum(sum) => {
                            assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                            sum.data_points.iter().map(|point| point.time_unix_nano).collect()
                        }
                        Data::Histogram(histogram) => histogram.data_points.iter().map(|p| p.time_unix_nano).collect(),
                        other => panic!("{other:?}"),
                    };
                    found.extend(times.into_iter().map(|time| (name.clone(), metric.name.clone(), time)));
                }
            }
        }
        found
    }

    fn limits(items: usize, bytes: usize) -> MetricLimits {
        MetricLimits { request: RequestLimits { items, bytes }, attributes: 150 }
    }

    #[test]
    fn parts_contain_every_point_once_in_its_metric() {
        let request = request(2, 5);
        let whole = [EncodedExport { body: request.encode_to_vec().into(), items: 24 }];
        for (limits, expected) in [
            (limits(100, 1 << 20), vec![24]),
            (limits(7, 1 << 20), vec![7, 7, 7, 3]),
            (limits(1, 1 << 20), vec![1; 24]),
        ] {
            let SplitExport { exports, rejected } = limits.split(&MetricsRequest::from(&request), &Unlimited).unwrap();
            assert_eq!(exports.iter().map(|part| part.items).collect::<Vec<_>>(), expected, "{limits:?}");
            assert_eq!(points(&exports), points(&whole), "{limits:?}");
            assert!(rejected.is_empty());
        }
        let SplitExport { exports, .. } = limits(100, 300).split(&MetricsRequest::from(&request), &Unlimited).unwrap();
        assert!(exports.len() > 1 && exports.iter().all(|part| part.body.len() <= 300), "{exports:?}");
        assert_eq!(points(&exports), points(&whole));
        let SplitExport { exports, .. } =
            limits(100, 1 << 20).split(&MetricsRequest::from(&request), &Unlimited).unwrap();
        assert_eq!(exports[0].body, request.encode_to_vec());
    }

    #[test]
    fn halves_contain_every_point_once() {
        let export = EncodedExport { body: request(1, 4).encode_to_vec().into(), items: 10 };
        let parts = halves(&export).unwrap();
        assert_eq!(parts.iter().map(|half| half.items).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(points(&parts), points(&[export]));
        assert_eq!(halves(&EncodedExport { body: Bytes::new(), items: 1 }), None);
    }

    #[test]
    fn malformed_point_costs_only_itself() {
        // Gauge.data_points: an empty point, one that is cut, and one with a field that is unknown.
        let data = [0x0a, 0x00, 0x0a, 0x02, 0x3a, 0x05, 0x0a, 0x03, 0x7a, 0x01, 0x07];
        let metric = [&[0x0a, 0x01, b'a', 0x2a, data.len() as u8][..], &data].concat();
        let scope_metrics =
            vec![ScopeMetricsRequest { metrics: vec![metric.into()], ..ScopeMetricsRequest::default() }];
        let resource_metrics = vec![ResourceMetricsRequest { scope_metrics, ..ResourceMetricsRequest::default() }];
        let request = MetricsRequest { resource_metrics };
        let SplitExport { exports, rejected } = limits(100, 2_000).split(&request, &Unlimited).unwrap();
        assert_eq!(exports.iter().map(|part| part.items).sum::<u64>(), 2);
        assert_eq!(
            rejected.to_string(),
            "1 malformed: a data point of \"a\" is not valid protobuf: a field ends after the end of its message"
        );
        // The unknown field is sent.
        assert!(exports[0].body.ends_with(&[0x0a, 0x03, 0x7a, 0x01, 0x07]));
    }

    #[test]
    fn point_beyond_a_limit_costs_only_itself() {
        let gauge = |data_points| Some(Data::Gauge(Gauge { data_points }));
        let data = gauge(vec![point(1, 150), point(2, 151), point(3, 0)]);
        let metrics = vec![
            Metric { name: "a".into(), data, ..Metric::default() },
            Metric { data: gauge(vec![point(4, 0)]), description: "x".repeat(3_000).into(), ..Metric::default() },
        ];
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
        let request = ExportMetricsServiceRequest { resource_metrics };
        let SplitExport { exports, rejected } =
            limits(100, 2_000).split(&MetricsRequest::from(&request), &Unlimited).unwrap();
        assert_eq!(exports.iter().map(|part| part.items).sum::<u64>(), 2);
        let reasons: Vec<_> = rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect();
        assert_eq!(reasons, [("too_many_labels", 1), ("too_large", 1)]);
        assert!(rejected.to_string().contains("a data point of \"a\" has 151 attributes, and the limit is 150"));
    }
}
