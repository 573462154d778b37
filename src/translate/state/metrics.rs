//! The table of state metrics, the only place that contains their names.

use std::str::FromStr;

use thiserror::Error;

/// Resource that a metric is about, which decides the labels of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Service,
    /// The tasks of a service with one launch type, or of a family if they have no service.
    TaskGroup,
    Task,
    Container,
    ContainerInstance,
}

/// One metric. Each is a gauge.
#[derive(Debug)]
pub struct StateMetric {
    pub name: &'static str,
    pub scope: Scope,
    pub is_default: bool,
    /// Labels in addition to those of the resource.
    pub labels: &'static [&'static str],
    /// What the value is, for docs/metrics.md.
    pub value: &'static str,
}

macro_rules! table {
    ($($scope:ident $kind:ident $name:literal $default:ident [$($label:literal)*] $value:literal;)*) => {
        /// One of [`STATE_METRICS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum StateKind { $($kind,)* }

        /// All state metrics.
        pub const STATE_METRICS: &[StateMetric] = &[
            $(StateMetric {
                name: $name, scope: Scope::$scope, is_default: table!(@ $default), labels: &[$($label,)*], value: $value,
            },)*
        ];
    };
    (@ default) => { true };
    (@ asked) => { false };
}

table! {
    Cluster ClusterTasks "ecs_cluster_task_count" default [] "running tasks";
    Cluster ClusterPendingTasks "ecs_cluster_pending_task_count" default [] "pending tasks";
    Cluster ClusterServices "ecs_cluster_service_count" default [] "active services";
    Cluster ClusterInstances "ecs_cluster_container_instance_count" default [] "registered container instances";
    Cluster TasksBySource "ecs_tasks_by_stats_source" default ["source"] "tasks whose container statistics come from this source: `push`, `endpoint`, `insights` or `none`";
    Service ServiceDesired "ecs_service_desired_task_count" default [] "desired tasks";
    Service ServiceRunning "ecs_service_running_task_count" default [] "running tasks";
    Service ServicePending "ecs_service_pending_task_count" default [] "pending tasks";
    Service ServiceDeployments "ecs_service_deployment_count" default [] "deployments; more than one while a deployment is under way";
    Service ServiceTaskSets "ecs_service_task_set_count" default [] "task sets of the deployment controllers `CODE_DEPLOY` and `EXTERNAL`";
    Service ServiceInfo "ecs_service_info" default ["launchtype" "scheduling_strategy" "deployment_controller" "task_definition_family" "capacity_provider"] "always 1";
    Service ServiceStatus "ecs_service_status" default ["status"] "1 for the present status, 0 for the other: `ACTIVE`, `DRAINING`";
    Service ServiceCreated "ecs_service_created_time_seconds" default [] "time of creation";
    Service RolloutState "ecs_service_deployment_rollout_state" default ["rollout_state"] "of the newest deployment, 1 for the present state, 0 for the others: `COMPLETED`, `IN_PROGRESS`, `FAILED`; not written for deployment controllers without this state";
    Service DeploymentFailed "ecs_service_deployment_failed_task_count" default [] "consecutive tasks of the newest deployment that failed to start; 0 again after one has started";
    Service DeploymentDesired "ecs_service_deployment_desired_task_count" default [] "desired tasks of the newest deployment";
    Service DeploymentRunning "ecs_service_deployment_running_task_count" default [] "running tasks of the newest deployment";
    Service DeploymentPending "ecs_service_deployment_pending_task_count" default [] "pending tasks of the newest deployment";
    Service DeploymentCreated "ecs_service_deployment_created_time_seconds" default [] "time of creation of the newest deployment";
    Service DeploymentUpdated "ecs_service_deployment_updated_time_seconds" default [] "time of the last change of the newest deployment";
    TaskGroup Tasks "ecs_tasks" default ["aws_ecs_launchtype" "last_status"] "tasks with this status; 0 for `PENDING`, `ACTIVATING`, `RUNNING` and `DEACTIVATING` if there are none";
    Task TaskInfo "ecs_task_info" default ["capacity_provider" "platform_version" "platform_family" "cpu_architecture" "deployment" "started_by" "stats_source"] "always 1; `stats_source` is `push`, `endpoint`, `insights` or `none`";
    Task TaskStarted "ecs_task_start_time_seconds" default [] "time at which the task reached `RUNNING`";
    Task TaskCreated "ecs_task_created_time_seconds" asked [] "time at which the task reached `PENDING`";
    Task TaskPull "ecs_task_pull_duration_seconds" asked [] "time that the pull of the images took";
    Task TaskHealth "ecs_task_health_status" default ["health_status"] "1 for the present status, 0 for the other: `HEALTHY`, `UNHEALTHY`; not written while it is unknown";
    Task TaskCpuReserved "ecs_task_cpu_reserved" default [] "CPU units, only for tasks without a source of container statistics";
    Task TaskMemoryReserved "ecs_task_memory_reserved" default [] "MiB, only for tasks without a source of container statistics";
    Task TaskEphemeralReserved "ecs_task_ephemeral_storage_reserved" asked [] "MiB, only for tasks without a source of container statistics";
    Task TaskDisconnected "ecs_task_disconnected" asked [] "1 if ECS has no connection to the agent of the task's host, 0 otherwise";
    Container ContainerInfo "ecs_container_info" asked ["container_image_digest" "essential"] "always 1";
    Container ContainerHealth "ecs_container_health_status" default ["health_status"] "1 for the present status, 0 for the other: `HEALTHY`, `UNHEALTHY`; not written while it is unknown";
    Container ContainerGpus "ecs_container_gpu_reserved" default [] "GPUs; not written without one";
    ContainerInstance InstanceCpuRegistered "ecs_container_instance_cpu_registered" default [] "CPU units for tasks";
    ContainerInstance InstanceCpuRemaining "ecs_container_instance_cpu_remaining" default [] "CPU units that no task has reserved";
    ContainerInstance InstanceMemoryRegistered "ecs_container_instance_memory_registered" default [] "MiB for tasks";
    ContainerInstance InstanceMemoryRemaining "ecs_container_instance_memory_remaining" default [] "MiB that no task has reserved";
    ContainerInstance InstanceAgentConnected "ecs_container_instance_agent_connected" default [] "1 if the agent is connected to ECS, 0 otherwise";
    ContainerInstance InstanceRunning "ecs_container_instance_running_task_count" default [] "running tasks";
    ContainerInstance InstancePending "ecs_container_instance_pending_task_count" default [] "pending tasks";
    ContainerInstance InstanceStatus "ecs_container_instance_status" default ["status"] "1 for the present status, 0 for the other: `ACTIVE`, `DRAINING`";
}

