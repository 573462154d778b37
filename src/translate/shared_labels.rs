//! Labels that the series of several metrics share, written to a batch once.

use crate::model::series::{LabelRun, Labels, SeriesBatch, SeriesId, encode_label};

const NAME: &str = "__name__";

/// Labels of a batch before and after `__name__`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedLabels {
    before: LabelRun,
    after: LabelRun,
}

impl SharedLabels {
    /// Writes labels to a batch. A label `__name__` is ignored.
    pub(crate) fn new(labels: &Labels, out: &mut SeriesBatch) -> Self {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (name, value) in labels.iter().filter(|(name, _)| *name != NAME) {
            encode_label(if name < NAME { &mut before } else { &mut after }, name, value);
        }
        Self { before: out.add_label_run(&before), after: out.add_label_run(&after) }
    }

    /// Returns the series of a metric with these labels, in the same batch.
    pub(crate) fn series(&self, metric: &str, out: &mut SeriesBatch) -> SeriesId {
        let mut name = Vec::with_capacity(16 + metric.len());
        encode_label(&mut name, NAME, metric);
        let name = out.add_label_run(&name);
        out.series_from_runs([self.before, name, self.after])
    }
}
