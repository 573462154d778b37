//! Task definitions. Each revision is described once per environment, because revisions never change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_ecs::types as ecs;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::ecs_client::{DiscoveryError, EcsClient};
use crate::deadline::Deadline;
use crate::model::cache::{Cache, NO_TTL};
use crate::model::ecs::NetworkMode;
use crate::model::task::{PortMapping, Task, TaskContainer};
use crate::work_budget::MemoryLimit;

/// Memory for definitions. One takes a few kilobytes; an account uses some hundreds at a time. Obsolete revisions are removed once
/// they have no room.
const MAX_BYTES: usize = 16 << 20;

/// Concurrent DescribeTaskDefinition calls.
const DEFINITION_CONCURRENCY: usize = 4;

/// Task definitions by ARN.
#[derive(Debug)]
pub(super) struct TaskDefinitionCache {
    by_arn: Cache<Arc<str>, Arc<TaskDefinition>>,
}

/// Definitions by ARN, and failed calls.
#[derive(Debug, Default)]
pub(super) struct TaskDefinitions {
    pub(super) by_arn: HashMap<Arc<str>, Arc<TaskDefinition>>,
    pub(super) failures: Vec<DiscoveryError>,
}

/// The parts of a task definition that DescribeTasks does not return.
#[derive(Debug, Default)]
pub(super) struct TaskDefinition {
    network_mode: NetworkMode,
    cpu_architecture: Option<Arc<str>>,
    task_role_arn: Option<Arc<str>>,
    containers: Vec<TaskContainer>,
}

impl TaskDefinitionCache {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        Self {
            by_arn: Cache::new(NO_TTL, memory.cache_bytes(MAX_BYTES), |arn, definition| arn.len() + definition.size()),
        }
    }

    /// Returns definitions. Those that are not cached yet are described.
    pub(super) async fn fetch(
        &self,
        api: &EcsClient,
        arns: &BTreeSet<Arc<str>>,
        deadline: &Deadline,
    ) -> TaskDefinitions {
        let now_ms = deadline.now_ms();
        let mut definitions =
            TaskDefinitions { by_arn: self.by_arn.get_all(arns, now_ms), ..TaskDefinitions::default() };
        let missing: Vec<_> = arns.iter().filter(|arn| !definitions.by_arn.contains_key(*arn)).cloned().collect();
        let mut results = stream::iter(missing)
            .map(|arn| async move { describe(api, &arn, deadline).await.map(|definition| (arn, Arc::new(definition))) })
            .buffer_unordered(DEFINITION_CONCURRENCY);
        let mut has_new = false;
        while let Some(result) = results.next().await {
            match result {
                Ok((arn, definition)) => {
                    definitions.by_arn.insert(arn, definition);
                    has_new = true;
                }
                Err(error) => definitions.failures.push(error),
            }
        }
        if has_new {
            self.by_arn.insert_all(definitions.by_arn.clone(), now_ms);
        }
        definitions
    }
}

async fn describe(api: &EcsClient, arn: &str, deadline: &Deadline) -> Result<TaskDefinition, DiscoveryError> {
    let request = api.client.describe_task_definition().task_definition(arn).send();
    let output = api.call("DescribeTaskDefinition", arn, deadline, request).await?;
    Ok(output.task_definition.as_ref().map(TaskDefinition::new).unwrap_or_default())
}

impl TaskDefinition {
    /// Returns the memory in bytes.
    fn size(&self) -> usize {
        Task { containers: self.containers.clone(), ..Task::default() }.size()
    }

    fn new(described: &ecs::TaskDefinition) -> Self {
        Self {
            network_mode: described.network_mode().map(ecs::NetworkMode::as_str).unwrap_or_default().into(),
            cpu_architecture: described
                .runtime_platform()
                .and_then(|platform| Some(platform.cpu_architecture()?.as_str().into())),
            task_role_arn: described.task_role_arn().map(Into::into),
            containers: described.container_definitions().iter().map(container).collect(),
        }
    }

    /// Completes a task from its definition.
    pub(super) fn apply_to(&self, task: &mut Task) {
        task.network_mode = self.network_mode.clone();
        if let Some(architecture) = self.cpu_architecture.as_ref().filter(|_| task.cpu_architecture.is_empty()) {
            task.cpu_architecture = Arc::clone(architecture);
        }
        if task.task_role_arn.is_none() {
            task.task_role_arn.clone_from(&self.task_role_arn);
        }
        for defined in &self.containers {
            let Some(container) = task.containers.iter_mut().find(|container| container.name == defined.name) else {
                // Not started yet, or missing in the response. Its labels and ports still declare targets.
                task.containers.push(defined.clone());
                continue;
            };
            container.essential = defined.essential;
            container.has_health_check = defined.has_health_check;
            container.cpu = container.cpu.or(defined.cpu);
            container.memory_mib = container.memory_mib.or(defined.memory_mib);
            container.docker_labels.clone_from(&defined.docker_labels);
            container.port_mappings.clone_from(&defined.port_mappings);
            container.log_group.clone_from(&defined.log_group);
            container.log_stream_prefix.clone_from(&defined.log_stream_prefix);
        }
    }
}

fn container(described: &ecs::ContainerDefinition) -> TaskContainer {
    let labels = described.docker_labels().into_iter().flatten();
    let mut docker_labels: Vec<(Arc<str>, Arc<str>)> =
        labels.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    docker_labels.sort_unstable();
    let awslogs = described.log_configuration().filter(|logs| *logs.log_driver() == ecs::LogDriver::Awslogs);
    let log_option = |name: &str| awslogs?.options()?.get(name).map(|value| value.as_str().into());
    TaskContainer {
        name: described.name().unwrap_or_default().into(),
        image: described.image().unwrap_or_default().into(),
        essential: described.essential(),
        has_health_check: described.health_check().is_some(),
        cpu: Some(f64::from(described.cpu())).filter(|&units| units > 0.0),
        memory_mib: described.memory().and_then(|mib| u64::try_from(mib).ok()),
        docker_labels,
        log_group: log_option("awslogs-group"),
        log_stream_prefix: log_option("awslogs-stream-prefix"),
        port_mappings: described.port_mappings().iter().filter_map(port).collect(),
        ..TaskContainer::default()
    }
}

fn port(described: &ecs::PortMapping) -> Option<PortMapping> {
    Some(PortMapping {
        container_port: u16::try_from(described.container_port()?).ok()?,
        host_port: described.host_port().and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
        protocol: described.protocol().map(ecs::TransportProtocol::as_str).unwrap_or("tcp").into(),
    })
}
