//! The function's own series, `sidecarless_*`: its counters, and what it saw last. docs/metrics.md lists them.
//!
//! Each environment counts for itself and has its own `instance`, so that no two ever write one series. A counter is
//! written with a zero before it, since an environment may live for one value only, and an increase needs two.

use serde_json::{Map, Value, json};

use crate::model::item_counters::{CounterKey, ItemCounters, ItemKind, ItemStatus};
use crate::model::series::{Labels, SeriesBatch};

/// The `job` of these series.
const JOB: &str = "sidecarless";

/// Where the metrics of the log line appear in CloudWatch.
const NAMESPACE: &str = "sidecarless";

/// Every metric, as docs/metrics.md shows it: name, type, further labels, meaning.
pub const METRICS: [(&str, &str, &str, &str); 14] = [
    ("sidecarless_received_total", "counter", "`item`", "items received"),
    (
        "sidecarless_translated_total",
        "counter",
        "`item`",
        "items converted to segments or samples, which are counted as received under their own item kind",
    ),
    ("sidecarless_delivered_total", "counter", "`item`, `destination`", "items that the destination accepted"),
    ("sidecarless_spooled_total", "counter", "`item`, `destination`", "items stored in the spool for later delivery"),
    (
        "sidecarless_rejected_total",
        "counter",
        "`item`, `destination`, `reason`",
        "items permanently rejected by the function or by the destination; the sender is notified",
    ),
    (
        "sidecarless_refused_total",
        "counter",
        "`item`, `destination`",
        "items returned to the sender with 503; the sender retries them",
    ),
    (
        "sidecarless_dropped_total",
        "counter",
        "`item`, `destination`, `reason`",
        "items neither delivered nor stored: reason `undelivered` in a scheduled run without a spool, other reasons after the items were spooled",
    ),
    ("sidecarless_redelivered_total", "counter", "`item`, `destination`", "items delivered from the spool"),
    (
        "sidecarless_http_errors_total",
        "counter",
        "`status`",
        "HTTP requests that received an error response with this status",
    ),
    (
        "sidecarless_targets",
        "gauge",
        "`state`: `up`, `down`, `skipped`",
        "targets of the last scheduled run or shard message",
    ),
    ("sidecarless_spool_oldest_message_age_seconds", "gauge", "", "age of the oldest spooled message that was retried"),
    ("sidecarless_invocation_duration_seconds_sum", "counter", "`trigger`", "total duration of invocations"),
    ("sidecarless_invocation_duration_seconds_count", "counter", "`trigger`", "number of invocations"),
    ("sidecarless_build_info", "gauge", "`version`", "always 1"),
];

/// What invocations saw since the last writing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauges {
    pub targets: Option<TargetCounts>,
    pub spool_oldest_s: Option<f64>,
}

impl Gauges {
    /// A message came back after so many seconds.
    pub fn observe_spool_age(&mut self, seconds: i64) {
        #[expect(clippy::cast_precision_loss, reason = "a queue keeps messages for two weeks at most")]
        let seconds = seconds.max(0) as f64;
        self.spool_oldest_s = Some(self.spool_oldest_s.unwrap_or_default().max(seconds));
    }
}

/// Targets of a tick, or of a batch of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TargetCounts {
    pub up: u64,
    pub down: u64,
    pub skipped: u64,
}

/// One writing of the series.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    pub counters: &'a ItemCounters,
    /// The counters as it was last written: what is not in it begins at zero.
    pub written: &'a ItemCounters,
    pub gauges: &'a Gauges,
    /// Labels of every series.
    pub labels: &'a Labels,
    /// When a counter that begins was zero; before `at_ms`.
    pub zero_ms: i64,
    pub at_ms: i64,
}

/// The labels that tell one environment's series from another's.
pub fn labels(instance: &str) -> Labels {
    let mut labels = Labels::default();
    labels.set("job", JOB);
    labels.set("instance", instance);
    labels
}

