//! `target_info`: the attributes of a resource, to be joined with its series by `job` and `instance`.

use super::context::{Translator, millis};
use super::labels::warn_invalid_label;
use super::resource::{IDENTIFYING, ResourceLabels};
use crate::model::otlp::{KeyValue, text};
use crate::model::series::Labels;
use crate::translate::attributes::write_value;
use crate::translate::names;

/// Writes 1 at the newest time of the resource's points. A resource without other attributes does not need `target_info`,
/// and a resource without `job` and `instance` could not be joined.
pub(super) fn write(attributes: &[KeyValue], resource: &ResourceLabels<'_>, context: &mut Translator<'_>) {
    let instance = resource.instance.as_deref().or(resource.client_instance);
    let has_other_attributes = attributes.iter().any(|attribute| !IDENTIFYING.contains(&attribute.key.as_ref()));
    let is_joinable = resource.job.is_some() || instance.is_some();
    if !context.options.target_info || !has_other_attributes || !is_joinable || context.newest_nanos == 0 {
        return;
    }
    let mut labels = descriptive_labels(attributes, context);
    labels.set("job", resource.job.as_deref().unwrap_or_default());
    if let Some(instance) = instance {
        labels.set("instance", instance);
    }
    for (key, value) in &context.options.external_labels {
        if let Some(name) = names::label(key) {
            labels.set_default(&name, value);
        }
    }
    let namespace = &context.options.naming.namespace;
    let name = if namespace.is_empty() { "target_info".to_owned() } else { format!("{namespace}_target_info") };
    labels.set("__name__", &name);
    context.write_extra(&labels, millis(context.newest_nanos), 1.0);
}

/// Builds labels of the attributes that are not in `job` and `instance`, by raw key. Values of the same label are joined.
/// An attribute without a valid name is dropped; the exporter drops all of `target_info`.
fn descriptive_labels(attributes: &[KeyValue], context: &mut Translator<'_>) -> Labels {
    let mut sorted: Vec<&KeyValue> =
        attributes.iter().filter(|attribute| !IDENTIFYING.contains(&attribute.key.as_ref())).collect();
    sorted.sort_by(|left, right| left.key.cmp(&right.key));
    let mut labels = Labels::default();
    for attribute in sorted {
        let mut value = String::new();
        write_value(attribute.value.as_ref(), &mut value);
        let key = text(&attribute.key);
        match names::target_label(&key) {
            Some(name) if name == "__name__" && context.is_adot() => {}
            Some(name) if name == "__name__" => labels.set("exported___name__", &value),
            Some(name) => join(&mut labels, &name, value),
            None if value.is_empty() => {}
            None => warn_invalid_label(&key, &mut context.outcome.warnings),
        }
    }
    labels
}

fn join(labels: &mut Labels, name: &str, value: String) {
    match labels.get(name) {
        Some(joined) if !value.is_empty() && joined != value => {
            let joined = format!("{joined};{value}");
            labels.set(name, &joined);
        }
        Some(_) => {}
        None => labels.set(name, &value),
    }
}
