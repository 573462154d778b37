//! Task discovery through the ECS API: which tasks run, with their definition, host address and tags.
//!
//! A cluster of N tasks takes ceil(N/100) ListTasks and ceil(N/100) DescribeTasks calls, and one DescribeTaskDefinition
//! call for each revision that is not cached; revisions never change. The group of a task contains the name of its service.
//! `cluster_state`, `services` and `container_instances` describe the resources that have series of their own. A failed call affects only its own cluster or batch of tasks. After a
//! retryable error, such as throttling, tasks described in the last minutes are used. (Amazon ECS API Reference.)
//!
//! This module does not choose targets or scrape them: see `scrape`.

mod cluster_state;
mod clusters;
mod container_instances;
mod definitions;
mod describe;
mod ec2;
mod ecs_client;
mod hosts;
mod identify;
mod list;
mod lookup_limits;
mod observed;
mod prefetch;
mod recent_tasks;
mod services;
mod stopped;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::TaskField;
use futures_util::StreamExt as _;
use futures_util::stream;

pub use cluster_state::ClusterStates;
pub use container_instances::ContainerInstanceStates;
pub use ec2::Ec2Client;
pub use ecs_client::DiscoveryError;
pub use identify::LookupError;
pub use list::{TaskBatch, TaskListing};
pub use lookup_limits::LookupClient;
pub use observed::Observed;
pub use services::{ServiceQuery, ServiceStates};
pub use stopped::StoppedListing;

use cluster_state::ClusterCache;
use clusters::ClusterSelector;
use container_instances::ContainerInstanceCache;
use definitions::{TaskDefinitionCache, TaskDefinitions};
use ecs_client::EcsClient;
use hosts::HostCache;
use identify::TaskIdentities;
use list::IncompleteCluster;
use prefetch::PrefetchedTasks;
use recent_tasks::RecentTasks;
use services::ServiceCache;
use stopped::StoppedTaskCache;

use crate::deadline::Deadline;
use crate::model::ecs::TaskStatus;
use crate::model::task::{Tag, Task};
use crate::rules::task_filter::TaskFilter;
use crate::settings::Settings;
use crate::work_budget::MemoryLimit;

/// Concurrent calls for clusters or for batches of tasks.
const CLUSTER_CONCURRENCY: usize = 4;

/// Which tags settings use, as labels or in filters.
#[derive(Clone, Copy, Debug, Default)]
pub struct TagRequirements {
    /// DescribeTasks returns them; state change events do not contain them.
    pub task_tags: bool,
    /// DescribeClusters returns them.
    pub cluster_tags: bool,
}

impl From<&Settings> for TagRequirements {
    fn from(settings: &Settings) -> Self {
        Self {
            task_tags: settings.tag_labels.uses_task_tags() || settings.tasks.uses_tags(),
            cluster_tags: settings.tag_labels.uses_cluster_tags(),
        }
    }
}

/// Discovers tasks, with caches that live as long as the execution environment.
#[derive(Debug)]
pub struct Discovery {
    api: EcsClient,
    clusters: ClusterSelector,
    filter: TaskFilter,
    definitions: TaskDefinitionCache,
    hosts: HostCache,
    clusters_by_name: ClusterCache,
    services: ServiceCache,
    container_instances: ContainerInstanceCache,
    tags: TagRequirements,
    recent: RecentTasks,
    stopped: StoppedTaskCache,
    identities: TaskIdentities,
    prefetched: PrefetchedTasks,
}

/// Discovered tasks and failed calls.
#[must_use]
#[derive(Debug, Default)]
pub struct DiscoveryResult {
    /// Tasks that SIDECARLESS_TASK_FILTER selects.
    pub tasks: Vec<Arc<Task>>,
    /// Tasks that it excludes.
    pub filtered: Vec<Arc<Task>>,
    /// Tasks that ended after they were listed, see [`DiscoveryResult::move_ended`].
    pub ended: Vec<Arc<Task>>,
    /// Tasks whose definition could not be fetched.
    pub without_definition: Vec<Arc<Task>>,
    pub failures: Vec<DiscoveryError>,
    /// Short names of the clusters whose tasks are not all known, because a call failed and the cache did not have them.
    incomplete: BTreeSet<String>,
    /// Number of tasks from the cache, because a call failed.
    pub from_cache: usize,
    /// Number of tasks that no longer exist since they were listed.
    pub missing: usize,
}

