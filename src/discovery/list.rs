//! Task ARNs of the selected clusters: ListClusters if needed, and ListTasks.

use aws_sdk_ecs::types::DesiredStatus;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::ecs_client::Listed;
use super::{CLUSTER_CONCURRENCY, Discovery, DiscoveryError, DiscoveryResult};
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;

/// Maximum of ListTasks and of DescribeTasks.
pub(super) const TASKS_PER_CALL: usize = 100;

/// Up to 100 tasks of one cluster, which is the maximum of one DescribeTasks call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskBatch {
    /// Name or ARN.
    pub cluster: String,
    /// ARNs or ids.
    pub tasks: Vec<String>,
}

impl TaskBatch {
    /// Splits tasks into as few batches as possible. It does not rely on the server for the size of a batch.
    pub(super) fn chunks(cluster: &str, tasks: &[String]) -> Vec<TaskBatch> {
        let chunks = tasks.chunks(TASKS_PER_CALL);
        chunks.map(|tasks| TaskBatch { cluster: cluster.to_owned(), tasks: tasks.to_vec() }).collect()
    }
}

/// The tasks with the desired status RUNNING in all selected clusters.
#[derive(Debug, Default)]
pub struct TaskListing {
    /// Names or ARNs, including clusters without tasks.
    pub clusters: Vec<String>,
    pub batches: Vec<TaskBatch>,
    pub failures: Vec<DiscoveryError>,
    /// Clusters that could not be listed completely.
    pub(super) incomplete: Vec<IncompleteCluster>,
}

/// A cluster that could not be listed completely.
#[derive(Clone, Debug)]
pub(super) struct IncompleteCluster {
    /// Name or ARN.
    pub(super) cluster: String,
    /// Whether recent tasks may replace those that were not listed.
    pub(super) is_retryable: bool,
}

impl TaskListing {
    pub fn task_count(&self) -> usize {
        self.batches.iter().map(|batch| batch.tasks.len()).sum()
    }

    /// Returns whether a cluster is one of the listed ones. If clusters could not be listed, others may exist.
    fn has_cluster(&self, name: &str) -> bool {
        let is_complete = self.failures.iter().all(|failure| failure.call() != "ListClusters");
        is_complete || self.clusters.iter().any(|cluster| cluster_name(cluster) == name)
    }

    /// Returns whether a task was listed.
    pub fn contains(&self, arn: &str) -> bool {
        self.batches.iter().flat_map(|batch| &batch.tasks).any(|listed| listed == arn)
    }
}

impl DiscoveryResult {
    /// Marks clusters whose tasks are not all known, because a call failed.
    pub(super) fn add_incomplete(&mut self, cluster: &str) {
        self.incomplete.insert(cluster_name(cluster).to_owned());
    }

    /// Returns whether all tasks of a cluster are known. `cluster` is a short name.
    pub fn is_complete(&self, cluster: &str, listing: &TaskListing) -> bool {
        listing.has_cluster(cluster) && !self.incomplete.contains(cluster)
    }
}

impl Discovery {
    /// Lists the running tasks of all selected clusters.
    pub async fn list(&self, deadline: &Deadline) -> TaskListing {
        let Listed { items: mut clusters, error } = self.clusters.resolve(&self.api, deadline).await;
        if error.as_ref().is_some_and(DiscoveryError::is_retryable) {
            let recent = self.recent.clusters_except(&clusters, deadline.now_ms());
            clusters.extend(recent.into_iter().filter(|arn| self.clusters.matches(arn)));
        }
        let mut lists = stream::iter(&clusters)
            .map(|cluster| async move { (cluster, self.list_cluster(cluster, DesiredStatus::Running, deadline).await) })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        let mut listing = TaskListing { failures: error.into_iter().collect(), ..TaskListing::default() };
        while let Some((cluster, Listed { items, error })) = lists.next().await {
            listing.batches.extend(items);
            if let Some(error) = error.as_ref().filter(|error| !error.is_cluster_not_found()) {
                let is_retryable = error.is_retryable();
                listing.incomplete.push(IncompleteCluster { cluster: cluster.clone(), is_retryable });
            }
            listing.failures.extend(error);
        }
        drop(lists);
        TaskListing { clusters, ..listing }
    }

    /// Lists the tasks of one cluster with this desired status.
    pub(super) async fn list_cluster(
        &self,
        cluster: &str,
        status: DesiredStatus,
        deadline: &Deadline,
    ) -> Listed<TaskBatch> {
        let (mut batches, mut token) = (Vec::new(), None);
        loop {
            let request = self.api.client.list_tasks().cluster(cluster).max_results(TASKS_PER_CALL as i32);
            let request = request.desired_status(status.clone()).set_next_token(token).send();
            let output = match self.api.call("ListTasks", cluster, deadline, request).await {
                Ok(output) => output,
                Err(error) => return Listed { items: batches, error: Some(error) },
            };
            batches.extend(TaskBatch::chunks(cluster, &output.task_arns.unwrap_or_default()));
            token = output.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Listed { items: batches, error: None };
            }
        }
    }
}
