//! Task definition without its sidecars.

use serde_json::{Map, Value};

use super::error::InputError;
use super::report::MigrationReport;
use crate::sidecars::{is_collector, is_sidecar};

/// Fields that DescribeTaskDefinition returns and RegisterTaskDefinition rejects.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html>
const READ_ONLY: [&str; 8] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
];

/// A removed container.
pub(super) struct Sidecar {
    pub(super) name: String,
    /// False for the X-Ray daemon.
    pub(super) is_collector: bool,
    pub(super) container: Value,
}

impl Sidecar {
    pub(super) fn image(&self) -> &str {
        text(&self.container, "image")
    }

    /// Returns an environment variable.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let entry = items(&self.container, "environment").find(|entry| text(entry, "name") == name)?;
        entry["value"].as_str()
    }

    /// Returns the source of a secret.
    pub(super) fn secret(&self, name: &str) -> Option<&str> {
        let entry = items(&self.container, "secrets").find(|entry| text(entry, "name") == name)?;
        entry["valueFrom"].as_str()
    }
}

/// Returns a text field, or an empty string if it is missing.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Returns the items of a list field, or none if it is missing.
pub(super) fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// Returns the definition without its wrapper and without read-only fields.
pub(super) fn registrable(parsed: Value) -> Result<Value, InputError> {
    let Value::Object(mut outer) = parsed else { return Err(InputError::Definition("not a JSON object".into())) };
    let tags = outer.get("tags").cloned();
    let mut inner = match outer.remove("taskDefinition") {
        Some(Value::Object(inner)) => inner,
        Some(_) => return Err(InputError::Definition("taskDefinition is not an object".into())),
        None => outer,
    };
    for field in READ_ONLY {
        inner.remove(field);
    }
    if let Some(tags) = tags.filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty())) {
        inner.insert("tags".into(), tags);
    } else {
        inner.remove("tags");
    }
    let containers = inner.get("containerDefinitions").and_then(Value::as_array);
    let containers = containers.ok_or_else(|| InputError::Definition("containerDefinitions is not a list".into()))?;
    if let Some(index) = containers.iter().position(|container| !container["name"].is_string()) {
        return Err(InputError::Definition(format!("containerDefinitions[{index}] has no name")));
    }
    Ok(Value::Object(inner))
}

/// Removes the sidecars. An error if there are no sidecars or no other containers.
pub(super) fn without_sidecars(definition: &mut Value) -> Result<Vec<Sidecar>, InputError> {
    let Some(containers) = definition["containerDefinitions"].as_array_mut() else { return Ok(Vec::new()) };
    let (mut sidecars, mut rest) = (Vec::new(), Vec::new());
    for container in std::mem::take(containers) {
        let image = text(&container, "image");
        if is_sidecar(image) {
            let is_collector = is_collector(image);
            sidecars.push(Sidecar { name: text(&container, "name").to_owned(), is_collector, container });
        } else {
            rest.push(container);
        }
    }
    if sidecars.is_empty() {
        return Err(InputError::NoSidecar);
    }
    if rest.is_empty() {
        return Err(InputError::OnlySidecars);
    }
    *containers = rest;
    Ok(sidecars)
}

/// Removes references to sidecars: dependencies, links and volumes.
pub(super) fn remove_references(sidecars: &[Sidecar], definition: &mut Value, report: &mut MigrationReport) {
    let is_removed = |name: &str| sidecars.iter().any(|sidecar| sidecar.name == name);
    if let Some(name) = definition["proxyConfiguration"]["containerName"].as_str().filter(|name| is_removed(name)) {
        report.add_unsupported(
            format!("proxyConfiguration.containerName={name}"),
            "it refers to the removed container: remove the proxy or change it",
        );
    }
    for container in definition["containerDefinitions"].as_array_mut().into_iter().flatten() {
        let Some(container) = container.as_object_mut() else { continue };
        retain(container, "dependsOn", |entry| !is_removed(text(entry, "containerName")));
        retain(container, "volumesFrom", |entry| !is_removed(text(entry, "sourceContainer")));
        retain(container, "links", |entry| {
            !is_removed(entry.as_str().unwrap_or_default().split(':').next().unwrap_or_default())
        });
    }
    let mounts = |container: &Value, volume: &str| {
        items(container, "mountPoints").any(|mount| text(mount, "sourceVolume") == volume)
    };
    let rest: Vec<Value> = items(definition, "containerDefinitions").cloned().collect();
    let Some(definition) = definition.as_object_mut() else { return };
    retain(definition, "volumes", |volume| {
        let name = text(volume, "name");
        let was_mounted = sidecars.iter().any(|sidecar| mounts(&sidecar.container, name));
        !was_mounted || rest.iter().any(|container| mounts(container, name))
    });
    if !rest.iter().any(|container| container["essential"].as_bool().unwrap_or(true)) {
        report.add_unsupported(
            "essential",
            "no remaining container is essential, but ECS requires one: set it on the container of the application",
        );
    }
}

/// Removes items of a list, and the list if it becomes empty.
fn retain(object: &mut Map<String, Value>, key: &str, keep: impl Fn(&Value) -> bool) {
    let Some(list) = object.get_mut(key).and_then(Value::as_array_mut) else { return };
    let before = list.len();
    list.retain(keep);
    if list.is_empty() && before > 0 {
        object.remove(key);
    }
}
