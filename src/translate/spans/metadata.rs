//! Metadata: every attribute that has no field of its own.

use serde_json::{Map, Value as JsonValue};

use super::json::JsonWriter;
use super::key::{Attributes, Key, KeySet, OTEL_RESOURCE, XRAY_METADATA};
use super::resource::ResourceEntries;
use super::{sql, value};
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{KeyValue, text};
use crate::translate::Compat;

/// What metadata is written from.
pub(super) struct Metadata<'m, 'a> {
    pub(super) attributes: &'m Attributes<'a>,
    /// Keys that stand in the document already.
    pub(super) consumed: KeySet,
    /// Places of the attributes that stand in the document as annotations.
    pub(super) annotated: &'m [usize],
    /// The resource's attributes, on a document that holds them.
    pub(super) resource: Option<&'m ResourceEntries>,
    /// A service segment holds nothing but what its resource says: the rest is in the dependency's document.
    pub(super) resource_only: bool,
    pub(super) compat: Compat,
}

/// Namespaces that the span's attributes hold as JSON text.
type Namespaces = Vec<(String, Option<Map<String, JsonValue>>)>;

impl Metadata<'_, '_> {
    /// Writes the block, or nothing where it would be empty. `extras` writes members of a namespace of our own.
    pub(super) fn write(&self, json: &mut JsonWriter, extras: impl FnOnce(&mut JsonWriter)) {
        json.object_unless_empty("metadata", |json| {
            let namespaces = self.namespaces();
            let is_default = |namespace: &str| namespace.eq_ignore_ascii_case("default");
            let merged = namespaces.iter().filter(|(namespace, _)| is_default(namespace));
            self.write_default(json, merged.filter_map(|(_, members)| members.as_ref()));
            for (namespace, members) in namespaces.iter().filter(|(namespace, _)| !is_default(namespace)) {
                self.write_namespace(json, namespace, members.as_ref());
            }
            let taken = |name: &str| namespaces.iter().any(|(namespace, _)| namespace == name);
            json.object_unless_empty(if taken("otel") { "otel.span" } else { "otel" }, extras);
        });
    }

    fn write_default<'n>(&self, json: &mut JsonWriter, merged: impl Iterator<Item = &'n Map<String, JsonValue>>) {
        let mut anything = false;
        json.object_unless_empty("default", |json| {
            json.raw_escaped(self.resource.map_or("", |entries| &entries.metadata));
            for (key, attribute) in self.remaining() {
                anything = true;
                let Some(content) = value::content(attribute) else { continue };
                if self.resource_only && key != Key::OtelResource {
                    continue;
                }
                json.any_key("", &text(&attribute.key));
                value::write(json, &sql::redact(key, content, self.compat));
            }
            let mut written: Vec<&str> = Vec::new();
            for (key, content) in merged.flatten() {
                anything = true;
                let is_kept = !self.resource_only || key.starts_with(OTEL_RESOURCE);
                if is_kept && !self.attributes.contains_key(key) && !written.contains(&key.as_str()) {
                    written.push(key);
                    json.any_key("", key);
                    json.raw(&content.to_string());
                }
            }
        });
        if self.resource_only && self.compat == Compat::Adot && anything && json.ends_with('{') {
            json.raw_escaped(r#"\"default\":{}"#);
        }
    }

    fn write_namespace(&self, json: &mut JsonWriter, namespace: &str, members: Option<&Map<String, JsonValue>>) {
        let kept = |key: &str| !self.resource_only || key.starts_with(OTEL_RESOURCE);
        let members: Option<Vec<_>> = members.map(|all| all.iter().filter(|(key, _)| kept(key)).collect());
        let nothing_left = members.as_ref().is_none_or(Vec::is_empty);
        if self.resource_only && nothing_left && self.compat == Compat::Corrected {
            return;
        }
        json.any_key("", namespace);
        let Some(members) = members else { return json.null() };
        json.open('{');
        for (key, content) in members {
            json.any_key("", key);
            json.raw(&content.to_string());
        }
        json.close('}');
    }

    /// Attributes that belong in the default namespace. Without value they are left out, but still counted.
    fn remaining(&self) -> impl Iterator<Item = (Key, &KeyValue)> {
        self.not_gone().filter(|(key, attribute)| *key != Key::XrayMetadata || namespace(attribute).is_none())
    }

    fn not_gone(&self) -> impl Iterator<Item = (Key, &KeyValue)> {
        let placed = self.attributes.iter_placed();
        let remaining =
            placed.filter(|(at, key, _)| !self.consumed.contains(*key) && self.annotated.binary_search(at).is_err());
        remaining.map(|(_, key, attribute)| (key, attribute))
    }

    fn namespaces(&self) -> Namespaces {
        if !self.attributes.has(Key::XrayMetadata) {
            return Vec::new();
        }
        let of_metadata = self.not_gone().filter(|(key, _)| *key == Key::XrayMetadata);
        of_metadata.filter_map(|(_, attribute)| namespace(attribute)).collect()
    }
}

/// The namespace that an `aws.xray.metadata.` attribute holds; nothing where its text is no JSON object.
fn namespace(attribute: &KeyValue) -> Option<(String, Option<Map<String, JsonValue>>)> {
    let Some(Value::String(bytes)) = value::content(attribute) else { return None };
    let members = serde_json::from_slice(bytes).ok()?;
    Some((text(&attribute.key).strip_prefix(XRAY_METADATA)?.to_owned(), members))
}
