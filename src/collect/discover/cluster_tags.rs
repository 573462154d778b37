//! Tags of clusters, asked for where a setting makes labels of them: DescribeClusters, once an hour per cluster.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_ecs::types::{Cluster, ClusterField};

use super::api::{Api, DiscoveryError};
use crate::deadline::Deadline;
use crate::model::target::{Tag, Task};

/// Tags are changed by people, now and then.
const KEPT_MS: i64 = 3_600_000;

/// DescribeClusters takes as many (Amazon ECS API Reference).
const CLUSTERS_PER_CALL: usize = 100;

type Tags = Arc<[Tag]>;

/// The cache.
#[derive(Debug)]
pub(super) struct ClusterTags {
    /// Whether anybody wants them.
    wanted: bool,
    /// By the cluster's ARN, with when they were asked for.
    by_arn: Mutex<HashMap<Arc<str>, (Tags, i64)>>,
}

impl ClusterTags {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, by_arn: Mutex::default() }
    }

    /// Gives tasks the tags of their clusters. What could not be asked is returned; its tasks stay without.
    pub(super) async fn complete(&self, api: &Api, tasks: &mut [Task], deadline: &Deadline) -> Vec<DiscoveryError> {
        if !self.wanted {
            return Vec::new();
        }
        let failures = self.fetch(api, &self.unknown(tasks, deadline.now_ms()), deadline).await;
        let known = self.known();
        for task in tasks {
            if let Some((tags, _)) = known.get(&task.cluster_arn) {
                task.cluster_tags = Arc::clone(tags);
            }
        }
        failures
    }

    fn unknown(&self, tasks: &[Task], now_ms: i64) -> Vec<Arc<str>> {
        let known = self.known();
        let is_fresh = |arn: &Arc<str>| known.get(arn).is_some_and(|(_, asked_ms)| now_ms - asked_ms < KEPT_MS);
        let clusters: BTreeSet<&Arc<str>> = tasks.iter().map(|task| &task.cluster_arn).collect();
        clusters.into_iter().filter(|arn| !is_fresh(arn)).map(Arc::clone).collect()
    }

    async fn fetch(&self, api: &Api, clusters: &[Arc<str>], deadline: &Deadline) -> Vec<DiscoveryError> {
        let mut failures = Vec::new();
        for page in clusters.chunks(CLUSTERS_PER_CALL) {
            let names = page.iter().map(ToString::to_string).collect();
            let request = api.client.describe_clusters().set_clusters(Some(names)).include(ClusterField::Tags).send();
            let subject = page.first().map_or("", |arn| arn);
            match api.call("DescribeClusters", subject, deadline, request).await {
                Ok(output) => self.keep(output.clusters(), deadline.now_ms()),
                Err(error) => failures.push(error),
            }
        }
        failures
    }

    fn keep(&self, clusters: &[Cluster], now_ms: i64) {
        let mut known = self.known();
        for cluster in clusters {
            let Some(arn) = cluster.cluster_arn() else { continue };
            let tag = |tag: &aws_sdk_ecs::types::Tag| Some((tag.key()?.into(), tag.value()?.into()));
            known.insert(arn.into(), (cluster.tags().iter().filter_map(tag).collect(), now_ms));
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, (Tags, i64)>> {
        self.by_arn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
