//! Addresses of container instances, for tasks that use the network of their host. Each container instance and its EC2
//! instance are described once per environment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::ec2::Ec2Client;
use super::ecs_client::{DiscoveryError, EcsClient};
use crate::deadline::Deadline;
use crate::model::cache::{Cache, NO_TTL};
use crate::model::ecs::NetworkLocation;
use crate::model::task::Task;

/// Memory for some thousands of hosts. Clusters have some hundreds.
const MAX_BYTES: usize = 2 << 20;

/// Bytes of an instance id, such as `i-0123456789abcdef0`.
const INSTANCE_ID_BYTES: usize = 32;

/// Maximum of DescribeContainerInstances (Amazon ECS API Reference).
const INSTANCES_PER_CALL: usize = 100;

/// Prefix of EC2 instance ids. Instances of ECS Anywhere have the prefix `mi-` and are unknown to EC2.
const EC2_INSTANCE: &str = "i-";

/// Hosts by container instance ARN.
#[derive(Debug)]
pub(super) struct HostCache {
    ec2: Ec2Client,
    /// `None` for instances that are unknown to EC2.
    by_container_instance: Cache<Arc<str>, Option<Host>>,
}

#[derive(Clone, Debug)]
struct Host {
    instance_id: Arc<str>,
    address: IpAddr,
}

/// A container instance and its machine.
struct ContainerInstance {
    arn: Arc<str>,
    instance_id: Arc<str>,
}

/// Hosts by container instance ARN. `None` for instances that are unknown to EC2.
type Hosts = HashMap<Arc<str>, Option<Host>>;

/// Container instance ARNs by cluster ARN.
type InstancesByCluster = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

impl HostCache {
    pub(super) fn new(ec2: Ec2Client) -> Self {
        Self { ec2, by_container_instance: Cache::new(NO_TTL, MAX_BYTES, |arn, _| arn.len() + INSTANCE_ID_BYTES) }
    }

    /// Sets the address of tasks that use the network of their host, and returns failed calls.
    pub(super) async fn resolve_addresses(
        &self,
        api: &EcsClient,
        tasks: &mut [Task],
        deadline: &Deadline,
    ) -> Vec<DiscoveryError> {
        let arns = tasks.iter().filter(|task| needs_host(task)).filter_map(|task| task.container_instance_arn.as_ref());
        let mut hosts = self.by_container_instance.get_all(arns, deadline.now_ms());
        let (cached, missing) = (hosts.len(), missing(tasks, &hosts));
        let failures = self.fetch(api, missing, &mut hosts, deadline).await;
        if hosts.len() > cached {
            self.by_container_instance.insert_all(hosts.clone(), deadline.now_ms());
        }
        for task in tasks.iter_mut().filter(|task| needs_host(task)) {
            let arn = task.container_instance_arn.as_ref();
            if let Some(Some(host)) = arn.and_then(|arn| hosts.get(arn)) {
                task.address = Some(host.address);
                task.ec2_instance_id = Some(Arc::clone(&host.instance_id));
            }
        }
        failures
    }

    async fn fetch(
        &self,
        api: &EcsClient,
        missing: InstancesByCluster,
        hosts: &mut Hosts,
        deadline: &Deadline,
    ) -> Vec<DiscoveryError> {
        let (mut instances, mut failures) = (Vec::new(), Vec::new());
        for (cluster, arns) in missing {
            let arns: Vec<String> = arns.iter().map(ToString::to_string).collect();
            for chunk in arns.chunks(INSTANCES_PER_CALL) {
                match describe_container_instances(api, &cluster, chunk, deadline).await {
                    Ok(described) => instances.extend(described),
                    Err(error) => failures.push(error),
                }
            }
        }
        let (ec2, external): (Vec<_>, Vec<_>) =
            instances.into_iter().partition(|instance| instance.instance_id.starts_with(EC2_INSTANCE));
        hosts.extend(external.into_iter().map(|instance| (instance.arn, None)));
        failures.extend(self.fetch_addresses(ec2, hosts, deadline).await);
        failures
    }

    /// Fetches the addresses of EC2 instances.
    async fn fetch_addresses(
        &self,
        instances: Vec<ContainerInstance>,
        hosts: &mut Hosts,
        deadline: &Deadline,
    ) -> Vec<DiscoveryError> {
        let ids: HashSet<&str> = instances.iter().map(|instance| &*instance.instance_id).collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let (addresses, failures) = self.ec2.private_addresses(&ids, deadline).await;
        hosts.extend(instances.into_iter().filter_map(|ContainerInstance { arn, instance_id }| {
            let &address = addresses.get(&*instance_id)?;
            Some((arn, Some(Host { instance_id, address })))
        }));
        failures
    }
}

/// Returns the container instances of tasks whose host is not known.
fn missing(tasks: &[Task], hosts: &Hosts) -> InstancesByCluster {
    let mut missing = InstancesByCluster::new();
    for task in tasks.iter().filter(|task| needs_host(task)) {
        let Some(arn) = task.container_instance_arn.as_ref().filter(|arn| !hosts.contains_key(*arn)) else { continue };
        missing.entry(Arc::clone(&task.cluster_arn)).or_default().insert(Arc::clone(arn));
    }
    missing
}

/// Returns whether the task has the address of its host. Without an address, a task with its own network interface or
/// with no network stays without one: at the address of its host there are other tasks.
fn needs_host(task: &Task) -> bool {
    task.address.is_none() && task.network_location() == NetworkLocation::Host
}

async fn describe_container_instances(
    api: &EcsClient,
    cluster: &str,
    arns: &[String],
    deadline: &Deadline,
) -> Result<Vec<ContainerInstance>, DiscoveryError> {
    let request = api.client.describe_container_instances().cluster(cluster);
    let request = request.set_container_instances(Some(arns.to_vec())).send();
    let output = api.call("DescribeContainerInstances", cluster, deadline, request).await?;
    let instances = output.container_instances();
    let arn_and_id = instances.iter().filter_map(|instance| {
        let (arn, instance_id) = (instance.container_instance_arn()?.into(), instance.ec2_instance_id()?.into());
        Some(ContainerInstance { arn, instance_id })
    });
    Ok(arn_and_id.collect())
}
