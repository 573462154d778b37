//! Relabelling rules in the syntax of Prometheus: `write_relabel_configs` and `metric_relabel_configs`.
//!
//! ```yaml
//! - {action: drop, source_labels: [__name__], regex: .*_created}
//! - {action: labeldrop, regex: tmp_.*}
//! - {source_labels: [url], regex: (.{64}).*, target_label: url}
//! ```
//!
//! Fields, defaults, checks and effects are those of Prometheus 2.42 (`model/relabel`): rules are applied in order to the labels
//! of one series, `__name__` is a label like others, and a label without a value does not exist. A series that a rule drops,
//! or that has no label left, is not written.
//!
//! Rules are compiled at start and applied once for each series of a batch. Texts that no rule changes are not copied.

mod apply;
mod backtracking;
mod config;
mod families;
mod label_set;
mod names;
mod regex;
mod rule;
mod scraped;
#[cfg(test)]
mod tests;
mod work;

use self::label_set::LabelSet;
pub(in crate::rules) use self::regex::Expressions;
use self::rule::Rule;
pub use self::scraped::{RelabelError, ScrapedSeries};
use self::work::Work;
pub use self::work::{RuleLimit, RuleLimitExceeded};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::rules::InvalidValue;
use crate::rules::yaml::Node;
use crate::translate::limits::LongLabels;
use crate::translate::names::Utf8Names;

/// Rules of Prometheus, in order. `Default` has none.
#[derive(Clone, Debug, Default)]
pub struct RelabelConfigs {
    rules: Vec<Rule>,
}

/// Labels of a series after the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relabelled {
    Unchanged,
    Changed(Labels),
    /// The series is not written.
    Dropped,
    /// A rule takes too much for this series.
    Exceeded(RuleLimitExceeded),
}

impl RelabelConfigs {
    /// Reads a list of rules in YAML or JSON. The error names each invalid rule by its number and field.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        config::rules(text).map(|rules| Self { rules })
    }

    /// Reads rules of a setting with further lists of rules.
    pub(in crate::rules) fn from_node(list: &Node, expressions: &mut Expressions) -> Result<Self, InvalidValue> {
        config::rules_of(list, expressions).map(|rules| Self { rules })
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules to labels with sorted, unique names and no empty values.
    pub fn relabel<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> Relabelled {
        self.relabel_next(labels, &mut Work::default())
    }

    /// Applies the rules to one of several series.
    fn relabel_next<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>, work: &mut Work) -> Relabelled {
        let mut labels = LabelSet::new(labels);
        work.start(self.rules.len());
        for (rule, number) in self.rules.iter().zip(1..) {
            match rule.apply(&mut labels, work) {
                Ok(true) => {}
                Ok(false) => return Relabelled::Dropped,
                Err(limit) => return Relabelled::Exceeded(RuleLimitExceeded { rule: number, limit }),
            }
        }
        if labels.is_empty() {
            Relabelled::Dropped
        } else if labels.is_changed() {
            Relabelled::Changed(labels.iter().collect())
        } else {
            Relabelled::Unchanged
        }
    }
}

/// What is applied to all series before they are written. `Default` has no rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub configs: RelabelConfigs,
    /// Maximum number of series of a request or a scheduled run, after the rules.
    pub max_series: Option<usize>,
    /// Treatment of labels whose values are too long after the rules.
    pub long_labels: LongLabels,
    /// Whether series may have names with characters outside the legacy set.
    pub utf8_names: Utf8Names,
}

/// Result of relabelling. Counts are samples and native histograms.
#[must_use]
#[derive(Debug, Default)]
pub struct RelabelResult {
    pub batch: SeriesBatch,
    /// Dropped by a rule.
    pub filtered: u64,
    /// Over `max_series` or a limit of AMP, or with an invalid name after the rules.
    pub rejected: Rejections,
    /// Values lost because rules merged several series.
    pub warnings: Rejections,
    /// Written without a long label, or with a part of it.
    pub modified: Rejections,
}

impl Rules {
    /// Returns whether there are rules that may change the labels of a series, and so bring it below a limit of AMP.
    pub fn changes_labels(&self) -> bool {
        !self.configs.is_empty()
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
