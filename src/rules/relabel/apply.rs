//! Applies rules to a batch.

use super::parse::is_protected;
use super::pattern::Pattern;
use super::{Change, RelabelResult, Rules, is_named};
use crate::model::series::{Labels, SeriesBatch, SeriesView};
use crate::translate::limits::{exceeded_limit, exceeded_limit_of};

/// Length of written hashes. 64 bits are enough to distinguish the values of a label.
const HASH_BYTES: usize = 8;

pub(super) fn rules(rules: &Rules, batch: SeriesBatch) -> RelabelResult {
    if rules.is_empty() && batch.iter().all(|series| exceeded_limit_of(series).is_none()) {
        return RelabelResult { batch, ..RelabelResult::default() };
    }
    let mut applied = RelabelResult::default();
    for metadata in batch.metadata() {
        if rules.keeps(&metadata.family) {
            applied.batch.add_metadata(metadata.clone());
        }
    }
    for series in batch.iter() {
        apply_to_series(rules, series, &mut applied);
    }
    applied
}

fn apply_to_series(rules: &Rules, series: SeriesView<'_>, applied: &mut RelabelResult) {
    let name = series.label("__name__").unwrap_or_default();
    let points = (series.samples().len() + series.histograms().len()) as u64;
    if !rules.keeps(name) {
        applied.filtered += points;
        return;
    }
    let count = applied.batch.len();
    if rules.max_series.is_some_and(|max| count >= max) {
        // Also rejects series that a label rule would merge with an existing one.
        applied.rejected.add("max_series", points, || format!("{name} is over max-series {count}"));
        return;
    }
    let is_for = |metrics: &[Pattern]| metrics.is_empty() || is_named(metrics, name);
    let mut changes = rules.labels.iter().filter(|rule| is_for(&rule.metrics)).map(|rule| &rule.change).peekable();
    if changes.peek().is_none() {
        if let Some(reason) = exceeded_limit_of(series) {
            return applied.rejected.add(reason, points, || format!("a series of {name}"));
        }
        let id = applied.batch.series_from(series);
        let replaced = applied.batch.merge_points(id, series);
        return count_merged(replaced, name, applied);
    }
    let mut labels: Labels = series.labels().collect();
    for change in changes {
        apply_change(&mut labels, change);
    }
    if let Some(reason) = exceeded_limit(labels.iter()) {
        return applied.rejected.add(reason, points, || format!("a series of {name}"));
    }
    let id = applied.batch.series(labels.iter());
    let replaced = applied.batch.merge_points(id, series);
    count_merged(replaced, name, applied);
}

fn count_merged(points: u64, name: &str, applied: &mut RelabelResult) {
    applied.warnings.add("merged_by_label_rule", points, || {
        format!("label rules merge series of {name}: the last value of each timestamp is kept")
    });
}

fn apply_change(labels: &mut Labels, change: &Change) {
    match change {
        Change::Drop(patterns) => {
            for name in matching(labels, patterns) {
                labels.remove(&name);
            }
        }
        Change::Rename { from, to } => {
            if let Some(value) = labels.get(from).map(str::to_owned) {
                labels.remove(from);
                labels.set(to, &value);
            }
        }
        Change::Hash(patterns) => {
            for name in matching(labels, patterns) {
                let hashed = labels.get(&name).map(hashed).unwrap_or_default();
                labels.set(&name, &hashed);
            }
        }
        Change::Cap { label, chars } => {
            for name in matching(labels, std::slice::from_ref(label)) {
                let value = labels.get(&name).unwrap_or_default();
                if let Some((cut, _)) = value.char_indices().nth(*chars) {
                    let value = value.get(..cut).unwrap_or_default().to_owned();
                    labels.set(&name, &value);
                }
            }
        }
    }
}

fn matching(labels: &Labels, patterns: &[Pattern]) -> Vec<String> {
    let is_matched = |name: &str| !is_protected(name) && patterns.iter().any(|pattern| pattern.matches(name));
    labels.iter().map(|(name, _)| name).filter(|name| is_matched(name)).map(str::to_owned).collect()
}

/// Returns the hash of a value. It has no salt, so that labels are the same in each environment and version.
fn hashed(value: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, value.as_bytes());
    hex::encode(digest.as_ref().get(..HASH_BYTES).unwrap_or_default())
}
