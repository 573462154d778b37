//! Rules for the samples of one target, `metric_relabel_configs`.

use super::names::invalid_name;
use super::work::{RuleLimitExceeded, Work};
use super::{RelabelConfigs, Relabelled};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::series::{InsertOutcome, SeriesBatch, SeriesView};
use crate::model::shortened::shortened_to;
use crate::translate::names::Utf8Names;

/// Bytes of a name in an error.
const SHOWN_BYTES: usize = 60;

/// Memory of a series in two batches, for each byte of its labels.
const LABELS_EXPANSION: usize = 6;

/// Reason why the samples of a target cannot be relabelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
    /// Prometheus fails the scrape as well.
    #[error("metric_relabel_configs: {0}")]
    InvalidName(String),
    #[error("metric_relabel_configs, for a series of {name}: {exceeded}")]
    Limit { name: String, exceeded: RuleLimitExceeded },
}

/// Series of one scrape after the rules.
#[derive(Debug)]
pub struct ScrapedSeries {
    batch: SeriesBatch,
    labels: Vec<Relabelled>,
    /// Samples of series that a rule drops.
    pub dropped: u64,
}

impl RelabelConfigs {
    /// Applies the rules to the series of one scrape.
    pub fn scraped(
        &self,
        batch: SeriesBatch,
        utf8_names: Utf8Names,
        budget: &dyn Budget,
    ) -> Result<ScrapedSeries, RelabelError> {
        let (mut dropped, mut work) = (0, Work::default());
        let mut relabel = |series: SeriesView<'_>| {
            budget.reserve(LABELS_EXPANSION * series.labels_len())?;
            let relabelled = self.relabel_next(series.labels(), &mut work);
            work.finish(budget)?;
            let name = series.label("__name__").unwrap_or_default();
            match &relabelled {
                Relabelled::Dropped => dropped += series.point_count(),
                Relabelled::Exceeded(exceeded) => {
                    return Err(RelabelError::Limit { name: shortened_to(SHOWN_BYTES, name), exceeded: *exceeded });
                }
                Relabelled::Changed(labels) => {
                    if let Some((_, example)) = invalid_name(labels, name, utf8_names) {
                        return Err(RelabelError::InvalidName(example));
                    }
                }
                Relabelled::Unchanged => {}
            }
            Ok(relabelled)
        };
        let labels = batch.iter().map(&mut relabel).collect::<Result<_, _>>()?;
        Ok(ScrapedSeries { batch, labels, dropped })
    }
}

impl ScrapedSeries {
    /// Adds the series to another batch. Of several samples with the same labels and time, the first one remains. Returns the number
    /// of the others.
    pub fn append_to(mut self, out: &mut SeriesBatch) -> u64 {
        let mut duplicates = 0;
        for (series, relabelled) in self.batch.iter().zip(&self.labels) {
            let id = match relabelled {
                Relabelled::Dropped | Relabelled::Exceeded(_) => continue,
                Relabelled::Unchanged => out.series(series.labels()),
                Relabelled::Changed(labels) => out.series(labels.iter()),
            };
            for sample in series.samples() {
                if out.has_sample_at(id, sample.timestamp_ms) {
                    duplicates += 1;
                } else {
                    out.push_sample(id, *sample);
                }
            }
            for histogram in series.histograms() {
                duplicates += u64::from(out.push_histogram(id, histogram.clone()) == InsertOutcome::Replaced);
            }
            series.exemplars().iter().for_each(|exemplar| out.push_exemplar(id, exemplar.clone()));
        }
        self.batch.take_metadata().into_iter().for_each(|metadata| out.add_metadata(metadata));
        duplicates
    }
}
