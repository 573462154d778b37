//! What ECS says of a task, whichever way it said so: DescribeTasks with its task definition, or a state change event.
//!
//! Times are milliseconds since 1970; sizes are as ECS counts them: CPU units (1024 are one vCPU) and MiB. What ECS did
//! not say is `None` or empty, never a guess.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::arn::{self, TaskArn};
use crate::model::ecs::{ContainerStatus, HealthStatus, LaunchType, NetworkLocation, NetworkMode, TaskStatus};

/// Name and value of a tag.
pub type Tag = (Arc<str>, Arc<str>);

/// One task. `Default` is a task nothing is known of.
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
    /// `service:<name>` for the tasks of a service, `family:<name>` for tasks on their own, or what RunTask was given.
    pub group: Arc<str>,
    /// Name of the service that keeps the task, from its group.
    pub service: Option<Arc<str>>,
    pub launch_type: LaunchType,
    pub capacity_provider: Option<Arc<str>>,
    pub availability_zone: Arc<str>,
    pub last_status: TaskStatus,
    pub desired_status: TaskStatus,
    /// A deployment's id (`ecs-svc/...`) for the tasks of a service.
    pub started_by: Arc<str>,
    /// CPU units of the whole task.
    pub cpu: Option<f64>,
    /// MiB of the whole task.
    pub memory_mib: Option<u64>,
    /// GiB, Fargate only.
    pub ephemeral_storage_gib: Option<u64>,
    /// The task's own address under awsvpc, its host's otherwise.
    pub address: Option<IpAddr>,
    pub private_dns_name: Option<Arc<str>>,
    /// Unspecified when the task definition has none.
    pub network_mode: NetworkMode,
    pub container_instance_arn: Option<Arc<str>>,
    pub ec2_instance_id: Option<Arc<str>>,
    pub platform_family: Arc<str>,
    /// `x86_64` or `arm64` as the task says it, `X86_64` or `ARM64` as its definition does; may be empty.
    pub cpu_architecture: Arc<str>,
    /// Of the definition, or of the overrides of this very task.
    pub task_role_arn: Option<Arc<str>>,
    pub created_at_ms: Option<i64>,
    pub pull_started_at_ms: Option<i64>,
    pub pull_stopped_at_ms: Option<i64>,
    pub started_at_ms: Option<i64>,
    pub stopping_at_ms: Option<i64>,
    pub execution_stopped_at_ms: Option<i64>,
    pub stopped_at_ms: Option<i64>,
    /// When ECS made the state change event.
    pub updated_at_ms: Option<i64>,
    /// `EssentialContainerExited`, `TaskFailedToStart`, ... of a task that stopped or is stopping.
    pub stop_code: Option<Arc<str>>,
    pub stopped_reason: Option<Arc<str>>,
    /// Grows with each change of the task: of two views, the higher is the newer.
    pub version: u64,
    pub tags: Vec<Tag>,
    /// Only asked for where a setting wants them.
    pub cluster_tags: Arc<[Tag]>,
    pub containers: Vec<TaskContainer>,
}

/// One container of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskContainer {
    pub name: Arc<str>,
    pub image: Arc<str>,
    pub image_digest: Arc<str>,
    /// The runtime's own id: what the task metadata endpoint calls `DockerId`.
    pub runtime_id: Arc<str>,
    pub last_status: ContainerStatus,
    pub exit_code: Option<i32>,
    pub reason: Option<Arc<str>>,
    /// Only the task definition tells.
    pub essential: Option<bool>,
    pub health: HealthStatus,
    /// CPU units.
    pub cpu: Option<f64>,
    /// Hard limit in MiB.
    pub memory_mib: Option<u64>,
    pub docker_labels: Vec<(Arc<str>, Arc<str>)>,
    /// Of the `awslogs` driver.
    pub log_group: Option<Arc<str>>,
    pub log_stream_prefix: Option<Arc<str>>,
    pub port_mappings: Vec<PortMapping>,
    pub network_bindings: Vec<NetworkBinding>,
}

/// A port as the task definition maps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortMapping {
    pub container_port: u16,
    /// 0 asks for a port of the host's choice.
    pub host_port: u16,
    pub protocol: Arc<str>,
}

/// A port as it is bound on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkBinding {
    pub container_port: u16,
    pub host_port: u16,
    pub protocol: Arc<str>,
}

impl Task {
    /// A task that knows what its ARN says: id, partition, region, account and, unless the ARN is of the old form, its
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

    /// Sets the cluster, by name or ARN.
    pub fn set_cluster(&mut self, cluster: &str) {
        self.cluster_arn = cluster.into();
        self.cluster = arn::cluster_name(cluster).into();
    }

    /// Sets the definition, and family and revision from it.
    pub fn set_definition(&mut self, definition_arn: &str) {
        self.definition_arn = definition_arn.into();
        if let Some((family, revision)) = arn::family_and_revision(definition_arn) {
            self.family = family.into();
            self.revision = revision.into();
        }
    }

    /// Sets the group, and the service from it: ListServices need not be asked.
    pub fn set_group(&mut self, group: &str) {
        self.group = group.into();
        self.service = group.strip_prefix("service:").filter(|name| !name.is_empty()).map(Into::into);
    }

    /// Returns whose network interface the task uses.
    pub fn network_location(&self) -> NetworkLocation {
        NetworkLocation::new(&self.network_mode, &self.launch_type)
    }

    pub fn container(&self, name: &str) -> Option<&TaskContainer> {
        self.containers.iter().find(|container| *container.name == *name)
    }

    /// Whether this view of the task is to replace `known`. State change events repeat and overtake one another, so only
    /// a higher version is news (Amazon ECS Developer Guide, "Amazon ECS events").
    pub fn is_newer_than(&self, known: &Task) -> bool {
        self.version > known.version
    }
}

impl TaskContainer {
    pub fn docker_label(&self, name: &str) -> Option<&str> {
        self.docker_labels.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
    }
}

/// Whether a path can stand in a URL as it is written, without query, escapes or user names.
pub fn is_plain_path(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.~".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_knows_what_its_names_say() {
        let mut task = Task::from_arn("arn:aws-cn:ecs:cn-north-1:111122223333:task/shop/5f0e");
        task.set_cluster("arn:aws-cn:ecs:cn-north-1:111122223333:cluster/shop");
        task.set_definition("arn:aws-cn:ecs:cn-north-1:111122223333:task-definition/cart:12");
        task.set_group("service:cart-svc");
        let words =
            [&task.id, &task.partition, &task.region, &task.account, &task.cluster, &task.family, &task.revision];
        assert_eq!(words.map(|word| &**word), ["5f0e", "aws-cn", "cn-north-1", "111122223333", "shop", "cart", "12"]);
        assert_eq!(task.service.as_deref(), Some("cart-svc"));
        task.set_group("family:cart");
        assert_eq!(task.service, None);
    }

    #[test]
    fn only_a_higher_version_is_news() {
        let at = |version| Task { version, ..Task::default() };
        assert!(at(7).is_newer_than(&at(5)));
        assert!(!at(5).is_newer_than(&at(7)));
        assert!(!at(7).is_newer_than(&at(7)));
    }
}
