//! Applies rules to a batch.

use super::families::Families;
use super::names::invalid_name;
use super::work::Work;
use super::{RelabelConfigs, RelabelResult, Relabelled, Rules};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, Rewrite, SeriesBatch, SeriesView};
use crate::translate::limits::{LongLabels, MAX_VALUE_SIZE, VALUE_TOO_LONG, exceeded_limit, exceeded_limit_of};

/// Memory of a label set that is changed, for each byte of its labels: names and values with their allocations.
const LABELS_EXPANSION: usize = 4;

/// Labels without which a series would be another one of the same metric.
const PROTECTED_LABELS: [&str; 3] = ["__name__", "le", "quantile"];

pub(super) fn rules(
    rules: &Rules,
    series_before: usize,
    mut batch: SeriesBatch,
    budget: &dyn Budget,
) -> Result<RelabelResult, BudgetExceeded> {
    batch.sort();
    let has_rules = rules.changes_labels() || rules.max_series.is_some();
    if !has_rules && batch.iter().all(|series| exceeded_limit_of(series).is_none()) {
        return Ok(RelabelResult { batch, ..RelabelResult::default() });
    }
    let mut families = Families::new(batch.take_metadata());
    let (mut result, mut work) = (RelabelResult::default(), Work::default());
    let merged = batch.rewrite(|series, kept| {
        budget.check()?;
        let relabelled = relabel(&rules.configs, series, budget, &mut work)?;
        Ok(rewrite(rules, series, relabelled, series_before + kept, &mut families, &mut result))
    })?;
    batch.sort();
    families.into_metadata().for_each(|metadata| batch.add_metadata(metadata));
    let name = merged.example.and_then(|id| batch.get(id)?.label("__name__")).unwrap_or_default();
    result.warnings.add("merged_by_rule", merged.replaced, || {
        format!("rules merge series of {name}: the last value of each timestamp is kept")
    });
    Ok(RelabelResult { batch, ..result })
}

/// Applies the rules to a series.
fn relabel(
    configs: &RelabelConfigs,
    series: SeriesView<'_>,
    budget: &dyn Budget,
    work: &mut Work,
) -> Result<Relabelled, BudgetExceeded> {
    if configs.is_empty() && exceeded_limit_of(series).is_none() {
        return Ok(Relabelled::Unchanged);
    }
    budget.reserve(LABELS_EXPANSION * series.labels_len())?;
    let relabelled = configs.relabel_next(series.labels(), work);
    work.finish(budget)?;
    Ok(relabelled)
}

/// Applies the limits to a series after the rules, and after `kept` others.
fn rewrite(
    rules: &Rules,
    series: SeriesView<'_>,
    relabelled: Relabelled,
    kept: usize,
    families: &mut Families,
    result: &mut RelabelResult,
) -> Rewrite {
    let (name, points) = (series.label("__name__").unwrap_or_default(), series.point_count());
    if relabelled == Relabelled::Dropped {
        result.filtered += points;
        return Rewrite::Remove;
    }
    if let Relabelled::Exceeded(exceeded) = relabelled {
        result.rejected.add(exceeded.limit.reason(), points, || format!("a series of {name}: {exceeded}"));
        return Rewrite::Remove;
    }
    if let Some(max) = rules.max_series.filter(|max| kept >= *max) {
        // Also rejects series that a rule would merge with an existing one.
        result.rejected.add("max_series", points, || format!("{name} is over the maximum of {max} series"));
        return Rewrite::Remove;
    }
    let labels = match relabelled {
        Relabelled::Changed(labels) => {
            if let Some((reason, example)) = invalid_name(&labels, name, rules.utf8_names) {
                result.rejected.add(reason, points, || example);
                return Rewrite::Remove;
            }
            labels
        }
        _ if exceeded_limit_of(series).is_none() => {
            families.keep(name, name);
            return Rewrite::Keep;
        }
        _ => series.labels().collect(),
    };
    let new_name = labels.get("__name__").unwrap_or_default().to_owned();
    let limited = within_limits(labels, series, rules.long_labels);
    limited.count(points, name, rules.long_labels, &mut result.rejected, &mut result.modified);
    if limited.exceeded.is_none() {
        families.keep(name, &new_name);
    }
    limited.rewrite
}

/// A series within the limits of AMP.
struct Limited {
    rewrite: Rewrite,
    /// The limit of AMP that it exceeds after the rules.
    exceeded: Option<&'static str>,
    /// The first label whose value is too long, and its length.
    long_label: Option<(String, usize)>,
}

impl Limited {
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

/// Applies the limits of AMP to the labels of a series.
fn within_limits(mut labels: Labels, series: SeriesView<'_>, long_labels: LongLabels) -> Limited {
    let long_label = labels.iter().find(|(_, value)| value.len() > MAX_VALUE_SIZE);
    let long_label = long_label.map(|(name, value)| (name.to_owned(), value.len()));
    if long_label.is_some() {
        shorten(&mut labels, long_labels);
    }
    let exceeded = exceeded_limit(labels.iter());
    let rewrite = match exceeded {
        Some(_) => Rewrite::Remove,
        // The labels stay where they are, shared with other series.
        None if labels.iter().eq(series.labels()) => Rewrite::Keep,
        None => Rewrite::Relabel(labels),
    };
    Limited { rewrite, exceeded, long_label }
}

/// Drops or cuts long values. Without its name or bound, a series would be another one, so it is rejected; without `job` or
/// `instance` it would be the series of another target, so they are cut.
fn shorten(labels: &mut Labels, long_labels: LongLabels) {
    labels.change_values(|name, value| {
        let is_protected = PROTECTED_LABELS.contains(&name);
        let is_long = value.len() > MAX_VALUE_SIZE && long_labels != LongLabels::Reject && !is_protected;
        let is_identity = matches!(name, "job" | "instance");
        let long_labels = if is_identity { LongLabels::Cut } else { long_labels };
        is_long.then(|| long_labels.shortened(value).unwrap_or_default().to_owned())
    });
}
