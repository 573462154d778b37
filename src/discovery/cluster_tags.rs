//! Cluster tags, for settings that use them as labels: one DescribeClusters call an hour for each cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_ecs::types::{Cluster, ClusterField};

use super::ecs_client::{DiscoveryError, EcsClient};
use crate::deadline::Deadline;
use crate::model::cache::Cache;
use crate::model::task::{Tag, Task};

/// Tags rarely change.
const TTL_MS: i64 = 3_600_000;

/// Memory for the tags of some thousand clusters. A cluster has at most 50.
const MAX_BYTES: usize = 4 << 20;

/// Maximum of DescribeClusters (Amazon ECS API Reference).
const CLUSTERS_PER_CALL: usize = 100;

/// Cluster tags by cluster ARN.
#[derive(Debug)]
pub(super) struct ClusterTagCache {
    /// Whether a setting uses them.
    enabled: bool,
    by_arn: Cache<Arc<str>, Arc<[Tag]>>,
}

impl ClusterTagCache {
    pub(super) fn new(enabled: bool) -> Self {
        let weigh = |arn: &Arc<str>, tags: &Arc<[Tag]>| -> usize {
            arn.len() + tags.iter().map(|(name, value)| size_of::<Tag>() + name.len() + value.len()).sum::<usize>()
        };
        Self { enabled, by_arn: Cache::new(TTL_MS, MAX_BYTES, weigh) }
    }

    /// Sets the cluster tags of tasks, and returns failed calls. Tasks of a cluster whose call failed get its previous
    /// tags, or none.
    pub(super) async fn attach(&self, api: &EcsClient, tasks: &mut [Task], deadline: &Deadline) -> Vec<DiscoveryError> {
        if !self.enabled {
            return Vec::new();
        }
        let clusters: BTreeSet<&Arc<str>> = tasks.iter().map(|task| &task.cluster_arn).collect();
        let failures = self.fetch(api, &self.by_arn.missing(clusters, deadline.now_ms()), deadline).await;
        for task in tasks {
            if let Some(tags) = self.by_arn.get_stale(&task.cluster_arn) {
                task.cluster_tags = tags;
            }
        }
        failures
    }

    async fn fetch(&self, api: &EcsClient, clusters: &[Arc<str>], deadline: &Deadline) -> Vec<DiscoveryError> {
        let mut failures = Vec::new();
        for chunk in clusters.chunks(CLUSTERS_PER_CALL) {
            let names = chunk.iter().map(ToString::to_string).collect();
            let request = api.client.describe_clusters().set_clusters(Some(names)).include(ClusterField::Tags).send();
            let subject = chunk.first().map_or("", |arn| arn);
            match api.call("DescribeClusters", subject, deadline, request).await {
                Ok(output) => {
                    self.by_arn.insert_all(output.clusters().iter().filter_map(arn_and_tags), deadline.now_ms());
                }
                Err(error) => failures.push(error),
            }
        }
        failures
    }
}

fn arn_and_tags(cluster: &Cluster) -> Option<(Arc<str>, Arc<[Tag]>)> {
    let tag = |tag: &aws_sdk_ecs::types::Tag| Some((tag.key()?.into(), tag.value()?.into()));
    Some((cluster.cluster_arn()?.into(), cluster.tags().iter().filter_map(tag).collect()))
}
