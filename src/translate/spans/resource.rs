//! The parts of a document that depend only on the resource. They are computed once for all its spans.

use std::borrow::Cow;

use super::annotations::{AnnotationMembers, AnnotationSelector, ResourceAnnotationWriter};
use super::key::OTEL_RESOURCE;
use super::options::Options;
use super::resource_attributes::ResourceAttributes;
use super::stack::Language;
use super::{aws, limits, origin, segment, value};
use crate::model::escaped_json::{EscapedJson, JsonWriter, limited};
use crate::model::otlp::borrowed::Value;
use crate::model::otlp::borrowed::{KeyValue, text};

/// The parts of a document that depend only on the resource.
pub(super) struct ResourceContext<'a> {
    /// The attributes without those that are repeated later.
    pub(super) unique: Vec<&'a KeyValue<'a>>,
    pub(super) origin: Option<&'static str>,
    /// The `service` object.
    pub(super) service: Option<EscapedJson>,
    /// `service.name`, which is empty if it is not a string.
    pub(super) service_name: Option<Cow<'a, str>>,
    pub(super) language: Language,
    /// `None` if the resource belongs to another cloud.
    pub(super) aws: Option<aws::AwsResourceBlocks<'a>>,
    pub(super) entries: ResourceEntries,
}

impl<'a> ResourceContext<'a> {
    pub(super) fn read(attributes: &'a [KeyValue<'a>], options: &'a Options) -> Self {
        let attributes = ResourceAttributes(attributes);
        let last = attributes.0.iter().enumerate().filter(|(at, _)| !value::is_repeated_later(attributes.0, *at));
        let unique: Vec<&KeyValue<'_>> = last.map(|(_, attribute)| attribute).collect();
        ResourceContext {
            origin: origin::origin(attributes),
            service: service_version(attributes).map(|version| segment::service(&version)),
            service_name: attributes.has("service.name").then(|| attributes.text("service.name")),
            language: Language::from_sdk_language(attributes.bytes("telemetry.sdk.language"), options.compat),
            aws: aws::AwsResourceBlocks::read(attributes, options),
            entries: ResourceEntries::write(&unique, &AnnotationSelector::for_resource(options), &|_| false),
            unique,
        }
    }
}

/// The attributes of a resource as members of annotations and of metadata.
pub(super) struct ResourceEntries {
    pub(super) annotations: AnnotationMembers,
    pub(super) metadata: EscapedJson,
}

impl ResourceEntries {
    /// Writes the attributes, except keys for which `is_replaced` is true, because a span attribute has the same key.
    pub(super) fn write(
        attributes: &[&KeyValue],
        selector: &AnnotationSelector<'_>,
        is_replaced: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut annotations = ResourceAnnotationWriter::new();
        let mut metadata = JsonWriter::with_limit(limits::BLOCK_BYTES);
        metadata.each(attributes, |metadata, attribute| {
            let Some(content) = value::content(attribute) else { return };
            let key = [OTEL_RESOURCE, limited(&text(attribute.key))].concat();
            if is_replaced(&key) {
                return;
            }
            if !annotations.write(&key, content, selector) {
                metadata.key(&key);
                value::write(metadata, content);
            }
        });
        ResourceEntries { annotations: annotations.finish(), metadata: metadata.into_escaped() }
    }
}

/// Returns `service.version` or, if that key is missing, the image tag. The version is empty if the value is not a
/// string, and `None` if no key is present.
fn service_version(attributes: ResourceAttributes<'_>) -> Option<Cow<'_, str>> {
    if attributes.has("service.version") {
        return Some(attributes.text("service.version"));
    }
    if let Some(Value::Array(tags)) = attributes.value("container.image.tags") {
        return Some(value::string(tags.values.first()?.value.as_ref()));
    }
    attributes.has("container.image.tag").then(|| attributes.text("container.image.tag"))
}
