//! Options, counts and errors of a scrape.

use super::cursor::SyntaxError;
use super::merge::LabelPolicy;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::series::Labels;
use crate::translate::names::Utf8Names;

/// Memory of a series without its own labels: its entry, the ranges of its labels and its place in the table, in buffers that
/// double.
const SERIES_BYTES: usize = 300;

/// Memory of the labels of the exposition, in a buffer that doubles, and of its metadata and the list of its series.
const LABEL_EXPANSION: usize = 3;

/// Options of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeOptions<'a> {
    /// Labels that identify the target, such as `job` and `instance`; without `__name__`.
    pub target_labels: &'a Labels,
    /// Whether labels of the exposition replace target labels. Otherwise they get the prefix `exported_`.
    pub honor_labels: bool,
    /// Treatment of quoted names.
    pub utf8_names: Utf8Names,
    /// Whether to use the timestamps of the exposition. Otherwise every sample has the time `at_ms`.
    pub honor_timestamps: bool,
    /// A scrape with more samples fails.
    pub sample_limit: Option<u64>,
    /// Samples with older timestamps are not written. `None` disables the check.
    pub max_age_ms: Option<i64>,
    /// Start time of the scrape, which is the time of samples without timestamps.
    pub at_ms: i64,
}

impl ScrapeOptions<'_> {
    pub(super) fn label_policy(&self) -> LabelPolicy {
        LabelPolicy { honor_labels: self.honor_labels, utf8_names: self.utf8_names }
    }
}

/// Counts of one scrape.
#[must_use = "it contains samples and exemplars that were not written"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// `scrape_samples_scraped`: parsed samples. For a failed scrape, the samples before the invalid line.
    pub samples: u64,
    /// `scrape_samples_post_metric_relabeling`. There is no relabelling at this point, so it equals `samples` unless the
    /// scrape fails.
    pub post_relabel: u64,
    /// Unique series written.
    pub series: u64,
    pub exemplars: u64,
    /// Samples not written because a previous sample has the same series and time.
    pub duplicates: u64,
    /// Samples not written because their timestamp is before 1970 or more than ten minutes in the future.
    pub out_of_bounds: u64,
    /// Samples not written because they are older than the receiver accepts.
    pub too_old: u64,
    /// Exemplars not written because they have no labels, too many characters, duplicate labels, or the time 0.
    pub exemplars_rejected: u64,
}

/// Error of a scrape. No samples were written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ExpositionError {
    #[source]
    pub kind: ExpositionErrorKind,
    /// Counts up to the error, for the report of the scrape.
    pub counts: ScrapeCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionErrorKind {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("{samples} samples exceed the limit of {limit}")]
    SampleLimit { samples: u64, limit: u64 },
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
}

/// Checks the sample limit, and the memory for the series of a valid exposition.
pub(super) fn reserve(
    samples: u64,
    exemplar_bytes: usize,
    body_bytes: usize,
    scrape: &ScrapeOptions,
    budget: &dyn Budget,
) -> Result<(), ExpositionErrorKind> {
    let series_bytes = usize::try_from(samples).unwrap_or(usize::MAX).saturating_mul(SERIES_BYTES);
    let memory = series_bytes.saturating_add(exemplar_bytes);
    budget.reserve(memory.saturating_add(body_bytes.saturating_mul(LABEL_EXPANSION)))?;
    match scrape.sample_limit {
        Some(limit) if samples > limit => Err(ExpositionErrorKind::SampleLimit { samples, limit }),
        _ => Ok(()),
    }
}
