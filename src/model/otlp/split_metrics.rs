//! Splits export requests of metrics. A limit counts data points, which are nested one level deeper than spans and log records, so a
//! metric can be in several requests.

use bytes::Bytes;
use prost::Message;

use super::limits::SplitExport;
use super::metrics::{
    ExponentialHistogram, ExponentialHistogramDataPoint, ExportMetricsServiceRequest, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    metric::Data,
};
use super::split::{EncodedExport, RequestLimits};
use super::text;
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
    pub fn split(
        &self,
        request: &ExportMetricsServiceRequest,
        budget: &dyn Budget,
    ) -> Result<SplitExport, BudgetExceeded> {
        let mut splitter = Splitter::new(*self, budget);
        for resource in &request.resource_metrics {
            splitter.depth = 0;
            let resource_bytes = encoded_len(resource.resource.as_ref()) + resource.schema_url.len();
            for scope in &resource.scope_metrics {
                splitter.depth = splitter.depth.min(1);
                let scope_bytes = encoded_len(scope.scope.as_ref()) + scope.schema_url.len();
                for metric in &scope.metrics {
                    splitter.depth = splitter.depth.min(2);
                    let bytes = [resource_bytes, scope_bytes, without_points(metric).encoded_len()];
                    splitter.add_metric(&Place { resource, scope, metric, bytes })?;
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
    let request = ExportMetricsServiceRequest::decode(export.body.clone()).ok()?;
    let limits = MetricLimits { request: RequestLimits { items, bytes: usize::MAX }, attributes: usize::MAX };
    // The halves are hardly larger than the request.
    limits.split(&request, &Unlimited).ok().map(|split| split.exports)
}

/// A metric and what encloses it.
struct Place<'a> {
    resource: &'a ResourceMetrics,
    scope: &'a ScopeMetrics,
    metric: &'a Metric,
    /// Sizes of the resource without scopes, of the scope without metrics, and of the metric without points.
    bytes: [usize; 3],
}

struct Splitter<'b> {
    limits: MetricLimits,
    budget: &'b dyn Budget,
    done: SplitExport,
    current: ExportMetricsServiceRequest,
    /// How many of the resource, the scope and the metric of the next point are the last ones of `current`.
    depth: usize,
    points: usize,
    /// Upper bound of the size of `current`.
    bytes: usize,
}

impl<'b> Splitter<'b> {
    fn new(limits: MetricLimits, budget: &'b dyn Budget) -> Self {
        let done = SplitExport { exports: Vec::new(), rejected: Rejections::default() };
        let current = ExportMetricsServiceRequest::default();
        Self { limits, budget, done, current, depth: 0, points: 0, bytes: 0 }
    }

    fn add_metric(&mut self, place: &Place<'_>) -> Result<(), BudgetExceeded> {
        match &place.metric.data {
            None => Ok(()),
            Some(Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. })) => {
                self.add_points(place, data_points)
            }
            Some(Data::Histogram(Histogram { data_points, .. })) => self.add_points(place, data_points),
            Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, .. })) => {
                self.add_points(place, data_points)
            }
            Some(Data::Summary(Summary { data_points })) => self.add_points(place, data_points),
        }
    }

    fn add_points<P: Point>(&mut self, place: &Place<'_>, points: &[P]) -> Result<(), BudgetExceeded> {
        for point in points {
            self.budget.check()?;
            let bytes = point.encoded_len() + NESTED_MESSAGES * MESSAGE_OVERHEAD;
            if let Some((reason, message)) = self.invalid(place, point.attributes(), bytes) {
                let name = shortened(text(&place.metric.name));
                self.done.rejected.add(reason, 1, || format!("a data point of \"{name}\" {message}"));
                continue;
            }
            let RequestLimits { items, bytes: max_bytes } = self.limits.request;
            if self.points >= items || self.bytes + self.missing_bytes(place) + bytes > max_bytes {
                self.close()?;
            }
            self.open(place);
            if let Some(list) = self.last_metric().and_then(|metric| P::list(metric.data.as_mut()?)) {
                list.push(point.clone());
                self.points += 1;
                self.bytes += bytes;
            }
        }
        Ok(())
    }

    /// Returns why the endpoint would not accept a point.
    fn invalid(&self, place: &Place<'_>, attributes: usize, bytes: usize) -> Option<(&'static str, String)> {
        let MetricLimits { request, attributes: max_attributes } = self.limits;
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
        if self.depth < 1 {
            let (resource, schema_url) = (place.resource.resource.clone(), place.resource.schema_url.clone());
            self.current.resource_metrics.push(ResourceMetrics { resource, schema_url, scope_metrics: Vec::new() });
        }
        let Some(resource) = self.current.resource_metrics.last_mut() else { return };
        if self.depth < 2 {
            let (scope, schema_url) = (place.scope.scope.clone(), place.scope.schema_url.clone());
            resource.scope_metrics.push(ScopeMetrics { scope, schema_url, metrics: Vec::new() });
        }
        let Some(scope) = resource.scope_metrics.last_mut() else { return };
        if self.depth < 3 {
            scope.metrics.push(without_points(place.metric));
        }
        self.depth = 3;
    }

    fn last_metric(&mut self) -> Option<&mut Metric> {
        self.current.resource_metrics.last_mut()?.scope_metrics.last_mut()?.metrics.last_mut()
    }

    fn close(&mut self) -> Result<(), BudgetExceeded> {
        self.budget.reserve(self.bytes)?;
        let current = std::mem::take(&mut self.current);
        if self.points > 0 {
            let body = Bytes::from(current.encode_to_vec());
            self.done.exports.push(EncodedExport { body, items: self.points as u64 });
        }
        (self.points, self.bytes, self.depth) = (0, 0, 0);
        Ok(())
    }
}

