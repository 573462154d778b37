//! Parses the `detail` of the EventBridge event "ECS Task State Change", which contains the task after the change.
//!
//! Format: Amazon ECS Developer Guide, "Amazon ECS task state change events". It differs from DescribeTasks in two
//! points: times are text, and the type of a network interface attachment is `eni`.

use serde::Deserialize;

use crate::model::ecs::{ContainerStatus, HealthStatus, LaunchType, NetworkMode, TaskStatus};
use crate::model::json::{self, DocumentError, JsonStr, LenientNumber};
use crate::model::task::{NetworkBinding, Task, TaskContainer};

/// Attribute that ECS sets on each task.
const CPU_ARCHITECTURE: &str = "ecs.cpu-architecture";

/// Parses the `detail` of an event. All fields are optional. The error contains the position.
pub fn parse_detail(detail: &[u8]) -> Result<Task, DocumentError> {
    json::parse::<Detail<'_>>("detail of a task state change", detail).map(|detail| detail.task())
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail<'a> {
    #[serde(borrow)]
    task_arn: JsonStr<'a>,
    cluster_arn: JsonStr<'a>,
    task_definition_arn: JsonStr<'a>,
    group: JsonStr<'a>,
    started_by: JsonStr<'a>,
    launch_type: LaunchType,
    capacity_provider_name: JsonStr<'a>,
    platform_family: JsonStr<'a>,
    platform_version: JsonStr<'a>,
    availability_zone: JsonStr<'a>,
    container_instance_arn: JsonStr<'a>,
    last_status: TaskStatus,
    desired_status: TaskStatus,
    cpu: LenientNumber,
    memory: LenientNumber,
    version: LenientNumber,
    created_at: JsonStr<'a>,
    pull_started_at: JsonStr<'a>,
    pull_stopped_at: JsonStr<'a>,
    started_at: JsonStr<'a>,
    stopping_at: JsonStr<'a>,
    execution_stopped_at: JsonStr<'a>,
    stopped_at: JsonStr<'a>,
    updated_at: JsonStr<'a>,
    stop_code: JsonStr<'a>,
    stopped_reason: JsonStr<'a>,
    ephemeral_storage: Option<EphemeralStorage>,
    overrides: Option<Overrides<'a>>,
    attachments: Option<Vec<Attachment<'a>>>,
    attributes: Option<Vec<NameValue<'a>>>,
    containers: Option<Vec<Container<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EphemeralStorage {
    #[serde(rename = "sizeInGiB")]
    size_in_gib: LenientNumber,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Overrides<'a> {
    #[serde(borrow)]
    task_role_arn: JsonStr<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attachment<'a> {
    #[serde(borrow, rename = "type")]
    kind: JsonStr<'a>,
    details: Option<Vec<NameValue<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NameValue<'a> {
    #[serde(borrow)]
    name: JsonStr<'a>,
    value: JsonStr<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container<'a> {
    #[serde(borrow)]
    name: JsonStr<'a>,
    image: JsonStr<'a>,
    image_digest: JsonStr<'a>,
    runtime_id: JsonStr<'a>,
    last_status: ContainerStatus,
    exit_code: LenientNumber,
    reason: JsonStr<'a>,
    health_status: HealthStatus,
    cpu: LenientNumber,
    memory: LenientNumber,
    gpu_ids: Option<Vec<JsonStr<'a>>>,
    network_bindings: Option<Vec<Binding<'a>>>,
    network_interfaces: Option<Vec<Interface<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Interface<'a> {
    #[serde(borrow, alias = "privateIPv4Address")]
    private_ipv4_address: JsonStr<'a>,
    ipv6_address: JsonStr<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Binding<'a> {
    container_port: LenientNumber,
    host_port: LenientNumber,
    #[serde(borrow)]
    protocol: JsonStr<'a>,
}

impl Detail<'_> {
    fn task(&self) -> Task {
        let mut task = Task::from_arn(&self.task_arn);
        if !self.cluster_arn.is_empty() {
            task.set_cluster(&self.cluster_arn);
        }
        task.set_definition(&self.task_definition_arn);
        task.set_group(&self.group);
        task.started_by = (*self.started_by).into();
        task.launch_type = self.launch_type.clone();
        task.capacity_provider = non_empty(&self.capacity_provider_name);
        task.platform_family = (*self.platform_family).into();
        task.platform_version = (*self.platform_version).into();
        let architecture = self.attributes.iter().flatten().find(|attribute| &*attribute.name == CPU_ARCHITECTURE);
        task.cpu_architecture = architecture.map_or("", |attribute| &*attribute.value).into();
        task.availability_zone = (*self.availability_zone).into();
        task.container_instance_arn = non_empty(&self.container_instance_arn);
        task.last_status = self.last_status.clone();
        task.desired_status = self.desired_status.clone();
        task.cpu = self.cpu.0;
        task.memory_mib = self.memory.as_u64();
        task.ephemeral_storage_gib = self.ephemeral_storage.as_ref().and_then(|storage| storage.size_in_gib.as_u64());
        task.version = self.version.as_u64().unwrap_or(0);
        task.stop_code = non_empty(&self.stop_code);
        task.stopped_reason = non_empty(&self.stopped_reason);
        task.task_role_arn = self.overrides.as_ref().and_then(|overrides| non_empty(&overrides.task_role_arn));
        task.containers = self.containers.iter().flatten().map(Container::container).collect();
        self.set_times(&mut task);
        self.set_interface(&mut task);
        task
    }

    fn set_times(&self, task: &mut Task) {
        task.created_at_ms = milliseconds(&self.created_at);
        task.pull_started_at_ms = milliseconds(&self.pull_started_at);
        task.pull_stopped_at_ms = milliseconds(&self.pull_stopped_at);
        task.started_at_ms = milliseconds(&self.started_at);
        task.stopping_at_ms = milliseconds(&self.stopping_at);
        task.execution_stopped_at_ms = milliseconds(&self.execution_stopped_at);
        task.stopped_at_ms = milliseconds(&self.stopped_at);
        task.updated_at_ms = milliseconds(&self.updated_at);
    }

    /// The event does not contain the network mode. A task with a network interface attachment uses `awsvpc`.
    fn set_interface<'s>(&'s self, task: &mut Task) {
        let mut attachments = self.attachments.iter().flatten();
        let Some(interface) =
            attachments.find(|attachment| matches!(&*attachment.kind, "eni" | "ElasticNetworkInterface"))
        else {
            return;
        };
        task.network_mode = NetworkMode::Awsvpc;
        let detail = |name: &str| {
            let detail = interface.details.iter().flatten().find(|detail| &*detail.name == name)?;
            Some(&*detail.value)
        };
        // In a subnet for IPv6 only, the interface has no IPv4 address.
        let of_container = |address: fn(&'s Interface<'s>) -> &'s str| {
            let containers = self.containers.iter().flatten();
            let mut interfaces = containers.flat_map(|container| container.network_interfaces.iter().flatten());
            interfaces.find_map(|interface| address(interface).parse().ok())
        };
        task.address = detail("privateIPv4Address")
            .and_then(|address| address.parse().ok())
            .or_else(|| of_container(|interface| &interface.private_ipv4_address))
            .or_else(|| detail("ipv6Address")?.parse().ok())
            .or_else(|| of_container(|interface| &interface.ipv6_address));
        task.private_dns_name = detail("privateDnsName").and_then(non_empty);
    }
}

