//! Where tasks run that have no address of their own: container instances and their EC2 instances, each asked for once
//! per environment. Under `bridge` and `host` networking a task is reached at its host's address.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ec2::Ec2Client;
use super::ecs_client::{DiscoveryError, EcsClient};
use crate::deadline::Deadline;
use crate::model::ecs::NetworkLocation;
use crate::model::task::Task;

/// Hosts kept. Clusters have some hundreds.
const MAX_ENTRIES: usize = 5_000;

/// DescribeContainerInstances takes as many (Amazon ECS API Reference).
const INSTANCES_PER_CALL: usize = 100;

/// What EC2 calls its own instances; those of ECS Anywhere are `mi-...`, and EC2 knows nothing of them.
const EC2_INSTANCE: &str = "i-";

/// The cache.
#[derive(Debug)]
pub(super) struct HostCache {
    ec2: Ec2Client,
    /// `None`: EC2 knows nothing of the machine.
    by_container_instance: Mutex<HashMap<Arc<str>, Option<Host>>>,
}

#[derive(Clone, Debug)]
struct Host {
    instance_id: Arc<str>,
    address: IpAddr,
}

impl HostCache {
    pub(super) fn new(ec2: Ec2Client) -> Self {
        Self { ec2, by_container_instance: Mutex::default() }
    }

    /// Gives tasks without an address that of their host. What could not be asked is returned; its tasks stay without.
    pub(super) async fn resolve_addresses(
        &self,
        api: &EcsClient,
        tasks: &mut [Task],
        deadline: &Deadline,
    ) -> Vec<DiscoveryError> {
        let failures = self.fetch(api, self.missing(tasks), deadline).await;
        let hosts = self.lock();
        for task in tasks.iter_mut().filter(|task| needs_host(task)) {
            let host = task.container_instance_arn.as_ref().and_then(|arn| hosts.get(arn));
            if let Some(Some(host)) = host {
                task.address = Some(host.address);
                task.ec2_instance_id = Some(Arc::clone(&host.instance_id));
            }
        }
        failures
    }

    /// Container instances to ask for, by cluster.
    fn missing(&self, tasks: &[Task]) -> HashMap<Arc<str>, BTreeSet<Arc<str>>> {
        let hosts = self.lock();
        let mut unknown: HashMap<_, BTreeSet<_>> = HashMap::new();
        for task in tasks.iter().filter(|task| needs_host(task)) {
            let Some(arn) = task.container_instance_arn.as_ref().filter(|arn| !hosts.contains_key(*arn)) else {
                continue;
            };
            unknown.entry(Arc::clone(&task.cluster_arn)).or_default().insert(Arc::clone(arn));
        }
        unknown
    }

    async fn fetch(
        &self,
        api: &EcsClient,
        unknown: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
        deadline: &Deadline,
    ) -> Vec<DiscoveryError> {
        let (mut instances, mut failures) = (Vec::new(), Vec::new());
        for (cluster, arns) in unknown {
            let arns: Vec<String> = arns.iter().map(ToString::to_string).collect();
            for chunk in arns.chunks(INSTANCES_PER_CALL) {
                match container_instances(api, &cluster, chunk, deadline).await {
                    Ok(described) => instances.extend(described),
                    Err(error) => failures.push(error),
                }
            }
        }
        let (of_ec2, others): (Vec<_>, Vec<_>) =
            instances.into_iter().partition(|(_, id)| id.starts_with(EC2_INSTANCE));
        self.lock().extend(others.into_iter().map(|(arn, _)| (arn, None)));
        failures.extend(self.fetch_addresses(&of_ec2, deadline).await);
        failures
    }

    /// Asks EC2 for the addresses of instances, and keeps them by the ARNs that ECS has for them.
    async fn fetch_addresses(&self, instances: &[(Arc<str>, Arc<str>)], deadline: &Deadline) -> Vec<DiscoveryError> {
        let ids: HashSet<&str> = instances.iter().map(|(_, id)| &**id).collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let (addresses, failures) = self.ec2.private_addresses(&ids, deadline).await;
        let mut hosts = self.lock();
        if hosts.len() >= MAX_ENTRIES {
            hosts.clear();
        }
        for (arn, instance_id) in instances {
            if let Some(&address) = addresses.get(&**instance_id) {
                hosts.insert(Arc::clone(arn), Some(Host { instance_id: Arc::clone(instance_id), address }));
            }
        }
        failures
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Option<Host>>> {
        self.by_container_instance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the task has the address of its host. Without an address, a task with its own network interface or with
/// no network stays without one: at the address of its host there are other tasks.
fn needs_host(task: &Task) -> bool {
    task.address.is_none() && task.network_location() == NetworkLocation::Host
}

/// ARNs of container instances with the ids of their machines.
async fn container_instances(
    api: &EcsClient,
    cluster: &str,
    arns: &[String],
    deadline: &Deadline,
) -> Result<Vec<(Arc<str>, Arc<str>)>, DiscoveryError> {
    let request = api.client.describe_container_instances().cluster(cluster);
    let request = request.set_container_instances(Some(arns.to_vec())).send();
    let output = api.call("DescribeContainerInstances", cluster, deadline, request).await?;
    let described = output.container_instances.unwrap_or_default();
    let known = described
        .iter()
        .filter_map(|instance| Some((instance.container_instance_arn()?.into(), instance.ec2_instance_id()?.into())));
    Ok(known.collect())
}
