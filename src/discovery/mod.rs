//! Which tasks run: ListClusters, ListTasks and DescribeTasks page by page, task definitions and hosts from caches.
//!
//! Per cluster of N tasks this costs ceil(N/100) ListTasks and ceil(N/100) DescribeTasks, and one DescribeTaskDefinition
//! per revision that this environment has not met: revisions never change. Services are not asked for: a task's group
//! names its service. A cluster or a page that fails never costs the others, and where the failure is one that passes,
//! such as throttling, the tasks of the last few minutes stand in. (Amazon ECS API Reference.)

mod cluster_tags;
mod clusters;
mod definitions;
mod describe;
mod ec2;
mod ecs_client;
mod hosts;
mod identify;
mod list;
mod recent_tasks;
mod stopped;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::TaskField;
use futures_util::StreamExt as _;
use futures_util::stream;

pub use ec2::Ec2Client;
pub use ecs_client::DiscoveryError;
pub use list::{TaskBatch, TaskListing};

use cluster_tags::ClusterTagCache;
use clusters::ClusterSelector;
use definitions::TaskDefinitionCache;
use ecs_client::EcsClient;
use hosts::HostCache;
use identify::TaskIdentityCache;
use recent_tasks::RecentTasks;
use stopped::StoppedTaskCache;

use crate::deadline::Deadline;
use crate::model::ecs::TaskStatus;
use crate::model::task::Task;
use crate::rules::task_filter::TaskFilter;

/// Clusters, and pages of tasks, asked for side by side.
const CLUSTER_CONCURRENCY: usize = 4;

/// Whether anybody asks for tags: as labels, or to filter tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct TagRequirements {
    /// DescribeTasks brings them along; events do not.
    pub task_tags: bool,
    /// They take calls of their own.
    pub cluster_tags: bool,
}

/// Finds tasks; keeps what does not change between the invocations of one environment.
#[derive(Debug)]
pub struct Discovery {
    api: EcsClient,
    clusters: ClusterSelector,
    filter: TaskFilter,
    definitions: TaskDefinitionCache,
    hosts: HostCache,
    cluster_tags: ClusterTagCache,
    tags: TagRequirements,
    known: RecentTasks,
    stopped: StoppedTaskCache,
    identified: TaskIdentityCache,
}

/// Tasks, and what could not be asked.
#[derive(Debug, Default)]
pub struct DiscoveryResult {
    /// Those that SIDECARLESS_TASK_FILTER keeps.
    pub tasks: Vec<Arc<Task>>,
    /// The others.
    pub filtered: Vec<Arc<Task>>,
    /// Tasks of which only DescribeTasks is known, because their definition could not be had.
    pub without_definition: Vec<Arc<Task>>,
    pub failures: Vec<DiscoveryError>,
    /// How many of the tasks are as they were some minutes ago.
    pub from_cache: usize,
    /// Tasks that ECS has forgotten since it listed them.
    pub missing: usize,
}

