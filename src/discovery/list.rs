//! Which tasks there are, by their ARNs: ListClusters when it is needed, and ListTasks page by page.

use aws_sdk_ecs::types::DesiredStatus;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::{CLUSTER_CONCURRENCY, Discovery, DiscoveryError};
use crate::deadline::Deadline;

/// ListTasks returns at most 100 ARNs, as many as DescribeTasks takes.
const TASKS_PER_PAGE: i32 = 100;

/// Up to 100 tasks of one cluster: what one call of DescribeTasks takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskBatch {
    /// By name or ARN.
    pub cluster: String,
    /// ARNs or ids.
    pub tasks: Vec<String>,
}

impl TaskBatch {
    /// As few as the tasks fit into.
    pub(super) fn chunks(cluster: &str, tasks: &[String]) -> Vec<TaskBatch> {
        // A page is never more than DescribeTasks takes, whatever the server thinks of our limit.
        let chunks = tasks.chunks(TASKS_PER_PAGE.unsigned_abs() as usize);
        chunks.map(|tasks| TaskBatch { cluster: cluster.to_owned(), tasks: tasks.to_vec() }).collect()
    }
}

/// The tasks that are to run, in all wanted clusters.
#[derive(Debug, Default)]
pub struct TaskListing {
    /// By name or ARN, those without tasks included.
    pub clusters: Vec<String>,
    pub batches: Vec<TaskBatch>,
    pub failures: Vec<DiscoveryError>,
    /// Clusters whose list broke off for a reason that passes.
    pub(super) incomplete: Vec<String>,
}

impl TaskListing {
    /// Tasks listed.
    pub fn task_count(&self) -> usize {
        self.batches.iter().map(|page| page.tasks.len()).sum()
    }
}

impl Discovery {
    /// Lists the running tasks of all wanted clusters.
    pub async fn list(&self, deadline: &Deadline) -> TaskListing {
        let (mut clusters, failure) = self.clusters.resolve(&self.api, deadline).await;
        if failure.as_ref().is_some_and(|failure| failure.retryable) {
            let known = self.known.clusters_except(&clusters, deadline.now_ms());
            clusters.extend(known.into_iter().filter(|arn| self.clusters.matches(arn)));
        }
        let mut lists = stream::iter(&clusters)
            .map(|cluster| async move { (cluster, self.list_cluster(cluster, DesiredStatus::Running, deadline).await) })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        let mut listing = TaskListing { failures: failure.into_iter().collect(), ..TaskListing::default() };
        while let Some((cluster, (pages, failure))) = lists.next().await {
            listing.batches.extend(pages);
            if failure.as_ref().is_some_and(|failure| failure.retryable) {
                listing.incomplete.push(cluster.clone());
            }
            listing.failures.extend(failure);
        }
        drop(lists);
        TaskListing { clusters, ..listing }
    }

    /// The pages of one cluster up to the first that fails.
    pub(super) async fn list_cluster(
        &self,
        cluster: &str,
        status: DesiredStatus,
        deadline: &Deadline,
    ) -> (Vec<TaskBatch>, Option<DiscoveryError>) {
        let (mut pages, mut token) = (Vec::new(), None);
        loop {
            let request = self.api.client.list_tasks().cluster(cluster).max_results(TASKS_PER_PAGE);
            let request = request.desired_status(status.clone()).set_next_token(token).send();
            let output = match self.api.call("ListTasks", cluster, deadline, request).await {
                Ok(output) => output,
                Err(error) => return (pages, Some(error)),
            };
            pages.extend(TaskBatch::chunks(cluster, &output.task_arns.unwrap_or_default()));
            token = output.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return (pages, None);
            }
        }
    }
}
