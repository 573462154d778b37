//! Task definitions, each asked for once per environment: a revision never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types as ecs;

use super::{DiscoveryError, call};
use crate::deadline::Deadline;
use crate::model::target::{PortMapping, Task, TaskContainer};

/// Definitions kept. One is a few kilobytes; an account has some hundreds in use at a time.
const KEPT: usize = 2_000;

/// The cache.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    by_arn: Mutex<HashMap<Arc<str>, Arc<Definition>>>,
}

/// What of a task definition a task does not carry itself.
#[derive(Debug, Default)]
pub(super) struct Definition {
    network_mode: Arc<str>,
    task_role_arn: Option<Arc<str>>,
    containers: Vec<TaskContainer>,
}

impl Definitions {
    /// The definition with this ARN, from the cache or from ECS.
    pub(super) async fn of(
        &self,
        ecs: &Client,
        arn: &Arc<str>,
        deadline: &Deadline,
    ) -> Result<Arc<Definition>, DiscoveryError> {
        if let Some(known) = self.kept().get(arn) {
            return Ok(Arc::clone(known));
        }
        let request = ecs.describe_task_definition().task_definition(arn.as_ref()).send();
        let output = call("DescribeTaskDefinition", arn, deadline, request)
            .await?
            .map_err(|error| DiscoveryError::new("DescribeTaskDefinition", arn, &error))?;
        let definition = Arc::new(output.task_definition.as_ref().map(Definition::new).unwrap_or_default());
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(Arc::clone(arn), Arc::clone(&definition));
        Ok(definition)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Arc<Definition>>> {
        self.by_arn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Definition {
    fn new(described: &ecs::TaskDefinition) -> Self {
        Self {
            network_mode: described.network_mode().map(ecs::NetworkMode::as_str).unwrap_or_default().into(),
            task_role_arn: described.task_role_arn().map(Into::into),
            containers: described.container_definitions().iter().map(container).collect(),
        }
    }

    /// Adds to a task what only its definition says.
    pub(super) fn complete(&self, task: &mut Task) {
        task.network_mode = Arc::clone(&self.network_mode);
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
        }
    }
}

fn container(described: &ecs::ContainerDefinition) -> TaskContainer {
    let labels = described.docker_labels().into_iter().flatten();
    let mut docker_labels: Vec<(Arc<str>, Arc<str>)> =
        labels.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    docker_labels.sort_unstable();
    TaskContainer {
        name: described.name().unwrap_or_default().into(),
        image: described.image().unwrap_or_default().into(),
        essential: described.essential(),
        cpu: Some(f64::from(described.cpu())).filter(|&units| units > 0.0),
        memory_mib: described.memory().and_then(|mib| u64::try_from(mib).ok()),
        docker_labels,
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
