//! Tags of clusters, asked for where a setting makes labels of them: DescribeClusters, once an hour per cluster.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_ecs::types::{Cluster, ClusterField};

use super::ecs_client::{DiscoveryError, EcsClient};
use crate::deadline::Deadline;
use crate::model::task::{Tag, Task};

/// Tags are changed by people, now and then.
const TTL_MS: i64 = 3_600_000;

/// DescribeClusters takes as many (Amazon ECS API Reference).
const CLUSTERS_PER_CALL: usize = 100;

type Tags = Arc<[Tag]>;

/// The cache.
#[derive(Debug)]
pub(super) struct ClusterTagCache {
    /// Whether anybody wants them.
    wanted: bool,
    /// By the cluster's ARN, with when they were asked for.
    by_arn: Mutex<HashMap<Arc<str>, (Tags, i64)>>,
}

impl ClusterTagCache {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, by_arn: Mutex::default() }
    }

    /// Gives tasks the tags of their clusters. What could not be asked is returned; its tasks stay without.
    pub(super) async fn attach(&self, api: &EcsClient, tasks: &mut [Task], deadline: &Deadline) -> Vec<DiscoveryError> {
        if !self.wanted {
            return Vec::new();
        }
        let failures = self.fetch(api, &self.missing(tasks, deadline.now_ms()), deadline).await;
        let known = self.lock();
        for task in tasks {
            if let Some((tags, _)) = known.get(&task.cluster_arn) {
                task.cluster_tags = Arc::clone(tags);
            }
        }
        failures
    }

    fn missing(&self, tasks: &[Task], now_ms: i64) -> Vec<Arc<str>> {
        let known = self.lock();
        let is_fresh = |arn: &Arc<str>| known.get(arn).is_some_and(|(_, asked_ms)| now_ms - asked_ms < TTL_MS);
        let clusters: BTreeSet<&Arc<str>> = tasks.iter().map(|task| &task.cluster_arn).collect();
        clusters.into_iter().filter(|arn| !is_fresh(arn)).map(Arc::clone).collect()
    }

    async fn fetch(&self, api: &EcsClient, clusters: &[Arc<str>], deadline: &Deadline) -> Vec<DiscoveryError> {
        let mut failures = Vec::new();
        for page in clusters.chunks(CLUSTERS_PER_CALL) {
            let names = page.iter().map(ToString::to_string).collect();
            let request = api.client.describe_clusters().set_clusters(Some(names)).include(ClusterField::Tags).send();
            let subject = page.first().map_or("", |arn| arn);
            match api.call("DescribeClusters", subject, deadline, request).await {
                Ok(output) => self.insert(output.clusters(), deadline.now_ms()),
                Err(error) => failures.push(error),
            }
        }
        failures
    }

    fn insert(&self, clusters: &[Cluster], now_ms: i64) {
        let mut known = self.lock();
        for cluster in clusters {
            let Some(arn) = cluster.cluster_arn() else { continue };
            let tag = |tag: &aws_sdk_ecs::types::Tag| Some((tag.key()?.into(), tag.value()?.into()));
            known.insert(arn.into(), (cluster.tags().iter().filter_map(tag).collect(), now_ms));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, (Tags, i64)>> {
        self.by_arn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
