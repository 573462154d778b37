//! A task of Amazon ECS, from DescribeTasks with its task definition or from a state change event. Parsing is in
//! `discovery::describe` and `model::task_event`.
//!
//! Times are in milliseconds since 1970, CPU in CPU units (1024 are one vCPU), memory in MiB. Values that ECS did not
//! send are `None`, empty or unspecified.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::arn::{self, TaskArn};
use crate::model::ecs::{
    Connectivity, ContainerInsights, ContainerStatus, HealthStatus, LaunchType, NetworkLocation, NetworkMode,
    TaskStatus,
};

/// Name and value of a tag.
pub type Tag = (Arc<str>, Arc<str>);

/// One task. All values of `Default` are unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub arn: Arc<str>,
    /// Last part of the ARN.
    pub id: Arc<str>,
    pub cluster_arn: Arc<str>,
    /// Short name.
    pub cluster: Arc<str>,
    pub account: Arc<str>,
    pub region: Arc<str>,
    pub partition: Arc<str>,
    pub family: Arc<str>,
    pub revision: Arc<str>,
    pub definition_arn: Arc<str>,
    /// `service:<name>` for tasks of a service, `family:<name>` for standalone tasks, or the group passed to RunTask.
    pub group: Arc<str>,
    /// Service name, from the group.
    pub service: Option<Arc<str>>,
    pub launch_type: LaunchType,
    pub capacity_provider: Option<Arc<str>>,
    pub availability_zone: Arc<str>,
    pub last_status: TaskStatus,
    pub desired_status: TaskStatus,
    /// Result of the health checks of the essential containers.
    pub health: HealthStatus,
    pub connectivity: Connectivity,
    /// Deployment id (`ecs-svc/...`) for tasks of a service.
    pub started_by: Arc<str>,
    /// CPU units of the full task.
    pub cpu: Option<f64>,
    /// MiB of the full task.
    pub memory_mib: Option<u64>,
    /// GiB, Fargate only.
    pub ephemeral_storage_gib: Option<u64>,
    /// Address of the task's network interface or of its host, see [`Task::network_location`].
    pub address: Option<IpAddr>,
    pub private_dns_name: Option<Arc<str>>,
    /// Unspecified when the task definition has none.
    pub network_mode: NetworkMode,
    pub container_instance_arn: Option<Arc<str>>,
    pub ec2_instance_id: Option<Arc<str>>,
    pub platform_family: Arc<str>,
    /// Fargate only.
    pub platform_version: Arc<str>,
    /// `x86_64` or `arm64` from the task, `X86_64` or `ARM64` from its definition; may be empty.
    pub cpu_architecture: Arc<str>,
    /// From the overrides of the task or else from its definition.
    pub task_role_arn: Option<Arc<str>>,
    pub created_at_ms: Option<i64>,
    pub pull_started_at_ms: Option<i64>,
    pub pull_stopped_at_ms: Option<i64>,
    pub started_at_ms: Option<i64>,
    pub stopping_at_ms: Option<i64>,
    pub execution_stopped_at_ms: Option<i64>,
    pub stopped_at_ms: Option<i64>,
    /// Time of the state change event.
    pub updated_at_ms: Option<i64>,
    /// `EssentialContainerExited`, `TaskFailedToStart`, ... of a stopped or stopping task.
    pub stop_code: Option<Arc<str>>,
    pub stopped_reason: Option<Arc<str>>,
    /// Increases with each change of the task.
    pub version: u64,
    pub tags: Vec<Tag>,
    /// Only present if a setting uses them.
    pub cluster_tags: Arc<[Tag]>,
    /// Setting of the cluster.
    pub container_insights: ContainerInsights,
    pub containers: Vec<TaskContainer>,
}

/// One container of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskContainer {
    pub name: Arc<str>,
    pub image: Arc<str>,
    pub image_digest: Arc<str>,
    /// Id in the container runtime, `DockerId` in the task metadata endpoint.
    pub runtime_id: Arc<str>,
    pub last_status: ContainerStatus,
    pub exit_code: Option<i32>,
    pub reason: Option<Arc<str>>,
    /// From the task definition.
    pub essential: Option<bool>,
    pub health: HealthStatus,
    /// Whether the task definition has a health check. ECS ignores those of images.
    pub has_health_check: bool,
    /// CPU units.
    pub cpu: Option<f64>,
    /// Hard limit in MiB.
    pub memory_mib: Option<u64>,
    /// Number of GPUs that ECS assigned.
    pub gpus: u32,
    pub docker_labels: Vec<(Arc<str>, Arc<str>)>,
    /// Option of the `awslogs` log driver.
    pub log_group: Option<Arc<str>>,
    pub log_stream_prefix: Option<Arc<str>>,
    pub port_mappings: Vec<PortMapping>,
    pub network_bindings: Vec<NetworkBinding>,
}

/// A port mapping of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortMapping {
    pub container_port: u16,
    /// 0 requests a dynamic port.
    pub host_port: u16,
    pub protocol: Arc<str>,
}

/// A container port that is bound on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkBinding {
    pub container_port: u16,
    pub host_port: u16,
    pub protocol: Arc<str>,
}

