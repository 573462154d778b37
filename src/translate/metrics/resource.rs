//! Labels of a resource: its attributes, `job` and `instance`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::options::{ClientIdentity, Options};
use crate::model::otlp::KeyValue;
use crate::translate::attributes::write_value;

/// Attributes that make up `job` and `instance`.
pub(super) const IDENTIFYING: [&[u8]; 3] = [b"service.name", b"service.namespace", b"service.instance.id"];

/// Attributes that each identify a task uniquely.
const TASK_IDENTITY: [&[u8]; 5] =
    [b"aws.ecs.task.arn", b"aws.ecs.task.id", b"container.id", b"k8s.pod.uid", b"faas.instance"];

pub(super) struct ResourceLabels<'a> {
    /// Attributes that become labels, sorted by raw key. An empty value only removes a point's attribute of the same key.
    pub(super) attributes: BTreeMap<&'a [u8], String>,
    /// Lengths of their keys, one bit each: most attributes of points have another length, and need no lookup.
    key_lengths: u64,
    pub(super) job: Option<String>,
    pub(super) instance: Option<String>,
    /// Instance of the client, for a resource that does not identify its task. A point's own `instance` has precedence.
    pub(super) client_instance: Option<&'a str>,
}

impl<'a> ResourceLabels<'a> {
    pub(super) fn new(attributes: &'a [KeyValue], client: &'a ClientIdentity, options: &Options) -> Self {
        let instance = value_of(attributes, b"service.instance.id").filter(|value| !value.is_empty());
        let is_known = instance.is_some() || (options.resource_labels && has_task_identity(attributes));
        let job = job(attributes, options.is_adot());
        let attributes = if options.resource_labels { converted(attributes, options) } else { BTreeMap::new() };
        ResourceLabels {
            key_lengths: attributes.keys().fold(0, |lengths, key| lengths | length_bit(key)),
            attributes,
            job,
            instance,
            client_instance: client.instance.as_deref().filter(|instance| !is_known && !instance.is_empty()),
        }
    }

    /// Returns whether the resource has an attribute that replaces the attribute of a point with the same key.
    pub(super) fn overrides(&self, key: &[u8]) -> bool {
        self.key_lengths & length_bit(key) != 0 && self.attributes.contains_key(key)
    }
}

/// Returns a bit for the length of a key. Lengths that differ by 64 share one.
fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() % 64)
}

fn converted<'a>(attributes: &'a [KeyValue], options: &Options) -> BTreeMap<&'a [u8], String> {
    let is_excluded = |key: &[u8]| options.exclude_service_attributes && IDENTIFYING.contains(&key);
    let mut converted = BTreeMap::new();
    for attribute in attributes {
        if !is_excluded(&attribute.key) {
            let mut value = String::new();
            write_value(attribute.value.as_ref(), &mut value);
            converted.insert(attribute.key.as_ref(), value);
        }
    }
    if !options.is_adot() {
        // An empty attribute must not remove the attribute of a point.
        converted.retain(|_, value| !value.is_empty());
    }
    converted
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
