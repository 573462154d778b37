//! Container instances of the clusters that have some: ListContainerInstances and DescribeContainerInstances, 100 per call.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::ecs_client::DiscoveryError;
use super::{CLUSTER_CONCURRENCY, Discovery, Observed, describe};
use crate::deadline::Deadline;
use crate::model::cache::{Cache, NO_TTL};
use crate::model::cluster::Cluster;
use crate::model::container_instance::ContainerInstance;
use crate::work_budget::MemoryLimit;

/// Memory for some thousand container instances. Those that do not fit have no staleness markers.
const MAX_BYTES: usize = 4 << 20;

/// Maximum of both calls (Amazon ECS API Reference).
const INSTANCES_PER_CALL: i32 = 100;

/// Container instances by ARN.
#[derive(Debug)]
pub(super) struct ContainerInstanceCache {
    by_arn: Cache<Arc<str>, Arc<ContainerInstance>>,
}

/// Described container instances, and container instances that no longer exist.
#[derive(Debug, Default)]
pub struct ContainerInstanceStates {
    pub instances: Vec<Observed<ContainerInstance>>,
    pub failures: Vec<DiscoveryError>,
}

impl ContainerInstanceCache {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        let weigh = |arn: &Arc<str>, instance: &Arc<ContainerInstance>| arn.len() + instance.size();
        Self { by_arn: Cache::new(NO_TTL, memory.cache_bytes(MAX_BYTES), weigh) }
    }
}

impl Discovery {
    /// Describes the container instances of clusters. A failed call affects only its own cluster.
    pub async fn describe_container_instances(
        &self,
        clusters: &[Arc<Cluster>],
        deadline: &Deadline,
    ) -> ContainerInstanceStates {
        let mut states = ContainerInstanceStates::default();
        let mut results = stream::iter(clusters)
            .map(|cluster| self.describe_instances_of(cluster, deadline))
            .buffer_unordered(CLUSTER_CONCURRENCY);
        while let Some(ContainerInstanceStates { instances, failures }) = results.next().await {
            states.instances.extend(instances);
            states.failures.extend(failures);
        }
        states
    }

    async fn describe_instances_of(&self, cluster: &Cluster, deadline: &Deadline) -> ContainerInstanceStates {
        let mut states = ContainerInstanceStates::default();
        let mut listed = Vec::new();
        // A cluster whose last instance is gone needs no list.
        if cluster.container_instances > 0 {
            listed = match self.list_instances(cluster, deadline).await {
                Ok(arns) => arns,
                Err(error) => return ContainerInstanceStates { failures: vec![error], ..states },
            };
        }
        states.instances.extend(self.container_instances.remove_unlisted(&cluster.name, &listed, deadline.now_ms()));
        for chunk in listed.chunks(INSTANCES_PER_CALL.unsigned_abs() as usize) {
            let request = self.api.client.describe_container_instances().cluster(&*cluster.arn);
            let request = request.set_container_instances(Some(chunk.to_vec())).send();
            match self.api.call("DescribeContainerInstances", &cluster.arn, deadline, request).await {
                Ok(output) => {
                    let described = output.container_instances().iter();
                    let described = described.filter_map(|it| describe::container_instance(it, &cluster.arn));
                    let described =
                        described.map(|it| ContainerInstance { cluster_tags: Arc::clone(&cluster.tags), ..it });
                    let now_ms = deadline.now_ms();
                    states.instances.extend(described.map(|it| self.container_instances.replace(it, now_ms)));
                }
                Err(error) => states.failures.push(error),
            }
        }
        states
    }

    async fn list_instances(&self, cluster: &Cluster, deadline: &Deadline) -> Result<Vec<String>, DiscoveryError> {
        let (mut arns, mut token) = (Vec::new(), None);
        loop {
            let request = self.api.client.list_container_instances().cluster(&*cluster.arn);
            let request = request.max_results(INSTANCES_PER_CALL).set_next_token(token).send();
            let output = self.api.call("ListContainerInstances", &cluster.arn, deadline, request).await?;
            arns.extend(output.container_instance_arns.unwrap_or_default());
            token = output.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(arns);
            }
        }
    }
}

impl ContainerInstanceCache {
    fn replace(&self, instance: ContainerInstance, now_ms: i64) -> Observed<ContainerInstance> {
        let instance = Arc::new(instance);
        let before = self.by_arn.get(&instance.arn, now_ms);
        self.by_arn.insert(Arc::clone(&instance.arn), Arc::clone(&instance), now_ms);
        Observed { before, now: Some(instance) }
    }

    fn remove_unlisted(&self, cluster: &str, listed: &[String], now_ms: i64) -> Vec<Observed<ContainerInstance>> {
        let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
        let is_gone = |it: &ContainerInstance| *it.cluster == *cluster && !listed.contains(&*it.arn);
        let gone: Vec<_> = self.by_arn.values(now_ms).into_iter().filter(|it| is_gone(it)).collect();
        if !gone.is_empty() {
            self.by_arn.retain(|_, it| !is_gone(it));
        }
        gone.into_iter().map(|before| Observed { before: Some(before), now: None }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deregistered_instance_is_reported_once() {
        let cache = ContainerInstanceCache::new(MemoryLimit::unlimited());
        let arn = |name: &str| format!("arn:aws:ecs:eu-west-1:111122223333:container-instance/shop/{name}");
        for name in ["a", "b"] {
            let _ = cache.replace(ContainerInstance::from_arn(&arn(name), "shop"), 0);
        }
        assert_eq!(cache.remove_unlisted("bank", &[], 0).len(), 0);
        let gone = cache.remove_unlisted("shop", &[arn("a")], 0);
        assert_eq!(gone.iter().filter_map(|it| it.before.as_ref()).map(|it| &*it.id).collect::<Vec<_>>(), ["b"]);
        assert!(cache.remove_unlisted("shop", &[arn("a")], 0).is_empty());
    }
}
