//! Descriptions of clusters: counts, settings, and tags for settings that use them as labels. One DescribeClusters call for 100
//! clusters.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_ecs::types::ClusterField;

use super::ecs_client::{DiscoveryError, EcsClient};
use super::{Discovery, Observed, describe};
use crate::deadline::Deadline;
use crate::model::age::is_younger;
use crate::model::arn::cluster_name;
use crate::model::cache::Cache;
use crate::model::cluster::Cluster;
use crate::model::task::Task;
use crate::work_budget::MemoryLimit;

/// Tags rarely change.
const TAGS_TTL_MS: i64 = 3_600_000;

/// Age of a description that shards and events use. A scheduled run describes its clusters each time.
const RECENT_MS: i64 = 300_000;

/// Memory for some thousand clusters. A cluster has at most 50 tags.
const MAX_BYTES: usize = 4 << 20;

/// Maximum of DescribeClusters (Amazon ECS API Reference).
const CLUSTERS_PER_CALL: usize = 100;

/// Clusters by short name, which is unique in an account and region.
#[derive(Debug)]
pub(super) struct ClusterCache {
    /// Whether a setting uses tags.
    needs_tags: bool,
    by_name: Cache<Arc<str>, Described>,
}

#[derive(Clone, Debug)]
struct Described {
    cluster: Arc<Cluster>,
    at_ms: i64,
}

/// Result of the descriptions of clusters.
#[derive(Debug, Default)]
pub struct ClusterStates {
    /// Described clusters, and clusters that no longer exist.
    pub clusters: Vec<Observed<Cluster>>,
    pub failures: Vec<DiscoveryError>,
}

impl Discovery {
    /// Describes clusters, which are names or ARNs. Tasks that are described afterwards get their settings and tags.
    pub async fn describe_clusters(&self, clusters: &[String], deadline: &Deadline) -> ClusterStates {
        self.clusters_by_name.describe(&self.api, clusters, deadline).await
    }

    /// Describes the clusters that were not described in the last minutes, and returns failed calls.
    pub async fn describe_stale_clusters(&self, clusters: &[String], deadline: &Deadline) -> Vec<DiscoveryError> {
        let stale = self.clusters_by_name.older_than(RECENT_MS, clusters, deadline.now_ms());
        self.clusters_by_name.describe(&self.api, &stale, deadline).await.failures
    }

    /// Returns the last description of a cluster, which is a name or ARN.
    pub fn cached_cluster(&self, cluster: &str) -> Option<Arc<Cluster>> {
        self.clusters_by_name.cached(cluster_name(cluster))
    }
}

impl ClusterCache {
    pub(super) fn new(needs_tags: bool, memory: MemoryLimit) -> Self {
        let max_bytes = memory.cache_bytes(MAX_BYTES);
        Self { needs_tags, by_name: Cache::new(TAGS_TTL_MS, max_bytes, |name, it| name.len() + it.cluster.size()) }
    }

    /// Sets what tasks have from their cluster, and returns failed calls. Only tags are worth a call. Tasks of a cluster whose call
    /// failed get its previous values, or none.
    pub(super) async fn attach(&self, api: &EcsClient, tasks: &mut [Task], deadline: &Deadline) -> Vec<DiscoveryError> {
        let names: BTreeSet<Arc<str>> = tasks.iter().map(|task| Arc::clone(&task.cluster)).collect();
        let mut clusters: HashMap<Arc<str>, Arc<Cluster>> =
            names.iter().filter_map(|name| Some((Arc::clone(name), self.cached(name)?))).collect();
        let mut failures = Vec::new();
        if self.needs_tags {
            let missing = self.by_name.missing(&names, deadline.now_ms());
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let described = self.describe(api, &missing, deadline).await;
            let found = described.clusters.into_iter().filter_map(|observed| observed.now);
            clusters.extend(found.map(|cluster| (Arc::clone(&cluster.name), cluster)));
            failures = described.failures;
        }
        for task in tasks {
            if let Some(cluster) = clusters.get(&task.cluster) {
                task.cluster_tags = Arc::clone(&cluster.tags);
                task.container_insights = cluster.container_insights;
            }
        }
        failures
    }

