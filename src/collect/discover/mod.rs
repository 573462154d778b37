//! Which tasks run: ListClusters, ListTasks and DescribeTasks page by page, task definitions from a cache.
//!
//! Per cluster of N tasks this costs ceil(N/100) ListTasks and ceil(N/100) DescribeTasks, and one DescribeTaskDefinition
//! per revision that this environment has not met: revisions never change. Services are not asked for: a task's group
//! names its service. A cluster or a page that fails never costs the others. (Amazon ECS API Reference.)

mod clusters;
mod definitions;
mod describe;

use std::sync::Arc;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::TaskField;
use aws_smithy_types::error::display::DisplayErrorContext;
use futures_util::StreamExt as _;
use futures_util::stream;
use thiserror::Error;

use clusters::Wanted;
use definitions::Definitions;

use crate::deadline::Deadline;
use crate::model::target::Task;

/// Clusters looked at side by side. Their calls draw from one bucket of 20 a second (Amazon ECS, "Request throttling").
const CLUSTERS_AT_ONCE: usize = 4;

/// ListTasks returns at most 100 ARNs, as many as DescribeTasks takes.
const TASKS_PER_PAGE: i32 = 100;

/// Finds tasks; keeps what does not change between the invocations of one environment.
#[derive(Debug)]
pub struct Discovery {
    ecs: Client,
    wanted: Wanted,
    definitions: Definitions,
}

/// The tasks of all clusters, and what could not be asked.
#[derive(Debug, Default)]
pub struct Discovered {
    pub tasks: Vec<Arc<Task>>,
    pub failures: Vec<DiscoveryError>,
}

/// A call that failed after the SDK's own retries, or for which there was no time.
#[derive(Debug, Error)]
#[error("{call} failed for {subject}: {reason}")]
pub struct DiscoveryError {
    call: &'static str,
    /// A cluster, a page of one, or a task definition.
    subject: String,
    reason: String,
}

impl Discovery {
    /// `clusters` are names, ARNs and globs, as the setting has them.
    pub fn new(ecs: Client, clusters: &[String]) -> Self {
        Self { ecs, wanted: Wanted::new(clusters), definitions: Definitions::default() }
    }

    /// All running tasks of all wanted clusters.
    pub async fn tasks(&self, deadline: &Deadline) -> Discovered {
        let clusters = match self.wanted.clusters(&self.ecs, deadline).await {
            Ok(clusters) => clusters,
            Err(error) => return Discovered { failures: vec![error], ..Discovered::default() },
        };
        let of_clusters = stream::iter(&clusters)
            .map(|cluster| self.tasks_of(cluster, deadline))
            .buffer_unordered(CLUSTERS_AT_ONCE)
            .collect::<Vec<_>>();
        of_clusters.await.into_iter().fold(Discovered::default(), Discovered::and)
    }

    async fn tasks_of(&self, cluster: &str, deadline: &Deadline) -> Discovered {
        let mut discovered = Discovered::default();
        let mut pages = self.ecs.list_tasks().cluster(cluster).max_results(TASKS_PER_PAGE).into_paginator().send();
        loop {
            let page = match call("ListTasks", cluster, deadline, pages.next()).await {
                Ok(None) => return discovered,
                Ok(Some(Ok(page))) => page,
                Ok(Some(Err(error))) => {
                    return discovered.failed(DiscoveryError::new("ListTasks", cluster, &error));
                }
                Err(error) => return discovered.failed(error),
            };
            let arns = page.task_arns.unwrap_or_default();
            if !arns.is_empty() {
                discovered = discovered.and(Box::pin(self.describe(cluster, arns, deadline)).await);
            }
        }
    }

    /// What ECS says of up to 100 tasks. Those that have gone since they were listed are left out: that is no error.
    async fn describe(&self, cluster: &str, arns: Vec<String>, deadline: &Deadline) -> Discovered {
        let mut discovered = Discovered::default();
        let request = self.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns)).include(TaskField::Tags).send();
        let output = match call("DescribeTasks", cluster, deadline, request).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return discovered.failed(DiscoveryError::new("DescribeTasks", cluster, &error)),
            Err(error) => return discovered.failed(error),
        };
        for described in output.tasks.unwrap_or_default() {
            let Some(mut task) = describe::task(&described) else { continue };
            match self.definitions.of(&self.ecs, &task.definition_arn, deadline).await {
                Ok(definition) => definition.complete(&mut task),
                Err(error) => discovered.failures.push(error),
            }
            discovered.tasks.push(Arc::new(task));
        }
        discovered
    }
}

impl Discovered {
    fn and(mut self, other: Self) -> Self {
        self.tasks.extend(other.tasks);
        self.failures.extend(other.failures);
        self
    }

    fn failed(mut self, error: DiscoveryError) -> Self {
        self.failures.push(error);
        self
    }
}

impl DiscoveryError {
    fn new<E>(call: &'static str, subject: &str, error: &E) -> Self
    where
        E: std::error::Error,
    {
        Self { call, subject: subject.to_owned(), reason: DisplayErrorContext(error).to_string() }
    }
}

/// Waits for a call as long as the invocation has time.
async fn call<F: Future>(
    name: &'static str,
    subject: &str,
    deadline: &Deadline,
    work: F,
) -> Result<F::Output, DiscoveryError> {
    let out_of_time =
        || DiscoveryError { call: name, subject: subject.to_owned(), reason: "the invocation ran out of time".into() };
    deadline.within(deadline.left(), work).await.ok_or_else(out_of_time)
}
