//! Task definitions, each asked for once per environment: a revision never changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::types as ecs;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::ecs_client::{DiscoveryError, EcsClient};
use crate::deadline::Deadline;
use crate::model::ecs::NetworkMode;
use crate::model::task::{PortMapping, Task, TaskContainer};

/// Definitions kept. One is a few kilobytes; an account has some hundreds in use at a time.
const MAX_ENTRIES: usize = 5_000;

/// Definitions asked for side by side.
const DEFINITION_CONCURRENCY: usize = 4;

/// The cache.
#[derive(Debug, Default)]
pub(super) struct TaskDefinitionCache {
    by_arn: Mutex<HashMap<Arc<str>, Arc<TaskDefinition>>>,
}

/// What of a task definition a task does not carry itself.
#[derive(Debug, Default)]
pub(super) struct TaskDefinition {
    network_mode: NetworkMode,
    cpu_architecture: Option<Arc<str>>,
    task_role_arn: Option<Arc<str>>,
    containers: Vec<TaskContainer>,
}

impl TaskDefinitionCache {
    /// Asks for those of these definitions that are not known yet, side by side; says which could not be had.
    pub(super) async fn fetch(
        &self,
        api: &EcsClient,
        arns: &BTreeSet<Arc<str>>,
        deadline: &Deadline,
    ) -> Vec<DiscoveryError> {
        let unknown: Vec<&Arc<str>> = arns.iter().filter(|arn| self.get(arn).is_none()).collect();
        let answers = stream::iter(unknown)
            .map(|arn| async move { (arn, self.describe(api, arn, deadline).await) })
            .buffer_unordered(DEFINITION_CONCURRENCY)
            .collect::<Vec<_>>()
            .await;
        let mut failures = Vec::new();
        for (arn, answer) in answers {
            match answer {
                Ok(definition) => self.insert(arn, definition),
                Err(error) => failures.push(error),
            }
        }
        failures
    }

    /// A definition that has been asked for.
    pub(super) fn get(&self, arn: &str) -> Option<Arc<TaskDefinition>> {
        self.lock().get(arn).map(Arc::clone)
    }

    async fn describe(
        &self,
        api: &EcsClient,
        arn: &str,
        deadline: &Deadline,
    ) -> Result<TaskDefinition, DiscoveryError> {
        let request = api.client.describe_task_definition().task_definition(arn).send();
        let output = api.call("DescribeTaskDefinition", arn, deadline, request).await?;
        Ok(output.task_definition.as_ref().map(TaskDefinition::new).unwrap_or_default())
    }

    fn insert(&self, arn: &Arc<str>, definition: TaskDefinition) {
        let mut kept = self.lock();
        if kept.len() >= MAX_ENTRIES {
            kept.clear();
        }
        kept.insert(Arc::clone(arn), Arc::new(definition));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Arc<TaskDefinition>>> {
        self.by_arn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TaskDefinition {
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

    /// Adds to a task what only its definition says.
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
                // Not started yet, or not told of: its labels and ports still count.
                task.containers.push(defined.clone());
                continue;
            };
            container.essential = defined.essential;
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