/// A data point of one of the kinds of metrics.
trait Point: Message + Clone {
    /// Returns the number of its attributes.
    fn attributes(&self) -> usize;

    /// Returns the points of data of its kind.
    fn list(data: &mut Data) -> Option<&mut Vec<Self>>;
}

macro_rules! impl_point {
    ($point:ty, $($data:pat_param)|+ => $list:ident) => {
        impl Point for $point {
            fn attributes(&self) -> usize {
                self.attributes.len()
            }

            fn list(data: &mut Data) -> Option<&mut Vec<Self>> {
                match data {
                    $($data)|+ => Some($list),
                    _ => None,
                }
            }
        }
    };
}

impl_point!(NumberDataPoint, Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. }) => data_points);
impl_point!(HistogramDataPoint, Data::Histogram(Histogram { data_points, .. }) => data_points);
impl_point!(
    ExponentialHistogramDataPoint,
    Data::ExponentialHistogram(ExponentialHistogram { data_points, .. }) => data_points
);
impl_point!(SummaryDataPoint, Data::Summary(Summary { data_points }) => data_points);

/// Returns a copy of a metric that has no data points yet.
fn without_points(metric: &Metric) -> Metric {
    let data = metric.data.as_ref().map(|data| match data {
        Data::Gauge(_) => Data::Gauge(Gauge::default()),
        Data::Sum(sum) => {
            let Sum { aggregation_temporality, is_monotonic, .. } = *sum;
            Data::Sum(Sum { aggregation_temporality, is_monotonic, ..Sum::default() })
        }
        Data::Histogram(Histogram { aggregation_temporality, .. }) => {
            let aggregation_temporality = *aggregation_temporality;
            Data::Histogram(Histogram { aggregation_temporality, ..Histogram::default() })
        }
        Data::ExponentialHistogram(ExponentialHistogram { aggregation_temporality, .. }) => {
            let aggregation_temporality = *aggregation_temporality;
            Data::ExponentialHistogram(ExponentialHistogram { aggregation_temporality, ..Default::default() })
        }
        Data::Summary(_) => Data::Summary(Summary::default()),
    });
    let Metric { name, description, unit, metadata, data: _ } = metric;
    let (name, description, unit) = (name.clone(), description.clone(), unit.clone());
    Metric { name, description, unit, metadata: metadata.clone(), data }
}

fn encoded_len(message: Option<&impl Message>) -> usize {
    message.map_or(0, Message::encoded_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::{InstrumentationScope, KeyValue};

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
            assert_eq!(request.points(), export.items);
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
            let SplitExport { exports, rejected } = limits.split(&request, &Unlimited).unwrap();
            assert_eq!(exports.iter().map(|part| part.items).collect::<Vec<_>>(), expected, "{limits:?}");
            assert_eq!(points(&exports), points(&whole), "{limits:?}");
            assert!(rejected.is_empty());
        }
        let SplitExport { exports, .. } = limits(100, 300).split(&request, &Unlimited).unwrap();
        assert!(exports.len() > 1 && exports.iter().all(|part| part.body.len() <= 300), "{exports:?}");
        assert_eq!(points(&exports), points(&whole));
        let SplitExport { exports, .. } = limits(100, 1 << 20).split(&request, &Unlimited).unwrap();
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
        let SplitExport { exports, rejected } = limits(100, 2_000).split(&request, &Unlimited).unwrap();
        assert_eq!(exports.iter().map(|part| part.items).sum::<u64>(), 2);
        let reasons: Vec<_> = rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect();
        assert_eq!(reasons, [("too_many_labels", 1), ("too_large", 1)]);
        assert!(rejected.to_string().contains("a data point of \"a\" has 151 attributes, and the limit is 150"));
    }
}