impl Snapshot<'_> {
    /// Writes all series.
    pub fn write(&self, out: &mut SeriesBatch) {
        for (counter, count) in self.counters.counts() {
            let is_new = !self.written.counts().any(|(other, _)| other == counter);
            self.counter(name(counter.status), &counter_labels(counter), is_new, as_f64(count), out);
        }
        for (trigger, spent) in self.counters.invocation_time() {
            let is_new = !self.written.invocation_time().any(|(other, _)| other == trigger);
            let labels = [("trigger", trigger)];
            self.counter("sidecarless_invocation_duration_seconds_sum", &labels, is_new, spent.seconds, out);
            let invocations = as_f64(spent.invocations);
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
        if let Some(TargetCounts { up, down, skipped: dropped }) = self.gauges.targets {
            for (state, count) in [("up", up), ("down", down), ("skipped", dropped)] {
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
        ItemStatus::Spooled => "sidecarless_spooled_total",
        ItemStatus::Rejected => "sidecarless_rejected_total",
        ItemStatus::Refused => "sidecarless_refused_total",
        ItemStatus::Dropped | ItemStatus::DroppedFromSpool => "sidecarless_dropped_total",
        ItemStatus::Redelivered => "sidecarless_redelivered_total",
    }
}

fn counter_labels(counter: CounterKey) -> [(&'static str, &'static str); 3] {
    let has_destination = !matches!(counter.status, ItemStatus::Received | ItemStatus::Translated);
    let destination = if has_destination { counter.item.destination() } else { "" };
    [("item", counter.item.as_str()), ("destination", destination), ("reason", counter.reason)]
}

/// What one invocation did, as a log line that CloudWatch makes metrics of (Amazon CloudWatch User Guide, "Embedded metric
/// format specification"). Reasons are in the line to be searched for, and no metrics: each would be billed.
pub fn emf(entered: &ItemCounters, function: &str, trigger: &str, seconds: f64, at_ms: i64) -> String {
    let (mut fields, mut metrics, mut reasons) = (Map::new(), Vec::new(), Map::new());
    let mut metric = |name: String, unit: &str, value: Value| {
        metrics.push(json!({"Name": name, "Unit": unit}));
        fields.insert(name, value);
    };
    for item in ItemKind::ALL {
        for (status, word) in EMF_PREFIXES {
            let count = entered.total(status, item);
            if count > 0 {
                metric(format!("{word}_{}", item.as_str()), "Count", json!(count));
            }
        }
    }
    metric("invocation_duration_seconds".into(), "Seconds", json!(seconds));
    for (counter, count) in entered.counts().filter(|(counter, _)| !counter.reason.is_empty()) {
        reasons.insert(format!("{}:{}", counter.item.as_str(), counter.reason), json!(count));
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

/// The beginnings of the names of what stands in a log line.
const EMF_PREFIXES: [(ItemStatus, &str); 9] = [
    (ItemStatus::Received, "received"),
    (ItemStatus::Translated, "translated"),
    (ItemStatus::Delivered, "delivered"),
    (ItemStatus::Spooled, "spooled"),
    (ItemStatus::Rejected, "rejected"),
    (ItemStatus::Refused, "refused"),
    (ItemStatus::Dropped, "dropped"),
    (ItemStatus::Redelivered, "redelivered"),
    (ItemStatus::DroppedFromSpool, "dropped_from_spool"),
];

fn as_f64(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
    let real = count as f64;
    real
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(counters: &ItemCounters, before: &ItemCounters, sights: &Gauges) -> Vec<String> {
        let mut batch = SeriesBatch::default();
        let labels = labels("i-1");
        Snapshot { counters: counters, written: before, gauges: sights, labels: &labels, zero_ms: 1, at_ms: 9 }
            .write(&mut batch);
        let text = |pairs: Vec<String>| pairs.join(",");
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
    fn a_counter_begins_at_zero_and_goes_on_from_where_it_was() {
        let (mut counters, empty) = (ItemCounters::default(), ItemCounters::default());
        counters.add(ItemStatus::Received, ItemKind::Spans, 3);
        counters.add_with_reason(ItemStatus::Rejected, ItemKind::Spans, "no_trace_id", 2);
        let first = written(&counters, &empty, &Gauges::default());
        assert_eq!(
            first,
            [
                "sidecarless_received_total{item=spans} 0@1,3@9",
                "sidecarless_rejected_total{destination=xray,reason=no_trace_id,item=spans} 0@1,2@9",
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
                "sidecarless_rejected_total{destination=xray,reason=no_trace_id,item=spans} 2@9",
                "sidecarless_invocation_duration_seconds_sum{trigger=http} 0@1,0.25@9",
                "sidecarless_invocation_duration_seconds_count{trigger=http} 0@1,1@9",
                "sidecarless_http_errors_total{status=401} 0@1,1@9",
            ]
        );
    }

    #[test]
    fn sights_are_gauges() {
        let sights = Gauges { targets: Some(TargetCounts { up: 3, down: 1, skipped: 0 }), spool_oldest_s: Some(61.5) };
        assert_eq!(
            written(&ItemCounters::default(), &ItemCounters::default(), &sights),
            [
                "sidecarless_targets{state=up} 3@9",
                "sidecarless_targets{state=down} 1@9",
                "sidecarless_targets{state=dropped} 0@9",
                "sidecarless_spool_oldest_message_age_seconds{} 61.5@9",
            ]
        );
    }

    #[test]
    fn the_log_line_has_metrics_for_what_happened_only() {
        let mut entered = ItemCounters::default();
        entered.add(ItemStatus::Received, ItemKind::Samples, 7);
        entered.add_with_reason(ItemStatus::Dropped, ItemKind::Samples, "undelivered", 7);
        let line: Value = serde_json::from_str(&emf(&entered, "shop", "schedule", 0.5, 9)).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let names: Vec<_> = directive["Metrics"].as_array().unwrap().iter().map(|metric| &metric["Name"]).collect();
        assert_eq!(names, ["received_samples", "lost_samples", "invocation_duration_seconds"]);
        assert_eq!((&line["received_samples"], &line["reasons"]["samples:undelivered"]), (&json!(7), &json!(7)));
        assert_eq!((&line["FunctionName"], &directive["Dimensions"]), (&json!("shop"), &json!([["FunctionName"]])));
    }
}
