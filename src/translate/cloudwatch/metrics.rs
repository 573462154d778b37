//! The CloudWatch metrics of ECS services that are read, with the dimensions and statistics of each.
//!
//! Names and dimensions: Amazon ECS Developer Guide, "Amazon ECS CloudWatch metrics". Metrics of Service Connect have other
//! dimensions ("Tutorial: Using Service Connect in Fargate with the AWS CLI"): those that the proxies of the receiving tasks
//! report have `DiscoveryName` and are also reported by service, those about the application behind the name have
//! `TargetDiscoveryName`.

use crate::model::cloudwatch::Statistic;

/// Average of the tasks of the service, least and most loaded task. CloudWatch charges for one metric, however many of its
/// statistics a call reads, up to five (Amazon CloudWatch Pricing).
const SPREAD: &[Statistic] = &[Statistic::Average, Statistic::Minimum, Statistic::Maximum];
const SUM: &[Statistic] = &[Statistic::Sum];
const AVERAGE: &[Statistic] = &[Statistic::Average];

/// Metrics that are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricGroup {
    /// CPU and memory, which every service has.
    Default,
    /// Services with an Amazon EBS volume.
    Ebs,
    /// Services that others reach through Service Connect.
    ServiceConnect,
}

/// Dimensions of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimensions {
    /// A service: `ClusterName` and `ServiceName`.
    #[default]
    Service,
    /// A discovery name of one service: `ClusterName`, `DiscoveryName` and `ServiceName`.
    DiscoveryName,
    /// A discovery name in all clusters and namespaces: `TargetDiscoveryName`. With a service, CloudWatch has one metric for each
    /// client, because the service is then the one that sends the requests.
    TargetDiscoveryName,
}

/// Unit of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Percent,
    Count,
    Bytes,
    /// CloudWatch has milliseconds.
    Seconds,
}

/// A metric of a service or a discovery name. All are gauges: a sum is the sum of one minute.
#[derive(Debug)]
pub struct EcsMetric {
    pub name: &'static str,
    /// Name in CloudWatch.
    pub cloudwatch_name: &'static str,
    pub group: MetricGroup,
    pub dimensions: Dimensions,
    pub statistics: &'static [Statistic],
    pub unit: Unit,
    /// Class of the HTTP status codes, if the name of the metric does not contain it.
    pub code: Option<&'static str>,
    /// Whether only discovery names with TLS have it.
    pub needs_tls: bool,
}

impl Unit {
    /// Converts a value of CloudWatch.
    pub(super) fn convert(self, value: f64) -> f64 {
        match self {
            Self::Seconds => value / 1_000.0,
            Self::Percent | Self::Count | Self::Bytes => value,
        }
    }
}

impl EcsMetric {
    const fn utilization(name: &'static str, cloudwatch_name: &'static str, group: MetricGroup) -> Self {
        Self {
            name,
            cloudwatch_name,
            group,
            dimensions: Dimensions::Service,
            statistics: SPREAD,
            unit: Unit::Percent,
            code: None,
            needs_tls: false,
        }
    }

    /// A number that the proxies of the receiving tasks count.
    const fn received(name: &'static str, cloudwatch_name: &'static str, unit: Unit) -> Self {
        Self {
            group: MetricGroup::ServiceConnect,
            dimensions: Dimensions::DiscoveryName,
            statistics: SUM,
            unit,
            ..Self::utilization(name, cloudwatch_name, MetricGroup::ServiceConnect)
        }
    }

    /// A value about the application behind a discovery name.
    const fn target(
        name: &'static str,
        cloudwatch_name: &'static str,
        statistics: &'static [Statistic],
        unit: Unit,
    ) -> Self {
        Self { dimensions: Dimensions::TargetDiscoveryName, statistics, ..Self::received(name, cloudwatch_name, unit) }
    }

    const fn responses(code: &'static str, cloudwatch_name: &'static str) -> Self {
        let name = "ecs_service_connect_target_response_count";
        Self { code: Some(code), ..Self::target(name, cloudwatch_name, SUM, Unit::Count) }
    }

    const fn with_tls(self) -> Self {
        Self { needs_tls: true, ..self }
    }
}

/// All metrics.
pub const METRICS: &[EcsMetric] = &[
    EcsMetric::utilization("ecs_service_cpu_utilization_percent", "CPUUtilization", MetricGroup::Default),
    EcsMetric::utilization("ecs_service_memory_utilization_percent", "MemoryUtilization", MetricGroup::Default),
    EcsMetric::utilization(
        "ecs_service_ebs_filesystem_utilization_percent",
        "EBSFilesystemUtilization",
        MetricGroup::Ebs,
    ),
    EcsMetric::received("ecs_service_connect_request_count", "RequestCount", Unit::Count),
    EcsMetric::received("ecs_service_connect_grpc_request_count", "GrpcRequestCount", Unit::Count),
    EcsMetric::received("ecs_service_connect_processed_bytes", "ProcessedBytes", Unit::Bytes),
    EcsMetric::received("ecs_service_connect_active_connection_count", "ActiveConnectionCount", Unit::Count),
    EcsMetric::received("ecs_service_connect_new_connection_count", "NewConnectionCount", Unit::Count),
    EcsMetric::received(
        "ecs_service_connect_client_tls_negotiation_error_count",
        "ClientTLSNegotiationErrorCount",
        Unit::Count,
    )
    .with_tls(),
    EcsMetric::responses("2xx", "HTTPCode_Target_2XX_Count"),
    EcsMetric::responses("3xx", "HTTPCode_Target_3XX_Count"),
    EcsMetric::responses("4xx", "HTTPCode_Target_4XX_Count"),
    EcsMetric::responses("5xx", "HTTPCode_Target_5XX_Count"),
    EcsMetric::target("ecs_service_connect_target_response_time_seconds", "TargetResponseTime", SPREAD, Unit::Seconds),
    EcsMetric::target("ecs_service_connect_request_count_per_target", "RequestCountPerTarget", AVERAGE, Unit::Count),
    EcsMetric::target("ecs_service_connect_target_processed_bytes", "TargetProcessedBytes", SUM, Unit::Bytes),
    EcsMetric::target(
        "ecs_service_connect_target_tls_negotiation_error_count",
        "TargetTLSNegotiationErrorCount",
        SUM,
        Unit::Count,
    )
    .with_tls(),
];
