//! Applies rules to a batch.

use super::parse::is_protected;
use super::pattern::Pattern;
use super::{Change, RelabelResult, Rules, is_named};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, Rewrite, SeriesBatch, SeriesView};
use crate::translate::limits::{LongLabels, MAX_VALUE_SIZE, VALUE_TOO_LONG, exceeded_limit, exceeded_limit_of};

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
    let mut filtered = 0;
    let [mut rejected, mut warnings, mut modified] = [const { Rejections::new() }; 3];
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
        let relabelled = relabelled(rules, name, series, budget)?;
        relabelled.count(series.point_count(), name, rules.long_labels, &mut rejected, &mut modified);
        Ok(relabelled.rewrite)
    })?;
    batch.sort();
    let name = merged.example.and_then(|id| batch.get(id)?.label("__name__")).unwrap_or_default();
    warnings.add("merged_by_label_rule", merged.replaced, || {
        format!("label rules merge series of {name}: the last value of each timestamp is kept")
    });
    Ok(RelabelResult { batch, filtered, rejected, warnings, modified })
}

/// Result for a series.
struct Relabelled {
    rewrite: Rewrite,
    /// The limit of AMP that it exceeds after the rules.
    exceeded: Option<&'static str>,
    /// The first label whose value is too long, and its length.
    long_label: Option<(String, usize)>,
}

impl Relabelled {
    /// Counts the points of a series that exceeds a limit.
    fn count(
        &self,
        points: u64,
        name: &str,
        long_labels: LongLabels,
        rejected: &mut Rejections,
        modified: &mut Rejections,
    ) {
        let long = || {
            let described = self.long_label.as_ref().map(|(label, length)| long_labels.describe(label, *length));
            format!("{} (a series of {name})", described.unwrap_or_default())
        };
        match self.exceeded {
            Some(VALUE_TOO_LONG) => rejected.add(VALUE_TOO_LONG, points, long),
            Some(reason) => rejected.add(reason, points, || format!("a series of {name}")),
            None if self.long_label.is_some() => modified.add(VALUE_TOO_LONG, points, long),
            None => {}
        }
    }
}

/// Applies the label rules and the limits of AMP to a series.
fn relabelled(
    rules: &Rules,
    name: &str,
    series: SeriesView<'_>,
    budget: &dyn Budget,
) -> Result<Relabelled, BudgetExceeded> {
    let is_for = |metrics: &[Pattern]| metrics.is_empty() || is_named(metrics, name);
    let mut changes = rules.labels.iter().filter(|rule| is_for(&rule.metrics)).map(|rule| &rule.change).peekable();
    if changes.peek().is_none() && exceeded_limit_of(series).is_none() {
        return Ok(Relabelled { rewrite: Rewrite::Keep, exceeded: None, long_label: None });
    }
    budget.reserve(LABELS_EXPANSION * series.labels_len())?;
    let mut labels: Labels = series.labels().collect();
    for change in changes {
        apply_change(&mut labels, change);
    }
    let long_label = labels.iter().find(|(_, value)| value.len() > MAX_VALUE_SIZE);
    let long_label = long_label.map(|(name, value)| (name.to_owned(), value.len()));
    if long_label.is_some() {
        shorten(&mut labels, rules.long_labels);
    }
    let exceeded = exceeded_limit(labels.iter());
    let rewrite = match exceeded {
        Some(_) => Rewrite::Remove,
        // The labels stay where they are, shared with other series.
        None if labels.iter().eq(series.labels()) => Rewrite::Keep,
        None => Rewrite::Relabel(labels),
    };
    Ok(Relabelled { rewrite, exceeded, long_label })
}

/// Drops or cuts long values. Without its name or bound, a series would be another one, so it is rejected; without `job` or
/// `instance` it would be the series of another target, so they are cut.
fn shorten(labels: &mut Labels, long_labels: LongLabels) {
    labels.change_values(|name, value| {
        let is_long = value.len() > MAX_VALUE_SIZE && long_labels != LongLabels::Reject && !is_protected(name);
        let is_identity = matches!(name, "job" | "instance");
        let long_labels = if is_identity { LongLabels::Cut } else { long_labels };
        is_long.then(|| long_labels.shortened(value).unwrap_or_default().to_owned())
    });
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