/// Memory of the texts of a task or container that have about the same length everywhere, such as ARNs and statuses.
const USUAL_TEXT_BYTES: usize = 1_024;

impl Task {
    /// Returns the memory of the task in bytes, for the limit of a cache. Its tags and docker labels are measured, because their
    /// size is the choice of whoever starts the task.
    pub fn size(&self) -> usize {
        let pairs = |pairs: &[(Arc<str>, Arc<str>)]| -> usize {
            pairs.iter().map(|(name, value)| size_of::<Tag>() + name.len() + value.len()).sum()
        };
        let container = |container: &TaskContainer| {
            let ports = size_of_val(&*container.port_mappings) + size_of_val(&*container.network_bindings);
            size_of::<TaskContainer>() + USUAL_TEXT_BYTES + pairs(&container.docker_labels) + ports
        };
        let containers: usize = self.containers.iter().map(container).sum();
        size_of::<Self>() + USUAL_TEXT_BYTES + pairs(&self.tags) + pairs(&self.cluster_tags) + containers
    }

    /// Returns a task with the values of its ARN: id, partition, region, account and, in the new ARN format, the
    /// cluster.
    pub fn from_arn(arn: &str) -> Self {
        let mut task = Task { arn: arn.into(), ..Task::default() };
        if let Some(parsed) = TaskArn::parse(arn) {
            task.id = parsed.id.into();
            task.partition = parsed.arn.partition.into();
            task.region = parsed.arn.region.into();
            task.account = parsed.arn.account.into();
            task.cluster = parsed.cluster.unwrap_or_default().into();
        }
        task
    }

    /// Sets the cluster from a name or ARN.
    pub fn set_cluster(&mut self, cluster: &str) {
        self.cluster_arn = cluster.into();
        self.cluster = arn::cluster_name(cluster).into();
    }

    /// Sets the task definition, its family and its revision.
    pub fn set_definition(&mut self, definition_arn: &str) {
        self.definition_arn = definition_arn.into();
        if let Some((family, revision)) = arn::family_and_revision(definition_arn) {
            self.family = family.into();
            self.revision = revision.into();
        }
    }

    /// Sets the group and the service in it, which makes ListServices calls unnecessary.
    pub fn set_group(&mut self, group: &str) {
        self.group = group.into();
        self.service = group.strip_prefix("service:").filter(|name| !name.is_empty()).map(Into::into);
    }

    /// Returns the id of the deployment that started the task; `None` for a task without a service.
    pub fn deployment(&self) -> Option<&str> {
        Some(&*self.started_by).filter(|id| id.starts_with("ecs-svc/"))
    }

    /// Returns whose network interface the task uses.
    pub fn network_location(&self) -> NetworkLocation {
        NetworkLocation::new(&self.network_mode, &self.launch_type)
    }

    pub fn container(&self, name: &str) -> Option<&TaskContainer> {
        self.containers.iter().find(|container| *container.name == *name)
    }

    /// Returns whether this state of the task is newer. State change events may be repeated and may arrive out of
    /// order, so only a higher version is newer (Amazon ECS Developer Guide, "Amazon ECS events").
    pub fn is_newer_than(&self, other: &Task) -> bool {
        self.version > other.version
    }
}

impl TaskContainer {
    /// Returns whether ECS reports that the container has stopped.
    pub fn has_stopped(&self) -> bool {
        self.last_status == ContainerStatus::Stopped
    }

    pub fn docker_label(&self, name: &str) -> Option<&str> {
        self.docker_labels.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
    }
}

/// Returns whether a path can be used in a URL unchanged, without query, escapes or user names.
pub fn is_plain_path(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.~".contains(c))
}

/// Returns whether a path, which may have a query, can be used in a URL unchanged.
pub fn is_plain_path_and_query(path: &str) -> bool {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    is_plain_path(path) && query.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.~=&%+,:;@!*()[]".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_fields_come_from_its_names() {
        let mut task = Task::from_arn("arn:aws-cn:ecs:cn-north-1:111122223333:task/shop/5f0e");
        task.set_cluster("arn:aws-cn:ecs:cn-north-1:111122223333:cluster/shop");
        task.set_definition("arn:aws-cn:ecs:cn-north-1:111122223333:task-definition/cart:12");
        task.set_group("service:cart-svc");
        let values =
            [&task.id, &task.partition, &task.region, &task.account, &task.cluster, &task.family, &task.revision];
        assert_eq!(
            values.map(|value| &**value),
            ["5f0e", "aws-cn", "cn-north-1", "111122223333", "shop", "cart", "12"]
        );
        assert_eq!(task.service.as_deref(), Some("cart-svc"));
        task.set_group("family:cart");
        assert_eq!(task.service, None);
    }

    #[test]
    fn only_a_higher_version_is_newer() {
        let at = |version| Task { version, ..Task::default() };
        assert!(at(7).is_newer_than(&at(5)));
        assert!(!at(5).is_newer_than(&at(7)));
        assert!(!at(7).is_newer_than(&at(7)));
    }
}
