//! Rules that filter and relabel all series before they are written.
//!
//! A rule is an action and its arguments. Rules are separated by line breaks or semicolons and are applied in order.
//!
//! ```text
//! keep http_*, up              keeps only these metrics (all `keep` rules together)
//! drop *_created               drops these metrics; takes precedence over `keep`
//! drop-label pod_ip, tmp_*     removes these labels
//! rename-label host=node       renames a label; an existing label of the new name is replaced
//! hash-label user_id           replaces the value with 16 hex digits of its SHA-256 hash
//! cap-label url_path=64        truncates the value to this number of characters
//! max-series 10000             maximum number of series in one batch
//! ```
//!
//! `*` matches any number of characters, `?` matches one. A metric name without globs also matches the `_bucket`, `_count` and
//! `_sum` series of that histogram or summary. A label rule that ends with `on PATTERN, ...` applies only to these metrics.
//! `__name__`, `le` and `quantile` cannot be changed, because they identify the series.
//!
//! If label rules merge several series, only one value for each timestamp remains. [`RelabelResult::warnings`] counts the
//! dropped values. The limits of AMP are checked after the rules.

mod apply;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;

use self::pattern::Pattern;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::rules::InvalidValue;
use crate::translate::limits::LongLabels;

/// Parsed rules. `Default` has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    keep: Vec<Pattern>,
    drop: Vec<Pattern>,
    labels: Vec<LabelRule>,
    max_series: Option<usize>,
    /// Treatment of labels whose values are too long after the rules.
    pub long_labels: LongLabels,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelRule {
    change: Change,
    /// Metrics to which the rule applies. Empty for all.
    metrics: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Drop(Vec<Pattern>),
    Rename { from: String, to: String },
    Hash(Vec<Pattern>),
    Cap { label: Pattern, chars: usize },
}

/// Result of relabelling. Counts are samples and native histograms.
#[must_use]
#[derive(Debug, Default)]
pub struct RelabelResult {
    pub batch: SeriesBatch,
    /// Removed by `keep` or `drop`.
    pub filtered: u64,
    /// Over `max-series` or a limit of AMP.
    pub rejected: Rejections,
    /// Values lost because label rules merged several series.
    pub warnings: Rejections,
    /// Written without a long label, or with a part of it.
    pub modified: Rejections,
}

impl Rules {
    /// Parses rules. The error names each invalid rule.
    pub fn parse(text: &str) -> Result<Rules, InvalidValue> {
        parse::rules(text)
    }

    /// Returns whether there are no rules.
    pub fn is_empty(&self) -> bool {
        let Self { keep, drop, labels, max_series, long_labels: _ } = self;
        keep.is_empty() && drop.is_empty() && labels.is_empty() && max_series.is_none()
    }

    /// Returns whether `keep` and `drop` keep this metric.
    pub fn keeps(&self, metric: &str) -> bool {
        (self.keep.is_empty() || is_named(&self.keep, metric)) && !is_named(&self.drop, metric)
    }

    /// Returns whether rules may change the labels of a series, and so bring it below a limit of AMP.
    pub fn changes_labels(&self) -> bool {
        !self.labels.is_empty()
    }

    /// Applies the rules and the limits of AMP, and sorts the points of each series.
    pub fn apply(&self, batch: SeriesBatch, budget: &dyn Budget) -> Result<RelabelResult, BudgetExceeded> {
        self.apply_after(0, batch, budget)
    }

    /// Applies the rules to a part of the series of a run, after `series_before` others.
    pub fn apply_after(
        &self,
        series_before: usize,
        batch: SeriesBatch,
        budget: &dyn Budget,
    ) -> Result<RelabelResult, BudgetExceeded> {
        apply::rules(self, series_before, batch, budget)
    }
}

/// Returns whether a pattern matches the metric, or the histogram or summary to which it belongs.
fn is_named(patterns: &[Pattern], metric: &str) -> bool {
    let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| metric.strip_suffix(suffix));
    patterns.iter().any(|pattern| {
        pattern.matches(metric) || family.is_some_and(|family| pattern.is_exact() && pattern.matches(family))
    })
}
