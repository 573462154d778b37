//! Labels of histogram buckets.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::budget::{Budget, BudgetExceeded};
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
    /// The label of each bound of any point, by the bits of the bound: its text can have more than 300 characters.
    written: HashMap<u64, LabelRun, RandomState>,
}

impl BoundLabels {
    /// Sets the bounds, and returns the label of the bucket above them.
    pub(super) fn set(
        &mut self,
        bounds: &[f64],
        budget: &dyn Budget,
        out: &mut SeriesBatch,
    ) -> Result<LabelRun, BudgetExceeded> {
        let is_same = |(left, right): (&f64, &f64)| left.to_bits() == right.to_bits();
        if let Some(infinity) = self.infinity
            && self.bounds.len() == bounds.len()
            && self.bounds.iter().zip(bounds).all(is_same)
        {
            return Ok(infinity);
        }
        let infinity = self.label(f64::INFINITY, out);
        self.infinity = None;
        self.labels.clear();
        for &bound in bounds {
            budget.check()?;
            let label = self.label(bound, out);
            self.labels.push(label);
        }
        bounds.clone_into(&mut self.bounds);
        self.infinity = Some(infinity);
        Ok(infinity)
    }

    /// Returns the label of each bound.
    pub(super) fn labels(&self) -> &[LabelRun] {
        &self.labels
    }

    fn label(&mut self, bound: f64, out: &mut SeriesBatch) -> LabelRun {
        *self.written.entry(bound.to_bits()).or_insert_with(|| {
            let (mut text, mut label) = (String::new(), Vec::new());
            write_decimal(bound, &mut text);
            encode_label(&mut label, LE, &text);
            out.add_label_run(&label)
        })
    }
}
