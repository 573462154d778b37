//! Tasks that ECS described in the last minutes. They are used when a call fails, and save calls for shards and pushes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::arn::cluster_name;
use crate::model::cache::Cache;
use crate::model::task::Task;
use crate::work_budget::MemoryLimit;

/// Throttling ends within seconds. A task that stopped in the meantime only fails its scrape.
const TTL_MS: i64 = 600_000;

/// Memory for some thousand tasks. Larger fleets are scraped in shards, by several environments.
const MAX_BYTES: usize = 16 << 20;

/// The last description of each task, by id.
#[derive(Debug)]
pub(super) struct RecentTasks {
    by_id: Cache<Arc<str>, Arc<Task>>,
}

impl RecentTasks {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        Self { by_id: Cache::new(TTL_MS, memory.cache_bytes(MAX_BYTES), |id, task| id.len() + task.size()) }
    }

    /// Inserts tasks, and removes expired ones.
    pub(super) fn insert(&self, tasks: &[Arc<Task>], now_ms: i64) {
        self.by_id.remove_expired(now_ms);
        tasks.iter().for_each(|task| self.by_id.insert(Arc::clone(&task.id), Arc::clone(task), now_ms));
    }

    /// Returns all tasks, including stopped ones.
    pub(super) fn all(&self, now_ms: i64) -> Vec<Arc<Task>> {
        self.by_id.values(now_ms)
    }

    /// Returns a task by ARN or id.
    pub(super) fn task(&self, name: &str, now_ms: i64) -> Option<Arc<Task>> {
        self.by_id.get(name.rsplit('/').next()?, now_ms)
    }

    /// Returns the tasks of a cluster. `cluster` is a name or ARN.
    pub(super) fn in_cluster(&self, cluster: &str, now_ms: i64) -> Vec<Arc<Task>> {
        let name = cluster_name(cluster);
        self.all(now_ms).into_iter().filter(|task| *task.cluster == *name).collect()
    }

    /// Returns the ARNs of the clusters with recent tasks, without `excluded`, which are names or ARNs.
    pub(super) fn clusters_except(&self, excluded: &[String], now_ms: i64) -> BTreeSet<String> {
        let excluded: BTreeSet<&str> = excluded.iter().map(|cluster| cluster_name(cluster)).collect();
        let tasks = self.all(now_ms).into_iter().filter(|task| !excluded.contains(&*task.cluster));
        tasks.map(|task| task.cluster_arn.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_expires_after_ten_minutes() {
        let recent = RecentTasks::new(MemoryLimit::unlimited());
        let task =
            |id: &str, cluster: &str| Arc::new(Task { id: id.into(), cluster: cluster.into(), ..Task::default() });
        recent.insert(&[task("a", "shop"), task("b", "bank")], 0);
        recent.insert(&[task("c", "shop")], 300_000);
        assert_eq!(recent.in_cluster("arn:aws:ecs:eu-west-1:111122223333:cluster/shop", 400_000).len(), 2);
        assert_eq!(recent.in_cluster("shop", 700_000).len(), 1);
        assert!(recent.task("arn:aws:ecs:eu-west-1:111122223333:task/bank/b", 1).is_some());
        assert!(recent.task("b", 599_999).is_some());
        assert!(recent.task("b", 600_000).is_none());
    }
}
