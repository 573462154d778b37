//! docs/metrics.md says what the code does.

use std::collections::BTreeSet;

use sidecarless::translate::insights::COUNTS;
use sidecarless::translate::self_metrics;
use sidecarless::translate::stats::{Label, Level, METRICS, MetricType, Options, StatsMetric, StatsSource};
use sidecarless::translate::stopped::STOPPED_METRICS;

const PAGE: &str = include_str!("../docs/metrics.md");

/// The row of a metric up to what only a reader can check.
fn row(metric: &StatsMetric) -> String {
    let kind = if metric.kind == MetricType::Gauge { "gauge" } else { "sum" };
    let default = if metric.is_default() { "yes" } else { "no" };
    let gives = |approximate_memory_usage| {
        StatsSource::Insights.provides(metric, &Options { approximate_memory_usage, ..Options::default() })
    };
    let source = match (gives(false), gives(true)) {
        (true, _) => "endpoint, insights",
        (false, true) => "endpoint, insights when asked",
        (false, false) => "endpoint",
    };
    format!("| `{}` | `{}` | {} | {kind} | {default} | {source} | ", metric.default_name, metric.adot_name, metric.unit)
}

#[test]
fn every_metric_has_its_row_with_unit_type_default_and_source() {
    for metric in METRICS {
        let row = row(metric);
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "no row begins with {row:?}");
    }
    for count in COUNTS {
        let row = format!("| `{}` | `{}` | Count | gauge | ", count.name, count.field);
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "no row begins with {row:?}");
    }
    for (name, kind, labels, meaning) in self_metrics::METRICS {
        let row = format!("| `{name}` | {kind} | {labels} | {meaning} |");
        assert!(PAGE.lines().any(|line| line == row), "no row is {row:?}");
    }
    for metric in STOPPED_METRICS {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{}` | gauge | {} | ", metric.name, labels.join(", "));
        assert!(PAGE.lines().any(|line| line.starts_with(&row)), "no row begins with {row:?}");
    }
}

#[test]
fn every_label_has_its_row() {
    for label in Label::ALL {
        let default = if label.is_stable() { "yes" } else { "no" };
        let row = |level: Level| {
            let on = if level == Level::Task { "task, container" } else { "container" };
            format!("| `{}` | {on} | {default} | ", label.name())
        };
        let (task, container) = (row(Level::Task), row(Level::Container));
        let found = PAGE.lines().any(|line| line.starts_with(&task) || line.starts_with(&container));
        assert!(found, "no row begins with {task:?}");
    }
}

#[test]
fn no_row_is_of_something_that_is_not_written() {
    let mut known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.default_name).collect();
    known.extend(COUNTS.iter().map(|count| count.name));
    known.extend(STOPPED_METRICS.iter().map(|metric| metric.name));
    known.extend(self_metrics::METRICS.iter().map(|metric| metric.0));
    known.extend(Label::ALL.iter().map(|label| label.name()));
    let names = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name);
    let names: Vec<_> = names.filter(|name| !name.starts_with("SIDECARLESS_")).collect();
    let unknown: Vec<_> = names.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(names.len(), known.len(), "each once");
}
