//! What a resource says, worked out once and written into the documents of all its spans.

use std::borrow::Cow;

use super::annotations::{self, AnnotationSelector};
use super::json::JsonWriter;
use super::key::OTEL_RESOURCE;
use super::stack::Language;
use super::{Options, aws, origin, value};
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{KeyValue, Resource, text};

/// A resource's attributes, looked up by key. Of two with the same key the later one stands.
#[derive(Clone, Copy)]
pub(super) struct ResourceAttributes<'a>(pub(super) &'a [KeyValue]);

impl<'a> ResourceAttributes<'a> {
    pub(super) fn has(self, key: &str) -> bool {
        self.0.iter().any(|attribute| attribute.key == key.as_bytes())
    }

    pub(super) fn value(self, key: &str) -> Option<&'a Value> {
        self.0.iter().rev().find(|attribute| attribute.key == key.as_bytes()).and_then(value::content)
    }

    pub(super) fn bytes(self, key: &str) -> &'a [u8] {
        value::string_bytes(self.value(key))
    }

    pub(super) fn text(self, key: &str) -> Cow<'a, str> {
        value::string(self.value(key))
    }
}

/// The parts of a document that depend on the resource alone.
pub(super) struct ResourceContext<'a> {
    pub(super) attributes: ResourceAttributes<'a>,
    pub(super) origin: Option<&'static str>,
    /// The `service` object as JSON.
    pub(super) service: Option<String>,
    /// `service.name`, empty where it is no string.
    pub(super) service_name: Option<Cow<'a, str>>,
    pub(super) language: Language,
    /// Nothing where the resource is of another cloud.
    pub(super) aws: Option<aws::AwsResourceBlocks<'a>>,
    pub(super) entries: ResourceEntries,
}

impl<'a> ResourceContext<'a> {
    pub(super) fn read(resource: Option<&'a Resource>, options: &Options) -> Self {
        let attributes = ResourceAttributes(resource.map_or(&[], |resource| &resource.attributes));
        ResourceContext {
            attributes,
            origin: origin::origin(attributes),
            service: service(attributes),
            service_name: attributes.has("service.name").then(|| attributes.text("service.name")),
            language: Language::from_sdk_language(attributes.bytes("telemetry.sdk.language"), options.compat),
            aws: aws::AwsResourceBlocks::read(attributes, options),
            entries: ResourceEntries::write(attributes.0, &AnnotationSelector::for_resource(options), &|_| false),
        }
    }
}

/// A resource's attributes as annotations and as metadata: members of the one object and of the other.
pub(super) struct ResourceEntries {
    pub(super) annotations: String,
    /// The keys of `annotations`, as written.
    pub(super) annotation_keys: Vec<String>,
    pub(super) metadata: String,
}

impl ResourceEntries {
    /// `shadowed` tells which keys (with their prefix) a span attribute stands in for.
    pub(super) fn write(
        attributes: &[KeyValue],
        indexing: &AnnotationSelector<'_>,
        shadowed: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut annotation_keys = Vec::new();
        let (mut annotations, mut metadata) = (JsonWriter::default(), JsonWriter::default());
        for (at, attribute) in attributes.iter().enumerate() {
            let Some(content) = value::content(attribute) else { continue };
            let key = [OTEL_RESOURCE, &text(&attribute.key)].concat();
            if value::shadowed(attributes, at) || shadowed(&key) {
                continue;
            }
            let written = value::is_scalar(content)
                && indexing.names(key.as_bytes())
                && annotations::write_one(&mut annotations, &mut annotation_keys, &key, content, indexing.compat);
            if !written {
                metadata.any_key("", &key);
                value::write(&mut metadata, content);
            }
        }
        ResourceEntries { annotations: annotations.into_escaped(), annotation_keys, metadata: metadata.into_escaped() }
    }
}

/// `service.version`; without that key a tag of the container's image. An unusable value leaves an empty object.
fn service(attributes: ResourceAttributes<'_>) -> Option<String> {
    let version = if attributes.has("service.version") {
        attributes.text("service.version")
    } else if let Some(Value::Array(tags)) = attributes.value("container.image.tags") {
        value::string(tags.values.first()?.value.as_ref())
    } else if attributes.has("container.image.tag") {
        attributes.text("container.image.tag")
    } else {
        return None;
    };
    let mut json = JsonWriter::default();
    json.open('{');
    json.text_field_unless_empty("version", &version);
    json.close('}');
    Some(json.into_escaped())
}
