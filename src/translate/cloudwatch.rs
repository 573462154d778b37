//! CloudWatch metrics of ECS services to series, for services whose tasks have no stats source. The only place that contains the
//! names of these metrics.
//!
//! ECS reports them for every service, without Container Insights: CPU and memory in percent of what its tasks reserve, over all
//! of its tasks. They are therefore not written with the names of task stats, which are other quantities.
//! (Amazon ECS Developer Guide, "Amazon ECS CloudWatch metrics" and "Amazon ECS service utilization metrics use cases".)

use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::model::cloudwatch::{MetricQuery, PERIOD_MS, Point, Statistic};
use crate::model::series::{InsertOutcome, Labels, SeriesBatch};
use crate::translate::stats::{Label, add_extra_labels};

/// Namespace of the metrics that ECS reports.
const NAMESPACE: &str = "AWS/ECS";

/// Average of the tasks of the service, least and most loaded task. CloudWatch charges for one metric, however many of its
/// statistics a call reads, up to five (Amazon CloudWatch Pricing).
const STATISTICS: &[Statistic] = &[Statistic::Average, Statistic::Minimum, Statistic::Maximum];

/// Label of the statistic.
pub const STAT_LABEL: &str = "stat";

/// Metrics that are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricGroup {
    /// CPU and memory, which every service has.
    Default,
    /// Services with an Amazon EBS volume.
    Ebs,
}

/// A metric of a service. All are gauges.
#[derive(Debug)]
pub struct ServiceMetric {
    pub name: &'static str,
    /// Name in CloudWatch.
    pub cloudwatch_name: &'static str,
    pub group: MetricGroup,
}

/// All metrics.
pub const METRICS: &[ServiceMetric] = &[
    ServiceMetric {
        name: "ecs_service_cpu_utilization_percent",
        cloudwatch_name: "CPUUtilization",
        group: MetricGroup::Default,
    },
    ServiceMetric {
        name: "ecs_service_memory_utilization_percent",
        cloudwatch_name: "MemoryUtilization",
        group: MetricGroup::Default,
    },
    ServiceMetric {
        name: "ecs_service_ebs_filesystem_utilization_percent",
        cloudwatch_name: "EBSFilesystemUtilization",
        group: MetricGroup::Ebs,
    },
];

/// Names of the groups in the setting.
const GROUPS: &[(&str, MetricGroup)] = &[("default", MetricGroup::Default), ("ebs", MetricGroup::Ebs)];

/// The groups of metrics that are read. `Default` has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricGroups {
    default: bool,
    ebs: bool,
}

impl MetricGroups {
    pub fn contains(self, group: MetricGroup) -> bool {
        match group {
            MetricGroup::Default => self.default,
            MetricGroup::Ebs => self.ebs,
        }
    }

    fn insert(&mut self, group: MetricGroup) {
        match group {
            MetricGroup::Default => self.default = true,
            MetricGroup::Ebs => self.ebs = true,
        }
    }

    /// Returns the metrics of the groups.
    pub fn metrics(self) -> impl Iterator<Item = &'static ServiceMetric> {
        METRICS.iter().filter(move |metric| self.contains(metric.group))
    }
}

/// Error of an unknown group of metrics.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown value {0:?}: use a list of default and ebs")]
pub struct UnknownGroup(String);

/// A comma-separated list of groups.
impl FromStr for MetricGroups {
    type Err = UnknownGroup;

    fn from_str(text: &str) -> Result<Self, UnknownGroup> {
        let mut groups = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let known = GROUPS.iter().find(|(name, _)| *name == word);
            let (_, group) = known.ok_or_else(|| UnknownGroup(word.to_owned()))?;
            groups.insert(*group);
        }
        Ok(groups)
    }
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// Short name.
    pub cluster: Arc<str>,
    pub service: Arc<str>,
    pub region: Arc<str>,
    pub account: Arc<str>,
}

impl ServiceIdentity {
    /// Returns the query for a metric of the service.
    pub fn query(&self, metric: &ServiceMetric) -> MetricQuery {
        MetricQuery {
            namespace: NAMESPACE,
            name: metric.cloudwatch_name,
            dimensions: vec![("ClusterName", Arc::clone(&self.cluster)), ("ServiceName", Arc::clone(&self.service))],
            statistics: STATISTICS,
        }
    }

    /// Writes points of a metric. A sample has the time of the end of its minute. Returns the number of samples.
    pub fn write(
        &self,
        metric: &ServiceMetric,
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
        labels.set(Label::ClusterName.name(), &self.cluster);
        labels.set(Label::ServiceName.name(), &self.service);
        labels.set(Label::Region.name(), &self.region);
        labels.set(Label::AccountId.name(), &self.account);
        labels.set(STAT_LABEL, stat(statistic));
        add_extra_labels(&mut labels, extra);
        let id = out.series(labels.iter());
        let outcomes = points.iter().map(|point| out.add_sample(id, sample_ms(point), point.value));
        outcomes.map(|outcome| u64::from(outcome == InsertOutcome::New)).sum()
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

    #[test]
    fn groups_are_read_from_a_list() {
        for (text, expected) in [("default", 2), ("default,ebs", 3), ("ebs", 1), (" ebs , default,", 3)] {
            let groups: MetricGroups = text.parse().unwrap();
            assert_eq!(groups.metrics().count(), expected, "{text}");
        }
        let error = "default,cpu".parse::<MetricGroups>().unwrap_err().to_string();
        assert_eq!(error, "unknown value \"cpu\": use a list of default and ebs");
    }

    #[test]
    fn samples_have_the_time_of_the_end_of_their_minute() {
        let service = ServiceIdentity {
            cluster: "shop".into(),
            service: "cart".into(),
            region: "eu-west-1".into(),
            account: "111122223333".into(),
        };
        let points = [Point { start_ms: 60_000, value: 12.5 }, Point { start_ms: 180_000, value: 140.0 }];
        let mut extra = Labels::default();
        extra.set("env", "prod");
        extra.set("stat", "mine");
        let mut out = SeriesBatch::default();
        assert_eq!(service.write(&METRICS[0], Statistic::Maximum, &points, &extra, &mut out), 2);
        let series = out.iter().next().unwrap();
        let labels: Vec<String> = series.labels().map(|(name, value)| format!("{name}={value}")).collect();
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
        let samples: Vec<_> = series.samples().iter().map(|sample| (sample.timestamp_ms, sample.value)).collect();
        assert_eq!(samples, [(120_000, 12.5), (240_000, 140.0)]);
        assert_eq!(service.write(&METRICS[0], Statistic::Minimum, &[], &extra, &mut out), 0);
        assert_eq!(out.len(), 1, "a metric without points has no series");
    }
}
