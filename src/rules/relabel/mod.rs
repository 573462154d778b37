//! Rules that filter and relabel series before they are sent, whatever their source.
//!
//! A rule is a verb and what it is for; rules stand one a line or between semicolons, and are applied in their order.
//!
//! ```text
//! keep http_*, up              only metrics of these names (all `keep` rules together)
//! drop *_created               not metrics of these names; wins over `keep`
//! drop-label pod_ip, tmp_*     these labels go
//! rename-label host=node       a label gets another name; a label of that name is replaced
//! hash-label user_id           the value becomes 16 hex digits of its SHA-256
//! cap-label url_path=64        the value is cut to so many characters
//! max-series 10000             no more series than this in one push
//! ```
//!
//! `*` stands for any characters, `?` for one. A metric's name without them also names the `_bucket`, `_count` and `_sum`
//! of that histogram or summary. A label rule may end with `on PATTERN, ...`: it is then for those metrics only.
//! `__name__`, `le` and `quantile` cannot be touched: without them a series is another one.
//!
//! Series that become one by a label rule lose all but one value of a time: [`Applied::notes`] counts them.
//! The limits of the backend ([`limits`](super::limits)) are judged last, over what the rules leave.

mod apply;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;

use self::pattern::Pattern;
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;

/// Parsed rules. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    keep: Vec<Pattern>,
    drop: Vec<Pattern>,
    labels: Vec<LabelRule>,
    max_series: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelRule {
    change: Change,
    /// Metrics that it is for; empty for all.
    metrics: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Drop(Vec<Pattern>),
    Rename { from: String, to: String },
    Hash(Vec<Pattern>),
    Cap { label: Pattern, chars: usize },
}

/// What the rules made of a batch. Counts are samples and native histograms.
#[derive(Debug, Default)]
pub struct RelabelResult {
    pub batch: SeriesBatch,
    /// Left out because `keep` or `drop` say so.
    pub filtered: u64,
    /// Over `max-series`, or over a limit of the backend.
    pub rejected: Rejections,
    /// Values lost because label rules made several series one.
    pub warnings: Rejections,
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// A sentence for every rule that cannot be read.
    pub fn parse(text: &str) -> Result<Rules, String> {
        parse::rules(text)
    }

    /// There is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Rules::default()
    }

    /// Whether series of this metric pass `keep` and `drop`.
    pub fn keeps(&self, metric: &str) -> bool {
        (self.keep.is_empty() || is_named(&self.keep, metric)) && !is_named(&self.drop, metric)
    }

    /// Applies the rules and the backend's limits. Without rules and broken limits the batch passes as it is.
    pub fn apply(&self, batch: SeriesBatch) -> RelabelResult {
        apply::rules(self, batch)
    }
}

/// Whether a pattern names the metric, or the histogram or summary that it is a part of.
fn is_named(patterns: &[Pattern], metric: &str) -> bool {
    let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| metric.strip_suffix(suffix));
    patterns.iter().any(|pattern| {
        pattern.matches(metric) || family.is_some_and(|family| pattern.is_exact() && pattern.matches(family))
    })
}
