//! Task ARNs of the selected clusters: ListClusters if needed, and ListTasks.

use aws_sdk_ecs::types::DesiredStatus;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::ecs_client::Listed;
use super::{CLUSTER_CONCURRENCY, Discovery, DiscoveryError};
use crate::deadline::Deadline;

/// Maximum of ListTasks and of DescribeTasks.
const TASKS_PER_CALL: i32 = 100;

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
        let chunks = tasks.chunks(TASKS_PER_CALL.unsigned_abs() as usize);
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
    /// Clusters that could not be listed completely, because of a retryable error.
    pub(super) incomplete: Vec<String>,
}

impl TaskListing {
    pub fn task_count(&self) -> usize {
        self.batches.iter().map(|batch| batch.tasks.len()).sum()
    }

    /// Returns whether a task was listed.
    pub fn contains(&self, arn: &str) -> bool {
        self.batches.iter().flat_map(|batch| &batch.tasks).any(|listed| listed == arn)
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
            if error.as_ref().is_some_and(DiscoveryError::is_retryable) {
                listing.incomplete.push(cluster.clone());
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
            let request = self.api.client.list_tasks().cluster(cluster).max_results(TASKS_PER_CALL);
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
