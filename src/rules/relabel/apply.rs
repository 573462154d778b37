//! Applies rules to a batch.

use super::parse::is_protected;
use super::pattern::Pattern;
use super::{Change, RelabelResult, Rules, is_named};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, Rewrite, SeriesBatch, SeriesView};
use crate::translate::limits::{exceeded_limit, exceeded_limit_of};

/// Length of written hashes. 64 bits are enough to distinguish the values of a label.
const HASH_BYTES: usize = 8;

/// Memory of a label set that is changed, for each byte of its labels: names and values with their allocations.
const LABELS_EXPANSION: usize = 4;

pub(super) fn rules(
    rules: &Rules,
    series_before: usize,
    mut batch: SeriesBatch,
    budget: &dyn Budget,
) -> Result<RelabelResult, BudgetExceeded> {
    batch.sort();
    if rules.is_empty() && batch.iter().all(|series| exceeded_limit_of(series).is_none()) {
        return Ok(RelabelResult { batch, ..RelabelResult::default() });
    }
    batch.retain_metadata(|family| rules.keeps(family));
    let (mut filtered, mut rejected, mut warnings) = (0, Rejections::default(), Rejections::default());
    let merged = batch.rewrite(|series, kept| {
        budget.check()?;
        let name = series.label("__name__").unwrap_or_default();
        if !rules.keeps(name) {
            filtered += series.point_count();
            return Ok(Rewrite::Remove);
        }
        let kept = series_before + kept;
        if rules.max_series.is_some_and(|max| kept >= max) {
            // Also rejects series that a label rule would merge with an existing one.
            rejected.add("max_series", series.point_count(), || format!("{name} is over max-series {kept}"));
            return Ok(Rewrite::Remove);
        }
        let rewritten = relabelled(rules, name, series, budget)?;
        Ok(rewritten.unwrap_or_else(|reason| {
            rejected.add(reason, series.point_count(), || format!("a series of {name}"));
            Rewrite::Remove
        }))
    })?;
    batch.sort();
    let name = merged.example.and_then(|id| batch.get(id)?.label("__name__")).unwrap_or_default();
    warnings.add("merged_by_label_rule", merged.replaced, || {
        format!("label rules merge series of {name}: the last value of each timestamp is kept")
    });
    Ok(RelabelResult { batch, filtered, rejected, warnings })
}

/// Returns what becomes of a series according to the label rules, or the limit of AMP that it then exceeds.
fn relabelled(
    rules: &Rules,
    name: &str,
    series: SeriesView<'_>,
    budget: &dyn Budget,
) -> Result<Result<Rewrite, &'static str>, BudgetExceeded> {
    let is_for = |metrics: &[Pattern]| metrics.is_empty() || is_named(metrics, name);
    let mut changes = rules.labels.iter().filter(|rule| is_for(&rule.metrics)).map(|rule| &rule.change).peekable();
    if changes.peek().is_none() {
        return Ok(exceeded_limit_of(series).map_or(Ok(Rewrite::Keep), Err));
    }
    budget.reserve(LABELS_EXPANSION * series.labels_len())?;
    let mut labels: Labels = series.labels().collect();
    for change in changes {
        apply_change(&mut labels, change);
    }
    Ok(match exceeded_limit(labels.iter()) {
        Some(reason) => Err(reason),
        // The labels stay where they are, shared with other series.
        None if labels.iter().eq(series.labels()) => Ok(Rewrite::Keep),
        None => Ok(Rewrite::Relabel(labels)),
    })
}

fn apply_change(labels: &mut Labels, change: &Change) {
    match change {
        Change::Drop(patterns) => labels.retain(|name| !is_matched(name, patterns)),
        Change::Rename { from, to } => {
            if let Some(value) = labels.get(from).map(str::to_owned) {
                labels.remove(from);
                labels.set(to, &value);
            }
        }
        Change::Hash(patterns) => {
            labels.change_values(|name, value| is_matched(name, patterns).then(|| hashed(value)));
        }
        Change::Cap { label, chars } => labels.change_values(|name, value| {
            let (cut, _) =
                value.char_indices().nth(*chars).filter(|_| is_matched(name, std::slice::from_ref(label)))?;
            value.get(..cut).map(str::to_owned)
        }),
    }
}

fn is_matched(label: &str, patterns: &[Pattern]) -> bool {
    !is_protected(label) && patterns.iter().any(|pattern| pattern.matches(label))
}

/// Returns the hash of a value. It has no salt, so that labels are the same in each environment and version.
fn hashed(value: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, value.as_bytes());
    hex::encode(digest.as_ref().get(..HASH_BYTES).unwrap_or_default())
}
