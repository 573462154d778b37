//! Labels of a resource: its attributes, `job` and `instance`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::labels::{join, unreserved, warn_invalid_label};
use super::options::{ClientIdentity, Options};
use crate::model::otlp::{KeyValue, any_value::Value};
use crate::model::rejection::Rejections;
use crate::translate::attributes::write_value;
use crate::translate::limits::{MAX_LABELS, MAX_LABELS_SIZE, MAX_VALUE_SIZE};
use crate::translate::names;

/// Attributes that make up `job` and `instance`.
pub(super) const IDENTIFYING: [&[u8]; 3] = [b"service.name", b"service.namespace", b"service.instance.id"];

/// Attributes that each identify a task uniquely.
const TASK_IDENTITY: [&[u8]; 5] =
    [b"aws.ecs.task.arn", b"aws.ecs.task.id", b"container.id", b"k8s.pod.uid", b"faas.instance"];

/// Reason of a value that alone exceeds the limit of AMP, so that it is not even converted.
pub(super) const VALUE_TOO_LONG: &str = "label_value_too_long";

#[derive(Default)]
pub(super) struct ResourceLabels<'a> {
    /// Attributes that become labels, sorted by raw key. An empty value only removes a point's attribute of the same key.
    pub(super) attributes: Vec<(&'a [u8], String)>,
    /// Labels of these attributes. Values of the same label are joined.
    pub(super) labels: BTreeMap<String, String>,
    /// Lengths of the keys, one bit each: most attributes of points have another length, and need no lookup.
    key_lengths: u64,
    pub(super) job: Option<String>,
    pub(super) instance: Option<String>,
    /// Instance of the client, for a resource that does not identify its task. A point's own `instance` has precedence.
    pub(super) client_instance: Option<&'a str>,
    /// The limit of AMP that every series of the resource exceeds. The other fields are then incomplete.
    pub(super) exceeded: Option<&'static str>,
}

impl<'a> ResourceLabels<'a> {
    pub(super) fn new(
        attributes: &'a [KeyValue],
        client: &'a ClientIdentity,
        options: &Options,
        warnings: &mut Rejections,
    ) -> Self {
        let mut sorted = last_of_each_key(attributes);
        if !options.is_relabelled_later && sorted.iter().any(|attribute| is_too_long(attribute, options)) {
            return ResourceLabels { exceeded: Some(VALUE_TOO_LONG), ..ResourceLabels::default() };
        }
        let instance = value_of(attributes, b"service.instance.id").filter(|value| !value.is_empty());
        let is_known = instance.is_some() || (options.resource_labels && has_task_identity(attributes));
        let client_instance = client.instance.as_deref().filter(|instance| !is_known && !instance.is_empty());
        let job = job(attributes, options.is_adot());
        let mut labels = ResourceLabels { job, instance, client_instance, ..ResourceLabels::default() };
        let is_excluded = |key: &[u8]| options.exclude_service_attributes && IDENTIFYING.contains(&key);
        sorted.retain(|attribute| options.resource_labels && !is_excluded(&attribute.key));
        labels.convert(&sorted, options, warnings);
        labels
    }

