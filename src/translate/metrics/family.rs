//! Metric families.

use crate::model::series::{LabelRun, SeriesBatch, encode_label};

/// Properties of a metric that all of its points share.
pub(super) struct MetricFamily {
    pub(super) name: String,
    /// Whether its series have the label `otel_metric_temporality="delta"`.
    pub(super) is_delta: bool,
    /// Whether it accumulates from a start time, which `_created` reports.
    pub(super) is_cumulative: bool,
    /// Whether it is a monotonic sum: exemplars of other numbers are not written.
    pub(super) is_counter: bool,
}

impl MetricFamily {
    /// Writes the label `__name__` with the name of the family and a suffix.
    pub(super) fn label(&self, suffix: &str, out: &mut SeriesBatch) -> LabelRun {
        let mut label = Vec::with_capacity(self.name.len() + 24);
        if suffix.is_empty() {
            encode_label(&mut label, "__name__", &self.name);
        } else {
            encode_label(&mut label, "__name__", &[&self.name, suffix].concat());
        }
        out.add_label_run(&label)
    }
}
