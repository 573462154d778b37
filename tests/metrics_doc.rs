//! docs/metrics.md lists the metrics and labels of the code.

use std::collections::BTreeSet;

use sidecarless::translate::cloudwatch::{self, Dimensions, EcsMetric, MetricGroup};
use sidecarless::translate::insights::COUNTS;
use sidecarless::translate::self_metrics;
use sidecarless::translate::service_events::SERVICE_EVENT_METRICS;
use sidecarless::translate::state::{STATE_METRICS, Scope, StateMetric};
use sidecarless::translate::stats::{Label, Level, METRICS, MetricType, Options, StatsMetric, StatsSource};
use sidecarless::translate::stopped::STOPPED_METRICS;

const PAGE: &str = include_str!("../docs/metrics.md");

/// Returns the row of a metric without its description.
fn row(metric: &StatsMetric) -> String {
    let kind = if metric.kind == MetricType::Gauge { "gauge" } else { "sum" };
    let default = if metric.is_default() { "yes" } else { "no" };
    let provides = |approximate_memory_usage| {
        StatsSource::Insights.provides(metric, &Options { approximate_memory_usage, ..Options::default() })
    };
    let source = match (provides(false), provides(true)) {
        _ if !StatsSource::Endpoint.provides(metric, &Options::default()) => "insights",
        (true, _) => "endpoint, insights",
        (false, true) => "endpoint, insights when asked",
        (false, false) => "endpoint",
    };
    let adot_name = metric.adot_name.map_or("none".to_owned(), |name| format!("`{name}`"));
    format!("| `{}` | {adot_name} | {} | {kind} | {default} | {source} | ", metric.default_name, metric.unit)
}

/// Returns the row of a metric about the state of ECS.
fn state_row(metric: &StateMetric) -> String {
    let scope = match metric.scope {
        Scope::Cluster => "cluster",
        Scope::Service => "service",
        Scope::TaskGroup => "service or family",
        Scope::Task => "task",
        Scope::Container => "container",
        Scope::ContainerInstance => "container instance",
    };
    let default = if metric.is_default { "yes" } else { "no" };
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {scope} | {default} | {} | {} |", metric.name, labels.join(", "), metric.value)
}

/// Returns the row of a CloudWatch metric without its description. Metrics that differ by a label are in one row.
fn cloudwatch_row(metric: &EcsMetric) -> String {
    let same = cloudwatch::METRICS.iter().filter(|other| other.name == metric.name);
    let names: Vec<_> = same.map(|other| format!("`{}`", other.cloudwatch_name)).collect();
    let unit = format!("{:?}", metric.unit).to_lowercase();
    let group = match metric.group {
        MetricGroup::Default => "`default`",
        MetricGroup::Ebs => "`ebs`",
        MetricGroup::ServiceConnect => "`service-connect`",
    };
    let scope = match metric.dimensions {
        Dimensions::Service => "service",
        Dimensions::DiscoveryName => "service and discovery name",
        Dimensions::TargetDiscoveryName => "discovery name",
    };
    let statistics: Vec<_> =
        metric.statistics.iter().map(|stat| format!("`{}`", stat.as_str().to_lowercase())).collect();
    format!("| `{}` | {} | {unit} | {group} | {scope} | {} | ", metric.name, names.join(", "), statistics.join(", "))
}

#[test]
fn every_metric_has_a_row() {
    for metric in METRICS {
        let row = row(metric);
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "no row begins with {row:?}");
    }
    for count in COUNTS {
        let row = format!("| `{}` | `{}` | Count | gauge | ", count.name, count.field);
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "no row begins with {row:?}");
    }
    for metric in cloudwatch::METRICS {
        let row = cloudwatch_row(metric);
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "no row begins with {row:?}");
    }
    for self_metrics::SelfMetric { name, kind, labels, description } in self_metrics::METRICS {
        let row = format!("| `{name}` | {kind} | {labels} | {description} |");
        assert!(PAGE.lines().any(|line| line == row), "no row is {row:?}");
    }
    for metric in STATE_METRICS {
        let row = state_row(metric);
        assert!(PAGE.lines().any(|line| line == row), "no row is {row:?}");
    }
    let stopped = STOPPED_METRICS.iter().map(|metric| (metric.name, metric.labels));
    for (name, labels) in stopped.chain(SERVICE_EVENT_METRICS.iter().map(|metric| (metric.name, metric.labels))) {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | gauge | {} | ", labels.join(", "));
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "no row begins with {row:?}");
    }
}

#[test]
fn every_label_has_a_row() {
    for label in Label::ALL {
        let default = if label.is_stable() { "yes" } else { "no" };
        let row = |level: Level| {
            let levels = if level == Level::Task { "task, container" } else { "container" };
            format!("| `{}` | {levels} | {default} | ", label.name())
        };
        let (task, container) = (row(Level::Task), row(Level::Container));
        let has_row = PAGE.lines().any(|line| line.starts_with(&task) || line.starts_with(&container));
        assert!(has_row, "no row begins with {task:?}");
    }
}

#[test]
fn every_row_names_a_metric_or_label_once() {
    let mut known: Vec<&str> = METRICS.iter().map(|metric| metric.default_name).collect();
    known.extend(COUNTS.iter().map(|count| count.name));
    // Metrics of one name differ by a label.
    known.extend(BTreeSet::from_iter(cloudwatch::METRICS.iter().map(|metric| metric.name)));
    // Some names are in two tables, because a metric has two sources.
    known.extend(STATE_METRICS.iter().map(|metric| metric.name));
    known.extend(STOPPED_METRICS.iter().map(|metric| metric.name));
    known.extend(SERVICE_EVENT_METRICS.iter().map(|metric| metric.name));
    known.extend(self_metrics::METRICS.iter().map(|metric| metric.name));
    known.extend(Label::ALL.iter().map(|label| label.name()));
    let names = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name);
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("SIDECARLESS_")).collect();
    let unknown: Vec<_> = names.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known, "duplicate row");
}