impl Container<'_> {
    fn container(&self) -> TaskContainer {
        TaskContainer {
            name: (*self.name).into(),
            image: (*self.image).into(),
            image_digest: (*self.image_digest).into(),
            runtime_id: (*self.runtime_id).into(),
            last_status: self.last_status.clone(),
            exit_code: self.exit_code.0.map(|code| code as i32),
            reason: non_empty(&self.reason),
            health: self.health_status.clone(),
            cpu: self.cpu.0,
            memory_mib: self.memory.as_u64(),
            gpus: u32::try_from(self.gpu_ids.as_ref().map_or(0, Vec::len)).unwrap_or(u32::MAX),
            network_bindings: self.network_bindings.iter().flatten().filter_map(Binding::binding).collect(),
            ..TaskContainer::default()
        }
    }
}

impl Binding<'_> {
    fn binding(&self) -> Option<NetworkBinding> {
        let port = |number: LenientNumber| u16::try_from(number.as_u64()?).ok();
        Some(NetworkBinding {
            container_port: port(self.container_port)?,
            host_port: port(self.host_port)?,
            protocol: (*self.protocol).into(),
        })
    }
}

fn non_empty(text: &str) -> Option<std::sync::Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}

fn milliseconds(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOPPED: &str = r#"{"taskArn":"arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e",
        "clusterArn":"arn:aws:ecs:eu-west-1:111122223333:cluster/shop","group":"service:cart-svc",
        "taskDefinitionArn":"arn:aws:ecs:eu-west-1:111122223333:task-definition/cart:12","launchType":"FARGATE",
        "cpu":"512","memory":"1024","lastStatus":"STOPPED","version":7,"stoppedAt":"2026-03-04T09:00:02.5Z",
        "stopCode":"EssentialContainerExited","attachments":[{"type":"eni","details":[
        {"name":"subnetId","value":"subnet-1"},{"name":"privateIPv4Address","value":"10.2.3.4"}]}],
        "containers":[{"name":"cart","lastStatus":"STOPPED","exitCode":137,"cpu":"256","reason":"OutOfMemoryError: killed",
        "networkBindings":[{"containerPort":80,"hostPort":32768,"protocol":"tcp"},{"containerPort":"x"}]}],"new":{}}"#;

    #[test]
    fn state_change_is_parsed_into_a_task() {
        let task = parse_detail(STOPPED.as_bytes()).unwrap();
        assert_eq!((&*task.id, &*task.cluster, task.service.as_deref()), ("5f0e", "shop", Some("cart-svc")));
        assert_eq!((&*task.family, &*task.revision, task.version), ("cart", "12", 7));
        assert_eq!((task.cpu, task.memory_mib, task.network_mode), (Some(512.0), Some(1024), NetworkMode::Awsvpc));
        assert_eq!(task.address, Some([10, 2, 3, 4].into()));
        assert_eq!(task.stopped_at_ms, Some(1_772_614_802_500));
        let container = &task.containers[0];
        assert_eq!((container.exit_code, container.cpu), (Some(137), Some(256.0)));
        assert_eq!(container.network_bindings.len(), 1);
    }

    #[test]
    fn address_is_ipv4_or_else_ipv6_of_attachment_or_interface() {
        let ipv4 = r#"{"name":"privateIPv4Address","value":"10.2.3.4"}"#;
        let ipv6 = r#"{"name":"ipv6Address","value":"2001:db8::1"}"#;
        for (details, interface, expected) in [
            (format!("{ipv6},{ipv4}"), "{}", Some("10.2.3.4")),
            (ipv6.to_owned(), "{}", Some("2001:db8::1")),
            (ipv6.to_owned(), r#"{"privateIpv4Address":"10.9.9.9"}"#, Some("10.9.9.9")),
            (String::new(), r#"{"ipv6Address":"fd00::7","attachmentId":"a"}"#, Some("fd00::7")),
            (String::new(), r#"{"privateIpv4Address":"10.9.9.9","ipv6Address":"fd00::7"}"#, Some("10.9.9.9")),
            (r#"{"name":"ipv6Address","value":"none"}"#.to_owned(), "{}", None),
            (String::new(), "{}", None),
        ] {
            let event = format!(
                r#"{{"attachments":[{{"type":"eni","details":[{details}]}}],"containers":[{{"networkInterfaces":[{interface}]}}]}}"#
            );
            let task = parse_detail(event.as_bytes()).unwrap();
            let expected = expected.map(|address| address.parse::<std::net::IpAddr>().unwrap());
            assert_eq!((task.address, task.network_mode), (expected, NetworkMode::Awsvpc), "{event}");
        }
    }

    #[test]
    fn older_event_is_not_newer() {
        let newer = parse_detail(STOPPED.as_bytes()).unwrap();
        let older = parse_detail(STOPPED.replace("\"version\":7", "\"version\":5").as_bytes()).unwrap();
        assert!(newer.is_newer_than(&older));
        assert!(!older.is_newer_than(&newer));
    }

    #[test]
    fn missing_and_null_fields_are_unknown_other_json_is_an_error() {
        let task = parse_detail(br#"{"taskArn":null,"containers":null,"cpu":{},"attachments":[{}]}"#).unwrap();
        assert_eq!(task, Task::default());
        assert!(parse_detail(b"[]").is_err() || parse_detail(b"[]").unwrap() == Task::default());
        assert!(parse_detail(b"not json").is_err());
    }
}
