//! Series of clusters, services and container instances.

use super::metrics::StateKind;
use super::writer::{Resource, StateWriter, scope_labels};
use crate::model::cluster::Cluster;
use crate::model::container_instance::ContainerInstance;
use crate::model::ecs::{ContainerInstanceStatus, RolloutState, ServiceStatus};
use crate::model::series::Labels;
use crate::model::service::{Deployment, Service};
use crate::translate::stats::Label;

/// Statuses of a service with series; at `INACTIVE` they end.
const SERVICE_STATUSES: [ServiceStatus; 2] = [ServiceStatus::Active, ServiceStatus::Draining];

const ROLLOUT_STATES: [RolloutState; 3] = [RolloutState::Completed, RolloutState::InProgress, RolloutState::Failed];

/// Statuses of a container instance that stays registered.
const INSTANCE_STATUSES: [ContainerInstanceStatus; 2] =
    [ContainerInstanceStatus::Active, ContainerInstanceStatus::Draining];

impl StateWriter<'_> {
    /// Writes the series of a cluster. `extra` labels never replace a label from ECS.
    pub fn cluster(&mut self, cluster: &Cluster, extra: &Labels) {
        let labels = scope_labels(&cluster.name, "", &cluster.region, &cluster.account, extra);
        let mut resource = Resource::new(labels);
        for (kind, count) in [
            (StateKind::ClusterTasks, cluster.running_tasks),
            (StateKind::ClusterPendingTasks, cluster.pending_tasks),
            (StateKind::ClusterServices, cluster.active_services),
            (StateKind::ClusterInstances, cluster.container_instances),
        ] {
            self.count(&mut resource, kind, count);
        }
    }

    /// Writes the series of a service.
    pub fn service(&mut self, service: &Service, extra: &Labels) {
        let labels = scope_labels(&service.cluster, &service.name, &service.region, &service.account, extra);
        let mut resource = Resource::new(labels);
        for (kind, count) in [
            (StateKind::ServiceDesired, service.desired_tasks),
            (StateKind::ServiceRunning, service.running_tasks),
            (StateKind::ServicePending, service.pending_tasks),
            (StateKind::ServiceDeployments, service.deployments),
            (StateKind::ServiceTaskSets, service.task_sets),
        ] {
            self.count(&mut resource, kind, count);
        }
        self.time(&mut resource, StateKind::ServiceCreated, service.created_at_ms);
        if let Some(deployment) = &service.primary {
            self.deployment(&mut resource, deployment);
        }
        let statuses = SERVICE_STATUSES.each_ref().map(ServiceStatus::as_str);
        self.states(&resource, StateKind::ServiceStatus, &statuses, service.status.as_str());
        let info = [
            &service.launch_type.as_str().to_ascii_lowercase(),
            &*service.scheduling_strategy,
            &service.deployment_controller,
            &service.task_definition_family,
            &service.capacity_provider,
        ];
        self.with(&resource, StateKind::ServiceInfo, &info, 1.0);
    }

    fn deployment(&mut self, resource: &mut Resource, deployment: &Deployment) {
        for (kind, count) in [
            (StateKind::DeploymentFailed, deployment.failed_tasks),
            (StateKind::DeploymentDesired, deployment.desired_tasks),
            (StateKind::DeploymentRunning, deployment.running_tasks),
            (StateKind::DeploymentPending, deployment.pending_tasks),
        ] {
            self.count(resource, kind, count);
        }
        self.time(resource, StateKind::DeploymentCreated, deployment.created_at_ms);
        self.time(resource, StateKind::DeploymentUpdated, deployment.updated_at_ms);
        if deployment.rollout_state != RolloutState::Unspecified {
            let states = ROLLOUT_STATES.each_ref().map(RolloutState::as_str);
            self.states(resource, StateKind::RolloutState, &states, deployment.rollout_state.as_str());
        }
    }

    /// Writes the series of a container instance.
    pub fn container_instance(&mut self, instance: &ContainerInstance, extra: &Labels) {
        let mut labels = Labels::default();
        labels.set("container_instance_id", &instance.id);
        labels.set("ec2_instance_id", &instance.ec2_instance_id);
        labels.set("capacity_provider", &instance.capacity_provider);
        labels.set(Label::AvailabilityZone.name(), &instance.availability_zone);
        let scope = scope_labels(&instance.cluster, "", &instance.region, &instance.account, extra);
        crate::translate::stats::add_extra_labels(&mut labels, &scope);
        let mut resource = Resource::new(labels);
        for (kind, value) in [
            (StateKind::InstanceCpuRegistered, instance.registered.cpu),
            (StateKind::InstanceCpuRemaining, instance.remaining.cpu),
            (StateKind::InstanceMemoryRegistered, instance.registered.memory_mib),
            (StateKind::InstanceMemoryRemaining, instance.remaining.memory_mib),
        ] {
            if let Some(value) = value {
                self.value(&mut resource, kind, f64::from(value));
            }
        }
        self.count(&mut resource, StateKind::InstanceRunning, instance.running_tasks);
        self.count(&mut resource, StateKind::InstancePending, instance.pending_tasks);
        self.count(&mut resource, StateKind::InstanceAgentConnected, u32::from(instance.agent_connected));
        let statuses = INSTANCE_STATUSES.each_ref().map(ContainerInstanceStatus::as_str);
        self.states(&resource, StateKind::InstanceStatus, &statuses, instance.status.as_str());
    }
}
