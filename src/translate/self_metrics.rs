//! Series about the function itself (`sidecarless_*`): counters and gauges. docs/metrics.md lists them.
//!
//! Each execution environment has its own counters and its own `instance`, so no two environments write the same series. A
//! new counter is preceded by a zero: an environment may end after the first value, and `increase` requires two.

use serde_json::{Map, Value, json};

use crate::model::item_counters::{CounterKey, ItemCounters, ItemKind, ItemStatus};
use crate::model::reserved::SELF_METRICS_JOB;
use crate::model::series::{Labels, SeriesBatch};

/// CloudWatch namespace of the metrics in the log line.
const NAMESPACE: &str = "sidecarless";

/// Documentation of a metric, for docs/metrics.md.
#[derive(Clone, Copy, Debug)]
pub struct SelfMetric {
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// Labels in addition to the common labels.
    pub labels: &'static str,
    pub description: &'static str,
}

/// Every metric that [`Snapshot::write`] writes.
pub const METRICS: [SelfMetric; 18] = [
    counter("sidecarless_received_total", "`item`", "items received"),
    counter(
        "sidecarless_translated_total",
        "`item`",
        "items converted to segments or samples, which are counted as received under their own item kind",
    ),
    counter("sidecarless_delivered_total", "`item`, `destination`", "items that the destination accepted"),
    counter(
        "sidecarless_unconfirmed_total",
        "`item`, `destination`, `reason`: `partial_write`, `partial_redelivery`",
        "items of requests that the destination stored in part, without naming the items that it stored",
    ),
    counter(
        "sidecarless_access_denied_total",
        "`item`, `destination`",
        "items that the destination did not accept because it denied access to the function. They are also counted by another metric",
    ),
    counter("sidecarless_spooled_total", "`item`, `destination`", "items stored in the spool for later delivery"),
    counter(
        "sidecarless_rejected_total",
        "`item`, `destination`, `reason`",
        "items permanently rejected by the function or by the destination; the sender is notified",
    ),
    counter(
        "sidecarless_refused_total",
        "`item`, `destination`",
        "items returned to the sender with 503; the sender retries them",
    ),
    counter(
        "sidecarless_filtered_total",
        "`item`, `destination`, `reason`",
        "items removed or merged by relabelling rules, and repeated pushes of task stats; the sender is not notified",
    ),
    counter(
        "sidecarless_modified_total",
        "`item`, `reason`",
        "items stored otherwise than they were received; the sender is notified. They are also counted by another metric",
    ),
    counter(
        "sidecarless_dropped_total",
        "`item`, `destination`, `reason`",
        "items neither delivered nor stored: reason `undelivered` in a scheduled run without a spool, other reasons after the items were spooled",
    ),
    counter("sidecarless_redelivered_total", "`item`, `destination`", "items delivered from the spool"),
    counter(
        "sidecarless_http_errors_total",
        "`status`",
        "HTTP requests that received an error response with this status",
    ),
    gauge(
        "sidecarless_targets",
        "`state`: `up`, `down`, `skipped`",
        "targets of the last scheduled run or shard message",
    ),
    gauge("sidecarless_spool_oldest_message_age_seconds", "", "age of the oldest spooled message that was retried"),
    counter("sidecarless_invocation_duration_seconds_sum", "`trigger`", "total duration of invocations"),
    counter("sidecarless_invocation_duration_seconds_count", "`trigger`", "number of invocations"),
    gauge("sidecarless_build_info", "`version`", "always 1"),
];

const fn counter(name: &'static str, labels: &'static str, description: &'static str) -> SelfMetric {
    SelfMetric { name, kind: "counter", labels, description }
}

const fn gauge(name: &'static str, labels: &'static str, description: &'static str) -> SelfMetric {
    SelfMetric { name, kind: "gauge", labels, description }
}

/// Observations of the invocations since the series were last written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauges {
    pub targets: Option<TargetCounts>,
    pub spool_oldest_s: Option<f64>,
}

impl Gauges {
    /// Records the age of a spooled message that was retried.
    pub fn observe_spool_age(&mut self, seconds: i64) {
        #[expect(clippy::cast_precision_loss, reason = "a queue retains messages for at most two weeks")]
        let seconds = seconds.max(0) as f64;
        self.spool_oldest_s = Some(self.spool_oldest_s.unwrap_or_default().max(seconds));
    }
}

/// Targets of a scheduled run, or of a batch of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TargetCounts {
    pub up: u64,
    pub down: u64,
    pub skipped: u64,
}

/// Input of the series at one time.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    pub counters: &'a ItemCounters,
    /// The counters that were last written. Counters that are not among them are new.
    pub written: &'a ItemCounters,
    pub gauges: &'a Gauges,
    /// Labels of every series.
    pub labels: &'a Labels,
    /// Time of the zero that precedes a new counter; before `at_ms`.
    pub zero_ms: i64,
    pub at_ms: i64,
}

/// Returns the labels that identify the execution environment.
pub fn labels(instance: &str) -> Labels {
    let mut labels = Labels::default();
    labels.set("job", SELF_METRICS_JOB);
    labels.set("instance", instance);
    labels
}

