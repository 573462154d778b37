//! Annotations: the attributes that X-Ray indexes for search.

use std::borrow::Cow;
use std::collections::HashSet;

use super::key::{Attributes, Key, KeySet, OTEL_RESOURCE};
use super::options::{Indexed, Options};
use super::{limits, sql, value};
use crate::model::escaped_json::{EscapedJson, JsonWriter, limited};
use crate::model::otlp::borrowed::Value;
use crate::model::otlp::borrowed::text;
use crate::translate::Compat;

/// Maximum length of an annotation value, in characters (AWS X-Ray Developer Guide, "Annotations").
const MAX_VALUE_CHARS: usize = 1000;
/// Maximum length of an annotation key (AWS X-Ray Developer Guide, "Annotations").
const MAX_KEY_BYTES: usize = 500;

/// Selects the attributes that become annotations.
pub(super) struct AnnotationSelector<'a> {
    indexed: &'a Indexed,
    /// Keys that the span lists in `aws.xray.annotations`.
    listed_by_span: HashSet<Cow<'a, str>>,
    compat: Compat,
}

impl<'a> AnnotationSelector<'a> {
    pub(super) fn for_resource(options: &'a Options) -> Self {
        AnnotationSelector { indexed: &options.indexed, listed_by_span: HashSet::new(), compat: options.compat }
    }

    pub(super) fn for_span(options: &'a Options, attributes: &Attributes<'a>) -> Self {
        let listed_by_span = match attributes.value(Key::AwsXrayAnnotations) {
            Some(Value::Array(keys)) => {
                keys.values.iter().map(|key| value::string(key.value.as_ref())).filter(|key| !key.is_empty()).collect()
            }
            _ => HashSet::new(),
        };
        AnnotationSelector { listed_by_span, ..AnnotationSelector::for_resource(options) }
    }

    pub(super) fn selects(&self, key: &[u8]) -> bool {
        match self.indexed {
            Indexed::All => true,
            Indexed::Listed(list) if list.is_empty() && self.listed_by_span.is_empty() => false,
            Indexed::Listed(list) => {
                let key = String::from_utf8_lossy(key);
                list.contains(key.as_ref()) || self.listed_by_span.contains(key.as_ref())
            }
        }
    }

    /// Whether no attribute is selected.
    fn is_empty(&self) -> bool {
        matches!(self.indexed, Indexed::Listed(list) if list.is_empty()) && self.listed_by_span.is_empty()
    }

    /// Whether the span lists resource attributes.
    pub(super) fn span_lists_resource(&self) -> bool {
        self.listed_by_span.iter().any(|key| key.starts_with(OTEL_RESOURCE))
    }
}

/// Removes indexed attributes from the consumed keys: an attribute can be both in a block and an annotation.
pub(super) fn restore_indexed(consumed: &mut KeySet, attributes: &Attributes<'_>, indexed: &Indexed) {
    let Indexed::Listed(list) = indexed else { return };
    for (key, attribute) in attributes.iter() {
        let is_final = key == Key::AwsXrayInProgress;
        if !is_final && consumed.contains(key) && !list.is_empty() && list.contains(text(attribute.key).as_ref()) {
            consumed.remove(key);
        }
    }
}

/// Annotations that were written to one object, without its braces.
#[derive(Default)]
pub(super) struct AnnotationMembers {
    json: EscapedJson,
    /// The keys in `json`. An object must not have two annotations with one key.
    keys: HashSet<String>,
}

/// Writes annotations of a resource.
pub(super) struct ResourceAnnotationWriter {
    json: JsonWriter,
    keys: HashSet<String>,
}

impl ResourceAnnotationWriter {
    pub(super) fn new() -> Self {
        Self { json: JsonWriter::with_limit(limits::BLOCK_BYTES), keys: HashSet::new() }
    }

    /// Writes an annotation if the attribute is selected. Returns false if metadata must contain the attribute.
    pub(super) fn write(&mut self, key: &str, value: &Value<'_>, selector: &AnnotationSelector<'_>) -> bool {
        value::is_scalar(value)
            && selector.selects(key.as_bytes())
            && self.json.len() <= limits::BLOCK_BYTES
            && write_one(&mut self.json, &mut AnnotationKeys::new(None, &mut self.keys), key, value, selector.compat)
    }

    pub(super) fn finish(self) -> AnnotationMembers {
        AnnotationMembers { json: self.json.into_escaped(), keys: self.keys }
    }
}

/// Writes the annotations of a span and, if they belong to the document, the annotations of its resource. Returns the
/// positions of the attributes that metadata does not need to contain.
pub(super) fn write(
    json: &mut JsonWriter,
    attributes: &Attributes<'_>,
    consumed: KeySet,
    selector: &AnnotationSelector<'_>,
    resource: Option<&AnnotationMembers>,
) -> Vec<usize> {
    let mut written = Vec::new();
    let mut own = HashSet::new();
    let mut keys = AnnotationKeys::new(resource.map(|resource| &resource.keys), &mut own);
    if let Some(resource) = resource {
        json.raw_escaped(&resource.json);
    }
    if selector.is_empty() {
        return written;
    }
    json.each(attributes.iter_last(), |json, (position, key, attribute)| {
        if consumed.contains(key) || !selector.selects(attribute.key) {
            return;
        }
        let scalar = value::content(attribute).filter(|value| value::is_scalar(value));
        let redacted = scalar.and_then(|value| sql::redact(key, value, selector.compat));
        let redacted = redacted.as_ref().map(|text| Value::String(text.as_bytes()));
        let is_complete = redacted
            .as_ref()
            .or(scalar)
            .is_some_and(|value| write_one(json, &mut keys, &text(attribute.key), value, selector.compat));
        if is_complete || selector.compat.discards_unwritable_annotations() {
            written.push(position);
        }
    });
    written
}

/// The keys of the annotations of one document.
struct AnnotationKeys<'k> {
    resource: Option<&'k HashSet<String>>,
    own: &'k mut HashSet<String>,
}

impl<'k> AnnotationKeys<'k> {
    fn new(resource: Option<&'k HashSet<String>>, own: &'k mut HashSet<String>) -> Self {
        Self { resource, own }
    }

    fn contains(&self, key: &str) -> bool {
        self.own.contains(key) || self.resource.is_some_and(|keys| keys.contains(key))
    }
}

/// Writes one annotation. Returns false if the value was not written, or not in full: if another annotation has the
/// key, if the key is empty or too long, or if the value is too long.
fn write_one(
    json: &mut JsonWriter,
    keys: &mut AnnotationKeys<'_>,
    key: &str,
    value: &Value<'_>,
    compat: Compat,
) -> bool {
    let key = annotation_key(key);
    let is_limited = !compat.ignores_annotation_limits();
    if keys.contains(&key) || (is_limited && (key.is_empty() || key.len() > MAX_KEY_BYTES)) {
        return false;
    }
    json.field(&key);
    keys.own.insert(key);
    if let Value::String(bytes) = value
        && is_limited
    {
        let full = text(bytes);
        let end = full.char_indices().nth(MAX_VALUE_CHARS).map_or(full.len(), |(at, _)| at);
        json.text(full.get(..end).unwrap_or_default());
        return end == full.len();
    }
    value::write(json, value);
    true
}

/// Replaces each character that X-Ray rejects in keys with `_`.
fn annotation_key(key: &str) -> String {
    limited(key).chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}
