//! Converts the SDK types of DescribeTasks responses to [`Task`]. Makes no calls.

use std::sync::Arc;

use aws_sdk_ecs::types as ecs;
use aws_smithy_types::DateTime;

use crate::model::task::{NetworkBinding, Task, TaskContainer};

/// Attachment type of the network interface of a task.
const NETWORK_INTERFACE: &str = "ElasticNetworkInterface";

/// Attribute that ECS sets on each task.
const CPU_ARCHITECTURE: &str = "ecs.cpu-architecture";

/// Returns `None` if the response has no task ARN.
pub(super) fn task(described: &ecs::Task) -> Option<Task> {
    let mut task = Task::from_arn(described.task_arn()?);
    task.set_cluster(described.cluster_arn().unwrap_or_default());
    task.set_definition(described.task_definition_arn().unwrap_or_default());
    task.set_group(described.group().unwrap_or_default());
    task.launch_type = described.launch_type().map(ecs::LaunchType::as_str).unwrap_or_default().into();
    task.capacity_provider = described.capacity_provider_name().map(Into::into);
    task.availability_zone = text(described.availability_zone());
    task.last_status = described.last_status().unwrap_or_default().into();
    task.desired_status = described.desired_status().unwrap_or_default().into();
    task.started_by = text(described.started_by());
    task.cpu = described.cpu().and_then(|units| units.parse().ok());
    task.memory_mib = described.memory().and_then(|mib| mib.parse().ok());
    task.ephemeral_storage_gib =
        described.ephemeral_storage().and_then(|storage| u64::try_from(storage.size_in_gib()).ok());
    task.address = interface(described, "privateIPv4Address").and_then(|address| address.parse().ok());
    task.private_dns_name = interface(described, "privateDnsName").map(Into::into);
    task.container_instance_arn = described.container_instance_arn().map(Into::into);
    task.platform_family = text(described.platform_family());
    task.cpu_architecture = attribute(described, CPU_ARCHITECTURE);
    task.task_role_arn = described.overrides().and_then(|overrides| overrides.task_role_arn()).map(Into::into);
    task.stop_code = described.stop_code().map(|code| code.as_str().into());
    task.stopped_reason = described.stopped_reason().map(Into::into);
    task.version = u64::try_from(described.version()).unwrap_or_default();
    task.tags = described.tags().iter().map(|tag| (text(tag.key()), text(tag.value()))).collect();
    task.containers = described.containers().iter().map(container).collect();
    set_times(&mut task, described);
    Some(task)
}

fn set_times(task: &mut Task, described: &ecs::Task) {
    task.created_at_ms = millis(described.created_at());
    task.pull_started_at_ms = millis(described.pull_started_at());
    task.pull_stopped_at_ms = millis(described.pull_stopped_at());
    task.started_at_ms = millis(described.started_at());
    task.stopping_at_ms = millis(described.stopping_at());
    task.execution_stopped_at_ms = millis(described.execution_stopped_at());
    task.stopped_at_ms = millis(described.stopped_at());
}

fn container(described: &ecs::Container) -> TaskContainer {
    TaskContainer {
        name: text(described.name()),
        image: text(described.image()),
        image_digest: text(described.image_digest()),
        runtime_id: text(described.runtime_id()),
        last_status: described.last_status().unwrap_or_default().into(),
        exit_code: described.exit_code(),
        reason: described.reason().map(Into::into),
        health: described.health_status().map(ecs::HealthStatus::as_str).unwrap_or_default().into(),
        cpu: described.cpu().and_then(|units| units.parse().ok()),
        memory_mib: described.memory().and_then(|mib| mib.parse().ok()),
        network_bindings: described.network_bindings().iter().filter_map(binding).collect(),
        ..TaskContainer::default()
    }
}

fn binding(described: &ecs::NetworkBinding) -> Option<NetworkBinding> {
    Some(NetworkBinding {
        container_port: u16::try_from(described.container_port()?).ok()?,
        host_port: u16::try_from(described.host_port()?).ok()?,
        protocol: described.protocol().map(ecs::TransportProtocol::as_str).unwrap_or("tcp").into(),
    })
}

/// Returns a detail of the network interface of a task.
fn interface<'a>(described: &'a ecs::Task, name: &str) -> Option<&'a str> {
    let attachments = described.attachments().iter();
    let mut interfaces = attachments.filter(|attachment| attachment.r#type() == Some(NETWORK_INTERFACE));
    interfaces.find_map(|attachment| attachment.details().iter().find(|detail| detail.name() == Some(name))?.value())
}

fn attribute(described: &ecs::Task, name: &str) -> Arc<str> {
    let attribute = described.attributes().iter().find(|attribute| attribute.name() == name);
    text(attribute.and_then(|attribute| attribute.value()))
}

fn text(text: Option<&str>) -> Arc<str> {
    text.unwrap_or_default().into()
}

/// ECS sends times as seconds with a fraction, which a float cannot represent exactly. The nearest millisecond equals
/// the time in the state change event, which is text.
fn millis(time: Option<&DateTime>) -> Option<i64> {
    i64::try_from((time?.as_nanos() + 500_000).div_euclid(1_000_000)).ok()
}
