//! Labels that all points of a resource or scope share.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::long_text::write_limited;
use super::super::options::Options;
use super::super::resource::{ResourceLabels, key_text};
use crate::model::otlp::borrowed::{attributes, text};
use crate::model::otlp::{InstrumentationScope, ScopeMetricsRequest};
use crate::model::rejection::Rejections;
use crate::model::series::{LabelRun, LabelRuns, SeriesBatch, encode_label};
use crate::translate::Compat;
use crate::translate::limits::{LongLabels, MAX_LABELS, MAX_VALUE_SIZE, VALUE_TOO_LONG, exceeded_limit_of_lengths};
use crate::translate::names::Naming;

/// Points of a scope from which on the labels of its resource are written again next to its own. The series then refer to one run
/// instead of two or three. With fewer points, the copies would be larger than the points.
const POINTS_PER_COPY: u64 = 8;

/// Origin of a label, which decides the value if a point has a label of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum LabelOrigin {
    /// An attribute of the resource: the point's value is used.
    Attribute,
    /// An attribute of the resource, in ADOT mode: both values are joined.
    Joined,
    /// `job`, `instance` or the scope: the point's value is discarded.
    Fixed,
    /// An external label or the client's instance: the point's value is used.
    Default,
}

/// Labels of a resource, written to the batch once.
pub(in super::super) struct ResourceBase<'a> {
    resource: &'a ResourceLabels<'a>,
    fixed: Vec<(String, String)>,
    defaults: Vec<(String, String)>,
    /// Sorted by name.
    labels: Vec<BaseLabel>,
}

struct BaseLabel {
    name: String,
    value_len: usize,
    origin: LabelOrigin,
    run: LabelRun,
}

/// Labels of a scope and its resource.
pub(in super::super) struct BaseLabels<'a> {
    base: &'a ResourceBase<'a>,
    scope: BTreeMap<String, String>,
    /// Name and origin of each label, sorted by name.
    pub(super) names: Vec<(String, LabelOrigin)>,
    /// Each label in the batch, in the order of `names`.
    pub(super) runs: LabelRuns,
    /// The limit of AMP that every series of the scope exceeds. `names` and `runs` are then empty.
    pub(in super::super) exceeded: Option<&'static str>,
    /// Describes the label that exceeds it; empty if it is not a single one.
    pub(in super::super) exceeded_by: String,
    /// Bytes of all names and values.
    pub(in super::super) size: usize,
}

impl<'a> ResourceBase<'a> {
    pub(in super::super) fn new(resource: &'a ResourceLabels<'a>, options: &Options, out: &mut SeriesBatch) -> Self {
        let mut base =
            ResourceBase { resource, fixed: Vec::new(), defaults: defaults(resource, options), labels: Vec::new() };
        if resource.exceeded.is_some() {
            return base;
        }
        let service = [("job", &resource.job), ("instance", &resource.instance)];
        base.fixed.extend(service.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
        let origin = if options.is_adot() { LabelOrigin::Joined } else { LabelOrigin::Attribute };
        let attributes = resource.labels.iter().map(|(name, value)| (name.as_str(), (value.as_str(), origin)));
        let mut labels: BTreeMap<&str, (&str, LabelOrigin)> = attributes.collect();
        for (name, value) in &base.fixed {
            labels.insert(name, (value, LabelOrigin::Fixed));
        }
        for (name, value) in &base.defaults {
            labels.entry(name).or_insert((value, LabelOrigin::Default));
        }
        let mut label = Vec::new();
        for (name, (value, origin)) in labels {
            label.clear();
            encode_label(&mut label, name, value);
            let run = out.add_label_run(&label);
            base.labels.push(BaseLabel { name: name.to_owned(), value_len: value.len(), origin, run });
        }
        base
    }
}

impl<'a> BaseLabels<'a> {
    /// Returns the labels of a scope.
    pub(in super::super) fn new(
        base: &'a ResourceBase<'a>,
        metrics: &ScopeMetricsRequest,
        options: &Options,
        warnings: &mut Rejections,
        out: &mut SeriesBatch,
    ) -> Self {
        let has_scope_labels = options.scope_labels && base.resource.exceeded.is_none();
        let scope = if has_scope_labels { scope_labels(metrics, options, warnings) } else { BTreeMap::new() };
        let mut labels = BaseLabels {
            base,
            scope,
            names: Vec::new(),
            runs: LabelRuns::default(),
            exceeded: base.resource.exceeded,
            exceeded_by: base.resource.long_label.clone(),
            size: 0,
        };
        if labels.exceeded.is_none() && !options.is_relabelled_later {
            let merged = merged(base, &labels.scope);
            let lengths = merged.iter().filter(|label| !label.is_default()).map(MergedLabel::lengths);
            labels.exceeded = exceeded_limit_of_lengths(lengths);
            let long = merged.iter().find(|label| label.lengths().1 > MAX_VALUE_SIZE);
            labels.exceeded_by =
                long.map(|label| LongLabels::Reject.describe(label.name(), label.lengths().1)).unwrap_or_default();
        }
        if labels.exceeded.is_none() {
            labels.write(metrics, out);
        }
        labels
    }

