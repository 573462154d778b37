//! Labels of a resource: its attributes, `job` and `instance`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::labels::{join, unreserved, warn_invalid_label};
use super::long_text::{has_long_text, write_limited};
use super::options::{ClientIdentity, Options};
use crate::model::otlp::ResourceMetricsRequest;
use crate::model::otlp::borrowed::KeyValue;
use crate::model::rejection::Rejections;
use crate::translate::attributes::write_value;
use crate::translate::limits::{LongLabels, MAX_LABELS, MAX_LABELS_SIZE, MAX_VALUE_SIZE, VALUE_TOO_LONG, cut};

/// Attributes that make up `job` and `instance`.
pub(super) const IDENTIFYING: [&[u8]; 3] = [b"service.name", b"service.namespace", b"service.instance.id"];

/// Attributes that each identify a task uniquely.
const TASK_IDENTITY: [&[u8]; 5] =
    [b"aws.ecs.task.arn", b"aws.ecs.task.id", b"container.id", b"k8s.pod.uid", b"faas.instance"];

#[derive(Default)]
pub(super) struct ResourceLabels<'a> {
    /// Attributes that become labels, sorted by raw key. An empty value only removes a point's attribute of the same key, in ADOT
    /// mode.
    pub(super) attributes: Vec<(&'a [u8], String)>,
    /// Labels of these attributes. Values of the same label are joined.
    pub(super) labels: BTreeMap<String, String>,
    /// Lengths of the keys, one bit each: most attributes of points have another length, and need no lookup.
    key_lengths: u64,
    pub(super) job: Option<String>,
    pub(super) instance: Option<String>,
    /// Instance of the client, for a resource that does not identify its task. A point's own `instance` has precedence.
    pub(super) client_instance: Option<&'a str>,
    /// Labels that were dropped because they are too long. No external label replaces them.
    pub(super) dropped: Vec<String>,
    /// The limit of AMP that every series of the resource exceeds. The other fields are then incomplete.
    pub(super) exceeded: Option<&'static str>,
    /// Describes the label that exceeds it, or else the first long label that was dropped or cut.
    pub(super) long_label: String,
}

