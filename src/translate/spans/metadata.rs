//! Metadata: every attribute that is in no other field.

use serde_json::{Map, Value as JsonValue};

use super::extras::Extras;
use super::key::{Attributes, Key, KeySet, OTEL_RESOURCE, XRAY_METADATA};
use super::{sql, value};
use crate::model::escaped_json::{EscapedJson, JsonWriter};
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{KeyValue, text};
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
    /// Reads an `aws.xray.metadata.` attribute. Returns `None` if its value is not a JSON object.
    fn read(attribute: &KeyValue) -> Option<Self> {
        let Some(Value::String(bytes)) = value::content(attribute) else { return None };
        let members = serde_json::from_slice(bytes).ok()?;
        Some(Namespace { name: text(&attribute.key).strip_prefix(XRAY_METADATA)?.to_owned(), members })
    }

    fn is_default(&self) -> bool {
        self.name.eq_ignore_ascii_case("default")
    }
}

impl Metadata<'_, '_> {
    /// Writes the members of the block.
    pub(super) fn write(&self, json: &mut JsonWriter, extras: Option<&Extras<'_, '_>>) {
        let namespaces = self.namespaces();
        self.write_default(json, &namespaces);
        for namespace in namespaces.iter().filter(|namespace| !namespace.is_default()) {
            self.write_namespace(json, namespace);
        }
        if let Some(extras) = extras {
            let is_taken = namespaces.iter().any(|namespace| namespace.name == "otel");
            let name = if is_taken { "otel.span" } else { "otel" };
            json.object_field_unless_empty(name, |json| extras.write(json));
        }
    }

    fn write_default(&self, json: &mut JsonWriter, namespaces: &[Namespace]) {
        let has_members = json.object_field_unless_empty("default", |json| {
            if let Some(resource) = self.resource {
                json.raw_escaped(resource);
            }
            let has_attributes = self.write_attributes(json);
            let has_merged = self.write_merged(json, namespaces);
            has_attributes || has_merged
        });
        let is_empty = json.is_at_object_start();
        if self.resource_only && self.compat.writes_empty_namespaces() && has_members && is_empty {
            json.object_field("default", |_| {});
        }
    }

    /// Writes the attributes of the span. Returns whether there are any, also if none is written.
    fn write_attributes(&self, json: &mut JsonWriter) -> bool {
        let mut has_attributes = false;
        for (key, attribute) in self.remaining() {
            if key == Key::XrayMetadata && Namespace::read(attribute).is_some() {
                continue;
            }
            has_attributes = true;
            let Some(content) = value::content(attribute) else { continue };
            if self.resource_only && key != Key::OtelResource {
                continue;
            }
            json.key(&text(&attribute.key));
            value::write(json, &sql::redact(key, content, self.compat));
        }
        has_attributes
    }

    /// Writes the members of `aws.xray.metadata.default`. Returns whether there are any, also if none is written.
    fn write_merged(&self, json: &mut JsonWriter, namespaces: &[Namespace]) -> bool {
        let default = namespaces.iter().filter(|namespace| namespace.is_default());
        let mut written: Vec<&str> = Vec::new();
        let mut has_members = false;
        for (key, content) in default.filter_map(|namespace| namespace.members.as_ref()).flatten() {
            has_members = true;
            if self.includes(key) && !self.attributes.contains_key(key) && !written.contains(&key.as_str()) {
                written.push(key);
                json.key(key);
                json.raw(&content.to_string());
            }
        }
        has_members
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
            for (key, content) in members {
                json.key(key);
                json.raw(&content.to_string());
            }
        });
    }

    /// Whether a member of a namespace is written.
    fn includes(&self, key: &str) -> bool {
        !self.resource_only || key.starts_with(OTEL_RESOURCE)
    }

    /// Returns the attributes that are in no other field.
    fn remaining(&self) -> impl Iterator<Item = (Key, &KeyValue)> {
        let all = self.attributes.iter_last();
        let remaining = all.filter(|(position, key, _)| {
            !self.consumed.contains(*key) && self.annotated.binary_search(position).is_err()
        });
        remaining.map(|(_, key, attribute)| (key, attribute))
    }

    fn namespaces(&self) -> Vec<Namespace> {
        if !self.attributes.has(Key::XrayMetadata) {
            return Vec::new();
        }
        let attributes = self.remaining().filter(|(key, _)| *key == Key::XrayMetadata);
        attributes.filter_map(|(_, attribute)| Namespace::read(attribute)).collect()
    }
}