    /// Returns the last description of a cluster.
    fn cached(&self, name: &str) -> Option<Arc<Cluster>> {
        self.by_name.get_stale(name).map(|described| described.cluster)
    }

    fn older_than(&self, age_ms: i64, clusters: &[String], now_ms: i64) -> Vec<String> {
        let is_recent = |cluster: &&String| {
            let described = self.by_name.get_stale(cluster_name(cluster));
            described.is_some_and(|described| is_younger(described.at_ms, age_ms, now_ms))
        };
        clusters.iter().filter(|cluster| !is_recent(cluster)).cloned().collect()
    }

    async fn describe(&self, api: &EcsClient, clusters: &[String], deadline: &Deadline) -> ClusterStates {
        let mut states = ClusterStates::default();
        let (mut requested, mut found) = (Vec::new(), Vec::new());
        for chunk in clusters.chunks(CLUSTERS_PER_CALL) {
            let tags = self.needs_tags.then_some(ClusterField::Tags);
            let fields = [ClusterField::Settings].into_iter().chain(tags).collect();
            let request = api.client.describe_clusters().set_clusters(Some(chunk.to_vec())).set_include(Some(fields));
            let subject = chunk.first().map_or("", String::as_str);
            match api.call("DescribeClusters", subject, deadline, request.send()).await {
                Ok(output) => {
                    let described = output.clusters().iter().filter(|cluster| cluster.status() != Some("INACTIVE"));
                    found.extend(described.filter_map(describe::cluster).map(Arc::new));
                    requested.extend_from_slice(chunk);
                }
                Err(error) => states.failures.push(error),
            }
        }
        states.clusters = self.replace(&requested, found, deadline.now_ms());
        states
    }

    /// Stores descriptions, and returns them with the previous ones.
    fn replace(&self, requested: &[String], described: Vec<Arc<Cluster>>, at_ms: i64) -> Vec<Observed<Cluster>> {
        let before = |name: &str| self.cached(name);
        let mut observed: Vec<_> = described
            .iter()
            .map(|cluster| Observed { before: before(&cluster.name), now: Some(Arc::clone(cluster)) })
            .collect();
        let names: BTreeSet<&str> = described.iter().map(|cluster| &*cluster.name).collect();
        let gone = requested.iter().map(|cluster| cluster_name(cluster)).filter(|name| !names.contains(name));
        for name in gone {
            observed.extend(before(name).map(|before| Observed { before: Some(before), now: None }));
            self.by_name.retain(|other, _| **other != *name);
        }
        let described = described.into_iter();
        let entries = described.map(|cluster| (Arc::clone(&cluster.name), Described { cluster, at_ms }));
        self.by_name.insert_all(entries, at_ms);
        observed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vanished_cluster_is_reported_once() {
        let cache = ClusterCache::new(false, MemoryLimit::unlimited());
        let names = ["shop".to_owned(), "arn:aws:ecs:eu-west-1:111122223333:cluster/bank".to_owned()];
        let cluster = |name: &str| Arc::new(Cluster { name: name.into(), ..Cluster::default() });
        let all = cache.replace(&names, vec![cluster("shop"), cluster("bank")], 0);
        assert!(all.iter().all(|observed| observed.before.is_none() && observed.now.is_some()), "{all:?}");
        let left = cache.replace(&names, vec![cluster("shop")], 0);
        let gone: Vec<bool> = left.iter().map(|observed| observed.now.is_none()).collect();
        assert_eq!(gone, [false, true]);
        assert_eq!(cache.replace(&names, vec![cluster("shop")], 0).len(), 1);
    }

    #[test]
    fn description_is_recent_for_five_minutes() {
        let cache = ClusterCache::new(false, MemoryLimit::unlimited());
        let names = ["shop".to_owned()];
        let older_than = |now_ms| cache.older_than(RECENT_MS, &names, now_ms).len();
        assert_eq!(older_than(0), 1);
        let _ = cache.replace(&names, vec![Arc::new(Cluster { name: "shop".into(), ..Cluster::default() })], 1_000);
        assert_eq!([older_than(1_000), older_than(300_999), older_than(301_000)], [0, 0, 1]);
    }
}
