//! `target_info`: the attributes of a resource, to be joined with its series by `job` and `instance`.

use std::collections::BTreeMap;

use super::context::{Translator, millis};
use super::labels::{join, warn_invalid_label};
use super::long_text::write_limited;
use super::options::Options;
use super::resource::{Counted, IDENTIFYING, ResourceLabels};
use crate::model::otlp::borrowed::{KeyValue, text};
use crate::model::series::Labels;
use crate::translate::limits::{LongLabels, MAX_VALUE_SIZE, VALUE_TOO_LONG};
use crate::translate::names::{self, MetricKind, NameError};

/// Writes 1 at the newest time of the resource's points. A resource without other attributes does not need `target_info`,
/// and a resource without `job` and `instance` could not be joined.
pub(super) fn write(attributes: &[KeyValue<'_>], resource: &ResourceLabels<'_>, context: &mut Translator<'_>) {
    let instance = resource.instance.as_deref().or(resource.client_instance);
    let has_other_attributes = attributes.iter().any(|attribute| !IDENTIFYING.contains(&attribute.key));
    let is_joinable = resource.job.is_some() || instance.is_some();
    if !context.options.target_info || !has_other_attributes || !is_joinable || context.newest_nanos == 0 {
        return;
    }
    let name = match name(context) {
        Ok(name) => name,
        Err(_) => return context.warn_not_written("invalid_name", "target_info"),
    };
    let exceeded = resource.exceeded.filter(|_| !context.options.is_relabelled_later);
    let labels = match exceeded.map_or_else(|| descriptive_labels(attributes, context), Err) {
        Ok(labels) => labels,
        Err(reason) => return context.warn_not_written(reason, &name),
    };
    let mut labels: Labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    labels.set("job", resource.job.as_deref().unwrap_or_default());
    if let Some(instance) = instance {
        labels.set("instance", instance);
    }
    for (key, value) in &context.options.external_labels {
        if let Some(name) = context.options.naming.label(key) {
            labels.set_default(&name, value);
        }
    }
    labels.set("__name__", &name);
    context.write_extra(&labels, millis(context.newest_nanos), 1.0);
}

/// Returns the name with the namespace, as that of every metric.
fn name(context: &Translator<'_>) -> Result<String, NameError> {
    names::metric("target_info", "", MetricKind::Other, &context.options.naming)
}

/// Builds labels of the attributes that are not in `job` and `instance`, by raw key. Values of the same label are joined.
/// An attribute without a valid name is dropped; the exporter drops all of `target_info`. Returns the limit of AMP that the labels
/// exceed, unless relabelling follows.
fn descriptive_labels(
    attributes: &[KeyValue<'_>],
    context: &mut Translator<'_>,
) -> Result<BTreeMap<String, String>, &'static str> {
    let mut sorted: Vec<&KeyValue<'_>> =
        attributes.iter().filter(|attribute| !IDENTIFYING.contains(&attribute.key)).collect();
    sorted.sort_by(|left, right| left.key.cmp(right.key));
    let is_limited = !context.options.is_relabelled_later;
    let (mut labels, mut counted) = (BTreeMap::new(), Counted::default());
    for attribute in sorted {
        let key = text(attribute.key);
        let name = match context.options.naming.target_label(&key) {
            Some(name) if name == "__name__" && context.is_adot() => continue,
            Some(name) if name == "__name__" => Some("exported___name__".into()),
            name => name,
        };
        // `job` and `instance` are replaced.
        let counts = is_limited && name.as_deref().is_some_and(|name| !matches!(name, "job" | "instance"));
        let mut value = String::new();
        let limited = context.options.limited_labels().filter(|_| counts);
        if let Some(length) = write_limited(attribute.value.as_ref(), limited, &mut value) {
            note_long(&key, length, context)?;
        }
        match name {
            _ if value.is_empty() => {}
            Some(name) => {
                let (is_new, bytes) = join(&mut labels, name.into_owned(), &value);
                if counts {
                    counted.add(is_new, bytes);
                }
            }
            None => warn_invalid_label(&key, &mut context.outcome.warnings),
        }
        if let Some(reason) = counted.exceeded() {
            return Err(reason);
        }
    }
    labels
        .retain(|_, value| !is_limited || value.len() <= MAX_VALUE_SIZE || shorten(value, context.options.long_labels));
    Ok(labels)
}

/// Counts a long label, unless the series of the resource have counted it. Returns an error if it costs the series.
fn note_long(key: &str, length: usize, context: &mut Translator<'_>) -> Result<(), &'static str> {
    let Options { resource_labels, long_labels, .. } = *context.options;
    if long_labels == LongLabels::Reject {
        return Err(VALUE_TOO_LONG);
    }
    if !resource_labels {
        context
            .outcome
            .warnings
            .add(VALUE_TOO_LONG, 1, || format!("target_info: {}", long_labels.describe(key, length)));
    }
    Ok(())
}

/// Cuts a value that became too long when it was joined. Returns whether its label remains; `Reject` leaves it to the check of the
/// series.
fn shorten(value: &mut String, long_labels: LongLabels) -> bool {
    if long_labels != LongLabels::Reject {
        value.truncate(long_labels.shortened(value).map_or(0, str::len));
    }
    !value.is_empty()
}
