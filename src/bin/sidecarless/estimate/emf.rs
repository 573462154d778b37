//! Log lines of `SIDECARLESS_SELF_METRICS=emf`, one for each invocation, and the CloudWatch metrics that they create.

use std::collections::BTreeSet;

use serde_json::Value;
use sidecarless::model::item_counters::{ItemCounters, ItemKind, ItemStatus};
use sidecarless::translate::self_metrics;

use super::options::Options;
use super::workload::{Trigger, Workload};

/// Bytes that CloudWatch Logs bills in addition to each line (Amazon CloudWatch Logs API Reference, "PutLogEvents").
const OVERHEAD_BYTES: usize = 26;

/// A function of the template has a name of this length.
const FUNCTION: &str = "sidecarless-Function-0123456789AB";

/// Metrics and size of the lines of a month.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EmfLines {
    /// Distinct names. All of them have the same dimension, the name of the function.
    pub(super) metrics: f64,
    pub(super) bytes: f64,
}

impl EmfLines {
    /// Returns the lines of successful invocations. Each status that items have in addition creates another metric.
    pub(super) fn new(workloads: &[Workload], options: &Options) -> Self {
        let (mut names, mut bytes) = (BTreeSet::new(), 0.0);
        for workload in workloads {
            let line = line(workload, options);
            bytes += workload.invocations * (line.len() + OVERHEAD_BYTES) as f64;
            names.extend(metrics(&line));
        }
        Self { metrics: names.len() as f64, bytes }
    }
}

fn line(workload: &Workload, options: &Options) -> String {
    let seconds = workload.duration_ms.round() / 1_000.0;
    let at_ms = 1_795_389_900_000;
    self_metrics::emf(&counters(workload.trigger, options), FUNCTION, workload.trigger.label(), seconds, at_ms)
}

/// Returns what a successful invocation counts. The number of its items hardly changes the size of the line.
fn counters(trigger: Trigger, options: &Options) -> ItemCounters {
    let to = options.metrics_to();
    let mut counters = ItemCounters::default();
    let mut add = |kind, status| {
        counters.add(ItemStatus::Received, kind, 100);
        counters.add(status, kind, 100);
    };
    match trigger {
        Trigger::ScheduledRun | Trigger::Shard | Trigger::StatsPush => add(ItemKind::Samples, ItemStatus::Delivered),
        Trigger::Traces => {
            add(ItemKind::Spans, ItemStatus::Translated);
            add(ItemKind::Segments, ItemStatus::Delivered);
        }
        Trigger::Metrics => {
            add(ItemKind::DataPoints, ItemStatus::Translated);
            if to.amp {
                add(ItemKind::Samples, ItemStatus::Delivered);
            }
            if to.cloudwatch {
                add(ItemKind::CloudWatchPoints, ItemStatus::Delivered);
            }
        }
        Trigger::SamplingCall => {}
    }
    counters
}

/// Returns the names of the metrics in a line.
fn metrics(line: &str) -> Vec<String> {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().cloned().unwrap_or_default();
    metrics.iter().filter_map(|metric| Some(metric["Name"].as_str()?.to_owned())).collect()
}