    /// Converts attributes in the order of their keys, until they exceed a limit of AMP.
    fn convert(&mut self, sorted: &[&'a KeyValue], options: &Options, warnings: &mut Rejections) {
        let mut counted = Counted::default();
        for attribute in sorted {
            let mut value = String::new();
            write_value(attribute.value.as_ref(), &mut value);
            if value.is_empty() && !options.is_adot() {
                // An empty attribute must not remove the attribute of a point.
                continue;
            }
            let key = key_text(&attribute.key);
            match names::label(&key).map(|name| unreserved(&name, "", options.naming.compat)) {
                _ if value.is_empty() => {}
                Some(Some(name)) => {
                    let is_counted = !may_be_replaced(&name, options);
                    let (is_new, added) = join(&mut self.labels, name, &value);
                    counted.add(is_counted && is_new, if is_counted { added } else { 0 });
                }
                Some(None) => {}
                None => warn_invalid_label(&key, warnings),
            }
            self.key_lengths |= length_bit(&attribute.key);
            self.attributes.push((&attribute.key, value));
            if !options.is_relabelled_later && counted.exceeded().is_some() {
                self.exceeded = counted.exceeded();
                return;
            }
        }
    }

    /// Returns whether the resource has an attribute that replaces the attribute of a point with the same key.
    pub(super) fn overrides(&self, key: &[u8]) -> bool {
        self.key_lengths & length_bit(key) != 0
            && self.attributes.binary_search_by(|(other, _)| (*other).cmp(key)).is_ok()
    }
}

/// Number and size of labels.
#[derive(Default)]
pub(super) struct Counted {
    labels: usize,
    bytes: usize,
}

impl Counted {
    pub(super) fn add(&mut self, is_new: bool, bytes: usize) {
        self.labels += usize::from(is_new);
        self.bytes += bytes;
    }

    pub(super) fn exceeded(&self) -> Option<&'static str> {
        if self.labels > MAX_LABELS {
            return Some("too_many_labels");
        }
        (self.bytes > MAX_LABELS_SIZE).then_some("labels_too_large")
    }
}

/// Returns whether the value of a label may be replaced by one that is not an attribute, so that its length does not count.
fn may_be_replaced(name: &str, options: &Options) -> bool {
    matches!(name, "job" | "instance") || (options.scope_labels && name.starts_with("otel_scope_"))
}

/// Returns whether an attribute makes every series of its resource exceed a limit of AMP.
fn is_too_long(attribute: &KeyValue, options: &Options) -> bool {
    if !has_long_text(attribute) {
        return false;
    }
    match attribute.key.as_ref() {
        b"service.name" | b"service.instance.id" => true,
        key if !options.resource_labels || (options.exclude_service_attributes && IDENTIFYING.contains(&key)) => false,
        key => names::label(&key_text(key))
            .and_then(|name| unreserved(&name, "", options.naming.compat))
            .is_some_and(|name| !may_be_replaced(&name, options)),
    }
}

/// Returns whether the value is a text that is longer than AMP accepts. Its characters are never removed.
pub(super) fn has_long_text(attribute: &KeyValue) -> bool {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    matches!(value, Some(Value::String(text)) if text.len() > MAX_VALUE_SIZE)
}

/// Returns a bit for the length of a key. Lengths that differ by 64 share one.
fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() % 64)
}

/// Sorts attributes by key. The last of several attributes with the same key is used.
fn last_of_each_key(attributes: &[KeyValue]) -> Vec<&KeyValue> {
    let mut sorted: Vec<&KeyValue> = attributes.iter().rev().collect();
    sorted.sort_by(|left, right| left.key.cmp(&right.key));
    sorted.dedup_by(|left, right| left.key == right.key);
    sorted
}

/// Returns `namespace/name`. The exporter writes `/name` if the namespace is present but empty.
fn job(attributes: &[KeyValue], is_adot: bool) -> Option<String> {
    let name = value_of(attributes, b"service.name").filter(|name| !name.is_empty())?;
    match value_of(attributes, b"service.namespace").filter(|namespace| is_adot || !namespace.is_empty()) {
        Some(namespace) => Some(format!("{namespace}/{name}")),
        None => Some(name),
    }
}

fn has_task_identity(attributes: &[KeyValue]) -> bool {
    let has = |key: &[u8]| value_of(attributes, key).is_some_and(|value| !value.is_empty());
    TASK_IDENTITY.into_iter().any(has) || ((has(b"host.name") || has(b"host.id")) && has(b"process.pid"))
}

fn value_of(attributes: &[KeyValue], key: &[u8]) -> Option<String> {
    let attribute = attributes.iter().rfind(|attribute| attribute.key.as_ref() == key)?;
    let mut value = String::new();
    write_value(attribute.value.as_ref(), &mut value);
    Some(value)
}

/// Converts a key from bytes to text.
pub(super) fn key_text(key: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(key)
}
