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
    /// `__name__` of its `_created` series, if they are enabled.
    pub(super) created: Option<LabelRun>,
}

impl MetricFamily {
    /// Writes the name of the `_created` series.
    pub(super) fn write_created_name(&mut self, out: &mut SeriesBatch) {
        let base = self.name.strip_suffix("_total").unwrap_or(&self.name);
        let mut label = Vec::new();
        encode_label(&mut label, "__name__", &format!("{base}_created"));
        self.created = Some(out.add_label_run(&label));
    }

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
