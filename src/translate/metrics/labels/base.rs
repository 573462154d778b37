//! Labels that all points of a scope share.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::options::Options;
use super::super::resource::{ResourceLabels, key_text};
use crate::model::otlp::{InstrumentationScope, text};
use crate::model::rejection::Rejections;
use crate::model::series::{LabelRun, SeriesBatch, encode_label};
use crate::translate::Compat;
use crate::translate::attributes::write_value;
use crate::translate::names;

/// Origin of a label, which decides the value if a point has a label of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum LabelOrigin {
    /// An attribute of the resource: both values are joined.
    Attribute,
    /// `job`, `instance` or the scope: the point's value is discarded.
    Fixed,
    /// An external label or the client's instance: the point's value is used.
    Default,
}

pub(in super::super) struct BaseLabels<'a> {
    pub(super) resource: &'a ResourceLabels<'a>,
    /// Names and values, for the rare points whose labels collide.
    pub(super) fixed: Vec<(String, String)>,
    pub(super) defaults: Vec<(String, String)>,
    /// Name and origin of each label, sorted by name.
    pub(super) names: Vec<(String, LabelOrigin)>,
    /// Each label in the batch, adjacent and in the order of `names`.
    pub(super) runs: Vec<LabelRun>,
}

impl<'a> BaseLabels<'a> {
    pub(in super::super) fn new(
        resource: &'a ResourceLabels<'a>,
        scope: Option<&InstrumentationScope>,
        options: &Options,
        warnings: &mut Rejections,
        out: &mut SeriesBatch,
    ) -> Self {
        let mut fixed = Vec::new();
        let service = [("job", &resource.job), ("instance", &resource.instance)];
        fixed.extend(service.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
        if let Some(scope) = scope.filter(|_| options.scope_labels) {
            push_scope(scope, warnings, &mut fixed);
        }
        let defaults = defaults(resource, options);
        let mut base = BaseLabels { resource, fixed, defaults, names: Vec::new(), runs: Vec::new() };
        let warn = |key: &str| warn_invalid_label(key, warnings);
        let labels = build_labels(&base, Vec::new(), "", options.naming.compat, warn);
        for (name, (value, origin)) in labels {
            let mut label = Vec::new();
            encode_label(&mut label, &name, &value);
            base.runs.push(out.add_label_run(&label));
            base.names.push((name, origin));
        }
        base
    }
}

/// Builds all labels except `__name__` of a point with these attributes (raw key, value). The precedence is the exporter's:
/// attributes by raw key, `job` and `instance`, the scope, then defaults for missing names. `on_invalid` is called with each
/// key that has no valid label name.
pub(super) fn build_labels(
    base: &BaseLabels<'_>,
    point: Vec<(Vec<u8>, String)>,
    reserved: &str,
    compat: Compat,
    mut on_invalid: impl FnMut(&str),
) -> BTreeMap<String, (String, LabelOrigin)> {
    let resource = base.resource.attributes.iter().map(|(&key, value)| (key.to_vec(), value.clone()));
    let mut attributes: Vec<(Vec<u8>, String)> = resource.chain(point).collect();
    attributes.sort_by(|left, right| left.0.cmp(&right.0));
    let mut labels = BTreeMap::new();
    for (key, value) in attributes {
        let key = key_text(&key);
        if value.is_empty() {
            continue;
        }
        match names::label(&key) {
            Some(name) => {
                if let Some(name) = unreserved(&name, reserved, compat) {
                    join(&mut labels, name, value);
                }
            }
            None => on_invalid(&key),
        }
    }
    for (name, value) in &base.fixed {
        labels.insert(name.clone(), (value.clone(), LabelOrigin::Fixed));
    }
    for (name, value) in &base.defaults {
        labels.entry(name.clone()).or_insert_with(|| (value.clone(), LabelOrigin::Default));
    }
    labels
}

/// Adds the prefix `exported_`, as scrapes do, to an attribute label that the series itself needs: `__name__`, and
/// `reserved` (`le` or `quantile`). The exporter sends such a label twice, and AMP rejects the series. Returns `None` for
/// `__name__` in ADOT mode.
fn unreserved(name: &str, reserved: &str, compat: Compat) -> Option<String> {
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

fn join(labels: &mut BTreeMap<String, (String, LabelOrigin)>, name: String, value: String) {
    match labels.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert((value, LabelOrigin::Attribute));
        }
        Entry::Occupied(mut entry) => {
            let joined = &mut entry.get_mut().0;
            if *joined != value {
                joined.push(';');
                joined.push_str(&value);
            }
        }
    }
}

fn defaults(resource: &ResourceLabels<'_>, options: &Options) -> Vec<(String, String)> {
    let client = resource.client_instance.map(|instance| ("instance".to_owned(), instance.to_owned()));
    let external = options.external_labels.iter().filter(|(_, value)| !value.is_empty());
    let external = external.filter_map(|(key, value)| {
        let name = names::label(key).filter(|name| name != "__name__")?;
        Some((name.into_owned(), value.clone()))
    });
    client.into_iter().chain(external).collect()
}

fn push_scope(scope: &InstrumentationScope, warnings: &mut Rejections, labels: &mut Vec<(String, String)>) {
    let known = [("otel_scope_name", &scope.name), ("otel_scope_version", &scope.version)];
    labels.extend(
        known
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), text(value).into_owned())),
    );
    for attribute in &scope.attributes {
        let key = text(&attribute.key);
        if matches!(&*key, "name" | "version" | "schema_url") {
            continue;
        }
        let mut value = String::new();
        write_value(attribute.value.as_ref(), &mut value);
        match names::label(&format!("otel_scope_{key}")) {
            Some(_) if value.is_empty() => {}
            Some(name) => labels.push((name.into_owned(), value)),
            None => warn_invalid_label(&key, warnings),
        }
    }
}