impl Snapshot<'_> {
    /// Writes all series.
    pub fn write(&self, out: &mut SeriesBatch) {
        for (key, count) in self.counters.counts() {
            let is_new = !self.written.counts().any(|(other, _)| other == key);
            self.counter(name(key.status), &counter_labels(key), is_new, as_f64(count), out);
        }
        for (trigger, time) in self.counters.invocation_time() {
            let is_new = !self.written.invocation_time().any(|(other, _)| other == trigger);
            let labels = [("trigger", trigger)];
            self.counter("sidecarless_invocation_duration_seconds_sum", &labels, is_new, time.seconds, out);
            let invocations = as_f64(time.invocations);
            self.counter("sidecarless_invocation_duration_seconds_count", &labels, is_new, invocations, out);
        }
        for (status, count) in self.counters.http_errors() {
            let is_new = !self.written.http_errors().any(|(other, _)| other == status);
            let labels = [("status", status.to_string())];
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            self.counter("sidecarless_http_errors_total", &labels, is_new, as_f64(count), out);
        }
        self.gauges(out);
    }

    fn gauges(&self, out: &mut SeriesBatch) {
        self.sample("sidecarless_build_info", &[("version", env!("CARGO_PKG_VERSION"))], self.at_ms, 1.0, out);
        if let Some(TargetCounts { up, down, skipped }) = self.gauges.targets {
            for (state, count) in [("up", up), ("down", down), ("skipped", skipped)] {
                self.sample("sidecarless_targets", &[("state", state)], self.at_ms, as_f64(count), out);
            }
        }
        if let Some(seconds) = self.gauges.spool_oldest_s {
            self.sample("sidecarless_spool_oldest_message_age_seconds", &[], self.at_ms, seconds, out);
        }
    }

    fn counter(&self, name: &str, labels: &[(&str, &str)], is_new: bool, value: f64, out: &mut SeriesBatch) {
        if is_new {
            self.sample(name, labels, self.zero_ms, 0.0, out);
        }
        self.sample(name, labels, self.at_ms, value, out);
    }

    fn sample(&self, name: &str, labels: &[(&str, &str)], at_ms: i64, value: f64, out: &mut SeriesBatch) {
        let mut all = self.labels.clone();
        all.set("__name__", name);
        for (label, value) in labels {
            all.set(label, value);
        }
        let id = out.series(all.iter());
        out.add_sample(id, at_ms, value);
    }
}

fn name(status: ItemStatus) -> &'static str {
    match status {
        ItemStatus::Received => "sidecarless_received_total",
        ItemStatus::Translated => "sidecarless_translated_total",
        ItemStatus::Delivered => "sidecarless_delivered_total",
        ItemStatus::Unconfirmed | ItemStatus::UnconfirmedFromSpool => "sidecarless_unconfirmed_total",
        ItemStatus::AccessDenied => "sidecarless_access_denied_total",
        ItemStatus::Spooled => "sidecarless_spooled_total",
        ItemStatus::Rejected => "sidecarless_rejected_total",
        ItemStatus::Refused => "sidecarless_refused_total",
        ItemStatus::Filtered => "sidecarless_filtered_total",
        ItemStatus::Modified => "sidecarless_modified_total",
        ItemStatus::Dropped | ItemStatus::DroppedFromSpool => "sidecarless_dropped_total",
        ItemStatus::Redelivered => "sidecarless_redelivered_total",
    }
}

fn counter_labels(key: CounterKey) -> [(&'static str, &'static str); 3] {
    let has_destination = !matches!(key.status, ItemStatus::Received | ItemStatus::Translated | ItemStatus::Modified);
    let destination = if has_destination { key.item.destination() } else { "" };
    [("item", key.item.as_str()), ("destination", destination), ("reason", key.reason)]
}

/// Returns the log line of an invocation, from which CloudWatch extracts metrics (Amazon CloudWatch User Guide, "Embedded
/// metric format specification"). Reasons are searchable fields, not metrics, because each metric would be billed.
pub fn emf(counters: &ItemCounters, function: &str, trigger: &str, seconds: f64, at_ms: i64) -> String {
    let (mut fields, mut metrics, mut reasons) = (Map::new(), Vec::new(), Map::new());
    let mut metric = |name: String, unit: &str, value: Value| {
        metrics.push(json!({"Name": name, "Unit": unit}));
        fields.insert(name, value);
    };
    for item in ItemKind::ALL {
        for (status, prefix) in EMF_PREFIXES {
            let count = counters.total(status, item);
            if count > 0 {
                metric(format!("{prefix}_{}", item.as_str()), "Count", json!(count));
            }
        }
    }
    metric("invocation_duration_seconds".into(), "Seconds", json!(seconds));
    for (key, count) in counters.counts().filter(|(key, _)| !key.reason.is_empty()) {
        reasons.insert(format!("{}:{}", key.item.as_str(), key.reason), json!(count));
    }
    fields.insert("FunctionName".into(), json!(function));
    fields.insert("trigger".into(), json!(trigger));
    if !reasons.is_empty() {
        fields.insert("reasons".into(), Value::Object(reasons));
    }
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": metrics});
    fields.insert("_aws".into(), json!({"Timestamp": at_ms, "CloudWatchMetrics": [directive]}));
    Value::Object(fields).to_string()
}

