//! Tasks that stopped lately: ECS lists them for an hour. Each is described once per environment, when it first shows as
//! stopped.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_ecs::types::DesiredStatus;

use super::list::TaskBatch;
use super::{Discovery, DiscoveryError};
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;
use crate::model::ecs::TaskStatus;
use crate::model::task::Task;

/// Stopped tasks that have been described, by their ARNs.
#[derive(Debug, Default)]
pub(super) struct StoppedTaskCache {
    by_arn: Mutex<HashMap<Arc<str>, Arc<Task>>>,
}

impl Discovery {
    /// The stopped tasks of these clusters that ECS still lists, filtered out or not; those that are only about to stop,
    /// as far as they are looked at and still serve; and what could not be asked.
    pub async fn list_stopped(
        &self,
        clusters: &[String],
        deadline: &Deadline,
    ) -> (Vec<Arc<Task>>, Vec<Arc<Task>>, Vec<DiscoveryError>) {
        let (mut tasks, mut stopping, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for cluster in clusters {
            let (pages, failure) = self.list_cluster(cluster, DesiredStatus::Stopped, deadline).await;
            if failure.is_none() {
                self.stopped.forget_unlisted(cluster, &pages);
            }
            failures.extend(failure);
            let described = self.describe(&self.stopped.missing(pages), deadline).await;
            failures.extend(described.failures);
            self.stopped.insert(described.tasks.iter().chain(&described.filtered));
            // Deregistered from its load balancers, while its containers still run (Amazon ECS Developer Guide, "Task
            // lifecycle").
            let serves = |task: &Arc<Task>| task.last_status == TaskStatus::Deactivating;
            stopping.extend(described.tasks.into_iter().filter(serves));
            tasks.extend(self.stopped.of_cluster(cluster));
        }
        (tasks, stopping, failures)
    }
}

impl StoppedTaskCache {
    /// Forgets the tasks of a cluster that ECS no longer lists.
    fn forget_unlisted(&self, cluster: &str, pages: &[TaskBatch]) {
        let listed: HashSet<&str> = pages.iter().flat_map(|page| &page.tasks).map(String::as_str).collect();
        let name = cluster_name(cluster);
        self.lock().retain(|arn, task| *task.cluster != *name || listed.contains(&**arn));
    }

    /// The listed tasks that have yet to be described, in as few pages as they fit in.
    fn missing(&self, pages: Vec<TaskBatch>) -> Vec<TaskBatch> {
        let Some(cluster) = pages.first().map(|page| page.cluster.clone()) else { return Vec::new() };
        let tasks = self.lock();
        let unknown: Vec<String> =
            pages.into_iter().flat_map(|page| page.tasks).filter(|arn| !tasks.contains_key(arn.as_str())).collect();
        TaskBatch::chunks(&cluster, &unknown)
    }

    /// Keeps those that have come to their end: the others are listed because they are told to stop.
    fn insert<'a>(&self, described: impl Iterator<Item = &'a Arc<Task>>) {
        let ended = described.filter(|task| task.last_status == TaskStatus::Stopped);
        self.lock().extend(ended.map(|task| (Arc::clone(&task.arn), Arc::clone(task))));
    }

    fn of_cluster(&self, cluster: &str) -> Vec<Arc<Task>> {
        let name = cluster_name(cluster);
        self.lock().values().filter(|task| *task.cluster == *name).map(Arc::clone).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Task>>> {
        self.by_arn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