    fn write(&mut self, metrics: &ScopeMetricsRequest, out: &mut SeriesBatch) {
        let mut encoded = Vec::new();
        let BaseLabels { base, scope, names, runs, size, .. } = self;
        for label in merged(base, scope) {
            let (name, value) = label.lengths();
            *size += name + value;
            match label {
                MergedLabel::Resource(label) => {
                    names.push((label.name.clone(), label.origin));
                    runs.push(label.run);
                }
                MergedLabel::Scope(name, value) => {
                    encoded.clear();
                    encode_label(&mut encoded, name, value);
                    names.push((name.to_owned(), LabelOrigin::Fixed));
                    runs.push(out.add_label_run(&encoded));
                }
            }
        }
        if !scope.is_empty() && metrics.has_points(POINTS_PER_COPY) {
            *runs = out.copy_label_runs(runs);
        }
    }

    /// Returns whether the resource has an attribute that replaces the attribute of a point with the same key, as in ADOT mode.
    pub(super) fn overrides(&self, key: &[u8]) -> bool {
        self.base.resource.overrides(key)
    }

    /// Returns whether the label of a point is discarded, because the resource or scope has a fixed label of its name.
    pub(super) fn discards(&self, name: &str) -> bool {
        let found = self.names.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok();
        found.and_then(|at| self.names.get(at)).is_some_and(|&(_, origin)| origin == LabelOrigin::Fixed)
    }

