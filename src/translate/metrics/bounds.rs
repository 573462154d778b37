//! Labels of histogram buckets.

use crate::model::series::{LabelRun, SeriesBatch, encode_label};
use crate::translate::attributes::write_decimal;

/// Name of the label with the upper bound of a bucket.
pub(super) const LE: &str = "le";

/// The label `le` of each bound, kept between points because most points have the same bounds.
#[derive(Debug, Default)]
pub(super) struct BoundLabels {
    bounds: Vec<f64>,
    labels: Vec<LabelRun>,
    /// `le="+Inf"`
    infinity: Option<LabelRun>,
}

impl BoundLabels {
    /// Sets the bounds, and returns the label of the bucket above them.
    pub(super) fn set(&mut self, bounds: &[f64], out: &mut SeriesBatch) -> LabelRun {
        let is_same = |(left, right): (&f64, &f64)| left.to_bits() == right.to_bits();
        if let Some(infinity) = self.infinity
            && self.bounds.len() == bounds.len()
            && self.bounds.iter().zip(bounds).all(is_same)
        {
            return infinity;
        }
        let (mut text, mut label) = (String::new(), Vec::new());
        let mut le = |write: &dyn Fn(&mut String)| {
            text.clear();
            label.clear();
            write(&mut text);
            encode_label(&mut label, LE, &text);
            out.add_label_run(&label)
        };
        self.bounds = bounds.to_vec();
        self.labels = bounds.iter().map(|&bound| le(&|text| write_decimal(bound, text))).collect();
        *self.infinity.insert(le(&|text| text.push_str("+Inf")))
    }

    /// Returns the label of each bound.
    pub(super) fn labels(&self) -> &[LabelRun] {
        &self.labels
    }
}