impl DiscoveryResult {
    /// Returns the number of tasks, including filtered ones.
    pub fn len(&self) -> usize {
        self.tasks.len() + self.ended.len() + self.filtered.len() + self.without_definition.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Discovery {
    /// `clusters` are the names, ARNs and globs of the setting.
    pub fn new(
        ecs: Client,
        ec2: Ec2Client,
        clusters: &[String],
        filter: TaskFilter,
        tags: TagRequirements,
        memory: MemoryLimit,
    ) -> Self {
        Self {
            api: EcsClient::new(ecs),
            clusters: ClusterSelector::new(clusters),
            filter,
            definitions: TaskDefinitionCache::new(memory),
            hosts: HostCache::new(ec2),
            clusters_by_name: ClusterCache::new(tags.cluster_tags, memory),
            services: ServiceCache::new(memory),
            container_instances: ContainerInstanceCache::new(memory),
            tags,
            recent: RecentTasks::new(memory),
            stopped: StoppedTaskCache::new(memory),
            identities: TaskIdentities::new(memory),
            prefetched: PrefetchedTasks::new(memory),
        }
    }

    /// Describes all listed tasks. For clusters that could not be listed completely, adds recent tasks.
    pub async fn describe_all(&self, listing: &TaskListing, deadline: &Deadline) -> DiscoveryResult {
        let mut discovered = self.describe(&listing.batches, deadline).await;
        discovered.failures.splice(0..0, listing.failures.iter().cloned());
        for IncompleteCluster { cluster, is_retryable } in &listing.incomplete {
            let cached = if *is_retryable { self.cached_unlisted(listing, cluster, deadline) } else { Vec::new() };
            if cached.is_empty() {
                discovered.add_incomplete(cluster);
            }
            self.add_cached(cached, &mut discovered);
        }
        discovered
    }

    /// Describes the listed tasks that were not described in the last minutes.
    pub async fn describe_listed(&self, listing: &TaskListing, deadline: &Deadline) -> DiscoveryResult {
        let mut discovered = self.describe_uncached(&listing.batches, deadline).await;
        listing.incomplete.iter().for_each(|incomplete| discovered.add_incomplete(&incomplete.cluster));
        discovered
    }

    /// Returns the listed batches, and batches of recent tasks for clusters that could not be listed completely.
    pub fn batches_of(&self, listing: &TaskListing, deadline: &Deadline) -> Vec<TaskBatch> {
        let retryable = listing.incomplete.iter().filter(|incomplete| incomplete.is_retryable);
        let unlisted = retryable.flat_map(|IncompleteCluster { cluster, .. }| {
            let tasks = self.cached_unlisted(listing, cluster, deadline).into_iter().map(|task| task.arn.to_string());
            TaskBatch::chunks(cluster, &tasks.collect::<Vec<_>>())
        });
        listing.batches.iter().cloned().chain(unlisted).collect()
    }

    /// Returns the recent tasks of a cluster that were not listed.
    fn cached_unlisted(&self, listing: &TaskListing, cluster: &str, deadline: &Deadline) -> Vec<Arc<Task>> {
        let listed: BTreeSet<&str> =
            listing.batches.iter().flat_map(|batch| &batch.tasks).map(String::as_str).collect();
        let recent = self.recent.in_cluster(cluster, deadline.now_ms()).into_iter();
        recent.filter(|task| !listed.contains(&*task.arn) && is_desired_running(task)).collect()
    }

    /// Describes tasks. Tasks that no longer exist are counted and are not an error.
    pub async fn describe(&self, batches: &[TaskBatch], deadline: &Deadline) -> DiscoveryResult {
        let mut discovered = DiscoveryResult::default();
        let mut tasks = Vec::new();
        let mut results = stream::iter(batches)
            .map(|batch| async move { (batch, self.describe_batch(batch, deadline).await) })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        while let Some((batch, result)) = results.next().await {
            match result {
                Ok(described) => {
                    discovered.missing += batch.tasks.len().saturating_sub(described.len());
                    tasks.extend(described);
                }
                Err(error) => {
                    let recent = batch.tasks.iter().filter(|_| error.is_retryable());
                    let recent: Vec<_> = recent.filter_map(|arn| self.recent.task(arn, deadline.now_ms())).collect();
                    if recent.len() < batch.tasks.len() {
                        discovered.add_incomplete(&batch.cluster);
                    }
                    self.add_cached(recent, &mut discovered);
                    discovered.failures.push(error);
                }
            }
        }
        drop(results);
        self.enrich(tasks, &mut discovered, deadline).await;
        discovered
    }

    /// Returns recent tasks from the cache, and describes uncached tasks.
    pub async fn describe_uncached(&self, batches: &[TaskBatch], deadline: &Deadline) -> DiscoveryResult {
        let (mut recent, mut missing) = (Vec::new(), Vec::new());
        for batch in batches {
            let mut tasks = Vec::new();
            for name in &batch.tasks {
                match self.recent.task(name, deadline.now_ms()) {
                    Some(task) => recent.push(task),
                    None => tasks.push(name.clone()),
                }
            }
            if !tasks.is_empty() {
                missing.push(TaskBatch { cluster: batch.cluster.clone(), tasks });
            }
        }
        let mut discovered = self.describe(&missing, deadline).await;
        self.apply_filter(recent, &mut discovered);
        discovered
    }

    /// Completes the task of a state change event. Returns `None` if its cluster is not selected or the filter excludes
    /// it.
    pub async fn resolve_event_task(
        &self,
        mut task: Task,
        deadline: &Deadline,
    ) -> (Option<Arc<Task>>, Vec<DiscoveryError>) {
        if !self.clusters.matches(&task.cluster_arn) {
            return (None, Vec::new());
        }
        let mut discovered = DiscoveryResult::default();
        // Events do not contain tags, which may be labels of the series of the task.
        if let Some(cached) = self.cached_task(&task.arn, deadline) {
            task.tags.clone_from(&cached.tags);
        } else if self.tags.task_tags {
            let batch = TaskBatch { cluster: task.cluster_arn.to_string(), tasks: vec![task.arn.to_string()] };
            match self.describe_batch(&batch, deadline).await {
                Ok(described) => task.tags = described.into_iter().flat_map(|described| described.tags).collect(),
                Err(error) => discovered.failures.push(error),
            }
        }
        self.enrich(vec![task], &mut discovered, deadline).await;
        (discovered.tasks.pop().or_else(|| discovered.without_definition.pop()), discovered.failures)
    }

    /// Returns whether the settings select a cluster.
    pub fn selects_cluster(&self, cluster_arn: &str) -> bool {
        self.clusters.matches(cluster_arn)
    }

    /// Returns the tags of a cluster, if settings use them, and the failed calls.
    pub async fn cluster_tags(&self, cluster_arn: &str, deadline: &Deadline) -> (Arc<[Tag]>, Vec<DiscoveryError>) {
        let mut tasks = [Task::default()];
        tasks.iter_mut().for_each(|task| task.set_cluster(cluster_arn));
        let failures = self.clusters_by_name.attach(&self.api, &mut tasks, deadline).await;
        let [task] = tasks;
        (task.cluster_tags, failures)
    }

    /// Returns a task that was described in the last minutes.
    pub fn cached_task(&self, arn: &str, deadline: &Deadline) -> Option<Arc<Task>> {
        self.recent.task(arn, deadline.now_ms())
    }

    /// Returns all tasks that were described in the last minutes, including tasks that have stopped since.
    pub fn cached_tasks(&self, deadline: &Deadline) -> Vec<Arc<Task>> {
        self.recent.all(deadline.now_ms())
    }

    /// Returns the rule of SIDECARLESS_TASK_FILTER that selects the task, or as an error the rule that excludes it.
    pub fn matching_rule(&self, task: &Task) -> Result<Option<&str>, &str> {
        self.filter.matching_rule(task)
    }

    async fn describe_batch(&self, batch: &TaskBatch, deadline: &Deadline) -> Result<Vec<Task>, DiscoveryError> {
        let request = self.api.client.describe_tasks().cluster(&batch.cluster).set_tasks(Some(batch.tasks.clone()));
        let request = request.include(TaskField::Tags).send();
        let output = self.api.call("DescribeTasks", &batch.cluster, deadline, request).await?;
        Ok(output.tasks.unwrap_or_default().iter().filter_map(describe::task).collect())
    }

    /// Completes tasks with definitions, host addresses, cluster tags and settings, and applies the filter.
    async fn enrich(&self, mut tasks: Vec<Task>, discovered: &mut DiscoveryResult, deadline: &Deadline) {
        let arns = tasks.iter().map(|task| Arc::clone(&task.definition_arn)).collect();
        let TaskDefinitions { by_arn: definitions, failures } =
            self.definitions.fetch(&self.api, &arns, deadline).await;
        discovered.failures.extend(failures);
        for task in &mut tasks {
            if let Some(definition) = definitions.get(&task.definition_arn) {
                definition.apply_to(task);
            }
        }
        discovered.failures.extend(self.hosts.resolve_addresses(&self.api, &mut tasks, deadline).await);
        discovered.failures.extend(self.clusters_by_name.attach(&self.api, &mut tasks, deadline).await);
        let is_defined = |task: &Task| definitions.contains_key(&task.definition_arn);
        let (defined, undefined): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(is_defined);
        let defined: Vec<Arc<Task>> = defined.into_iter().map(Arc::new).collect();
        self.recent.insert(&defined, deadline.now_ms());
        self.apply_filter(defined, discovered);
        discovered.without_definition.extend(undefined.into_iter().map(Arc::new));
    }

    fn add_cached(&self, tasks: Vec<Arc<Task>>, discovered: &mut DiscoveryResult) {
        discovered.from_cache += tasks.len();
        self.apply_filter(tasks, discovered);
    }

    fn apply_filter(&self, tasks: Vec<Arc<Task>>, discovered: &mut DiscoveryResult) {
        for task in tasks {
            let is_selected = self.filter.matching_rule(&task).is_ok();
            let tasks = if is_selected { &mut discovered.tasks } else { &mut discovered.filtered };
            tasks.push(task);
        }
    }
}

/// Returns whether ListTasks includes the task in its list of running tasks.
fn is_desired_running(task: &Task) -> bool {
    task.desired_status != TaskStatus::Stopped
}
