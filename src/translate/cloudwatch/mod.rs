//! CloudWatch metrics of ECS services to series. The only place that contains the names of these metrics.
//!
//! ECS reports CPU and memory for every service, without Container Insights, in percent of what its tasks reserve and over all
//! of its tasks. They are therefore not written with the names of task stats, which are other quantities.
//! (Amazon ECS Developer Guide, "Amazon ECS CloudWatch metrics" and "Amazon ECS service utilization metrics use cases".)

mod groups;
mod metrics;

use std::sync::Arc;

pub use groups::{MetricGroups, UnknownGroup};
pub use metrics::{Dimensions, EcsMetric, METRICS, MetricGroup, Unit};

use crate::model::cloudwatch::{MetricQuery, PERIOD_MS, Point, Statistic};
use crate::model::series::{InsertOutcome, Labels, SeriesBatch};
use crate::translate::stats::{Label, add_extra_labels};

/// Namespace of the metrics that ECS reports.
const NAMESPACE: &str = "AWS/ECS";

/// Label of the statistic.
pub const STAT_LABEL: &str = "stat";

/// Label of the discovery name.
pub const DISCOVERY_NAME_LABEL: &str = "discovery_name";

/// Label of the class of HTTP status codes.
pub const CODE_LABEL: &str = "code";

/// What metrics are about: a service or a discovery name. Parts that it does not have are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricScope {
    pub dimensions: Dimensions,
    /// Short name.
    pub cluster: Arc<str>,
    pub service: Arc<str>,
    pub discovery_name: Arc<str>,
    pub region: Arc<str>,
    pub account: Arc<str>,
}

impl MetricScope {
    /// Returns the metrics of the groups that the scope has.
    pub fn metrics(&self, groups: MetricGroups, has_tls: bool) -> impl Iterator<Item = &'static EcsMetric> + use<> {
        let dimensions = self.dimensions;
        let has = move |metric: &&EcsMetric| metric.dimensions == dimensions && (has_tls || !metric.needs_tls);
        groups.metrics().filter(has)
    }

    /// Returns the query for a metric.
    pub fn query(&self, metric: &EcsMetric) -> MetricQuery {
        let cluster = ("ClusterName", Arc::clone(&self.cluster));
        let service = ("ServiceName", Arc::clone(&self.service));
        let discovery_name = Arc::clone(&self.discovery_name);
        let dimensions = match self.dimensions {
            Dimensions::Service => vec![cluster, service],
            Dimensions::DiscoveryName => vec![cluster, ("DiscoveryName", discovery_name), service],
            Dimensions::TargetDiscoveryName => vec![("TargetDiscoveryName", discovery_name)],
        };
        MetricQuery { namespace: NAMESPACE, name: metric.cloudwatch_name, dimensions, statistics: metric.statistics }
    }

    /// Writes points of a metric. A sample has the time of the end of its minute. Returns the number of samples.
    pub fn write(
        &self,
        metric: &EcsMetric,
        statistic: Statistic,
        points: &[Point],
        extra: &Labels,
        out: &mut SeriesBatch,
    ) -> u64 {
        if points.is_empty() {
            return 0;
        }
        let mut labels = Labels::default();
        labels.set("__name__", metric.name);
        let parts = [
            (Label::ClusterName.name(), &*self.cluster),
            (Label::ServiceName.name(), &*self.service),
            (Label::Region.name(), &*self.region),
            (Label::AccountId.name(), &*self.account),
            (DISCOVERY_NAME_LABEL, &*self.discovery_name),
            (CODE_LABEL, metric.code.unwrap_or_default()),
            (STAT_LABEL, stat(statistic)),
        ];
        for (name, value) in parts {
            labels.set(name, value);
        }
        add_extra_labels(&mut labels, extra);
        let id = out.series(labels.iter());
        let outcomes =
            points.iter().map(|point| out.add_sample(id, sample_ms(point), metric.unit.convert(point.value)));
        outcomes.map(|outcome| u64::from(outcome == InsertOutcome::New)).sum()
    }

    /// Returns the bytes of its texts.
    pub fn size(&self) -> usize {
        let texts = [&self.cluster, &self.service, &self.discovery_name, &self.region, &self.account];
        texts.into_iter().map(|text| text.len()).sum()
    }
}

/// Returns the time of the sample of a point.
pub fn sample_ms(point: &Point) -> i64 {
    point.start_ms.saturating_add(PERIOD_MS)
}

