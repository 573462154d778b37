//! Recently stopped tasks. ECS lists a stopped task for an hour; each is described once per environment.

use std::collections::HashSet;
use std::sync::Arc;

use aws_sdk_ecs::types::DesiredStatus;

use super::ecs_client::Listed;
use super::list::TaskBatch;
use super::{Discovery, DiscoveryError, DiscoveryResult};
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;
use crate::model::cache::{Cache, NO_TTL};
use crate::model::ecs::TaskStatus;
use crate::model::task::Task;
use crate::work_budget::MemoryLimit;

/// Memory for the tasks that are not listed by the current run. More are described again.
const MAX_BYTES: usize = 8 << 20;

/// Stopped tasks by ARN. Tasks that ECS no longer lists are removed.
#[derive(Debug)]
pub(super) struct StoppedTaskCache {
    by_arn: Cache<Arc<str>, Arc<Task>>,
}

/// The tasks with the desired status STOPPED.
#[derive(Debug, Default)]
pub struct StoppedListing {
    /// Stopped tasks, including tasks that the filter excludes.
    pub stopped: Vec<Arc<Task>>,
    /// Selected tasks that have not stopped yet.
    pub stopping: Vec<Arc<Task>>,
    pub failures: Vec<DiscoveryError>,
}

impl Discovery {
    /// Lists the stopped and stopping tasks of clusters.
    pub async fn list_stopped(&self, clusters: &[String], deadline: &Deadline) -> StoppedListing {
        let mut listing = StoppedListing::default();
        let now_ms = deadline.now_ms();
        for cluster in clusters {
            let Listed { items, error } = self.list_cluster(cluster, DesiredStatus::Stopped, deadline).await;
            if error.is_none() {
                self.stopped.remove_unlisted(cluster, &items);
            }
            listing.failures.extend(error);
            let described = self.describe(&self.stopped.missing(items, now_ms), deadline).await;
            listing.failures.extend(described.failures);
            let stopped = self.stopped.insert(cluster, described.tasks.iter().chain(&described.filtered), now_ms);
            listing.stopped.extend(stopped);
            let stopping = described.tasks.into_iter().filter(|task| task.last_status != TaskStatus::Stopped);
            listing.stopping.extend(stopping);
        }
        listing
    }
}

impl DiscoveryResult {
    /// Moves the tasks that have stopped, and those that `later` describes, because they no longer run, to `ended`.
    pub fn move_ended<'a>(&mut self, later: impl IntoIterator<Item = &'a Arc<Task>>) {
        let later: HashSet<&str> = later.into_iter().map(|task| &*task.arn).collect();
        let is_later = |task: &Arc<Task>| later.contains(&*task.arn);
        let has_ended = |task: &mut Arc<Task>| task.last_status == TaskStatus::Stopped || is_later(task);
        self.ended.extend(self.tasks.extract_if(.., has_ended));
        self.without_definition.retain(|task| !is_later(task));
    }
}

impl StoppedTaskCache {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        Self { by_arn: Cache::new(NO_TTL, memory.cache_bytes(MAX_BYTES), |arn, task| arn.len() + task.size()) }
    }

    /// Removes the tasks of a cluster that ECS no longer lists.
    fn remove_unlisted(&self, cluster: &str, batches: &[TaskBatch]) {
        let listed: HashSet<&str> = batches.iter().flat_map(|batch| &batch.tasks).map(String::as_str).collect();
        let name = cluster_name(cluster);
        self.by_arn.retain(|arn, task| *task.cluster != *name || listed.contains(&**arn));
    }

    /// Returns the listed tasks that are not cached, in as few batches as possible.
    fn missing(&self, batches: Vec<TaskBatch>, now_ms: i64) -> Vec<TaskBatch> {
        let Some(cluster) = batches.first().map(|batch| batch.cluster.clone()) else { return Vec::new() };
        let listed = batches.into_iter().flat_map(|batch| batch.tasks);
        let missing: Vec<String> = listed.filter(|arn| self.by_arn.get(arn.as_str(), now_ms).is_none()).collect();
        TaskBatch::chunks(&cluster, &missing)
    }

    /// Inserts the described tasks of a cluster that have stopped, and returns them with those that were cached before. Tasks that
    /// are still stopping must be described again.
    fn insert<'a>(&self, cluster: &str, described: impl Iterator<Item = &'a Arc<Task>>, now_ms: i64) -> Vec<Arc<Task>> {
        let mut stopped = self.in_cluster(cluster, now_ms);
        let cached = stopped.len();
        stopped.extend(described.filter(|task| task.last_status == TaskStatus::Stopped).cloned());
        if stopped.len() > cached {
            self.by_arn.insert_all(stopped.iter().map(|task| (Arc::clone(&task.arn), Arc::clone(task))), now_ms);
        }
        stopped
    }

    fn in_cluster(&self, cluster: &str, now_ms: i64) -> Vec<Arc<Task>> {
        let name = cluster_name(cluster);
        self.by_arn.values(now_ms).into_iter().filter(|task| *task.cluster == *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopped_task_is_described_once_while_it_is_listed() {
        let stopped = StoppedTaskCache::new(MemoryLimit::unlimited());
        let task = |arn: &str, last_status| {
            Arc::new(Task { arn: arn.into(), cluster: "shop".into(), last_status, ..Task::default() })
        };
        let listed = |tasks: &[&str]| {
            vec![TaskBatch { cluster: "shop".into(), tasks: tasks.iter().map(|&arn| arn.to_owned()).collect() }]
        };
        let described = [task("a", TaskStatus::Stopped), task("b", TaskStatus::Deactivating)];
        assert_eq!(stopped.insert("shop", described.iter(), 0).len(), 1);
        assert_eq!(stopped.missing(listed(&["a", "b"]), i64::MAX), listed(&["b"]), "b is still stopping");
        stopped.remove_unlisted("bank", &[]);
        assert_eq!(stopped.in_cluster("arn:aws:ecs:eu-west-1:111122223333:cluster/shop", 0).len(), 1);
        stopped.remove_unlisted("shop", &listed(&["b"]));
        assert!(stopped.in_cluster("shop", 0).is_empty());
    }
}