    /// Builds all labels except `__name__` of a point with these attributes (raw key, value). The precedence is: attributes by raw
    /// key, `job` and `instance`, the scope, then defaults for missing names. In ADOT mode, the attributes of the resource are among
    /// the attributes; otherwise they are defaults.
    pub(super) fn with_point(
        &self,
        point: &[(&'a [u8], String)],
        reserved: &str,
        naming: &Naming,
    ) -> BTreeMap<String, String> {
        let resource = self.base.resource;
        let joined: &[_] = if naming.compat == Compat::Adot { &resource.attributes } else { &[] };
        let mut attributes: Vec<&(&[u8], String)> = joined.iter().chain(point).collect();
        attributes.sort_by(|left, right| left.0.cmp(right.0));
        let mut labels = BTreeMap::new();
        for (key, value) in attributes.into_iter().filter(|(_, value)| !value.is_empty()) {
            // Invalid names were reported when the attributes were converted.
            let key = key_text(key);
            let name = naming.label(&key).and_then(|name| unreserved(&name, reserved, naming.compat));
            if let Some(name) = name {
                join(&mut labels, name, value);
            }
        }
        if naming.compat == Compat::Corrected {
            for (name, value) in &resource.labels {
                labels.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        for (name, value) in self.base.fixed.iter().map(|(name, value)| (name, value)).chain(&self.scope) {
            labels.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.base.defaults {
            labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        labels
    }
}

/// A label of a resource or a scope.
enum MergedLabel<'a> {
    Resource(&'a BaseLabel),
    Scope(&'a str, &'a str),
}

impl<'a> MergedLabel<'a> {
    fn name(&self) -> &'a str {
        match self {
            MergedLabel::Resource(label) => &label.name,
            MergedLabel::Scope(name, _) => name,
        }
    }

    fn is_default(&self) -> bool {
        matches!(self, MergedLabel::Resource(label) if label.origin == LabelOrigin::Default)
    }

    fn lengths(&self) -> (usize, usize) {
        match self {
            MergedLabel::Resource(label) => (label.name.len(), label.value_len),
            MergedLabel::Scope(name, value) => (name.len(), value.len()),
        }
    }
}

/// Returns the labels of a resource and a scope, sorted by name. A label of the scope replaces one of the resource.
fn merged<'a>(base: &'a ResourceBase<'_>, scope: &'a BTreeMap<String, String>) -> Vec<MergedLabel<'a>> {
    let resource = base.labels.iter().filter(|label| !scope.contains_key(&label.name)).map(MergedLabel::Resource);
    let mut merged: Vec<_> =
        resource.chain(scope.iter().map(|(name, value)| MergedLabel::Scope(name, value))).collect();
    merged.sort_by(|left, right| left.name().cmp(right.name()));
    merged
}

/// Adds the prefix `exported_`, as scrapes do, to an attribute label that the series itself needs: `__name__`, and
/// `reserved` (`le` or `quantile`). The exporter sends such a label twice, and AMP rejects the series. Returns `None` for
/// `__name__` in ADOT mode.
pub(in super::super) fn unreserved(name: &str, reserved: &str, compat: Compat) -> Option<String> {
    match name {
        "__name__" if compat == Compat::Adot => None,
        "__name__" => Some(format!("exported_{name}")),
        _ if name == reserved => Some(format!("exported_{name}")),
        _ => Some(name.to_owned()),
    }
}

pub(in super::super) fn warn_invalid_label(key: &str, warnings: &mut Rejections) {
    warnings.add("invalid_label_name", 1, || format!("attribute {key:?} has no valid label name"));
}

/// Adds a label. If there is one of this name, their values are joined. Returns whether the label is new, and the bytes added.
pub(in super::super) fn join(labels: &mut BTreeMap<String, String>, name: String, value: &str) -> (bool, usize) {
    match labels.entry(name) {
        Entry::Vacant(entry) => {
            let bytes = entry.key().len() + value.len();
            entry.insert(value.to_owned());
            (true, bytes)
        }
        Entry::Occupied(entry) if entry.get() == value => (false, 0),
        Entry::Occupied(mut entry) => {
            let joined = entry.get_mut();
            joined.push(';');
            joined.push_str(value);
            (false, 1 + value.len())
        }
    }
}

fn defaults(resource: &ResourceLabels<'_>, options: &Options) -> Vec<(String, String)> {
    let client = resource.client_instance.map(|instance| ("instance".to_owned(), instance.to_owned()));
    let external = options.external_labels.iter().filter(|(_, value)| !value.is_empty());
    let external = external.filter_map(|(key, value)| {
        let is_free = |name: &str| name != "__name__" && !resource.dropped.iter().any(|dropped| dropped == name);
        let name = options.naming.label(key).filter(|name| is_free(name))?;
        Some((name.into_owned(), value.clone()))
    });
    client.into_iter().chain(external).collect()
}

/// Returns the labels of a scope. If they exceed the number of labels that AMP accepts, not all of them.
fn scope_labels(
    metrics: &ScopeMetricsRequest,
    options: &Options,
    warnings: &mut Rejections,
) -> BTreeMap<String, String> {
    let default = InstrumentationScope::default();
    let scope = metrics.scope.as_ref().unwrap_or(&default);
    let mut labels = known_scope_labels(metrics, scope, options);
    // `Reject` leaves long values to the check of all labels.
    let limited = options.limited_labels().filter(|&long_labels| long_labels != LongLabels::Reject);
    let mut long = None;
    for attribute in attributes(&scope.attributes) {
        let key = text(attribute.key);
        if matches!(&*key, "name" | "version" | "schema_url") {
            continue;
        }
        let mut value = String::new();
        let length = write_limited(attribute.value.as_ref(), limited, &mut value);
        long = long.or(length.map(|length| options.long_labels.describe(&format!("otel_scope_{key}"), length)));
        match options.naming.label(&format!("otel_scope_{key}")) {
            Some(_) if value.is_empty() => {}
            Some(name) => drop(labels.insert(name.into_owned(), value)),
            None => warn_invalid_label(&key, warnings),
        }
        if labels.len() > MAX_LABELS && !options.is_relabelled_later {
            break;
        }
    }
    if let Some(long_labels) = limited {
        labels.retain(|name, value| {
            if value.len() <= MAX_VALUE_SIZE {
                return true;
            }
            long.get_or_insert_with(|| long_labels.describe(name, value.len()));
            value.truncate(long_labels.shortened(value).map_or(0, str::len));
            !value.is_empty()
        });
    }
    if let Some(long) = long {
        warnings.add(VALUE_TOO_LONG, metrics.points(), || long);
    }
    labels
}

/// Returns the labels of a scope that are not attributes.
fn known_scope_labels(
    metrics: &ScopeMetricsRequest,
    scope: &InstrumentationScope,
    options: &Options,
) -> BTreeMap<String, String> {
    // The exporter does not write the schema URL.
    let schema_url = Some(&metrics.schema_url).filter(|_| !options.is_adot());
    let known = [
        ("otel_scope_name", Some(&scope.name)),
        ("otel_scope_version", Some(&scope.version)),
        ("otel_scope_schema_url", schema_url),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    known.map(|(name, value)| (name.to_owned(), text(value).into_owned())).collect()
}
