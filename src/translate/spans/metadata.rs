//! Metadata: every attribute that is in no other field.

use std::collections::HashSet;

use serde_json::{Map, Value as JsonValue};

use super::extras::Extras;
use super::key::{Attributes, Key, KeySet, OTEL_RESOURCE, XRAY_METADATA};
use super::{limits, sql, value};
use crate::model::escaped_json::{EscapedJson, JsonWriter};
use crate::model::otlp::borrowed::Value;
use crate::model::otlp::borrowed::{KeyValue, text};
use crate::translate::Compat;

/// The input of the metadata of a document.
pub(super) struct Metadata<'m, 'a> {
    pub(super) attributes: &'m Attributes<'a>,
    /// Keys whose values are in other fields.
    pub(super) consumed: KeySet,
    /// Positions of the attributes that are annotations.
    pub(super) annotated: &'m [usize],
    /// The resource attributes, for a document that stores them.
    pub(super) resource: Option<&'m EscapedJson>,
    /// Whether only resource attributes are written: the other document of the span has the span attributes.
    pub(super) resource_only: bool,
    pub(super) compat: Compat,
}

/// A namespace that a span attribute contains as JSON.
struct Namespace {
    name: String,
    /// `None` for the JSON value `null`.
    members: Option<Map<String, JsonValue>>,
}

impl Namespace {
    /// Reads an `aws.xray.metadata.` attribute. Returns `None` if its value is not a JSON object, or is longer than `max_bytes`.
    fn read(attribute: &KeyValue<'_>, max_bytes: &mut usize) -> Option<Self> {
        let Some(Value::String(bytes)) = value::content(attribute) else { return None };
        *max_bytes = max_bytes.checked_sub(bytes.len())?;
        let members = serde_json::from_slice(bytes).ok()?;
        Some(Namespace { name: text(attribute.key).strip_prefix(XRAY_METADATA)?.to_owned(), members })
    }

    fn is_default(&self) -> bool {
        self.name.eq_ignore_ascii_case("default")
    }
}

impl Metadata<'_, '_> {
    /// Writes the members of the block.
    pub(super) fn write(&self, json: &mut JsonWriter, extras: Option<&Extras<'_, '_>>) {
        let namespaces = self.namespaces();
        json.within(2 * limits::BLOCK_BYTES, |json| self.write_default(json, &namespaces));
        json.within(limits::BLOCK_BYTES, |json| {
            let own = namespaces.iter().filter(|(_, namespace)| !namespace.is_default());
            json.each(own, |json, (_, namespace)| self.write_namespace(json, namespace));
        });
        if let Some(extras) = extras {
            let is_taken = namespaces.iter().any(|(_, namespace)| namespace.name == "otel");
            let name = if is_taken { "otel.span" } else { "otel" };
            json.within(limits::BLOCK_BYTES, |json| json.object_field_unless_empty(name, |json| extras.write(json)));
        }
    }

    fn write_default(&self, json: &mut JsonWriter, namespaces: &[(usize, Namespace)]) {
        let has_members = json.object_field_unless_empty("default", |json| {
            if let Some(resource) = self.resource {
                json.raw_escaped(resource);
            }
            let has_attributes = self.write_attributes(json, namespaces);
            let has_merged = self.write_merged(json, namespaces);
            has_attributes || has_merged
        });
        let is_empty = json.is_at_object_start();
        if self.resource_only && self.compat.writes_empty_namespaces() && has_members && is_empty {
            json.object_field("default", |_| {});
        }
    }

    /// Writes the attributes of the span. Returns whether there are any, also if none is written.
    fn write_attributes(&self, json: &mut JsonWriter, namespaces: &[(usize, Namespace)]) -> bool {
        let mut has_attributes = false;
        json.each(self.remaining(), |json, (position, key, attribute)| {
            let is_namespace = || namespaces.binary_search_by_key(&position, |(position, _)| *position).is_ok();
            if key == Key::XrayMetadata && is_namespace() {
                return;
            }
            has_attributes = true;
            let Some(content) = value::content(attribute) else { return };
            if self.resource_only && key != Key::OtelResource {
                return;
            }
            json.key_bytes(attribute.key);
            match sql::redact(key, content, self.compat) {
                Some(redacted) => json.text(&redacted),
                None => value::write(json, content),
            }
        });
        has_attributes
    }

    /// Writes the members of `aws.xray.metadata.default`. Returns whether there are any, also if none is written.
    fn write_merged(&self, json: &mut JsonWriter, namespaces: &[(usize, Namespace)]) -> bool {
        let default = namespaces.iter().map(|(_, namespace)| namespace).filter(|namespace| namespace.is_default());
        let members = default.filter_map(|namespace| namespace.members.as_ref()).flatten();
        let mut members = members.peekable();
        if members.peek().is_none() {
            return false;
        }
        let mut written: HashSet<&[u8]> = self.attributes.keys().collect();
        json.each(members, |json, (key, content)| {
            if self.includes(key) && written.insert(key.as_bytes()) {
                json.key(key);
                json.raw(&content.to_string());
            }
        });
        true
    }

    fn write_namespace(&self, json: &mut JsonWriter, namespace: &Namespace) {
        let members = namespace.members.as_ref();
        let members: Option<Vec<_>> = members.map(|all| all.iter().filter(|(key, _)| self.includes(key)).collect());
        let is_empty = members.as_ref().is_none_or(Vec::is_empty);
        if self.resource_only && is_empty && !self.compat.writes_empty_namespaces() {
            return;
        }
        json.key(&namespace.name);
        let Some(members) = members else { return json.null() };
        json.object(|json| {
            json.each(members, |json, (key, content)| {
                json.key(key);
                json.raw(&content.to_string());
            });
        });
    }

    /// Whether a member of a namespace is written.
    fn includes(&self, key: &str) -> bool {
        !self.resource_only || key.starts_with(OTEL_RESOURCE)
    }

    /// Returns the attributes that are in no other field, with their positions.
    fn remaining(&self) -> impl Iterator<Item = (usize, Key, &KeyValue<'_>)> {
        self.attributes.iter_last().filter(|(position, key, _)| {
            !self.consumed.contains(*key) && self.annotated.binary_search(position).is_err()
        })
    }

    /// Returns the namespaces that attributes contain, with the positions of the attributes.
    fn namespaces(&self) -> Vec<(usize, Namespace)> {
        if !self.attributes.has(Key::XrayMetadata) {
            return Vec::new();
        }
        let mut max_bytes = limits::NAMESPACE_BYTES;
        let attributes = self.remaining().filter(|(_, key, _)| *key == Key::XrayMetadata);
        attributes
            .filter_map(|(position, _, attribute)| Some((position, Namespace::read(attribute, &mut max_bytes)?)))
            .collect()
    }
}
