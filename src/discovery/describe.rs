//! Converts the SDK types of descriptions to the types of `model`. Makes no calls.

use std::net::IpAddr;
use std::sync::Arc;

use aws_sdk_ecs::types as ecs;
use aws_smithy_types::DateTime;

use crate::model::arn;
use crate::model::cluster::Cluster;
use crate::model::container_instance::{Capacity, ContainerInstance};
use crate::model::ecs::ContainerInsights;
use crate::model::service::{Deployment, DiscoveryName, Service};
use crate::model::task::{NetworkBinding, Tag, Task, TaskContainer};

/// Attachment type of the network interface of a task.
const NETWORK_INTERFACE: &str = "ElasticNetworkInterface";

/// Details of a network interface.
const PRIVATE_IPV4: &str = "privateIPv4Address";
const IPV6: &str = "ipv6Address";

/// Attribute that ECS sets on each task.
const CPU_ARCHITECTURE: &str = "ecs.cpu-architecture";

/// Attribute that ECS sets on each container instance in EC2.
const AVAILABILITY_ZONE: &str = "ecs.availability-zone";

/// Status of the newest deployment of a service.
const PRIMARY: &str = "PRIMARY";

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
    task.health = described.health_status().map(ecs::HealthStatus::as_str).unwrap_or_default().into();
    task.connectivity = described.connectivity().map(ecs::Connectivity::as_str).unwrap_or_default().into();
    task.started_by = text(described.started_by());
    task.cpu = described.cpu().and_then(|units| units.parse().ok());
    task.memory_mib = described.memory().and_then(|mib| mib.parse().ok());
    task.ephemeral_storage_gib =
        described.ephemeral_storage().and_then(|storage| u64::try_from(storage.size_in_gib()).ok());
    task.address = address(described);
    task.private_dns_name = interface(described, "privateDnsName").map(Into::into);
    task.container_instance_arn = described.container_instance_arn().map(Into::into);
    task.platform_family = text(described.platform_family());
    task.platform_version = text(described.platform_version());
    task.cpu_architecture = attribute(described.attributes(), CPU_ARCHITECTURE);
    task.task_role_arn = described.overrides().and_then(|overrides| overrides.task_role_arn()).map(Into::into);
    task.stop_code = described.stop_code().map(|code| code.as_str().into());
    task.stopped_reason = described.stopped_reason().map(Into::into);
    task.version = u64::try_from(described.version()).unwrap_or_default();
    task.tags = tags(described.tags());
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
        gpus: u32::try_from(described.gpu_ids().len()).unwrap_or(u32::MAX),
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

/// Returns the address of the network interface of a task. In a subnet for IPv6 only, it has no IPv4 address. Without an attachment,
/// the interfaces of its containers have the address of the task.
fn address(described: &ecs::Task) -> Option<IpAddr> {
    let of_attachment = |name| interface(described, name)?.parse().ok();
    let interfaces = || described.containers().iter().flat_map(ecs::Container::network_interfaces);
    let of_containers = |address: fn(&ecs::NetworkInterface) -> Option<&str>| {
        interfaces().find_map(|interface| address(interface)?.parse().ok())
    };
    of_attachment(PRIVATE_IPV4)
        .or_else(|| of_containers(ecs::NetworkInterface::private_ipv4_address))
        .or_else(|| of_attachment(IPV6))
        .or_else(|| of_containers(ecs::NetworkInterface::ipv6_address))
}

/// Returns a detail of the network interface of a task.
fn interface<'a>(described: &'a ecs::Task, name: &str) -> Option<&'a str> {
    let attachments = described.attachments().iter();
    let mut interfaces = attachments.filter(|attachment| attachment.r#type() == Some(NETWORK_INTERFACE));
    interfaces.find_map(|attachment| attachment.details().iter().find(|detail| detail.name() == Some(name))?.value())
}

fn attribute(attributes: &[ecs::Attribute], name: &str) -> Arc<str> {
    let attribute = attributes.iter().find(|attribute| attribute.name() == name);
    text(attribute.and_then(|attribute| attribute.value()))
}

/// ECS never sends a negative count.
fn count(count: i32) -> u32 {
    u32::try_from(count).unwrap_or_default()
}

fn tags(tags: &[ecs::Tag]) -> Vec<Tag> {
    tags.iter().map(|tag| (text(tag.key()), text(tag.value()))).collect()
}

/// Returns `None` if the response has no cluster ARN.
pub(super) fn cluster(described: &ecs::Cluster) -> Option<Cluster> {
    let settings = described.settings().iter();
    let mut insights = settings.filter(|setting| setting.name() == Some(&ecs::ClusterSettingName::ContainerInsights));
    let insights = insights.find_map(|setting| setting.value()).map(ContainerInsights::parse);
    Some(Cluster {
        running_tasks: count(described.running_tasks_count()),
        pending_tasks: count(described.pending_tasks_count()),
        active_services: count(described.active_services_count()),
        container_instances: count(described.registered_container_instances_count()),
        container_insights: insights.unwrap_or_default(),
        tags: tags(described.tags()).into(),
        ..Cluster::from_arn(described.cluster_arn()?)
    })
}

