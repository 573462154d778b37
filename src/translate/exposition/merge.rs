//! Merge of the labels of a sample and of its target.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter::Peekable;

use super::labels::Label;
use crate::model::reserved::{RESERVED_JOBS, is_identity_label};
use crate::model::series::Labels;
use crate::translate::names::Utf8Names;

/// How the labels of a sample are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LabelPolicy {
    /// Whether they replace target labels. Otherwise they get the prefix `exported_`.
    pub(super) honor_labels: bool,
    pub(super) utf8_names: Utf8Names,
}

/// Returns the sorted labels of a series: sample labels, the metric name, and target labels.
pub(super) fn merge_labels<'s, 'a: 's>(
    name: Cow<'a, str>,
    labels: &'s mut Vec<Label<'a>>,
    target: &'s Labels,
    policy: LabelPolicy,
) -> impl Iterator<Item = MergedLabel<'s>> {
    let LabelPolicy { honor_labels, utf8_names } = policy;
    labels.push(Label { name: Cow::Borrowed("__name__"), value: written_name(name, true, utf8_names) });
    for label in labels.iter_mut() {
        label.name = written_name(std::mem::take(&mut label.name), false, utf8_names);
    }
    labels.sort_by(|one, other| one.name.cmp(&other.name));
    join_equal_names(labels);
    if honor_labels {
        labels.retain(|label| !(label.value.is_empty() && is_identity(&label.name)));
        resolve_conflicting_labels(labels, target, is_reserved);
    } else {
        resolve_conflicting_labels(labels, target, |label| {
            is_identity(&label.name) || target.get(&label.name).is_some()
        });
        labels.retain(|label| !label.value.is_empty());
    }
    MergedLabels { sample: labels.iter().peekable(), target: target.iter().enumerate().peekable() }
}

/// Returns whether a label is never taken from an exposition: it would contain the identity of another task, or the job of series
/// of the function.
fn is_reserved(label: &Label) -> bool {
    is_identity(&label.name) || (label.name == "job" && RESERVED_JOBS.contains(&&*label.value))
}

/// Returns whether a label, or the label with its name in the legacy character set, has the identity of a task.
fn is_identity(name: &str) -> bool {
    is_identity_label(name) || is_identity_label(&written_name(Cow::Borrowed(name), false, Utf8Names::Replace))
}

/// Adds the prefix `exported_` to every label with a value for which `is_conflicting` is true, repeatedly until the name is
/// unique; shorter names first (`scrape/scrape.go`, `resolveConflictingExposedLabels`). The labels stay sorted.
fn resolve_conflicting_labels(labels: &mut [Label], target: &Labels, is_conflicting: impl Fn(&Label) -> bool) {
    let is_conflicting = |label: &Label| !label.value.is_empty() && is_conflicting(label);
    let mut conflicting: Vec<usize> =
        (0..labels.len()).filter(|&at| labels.get(at).is_some_and(is_conflicting)).collect();
    if conflicting.is_empty() {
        return;
    }
    conflicting.sort_by_key(|&at| labels.get(at).map_or(0, |label| label.name.len()));
    let mut renamed: BTreeMap<String, usize> = BTreeMap::new();
    for at in conflicting {
        let Some(label) = labels.get(at) else { continue };
        let mut name = format!("exported_{}", label.name);
        // A name that is renamed itself is taken: it is a label of the target, or does not start with `exported_`.
        let is_taken = |name: &str| labels.binary_search_by(|label| (*label.name).cmp(name)).is_ok();
        while target.get(&name).is_some() || is_taken(&name) || renamed.contains_key(&name) {
            name.insert_str(0, "exported_");
        }
        renamed.insert(name, at);
    }
    for (name, at) in renamed {
        if let Some(label) = labels.get_mut(at) {
            label.name = Cow::Owned(name);
        }
    }
    labels.sort_by(|one, other| one.name.cmp(&other.name));
}

/// Joins the values of labels whose quoted names are equal in the legacy character set with `;`, as OpenTelemetry does for
/// attributes ("Prometheus and OpenMetrics Compatibility", "Resource Attributes").
fn join_equal_names(labels: &mut Vec<Label>) {
    labels.dedup_by(|later, first| {
        let is_equal = later.name == first.name;
        if is_equal && first.value.is_empty() {
            first.value = std::mem::take(&mut later.value);
        } else if is_equal && !later.value.is_empty() {
            let value = first.value.to_mut();
            value.push(';');
            value.push_str(&later.value);
        }
        is_equal
    });
}

/// Replaces the characters outside the legacy character set with `_`, unless names are written unchanged.
pub(super) fn written_name(name: Cow<'_, str>, with_colons: bool, utf8_names: Utf8Names) -> Cow<'_, str> {
    if utf8_names == Utf8Names::Send {
        return name;
    }
    let is_allowed =
        |character: char| character.is_ascii_alphanumeric() || character == '_' || (with_colons && character == ':');
    let has_digit_first = name.starts_with(|first: char| first.is_ascii_digit());
    if !name.is_empty() && !has_digit_first && name.chars().all(is_allowed) {
        return name;
    }
    let mut legacy: String =
        name.chars().map(|character| if is_allowed(character) { character } else { '_' }).collect();
    if has_digit_first || legacy.is_empty() {
        legacy.insert(0, '_');
    }
    Cow::Owned(legacy)
}

/// One label of a series.
pub(super) enum MergedLabel<'s> {
    /// Name and value.
    Sample(&'s str, &'s str),
    /// Index into the labels of the target.
    Target(usize),
}

/// Sorted labels of sample and target. A sample label replaces the target label of the same name. An empty value removes the
/// target's label.
struct MergedLabels<P: Iterator, T: Iterator> {
    sample: Peekable<P>,
    target: Peekable<T>,
}

impl<'s, 'a: 's, P, T> Iterator for MergedLabels<P, T>
where
    P: Iterator<Item = &'s Label<'a>>,
    T: Iterator<Item = (usize, (&'s str, &'s str))>,
{
    type Item = MergedLabel<'s>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(label) = self.sample.peek() else {
                return self.target.next().map(|(at, _)| MergedLabel::Target(at));
            };
            if let Some((at, _)) = self.target.next_if(|(_, (name, _))| *name < label.name.as_ref()) {
                return Some(MergedLabel::Target(at));
            }
            self.target.next_if(|(_, (name, _))| *name == label.name.as_ref());
            let label = self.sample.next()?;
            if !label.value.is_empty() {
                return Some(MergedLabel::Sample(&label.name, &label.value));
            }
        }
    }
}