impl<'a> ResourceLabels<'a> {
    pub(super) fn new(
        attributes: &'a [KeyValue<'a>],
        client: &'a ClientIdentity,
        metrics: &ResourceMetricsRequest,
        options: &Options,
        warnings: &mut Rejections,
    ) -> Self {
        let mut sorted = last_of_each_key(attributes);
        if options.limited_labels() == Some(LongLabels::Reject)
            && let Some(attribute) = sorted.iter().find(|attribute| is_too_long(attribute, options))
        {
            let mut labels = ResourceLabels { exceeded: Some(VALUE_TOO_LONG), ..ResourceLabels::default() };
            let length = write_limited(attribute.value.as_ref(), Some(LongLabels::Reject), &mut String::new());
            labels.note_long(&key_text(attribute.key), length.unwrap_or_default(), options);
            return labels;
        }
        let instance = value_of(attributes, b"service.instance.id").filter(|value| !value.is_empty());
        let is_known = instance.is_some() || (options.resource_labels && has_task_identity(attributes));
        let client_instance = client.instance.as_deref().filter(|instance| !is_known && !instance.is_empty());
        let job = job(attributes, options.is_adot());
        let mut labels = ResourceLabels { job, instance, client_instance, ..ResourceLabels::default() };
        let is_excluded = |key: &[u8]| options.exclude_service_attributes && IDENTIFYING.contains(&key);
        sorted.retain(|attribute| options.resource_labels && !is_excluded(attribute.key));
        labels.convert(&sorted, options, warnings);
        labels.shorten(options);
        if labels.exceeded.is_none() && !labels.long_label.is_empty() {
            warnings.add(VALUE_TOO_LONG, metrics.points(), || labels.long_label.clone());
        }
        labels
    }

    /// Converts attributes in the order of their keys, until they exceed a limit of AMP.
    fn convert(&mut self, sorted: &[&'a KeyValue<'a>], options: &Options, warnings: &mut Rejections) {
        let mut counted = Counted::default();
        for attribute in sorted {
            let key = key_text(attribute.key);
            let name = options.naming.label(&key).map(|name| unreserved(&name, "", options.naming.compat));
            // Whether the value counts is known when it is not replaced.
            let is_kept = |name: &String| may_be_replaced(name, options) && options.long_labels == LongLabels::Reject;
            let limited = options.limited_labels().filter(|_| !name.iter().flatten().any(is_kept));
            let mut value = String::new();
            if let Some(length) = write_limited(attribute.value.as_ref(), limited, &mut value) {
                self.note_long(&key, length, options);
                if options.long_labels == LongLabels::Drop {
                    self.dropped.extend(name.iter().flatten().cloned());
                }
                self.exceeded = (options.long_labels == LongLabels::Reject).then_some(VALUE_TOO_LONG).or(self.exceeded);
            }
            if value.is_empty() && !options.is_adot() {
                // An empty attribute must not remove the attribute of a point.
                continue;
            }
            match name {
                _ if value.is_empty() => {}
                Some(Some(name)) => {
                    let is_counted = !may_be_replaced(&name, options);
                    let (is_new, added) = join(&mut self.labels, name, &value);
                    counted.add(is_counted && is_new, if is_counted { added } else { 0 });
                }
                Some(None) => {}
                None => warn_invalid_label(&key, warnings),
            }
            if options.is_adot() {
                self.key_lengths |= length_bit(attribute.key);
            }
            self.attributes.push((attribute.key, value));
            if !options.is_relabelled_later && counted.exceeded().is_some() {
                self.exceeded = counted.exceeded();
                return;
            }
        }
    }

    /// Drops or cuts values that became too long when they were joined. `job` and `instance` are cut, because they tell targets apart.
    fn shorten(&mut self, options: &Options) {
        let Some(long_labels) = options.limited_labels().filter(|&long_labels| long_labels != LongLabels::Reject)
        else {
            return;
        };
        let mut long = None;
        self.labels.retain(|name, value| {
            if value.len() <= MAX_VALUE_SIZE {
                return true;
            }
            long.get_or_insert_with(|| long_labels.describe(name, value.len()));
            value.truncate(long_labels.shortened(value).map_or(0, str::len));
            !value.is_empty()
        });
        for (name, value) in [("job", &mut self.job), ("instance", &mut self.instance)] {
            let Some(value) = value.as_mut().filter(|value| value.len() > MAX_VALUE_SIZE) else { continue };
            long.get_or_insert_with(|| LongLabels::Cut.describe(name, value.len()));
            value.truncate(cut(value).len());
        }
        if let Some(long) = long.filter(|_| self.long_label.is_empty()) {
            self.long_label = long;
        }
    }

    /// Describes a long label, unless another one is described.
    fn note_long(&mut self, key: &str, length: usize, options: &Options) {
        if self.long_label.is_empty() {
            let name = options.naming.label(key);
            self.long_label = options.long_labels.describe(name.as_deref().unwrap_or(key), length);
        }
    }

    /// Returns whether the resource has an attribute that replaces the attribute of a point with the same key, as in ADOT mode.
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
fn is_too_long(attribute: &KeyValue<'_>, options: &Options) -> bool {
    if !has_long_text(attribute) {
        return false;
    }
    match attribute.key {
        b"service.name" | b"service.instance.id" => true,
        key if !options.resource_labels || (options.exclude_service_attributes && IDENTIFYING.contains(&key)) => false,
        key => options
            .naming
            .label(&key_text(key))
            .and_then(|name| unreserved(&name, "", options.naming.compat))
            .is_some_and(|name| !may_be_replaced(&name, options)),
    }
}

/// Returns a bit for the length of a key. Lengths that differ by 64 share one.
fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() % 64)
}

/// Sorts attributes by key. The last of several attributes with the same key is used.
fn last_of_each_key<'a>(attributes: &'a [KeyValue<'a>]) -> Vec<&'a KeyValue<'a>> {
    let mut sorted: Vec<&KeyValue<'_>> = attributes.iter().rev().collect();
    sorted.sort_by(|left, right| left.key.cmp(right.key));
    sorted.dedup_by(|left, right| left.key == right.key);
    sorted
}

/// Returns `namespace/name`. The exporter writes `/name` if the namespace is present but empty.
fn job(attributes: &[KeyValue<'_>], is_adot: bool) -> Option<String> {
    let name = value_of(attributes, b"service.name").filter(|name| !name.is_empty())?;
    match value_of(attributes, b"service.namespace").filter(|namespace| is_adot || !namespace.is_empty()) {
        Some(namespace) => Some(format!("{namespace}/{name}")),
        None => Some(name),
    }
}

fn has_task_identity(attributes: &[KeyValue<'_>]) -> bool {
    let has = |key: &[u8]| value_of(attributes, key).is_some_and(|value| !value.is_empty());
    TASK_IDENTITY.into_iter().any(has) || ((has(b"host.name") || has(b"host.id")) && has(b"process.pid"))
}

fn value_of(attributes: &[KeyValue<'_>], key: &[u8]) -> Option<String> {
    let attribute = attributes.iter().rfind(|attribute| attribute.key == key)?;
    let mut value = String::new();
    write_value(attribute.value.as_ref(), &mut value);
    Some(value)
}

/// Converts a key from bytes to text.
pub(super) fn key_text(key: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(key)
}