impl StateKind {
    pub(crate) fn metric(self) -> &'static StateMetric {
        &STATE_METRICS[self as usize]
    }
}

/// A set of metrics: one bit for each of [`STATE_METRICS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSelection(u64);

impl Default for StateSelection {
    fn default() -> Self {
        Self::select(|metric| metric.is_default)
    }
}

impl StateSelection {
    pub fn all() -> Self {
        Self::select(|_| true)
    }

    pub fn none() -> Self {
        Self(0)
    }

    fn select(chosen: impl Fn(&StateMetric) -> bool) -> Self {
        let bits = STATE_METRICS.iter().enumerate().filter(|(_, metric)| chosen(metric));
        Self(bits.fold(0, |bits, (index, _)| bits | 1 << index))
    }

    pub(crate) fn has(self, kind: StateKind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Returns whether a metric of this name is written.
    pub fn has_name(self, name: &str) -> bool {
        STATE_METRICS.iter().enumerate().any(|(index, metric)| metric.name == name && self.0 & (1 << index) != 0)
    }

    /// Returns whether a metric of this scope is written.
    pub fn has_scope(self, scope: Scope) -> bool {
        STATE_METRICS.iter().enumerate().any(|(index, metric)| metric.scope == scope && self.0 & (1 << index) != 0)
    }
}

/// Error of a selection with a name that no state metric has.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown metric {0:?}: use names of state metrics (docs/metrics.md), default, all or none")]
pub struct UnknownStateMetric(String);

/// `default`, `all`, `none`, or a comma-separated list of names.
impl FromStr for StateSelection {
    type Err = UnknownStateMetric;

    fn from_str(text: &str) -> Result<Self, UnknownStateMetric> {
        match text {
            "default" => return Ok(Self::default()),
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self::none()),
            _ => {}
        }
        let mut selection = Self::none();
        for name in text.split(',').map(str::trim) {
            let known = Self::select(|metric| metric.name == name);
            if known == Self::none() {
                return Err(UnknownStateMetric(name.to_owned()));
            }
            selection.0 |= known.0;
        }
        Ok(selection)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_into_the_selection() {
        let names: BTreeSet<_> = STATE_METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), STATE_METRICS.len());
        assert!(STATE_METRICS.len() <= u64::BITS as usize);
        assert_eq!(StateKind::Tasks.metric().name, "ecs_tasks");
    }

    #[test]
    fn metrics_are_selected_by_name() {
        let selection: StateSelection = "ecs_task_info, ecs_service_status".parse().unwrap();
        assert!(selection.has(StateKind::TaskInfo) && selection.has_name("ecs_service_status"));
        assert!(!selection.has(StateKind::Tasks) && !selection.has_scope(Scope::Cluster));
        assert_eq!("none".parse(), Ok(StateSelection::none()));
        assert!(StateSelection::default().has(StateKind::TaskHealth));
        assert!(!StateSelection::default().has(StateKind::ContainerInfo));
        for text in ["ecs_task", "", "all,default"] {
            assert!(text.parse::<StateSelection>().is_err(), "{text:?}");
        }
    }
}