/// Returns `None` if the response has no service ARN.
pub(super) fn service(described: &ecs::Service, cluster: &str) -> Option<Service> {
    let providers = described.capacity_provider_strategy().iter();
    let providers: Vec<&str> = providers.map(ecs::CapacityProviderStrategyItem::capacity_provider).collect();
    let controller = described.deployment_controller().map(|controller| controller.r#type().as_str());
    let definition = described.task_definition().and_then(arn::family_and_revision);
    let primary = described.deployments().iter().find(|deployment| deployment.status() == Some(PRIMARY));
    Some(Service {
        status: described.status().unwrap_or_default().into(),
        desired_tasks: count(described.desired_count()),
        running_tasks: count(described.running_count()),
        pending_tasks: count(described.pending_count()),
        deployments: u32::try_from(described.deployments().len()).unwrap_or(u32::MAX),
        task_sets: u32::try_from(described.task_sets().len()).unwrap_or(u32::MAX),
        launch_type: described.launch_type().map(ecs::LaunchType::as_str).unwrap_or_default().into(),
        capacity_provider: providers.join(",").into(),
        scheduling_strategy: text(described.scheduling_strategy().map(ecs::SchedulingStrategy::as_str)),
        // A service without a controller in its description has the default one.
        deployment_controller: controller.unwrap_or("ECS").into(),
        task_definition_family: text(definition.map(|(family, _)| family)),
        created_at_ms: millis(described.created_at()),
        primary: primary.map(deployment),
        discovery_names: primary.map(discovery_names).unwrap_or_default(),
        ..Service::from_arn(described.service_arn()?, cluster)
    })
}

fn deployment(described: &ecs::Deployment) -> Deployment {
    Deployment {
        rollout_state: described.rollout_state().map(ecs::DeploymentRolloutState::as_str).unwrap_or_default().into(),
        failed_tasks: count(described.failed_tasks()),
        desired_tasks: count(described.desired_count()),
        running_tasks: count(described.running_count()),
        pending_tasks: count(described.pending_count()),
        created_at_ms: millis(described.created_at()),
        updated_at_ms: millis(described.updated_at()),
    }
}

/// Returns the names of a service in Service Connect. A client-only service has none.
fn discovery_names(deployment: &ecs::Deployment) -> Arc<[DiscoveryName]> {
    let connect = deployment.service_connect_configuration().filter(|connect| connect.enabled());
    let services = connect.map(ecs::ServiceConnectConfiguration::services).unwrap_or_default();
    let name = |service: &ecs::ServiceConnectService| {
        let name = service.discovery_name().filter(|name| !name.is_empty());
        // The default is the name of the port (Amazon ECS API Reference, ServiceConnectService).
        DiscoveryName { name: name.unwrap_or(service.port_name()).into(), has_tls: service.tls().is_some() }
    };
    services.iter().map(name).filter(|name| !name.name.is_empty()).collect()
}

/// Returns `None` if the response has no ARN.
pub(super) fn container_instance(described: &ecs::ContainerInstance, cluster: &str) -> Option<ContainerInstance> {
    Some(ContainerInstance {
        ec2_instance_id: text(described.ec2_instance_id()),
        capacity_provider: text(described.capacity_provider_name()),
        availability_zone: attribute(described.attributes(), AVAILABILITY_ZONE),
        status: described.status().unwrap_or_default().into(),
        agent_connected: described.agent_connected(),
        registered: capacity(described.registered_resources()),
        remaining: capacity(described.remaining_resources()),
        running_tasks: count(described.running_tasks_count()),
        pending_tasks: count(described.pending_tasks_count()),
        ..ContainerInstance::from_arn(described.container_instance_arn()?, cluster)
    })
}

fn capacity(resources: &[ecs::Resource]) -> Capacity {
    let value = |name| {
        let resource = resources.iter().find(|resource| resource.name() == Some(name));
        resource.map(ecs::Resource::integer_value)
    };
    Capacity { cpu: value("CPU"), memory_mib: value("MEMORY") }
}

fn text(text: Option<&str>) -> Arc<str> {
    text.unwrap_or_default().into()
}

/// ECS sends times as seconds with a fraction, which a float cannot represent exactly. The nearest millisecond equals
/// the time in the state change event, which is text.
fn millis(time: Option<&DateTime>) -> Option<i64> {
    i64::try_from((time?.as_nanos() + 500_000).div_euclid(1_000_000)).ok()
}