/// Prefixes of the metric names in the log line.
const EMF_PREFIXES: [(ItemStatus, &str); 14] = [
    (ItemStatus::Received, "received"),
    (ItemStatus::Translated, "translated"),
    (ItemStatus::Delivered, "delivered"),
    (ItemStatus::Unconfirmed, "unconfirmed"),
    (ItemStatus::AccessDenied, "access_denied"),
    (ItemStatus::Spooled, "spooled"),
    (ItemStatus::Rejected, "rejected"),
    (ItemStatus::Refused, "refused"),
    (ItemStatus::Filtered, "filtered"),
    (ItemStatus::Modified, "modified"),
    (ItemStatus::Dropped, "dropped"),
    (ItemStatus::Redelivered, "redelivered"),
    (ItemStatus::UnconfirmedFromSpool, "unconfirmed_from_spool"),
    (ItemStatus::DroppedFromSpool, "dropped_from_spool"),
];

fn as_f64(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let count = count as f64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(counters: &ItemCounters, before: &ItemCounters, gauges: &Gauges) -> Vec<String> {
        let mut batch = SeriesBatch::default();
        let labels = labels("i-1");
        Snapshot { counters, written: before, gauges, labels: &labels, zero_ms: 1, at_ms: 9 }.write(&mut batch);
        let text = |parts: Vec<String>| parts.join(",");
        let lines = batch.iter().map(|series| {
            let labels = series.labels().filter(|(name, _)| !matches!(*name, "__name__" | "job" | "instance"));
            let labels = text(labels.map(|(name, value)| format!("{name}={value}")).collect());
            let samples =
                series.samples().iter().map(|sample| format!("{}@{}", sample.value, sample.timestamp_ms)).collect();
            format!("{}{{{labels}}} {}", series.label("__name__").unwrap(), text(samples))
        });
        lines.filter(|line| !line.starts_with("sidecarless_build_info")).collect()
    }

    #[test]
    fn new_counter_is_preceded_by_a_zero() {
        let (mut counters, empty) = (ItemCounters::default(), ItemCounters::default());
        counters.add(ItemStatus::Received, ItemKind::Spans, 3);
        counters.add_with_reason(ItemStatus::Rejected, ItemKind::Spans, "no_trace_id", 2);
        let first = written(&counters, &empty, &Gauges::default());
        assert_eq!(
            first,
            [
                "sidecarless_received_total{item=spans} 0@1,3@9",
                "sidecarless_rejected_total{destination=xray,item=spans,reason=no_trace_id} 0@1,2@9",
            ]
        );
        let before = counters.clone();
        counters.add(ItemStatus::Received, ItemKind::Spans, 1);
        counters.record_invocation("http", 0.25);
        counters.record_http_error(401);
        assert_eq!(
            written(&counters, &before, &Gauges::default()),
            [
                "sidecarless_received_total{item=spans} 4@9",
                "sidecarless_rejected_total{destination=xray,item=spans,reason=no_trace_id} 2@9",
                "sidecarless_invocation_duration_seconds_sum{trigger=http} 0@1,0.25@9",
                "sidecarless_invocation_duration_seconds_count{trigger=http} 0@1,1@9",
                "sidecarless_http_errors_total{status=401} 0@1,1@9",
            ]
        );
    }

    #[test]
    fn observations_are_written_as_gauges() {
        let gauges = Gauges { targets: Some(TargetCounts { up: 3, down: 1, skipped: 0 }), spool_oldest_s: Some(61.5) };
        assert_eq!(
            written(&ItemCounters::default(), &ItemCounters::default(), &gauges),
            [
                "sidecarless_targets{state=up} 3@9",
                "sidecarless_targets{state=down} 1@9",
                "sidecarless_targets{state=skipped} 0@9",
                "sidecarless_spool_oldest_message_age_seconds{} 61.5@9",
            ]
        );
    }

    #[test]
    fn log_line_contains_only_metrics_above_zero() {
        let mut counters = ItemCounters::default();
        counters.add(ItemStatus::Received, ItemKind::Samples, 7);
        counters.add_with_reason(ItemStatus::Dropped, ItemKind::Samples, "undelivered", 7);
        let line: Value = serde_json::from_str(&emf(&counters, "shop", "schedule", 0.5, 9)).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let names: Vec<_> = directive["Metrics"].as_array().unwrap().iter().map(|metric| &metric["Name"]).collect();
        assert_eq!(names, ["received_samples", "dropped_samples", "invocation_duration_seconds"]);
        assert_eq!((&line["received_samples"], &line["reasons"]["samples:undelivered"]), (&json!(7), &json!(7)));
        assert_eq!((&line["FunctionName"], &directive["Dimensions"]), (&json!("shop"), &json!([["FunctionName"]])));
    }
}
