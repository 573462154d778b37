//! What ECS said of tasks a little while ago, for when it does not answer now.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::arn::cluster_name;
use crate::model::task::Task;

/// How long a view of a task stands in for a new one. Throttling passes in seconds; a task that has gone in the meantime
/// only fails its scrape.
const TTL_MS: i64 = 600_000;

/// Tasks by id, each with when it was seen.
type Views = HashMap<Arc<str>, (Arc<Task>, i64)>;

/// The last view of every task.
#[derive(Debug, Default)]
pub(super) struct RecentTasks {
    by_id: Mutex<Views>,
}

impl RecentTasks {
    pub(super) fn insert(&self, tasks: &[Arc<Task>], now_ms: i64) {
        let mut known = self.lock();
        known.retain(|_, (_, seen_ms)| now_ms - *seen_ms < TTL_MS);
        known.extend(tasks.iter().map(|task| (Arc::clone(&task.id), (Arc::clone(task), now_ms))));
    }

    /// All tasks of the last minutes, stopped ones included.
    pub(super) fn all(&self, now_ms: i64) -> Vec<Arc<Task>> {
        let known = self.lock();
        let fresh = known.values().filter(|(_, seen_ms)| now_ms - seen_ms < TTL_MS);
        fresh.map(|(task, _)| Arc::clone(task)).collect()
    }

    /// One task, by its ARN or id.
    pub(super) fn task(&self, name: &str, now_ms: i64) -> Option<Arc<Task>> {
        let known = self.lock();
        let id = name.rsplit('/').next()?;
        known.get(id).filter(|(_, seen_ms)| now_ms - seen_ms < TTL_MS).map(|(task, _)| Arc::clone(task))
    }

    /// The tasks of a cluster that is given by name or ARN.
    pub(super) fn in_cluster(&self, cluster: &str, now_ms: i64) -> Vec<Arc<Task>> {
        let name = cluster_name(cluster);
        let known = self.lock();
        let fresh = known.values().filter(|(task, seen_ms)| now_ms - seen_ms < TTL_MS && *task.cluster == *name);
        fresh.map(|(task, _)| Arc::clone(task)).collect()
    }

    /// The ARNs of the clusters that tasks were seen in, but for those given by name or ARN.
    pub(super) fn clusters_except(&self, given: &[String], now_ms: i64) -> BTreeSet<String> {
        let given: BTreeSet<&str> = given.iter().map(|cluster| cluster_name(cluster)).collect();
        let tasks = self.all(now_ms).into_iter().filter(|task| !given.contains(&*task.cluster));
        tasks.map(|task| task.cluster_arn.to_string()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Views> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_stands_in_for_ten_minutes() {
        let known = RecentTasks::default();
        let task =
            |id: &str, cluster: &str| Arc::new(Task { id: id.into(), cluster: cluster.into(), ..Task::default() });
        known.insert(&[task("a", "shop"), task("b", "bank")], 0);
        known.insert(&[task("c", "shop")], 300_000);
        assert_eq!(known.in_cluster("arn:aws:ecs:eu-west-1:111122223333:cluster/shop", 400_000).len(), 2);
        assert_eq!(known.in_cluster("shop", 700_000).len(), 1);
        assert!(known.task("arn:aws:ecs:eu-west-1:111122223333:task/bank/b", 1).is_some());
        assert!(known.task("b", 599_999).is_some());
        assert!(known.task("b", 600_000).is_none());
    }
}