impl DiscoveryResult {
    /// All tasks that were found, the filtered ones included.
    pub fn len(&self) -> usize {
        self.tasks.len() + self.filtered.len() + self.without_definition.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Discovery {
    /// `clusters` are names, ARNs and globs, as the setting has them.
    pub fn new(ecs: Client, ec2: Ec2Client, clusters: &[String], filter: TaskFilter, tags: TagRequirements) -> Self {
        Self {
            api: EcsClient::new(ecs),
            clusters: ClusterSelector::new(clusters),
            filter,
            definitions: TaskDefinitionCache::default(),
            hosts: HostCache::new(ec2),
            cluster_tags: ClusterTagCache::new(tags.cluster_tags),
            tags,
            known: RecentTasks::default(),
            stopped: StoppedTaskCache::default(),
            identified: TaskIdentityCache::default(),
        }
    }

    /// Everything of what was listed.
    pub async fn describe_all(&self, listing: &TaskListing, deadline: &Deadline) -> DiscoveryResult {
        let mut discovered = self.describe(&listing.batches, deadline).await;
        discovered.failures.splice(0..0, listing.failures.iter().cloned());
        for cluster in &listing.incomplete {
            self.add_cached(self.cached_unlisted(listing, cluster, deadline), &mut discovered);
        }
        discovered
    }

    /// The listed pages; and for clusters whose list broke off, the tasks of the last minutes that are in none of these.
    pub fn batches_of(&self, listing: &TaskListing, deadline: &Deadline) -> Vec<TaskBatch> {
        let unlisted = listing.incomplete.iter().flat_map(|cluster| {
            let tasks = self.cached_unlisted(listing, cluster, deadline).into_iter().map(|task| task.arn.to_string());
            TaskBatch::chunks(cluster, &tasks.collect::<Vec<_>>())
        });
        listing.batches.iter().cloned().chain(unlisted).collect()
    }

    /// What is known from the last minutes of a cluster's tasks that were not listed.
    fn cached_unlisted(&self, listing: &TaskListing, cluster: &str, deadline: &Deadline) -> Vec<Arc<Task>> {
        let listed: BTreeSet<&str> = listing.batches.iter().flat_map(|page| &page.tasks).map(String::as_str).collect();
        let before = self.known.in_cluster(cluster, deadline.now_ms()).into_iter();
        before.filter(|task| !listed.contains(&*task.arn) && is_desired_running(task)).collect()
    }

    /// What ECS says of the tasks of some pages. Those that have gone since they were listed are left out: that is no
    /// error.
    pub async fn describe(&self, pages: &[TaskBatch], deadline: &Deadline) -> DiscoveryResult {
        let mut discovered = DiscoveryResult::default();
        let mut tasks = Vec::new();
        let mut answers = stream::iter(pages)
            .map(|page| async move { (page, self.describe_page(page, deadline).await) })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        while let Some((page, answer)) = answers.next().await {
            match answer {
                Ok(described) => {
                    discovered.missing += page.tasks.len().saturating_sub(described.len());
                    tasks.extend(described);
                }
                Err(error) => {
                    let known = page.tasks.iter().filter_map(|arn| self.known.task(arn, deadline.now_ms()));
                    let known = if error.retryable { known.collect() } else { Vec::new() };
                    self.add_cached(known, &mut discovered);
                    discovered.failures.push(error);
                }
            }
        }
        drop(answers);
        self.enrich(tasks, &mut discovered, deadline).await;
        discovered
    }

    /// Like `describe`, but tasks of which this environment has heard in the last minutes are as they were then.
    pub async fn describe_uncached(&self, pages: &[TaskBatch], deadline: &Deadline) -> DiscoveryResult {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for page in pages {
            let mut tasks = Vec::new();
            for name in &page.tasks {
                match self.known.task(name, deadline.now_ms()) {
                    Some(task) => known.push(task),
                    None => tasks.push(name.clone()),
                }
            }
            if !tasks.is_empty() {
                unknown.push(TaskBatch { cluster: page.cluster.clone(), tasks });
            }
        }
        let mut discovered = self.describe(&unknown, deadline).await;
        self.apply_filter(known, &mut discovered);
        discovered
    }

    /// Completes a task that an event told of; `None` when it is in none of the wanted clusters, or filtered out.
    pub async fn resolve_event_task(
        &self,
        mut task: Task,
        deadline: &Deadline,
    ) -> (Option<Arc<Task>>, Vec<DiscoveryError>) {
        if !self.clusters.matches(&task.cluster_arn) {
            return (None, Vec::new());
        }
        let mut discovered = DiscoveryResult::default();
        // Events tell no tags, and the task's series may have them as labels.
        if let Some(known) = self.cached_task(&task.arn, deadline) {
            task.tags.clone_from(&known.tags);
        } else if self.tags.task_tags {
            let page = TaskBatch { cluster: task.cluster_arn.to_string(), tasks: vec![task.arn.to_string()] };
            match self.describe_page(&page, deadline).await {
                Ok(described) => task.tags = described.into_iter().flat_map(|described| described.tags).collect(),
                Err(error) => discovered.failures.push(error),
            }
        }
        self.enrich(vec![task], &mut discovered, deadline).await;
        (discovered.tasks.pop().or_else(|| discovered.without_definition.pop()), discovered.failures)
    }

    /// What this environment has heard of a task in the last minutes.
    pub fn cached_task(&self, arn: &str, deadline: &Deadline) -> Option<Arc<Task>> {
        self.known.task(arn, deadline.now_ms())
    }

    /// All tasks that this environment has heard of in the last minutes, those that have stopped since included.
    pub fn cached_tasks(&self, deadline: &Deadline) -> Vec<Arc<Task>> {
        self.known.all(deadline.now_ms())
    }

    /// Why a task is kept or dropped: the rule of SIDECARLESS_TASK_FILTER that decided.
    pub fn matching_rule(&self, task: &Task) -> Result<Option<&str>, &str> {
        self.filter.matching_rule(task)
    }

    async fn describe_page(&self, page: &TaskBatch, deadline: &Deadline) -> Result<Vec<Task>, DiscoveryError> {
        let request = self.api.client.describe_tasks().cluster(&page.cluster).set_tasks(Some(page.tasks.clone()));
        let request = request.include(TaskField::Tags).send();
        let output = self.api.call("DescribeTasks", &page.cluster, deadline, request).await?;
        Ok(output.tasks.unwrap_or_default().iter().filter_map(describe::task).collect())
    }

    /// Adds what the definitions and hosts say, and sorts the tasks by the filter.
    async fn enrich(&self, mut tasks: Vec<Task>, discovered: &mut DiscoveryResult, deadline: &Deadline) {
        let definitions = tasks.iter().map(|task| Arc::clone(&task.definition_arn)).collect();
        discovered.failures.extend(self.definitions.fetch(&self.api, &definitions, deadline).await);
        for task in &mut tasks {
            if let Some(definition) = self.definitions.get(&task.definition_arn) {
                definition.apply_to(task);
            }
        }
        discovered.failures.extend(self.hosts.resolve_addresses(&self.api, &mut tasks, deadline).await);
        discovered.failures.extend(self.cluster_tags.attach(&self.api, &mut tasks, deadline).await);
        let is_defined = |task: &Task| self.definitions.get(&task.definition_arn).is_some();
        let (defined, undefined): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(is_defined);
        let defined: Vec<Arc<Task>> = defined.into_iter().map(Arc::new).collect();
        self.known.insert(&defined, deadline.now_ms());
        self.apply_filter(defined, discovered);
        discovered.without_definition.extend(undefined.into_iter().map(Arc::new));
    }

    fn add_cached(&self, tasks: Vec<Arc<Task>>, discovered: &mut DiscoveryResult) {
        discovered.from_cache += tasks.len();
        self.apply_filter(tasks, discovered);
    }

    fn apply_filter(&self, tasks: Vec<Arc<Task>>, discovered: &mut DiscoveryResult) {
        for task in tasks {
            let kept = self.filter.matching_rule(&task).is_ok();
            let place = if kept { &mut discovered.tasks } else { &mut discovered.filtered };
            place.push(task);
        }
    }
}

/// What ListTasks lists when it is asked for running tasks.
fn is_desired_running(task: &Task) -> bool {
    task.desired_status != TaskStatus::Stopped
}
