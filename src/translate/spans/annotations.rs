//! Annotations: the attributes that X-Ray indexes for search.

use std::borrow::Cow;

use super::json::JsonWriter;
use super::key::{Attributes, Key, KeySet};
use super::resource::ResourceEntries;
use super::{Indexed, Options, sql, value};
use crate::model::otlp::any_value::Value;
use crate::model::otlp::text;
use crate::translate::Compat;

/// Longest string that an annotation holds, in characters (AWS X-Ray Developer Guide, "Annotations").
const LONGEST_VALUE: usize = 1000;
/// Longest key of an annotation (AWS X-Ray Developer Guide, "Annotations").
const LONGEST_KEY: usize = 500;

/// Which attributes become annotations.
pub(super) struct AnnotationSelector<'a> {
    indexed: &'a Indexed,
    /// Keys that the span itself lists in `aws.xray.annotations`.
    named_by_span: Vec<Cow<'a, str>>,
    pub(super) compat: Compat,
}

impl<'a> AnnotationSelector<'a> {
    pub(super) fn for_resource(options: &'a Options) -> Self {
        AnnotationSelector { indexed: &options.indexed, named_by_span: Vec::new(), compat: options.compat }
    }

    pub(super) fn for_span(options: &'a Options, attributes: &Attributes<'a>) -> Self {
        let named_by_span = match attributes.value(Key::AwsXrayAnnotations) {
            Some(Value::Array(names)) => {
                names.values.iter().map(|name| value::string(name.value.as_ref())).filter(|n| !n.is_empty()).collect()
            }
            _ => Vec::new(),
        };
        AnnotationSelector { named_by_span, ..AnnotationSelector::for_resource(options) }
    }

    pub(super) fn names(&self, key: &[u8]) -> bool {
        let named = |key: &str| self.named_by_span.iter().any(|name| name == key);
        match self.indexed {
            Indexed::All => true,
            Indexed::Listed(list) if list.is_empty() && self.named_by_span.is_empty() => false,
            Indexed::Listed(list) => {
                let key = String::from_utf8_lossy(key);
                list.contains(key.as_ref()) || named(&key)
            }
        }
    }

    /// Whether no attribute can be named.
    fn is_empty(&self) -> bool {
        matches!(self.indexed, Indexed::Listed(list) if list.is_empty()) && self.named_by_span.is_empty()
    }

    /// Whether the span names attributes of the resource.
    pub(super) fn reaches_resource(&self) -> bool {
        self.named_by_span.iter().any(|name| name.starts_with(super::key::OTEL_RESOURCE))
    }
}

/// Takes indexed attributes back from the fields they went into: one can be both a field and an annotation.
pub(super) fn restore_indexed(spent: &mut KeySet, attributes: &Attributes<'_>, indexed: &Indexed) {
    let Indexed::Listed(list) = indexed else { return };
    for (key, attribute) in attributes.iter() {
        let is_final = key == Key::AwsXrayInProgress;
        if !is_final && spent.contains(key) && !list.is_empty() && list.contains(text(&attribute.key).as_ref()) {
            spent.remove(key);
        }
    }
}

/// Writes the annotations. Returns the places of the attributes that metadata need not hold.
pub(super) fn write(
    json: &mut JsonWriter,
    attributes: &Attributes<'_>,
    gone: KeySet,
    indexing: &AnnotationSelector<'_>,
    resource: Option<&ResourceEntries>,
) -> Vec<usize> {
    let mut written = Vec::new();
    json.object_unless_empty("annotations", |json| {
        let mut keys = resource.map(|entries| entries.annotation_keys.clone()).unwrap_or_default();
        json.raw_escaped(resource.map_or("", |entries| &entries.annotations));
        if indexing.is_empty() {
            return;
        }
        for (at, key, attribute) in attributes.iter_placed() {
            if gone.contains(key) || !indexing.names(&attribute.key) {
                continue;
            }
            let scalar = value::content(attribute).filter(|value| value::is_scalar(value));
            let scalar = scalar.map(|value| sql::redact(key, value, indexing.compat));
            let taken =
                scalar.is_some_and(|value| write_one(json, &mut keys, &text(&attribute.key), &value, indexing.compat));
            if taken || indexing.compat == Compat::Adot {
                written.push(at);
            }
        }
    });
    written
}

/// Writes one annotation. False where the value is not, or not wholly, in it: under a key that another has taken, under
/// none, or longer than X-Ray holds.
pub(super) fn write_one(
    json: &mut JsonWriter,
    keys: &mut Vec<String>,
    key: &str,
    value: &Value,
    compat: Compat,
) -> bool {
    let key = annotation_key(key);
    let best = compat == Compat::Corrected;
    if keys.contains(&key) || (best && (key.is_empty() || key.len() > LONGEST_KEY)) {
        return false;
    }
    json.key(&key);
    keys.push(key);
    if let Value::String(bytes) = value
        && best
    {
        let whole = text(bytes);
        let end = whole.char_indices().nth(LONGEST_VALUE).map_or(whole.len(), |(at, _)| at);
        json.text(whole.get(..end).unwrap_or_default());
        return end == whole.len();
    }
    value::write(json, value);
    true
}

/// Every character that X-Ray takes in no key becomes `_`, one for one.
fn annotation_key(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}