/// Value of the label [`STAT_LABEL`].
fn stat(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Average => "average",
        Statistic::Minimum => "minimum",
        Statistic::Maximum => "maximum",
        Statistic::Sum => "sum",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(dimensions: Dimensions) -> MetricScope {
        let (cluster, service, discovery_name) = match dimensions {
            Dimensions::Service => ("shop", "cart", ""),
            Dimensions::DiscoveryName => ("shop", "cart", "cart-http"),
            Dimensions::TargetDiscoveryName => ("", "", "cart-http"),
        };
        MetricScope {
            dimensions,
            cluster: cluster.into(),
            service: service.into(),
            discovery_name: discovery_name.into(),
            region: "eu-west-1".into(),
            account: "111122223333".into(),
        }
    }

    fn metric(cloudwatch_name: &str) -> &'static EcsMetric {
        METRICS.iter().find(|metric| metric.cloudwatch_name == cloudwatch_name).unwrap()
    }

    /// Writes a metric, and returns its only series as text, with its samples.
    fn written(
        scope: &MetricScope,
        metric: &EcsMetric,
        statistic: Statistic,
        points: &[Point],
    ) -> (Vec<String>, Vec<(i64, f64)>) {
        let mut extra = Labels::default();
        extra.set("env", "prod");
        extra.set("stat", "mine");
        let mut out = SeriesBatch::default();
        assert_eq!(scope.write(metric, statistic, points, &extra, &mut out), points.len() as u64);
        assert_eq!(scope.write(metric, Statistic::Minimum, &[], &extra, &mut out), 0);
        assert_eq!(out.len(), 1, "a metric without points has no series");
        let series = out.iter().next().unwrap();
        let labels = series.labels().map(|(name, value)| format!("{name}={value}")).collect();
        (labels, series.samples().iter().map(|sample| (sample.timestamp_ms, sample.value)).collect())
    }

    #[test]
    fn samples_have_the_time_of_the_end_of_their_minute() {
        let points = [Point { start_ms: 60_000, value: 12.5 }, Point { start_ms: 180_000, value: 140.0 }];
        let (labels, samples) =
            written(&scope(Dimensions::Service), metric("CPUUtilization"), Statistic::Maximum, &points);
        let expected = [
            "__name__=ecs_service_cpu_utilization_percent",
            "aws_ecs_cluster_name=shop",
            "aws_ecs_service_name=cart",
            "cloud_account_id=111122223333",
            "cloud_region=eu-west-1",
            "env=prod",
            "stat=maximum",
        ];
        assert_eq!(labels, expected);
        assert_eq!(samples, [(120_000, 12.5), (240_000, 140.0)]);
    }

    #[test]
    fn target_metrics_have_no_service_because_it_is_unknown() {
        let points = [Point { start_ms: 0, value: 12.0 }];
        let target = scope(Dimensions::TargetDiscoveryName);
        let (labels, _) = written(&target, metric("HTTPCode_Target_5XX_Count"), Statistic::Sum, &points);
        let expected = [
            "__name__=ecs_service_connect_target_response_count",
            "cloud_account_id=111122223333",
            "cloud_region=eu-west-1",
            "code=5xx",
            "discovery_name=cart-http",
            "env=prod",
            "stat=sum",
        ];
        assert_eq!(labels, expected);
        let (_, samples) = written(&target, metric("TargetResponseTime"), Statistic::Average, &points);
        assert_eq!(samples, [(60_000, 0.012)], "seconds, of milliseconds");
    }

    #[test]
    fn queries_have_the_dimensions_of_their_metric() {
        for (name, dimensions, expected) in [
            ("CPUUtilization", Dimensions::Service, "ClusterName=shop ServiceName=cart"),
            ("RequestCount", Dimensions::DiscoveryName, "ClusterName=shop DiscoveryName=cart-http ServiceName=cart"),
            ("TargetResponseTime", Dimensions::TargetDiscoveryName, "TargetDiscoveryName=cart-http"),
        ] {
            let query = scope(dimensions).query(metric(name));
            let text: Vec<_> = query.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((query.namespace, query.name, &*text.join(" ")), ("AWS/ECS", name, expected));
            assert_eq!(query.statistics, metric(name).statistics);
        }
    }

    #[test]
    fn scopes_have_the_metrics_of_their_dimensions() {
        let groups: MetricGroups = "default,ebs,service-connect".parse().unwrap();
        for (dimensions, has_tls, expected) in [
            (Dimensions::Service, false, 3),
            (Dimensions::DiscoveryName, false, 5),
            (Dimensions::DiscoveryName, true, 6),
            (Dimensions::TargetDiscoveryName, false, 7),
            (Dimensions::TargetDiscoveryName, true, 8),
        ] {
            let metrics = scope(dimensions).metrics(groups, has_tls);
            assert_eq!(metrics.count(), expected, "{dimensions:?} {has_tls}");
        }
    }
}
