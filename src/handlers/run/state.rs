//! State of ECS in a run: describes clusters, services and container instances, and writes their series and those of tasks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::context::RunContext;
use super::coverage::Coverage;
use super::last_samples::LastSamples;
use super::task_series::TaskSeries;
use crate::deadline::Deadline;
use crate::discovery::{
    ClusterStates, ContainerInstanceStates, Discovery, DiscoveryError, Observed, ServiceQuery, ServiceStates,
    TaskListing,
};
use crate::model::budget::Budget as _;
use crate::model::cluster::Cluster;
use crate::model::container_instance::ContainerInstance;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::{Tag, Task};
use crate::translate::state::{Action, Scope, StateTask, StateWriter, TaskGroup, TaskGroups};
use crate::work_budget::MemoryLimit;

/// Memory for the groups of tasks. Larger fleets have no staleness markers for groups that end.
const MAX_GROUP_BYTES: usize = 4 << 20;

const MINUTE_MS: i64 = 60_000;

/// Describes the state of ECS and writes its series.
#[derive(Debug)]
pub(in crate::handlers) struct StateCollector {
    discovery: Arc<Discovery>,
    series: Arc<TaskSeries>,
    last_samples: Arc<LastSamples>,
    memory: MemoryLimit,
    /// Whether services are described although no series of their state is written.
    needs_services: bool,
    /// Groups of the previous run.
    groups: Mutex<TaskGroups>,
    /// Calls that the role may not make, which are logged once.
    denied: Mutex<BTreeSet<&'static str>>,
}

/// Descriptions of a run.
#[derive(Debug, Default)]
pub(in crate::handlers) struct EcsState {
    pub(in crate::handlers) clusters: ClusterStates,
    pub(in crate::handlers) services: ServiceStates,
    pub(in crate::handlers) instances: ContainerInstanceStates,
    /// Time of the samples.
    pub(in crate::handlers) at_ms: i64,
}

impl StateCollector {
    pub(in crate::handlers) fn new(
        discovery: &Arc<Discovery>,
        series: &Arc<TaskSeries>,
        last_samples: &Arc<LastSamples>,
        memory: MemoryLimit,
        needs_services: bool,
    ) -> Self {
        Self {
            discovery: Arc::clone(discovery),
            series: Arc::clone(series),
            last_samples: Arc::clone(last_samples),
            memory,
            needs_services,
            groups: Mutex::default(),
            denied: Mutex::default(),
        }
    }

    /// Describes the clusters of a run. Their settings decide where the statistics of tasks come from.
    pub(in crate::handlers) async fn describe_clusters(
        &self,
        clusters: &[String],
        deadline: &Deadline,
    ) -> ClusterStates {
        let metrics = self.series.state;
        let is_needed = metrics.has_scope(Scope::Cluster) || metrics.has_scope(Scope::ContainerInstance);
        if !is_needed && !self.series.sources.insights {
            return ClusterStates::default();
        }
        let states = self.discovery.describe_clusters(clusters, deadline).await;
        self.log_failures(&states.failures);
        states
    }

    /// Describes the clusters whose settings are not known, for the tasks of a shard or an event.
    pub(in crate::handlers) async fn describe_stale_clusters(&self, clusters: &[String], deadline: &Deadline) {
        if self.series.sources.insights {
            self.log_failures(&self.discovery.describe_stale_clusters(clusters, deadline).await);
        }
    }

    /// Describes services and container instances. A failed call costs only its own series.
    pub(in crate::handlers) async fn describe(
        &self,
        clusters: ClusterStates,
        listing: &TaskListing,
        tasks: &[Arc<Task>],
        scheduled_ms: i64,
        deadline: &Deadline,
    ) -> EcsState {
        let metrics = self.series.state;
        let mut state = EcsState { clusters, ..EcsState::default() };
        if metrics.has_scope(Scope::Service) || self.needs_services {
            let query = ServiceQuery {
                clusters: &listing.clusters,
                is_complete: listing.failures.iter().all(|failure| failure.call() != "ListClusters"),
                tasks,
                minute: Some(scheduled_ms.div_euclid(MINUTE_MS)),
            };
            state.services = self.discovery.describe_services(&query, deadline).await;
            self.log_failures(&state.services.failures);
        }
        if metrics.has_scope(Scope::ContainerInstance) {
            let clusters: Vec<_> = state.clusters.clusters.iter().filter_map(|cluster| cluster.now.clone()).collect();
            state.instances = self.discovery.describe_container_instances(&clusters, deadline).await;
            self.log_failures(&state.instances.failures);
        }
        state.at_ms = deadline.now_ms();
        state
    }

    /// Writes the series of tasks.
    pub(in crate::handlers) async fn append_tasks(&self, tasks: &[Arc<Task>], run: &mut RunContext<'_>) {
        if !(self.series.state.has_scope(Scope::Task) || self.series.state.has_scope(Scope::Container)) {
            return;
        }
        let (at_ms, deadline) = (run.deadline.now_ms(), run.deadline);
        let budget = self.memory.budget(deadline, Duration::ZERO);
        for (number, task) in tasks.iter().enumerate() {
            if budget.check().is_err() {
                // The series before may be what uses up the memory.
                run.deliver_now().await;
                if let Err(exceeded) = budget.check() {
                    return run.stats.record_state_skipped(tasks.len() - number, exceeded);
                }
            }
            self.append_task(task, Action::Write, at_ms, &mut run.batch);
            self.last_samples.record(task, at_ms);
            run.deliver_if_full().await;
        }
    }

    /// Writes or ends the series of a task.
    fn append_task(&self, task: &Task, action: Action, at_ms: i64, out: &mut SeriesBatch) {
        let extra = self.series.add_labels(task, Labels::default());
        let source = self.series.source(task);
        let state = StateTask { task, source, extra: &extra, options: &self.series.stats };
        StateWriter { action, ..StateWriter::new(self.series.state, at_ms, out) }.task(&state);
    }

    /// Ends the series of a stopped task.
    pub(in crate::handlers) fn end_task(&self, task: &Task, at_ms: i64, out: &mut SeriesBatch) {
        self.append_task(task, Action::End, at_ms, out);
    }

    /// Writes the series of clusters, services and container instances, and ends those of resources that are gone.
    pub(in crate::handlers) async fn append(&self, state: &EcsState, run: &mut RunContext<'_>) {
        let labels = |tags: &[Tag]| self.series.cluster_labels(tags);
        for cluster in &state.clusters.clusters {
            self.append_observed(cluster, state.at_ms, run, |out, it| out.cluster(it, &labels(&it.tags))).await;
        }
        for instance in &state.instances.instances {
            let write = |out: &mut StateWriter<'_>, it: &ContainerInstance| {
                out.container_instance(it, &labels(&it.cluster_tags));
            };
            self.append_observed(instance, state.at_ms, run, write).await;
        }
        for service in &state.services.services {
            self.append_observed(service, state.at_ms, run, |out, it| out.service(it, &labels(&it.cluster_tags))).await;
        }
    }

    async fn append_observed<T: PartialEq>(
        &self,
        observed: &Observed<T>,
        at_ms: i64,
        run: &mut RunContext<'_>,
        write: impl Fn(&mut StateWriter<'_>, &T),
    ) {
        let Observed { before, now } = observed;
        let mut out = StateWriter::new(self.series.state, at_ms, &mut run.batch);
        if let Some(now) = now {
            write(&mut out, now);
        }
        if let Some(before) = before.as_ref().filter(|_| before != now) {
            out.action = Action::End;
            write(&mut out, before);
        }
        run.deliver_if_full().await;
    }

    /// Writes the numbers of tasks by status. Groups without tasks are written as 0 while their service exists. Clusters whose tasks
    /// are not all known are left out: their numbers would be too low.
    pub(in crate::handlers) fn append_groups<'a>(
        &self,
        tasks: impl Iterator<Item = &'a Arc<Task>>,
        is_known: impl Fn(&str) -> bool,
        state: &EcsState,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        if !self.series.state.has_scope(Scope::TaskGroup) {
            return;
        }
        let mut groups = TaskGroups::default();
        tasks.filter(|task| is_known(&task.cluster)).for_each(|task| groups.add(task));
        let services = self.discovery.cached_services(deadline);
        let services: BTreeSet<(&str, &str)> = services.iter().map(|it| (&*it.cluster, &*it.name)).collect();
        let exists = |group: &TaskGroup| {
            group.service.as_ref().is_some_and(|service| services.contains(&(&*group.cluster, &**service)))
        };
        let mut previous = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = previous.take_unknown(is_known);
        groups.keep_empty(&previous, exists);
        let mut out = StateWriter::new(self.series.state, state.at_ms, out);
        out.task_groups(&groups, |tags| self.series.cluster_labels(tags));
        out.action = Action::End;
        out.task_groups(&previous, |tags| self.series.cluster_labels(tags));
        groups.extend(unknown);
        *previous = if groups.size() <= MAX_GROUP_BYTES { groups } else { TaskGroups::default() };
    }

    /// Writes the numbers of tasks by source, for clusters all of whose tasks are known.
    pub(in crate::handlers) fn append_sources<'c>(
        &self,
        clusters: impl Iterator<Item = &'c str>,
        coverage: &Coverage,
        tasks: &[Arc<Task>],
        at_ms: i64,
        out: &mut SeriesBatch,
    ) {
        let mut out = StateWriter::new(self.series.state, at_ms, out);
        for name in clusters {
            let described = self.discovery.cached_cluster(name).or_else(|| cluster_of(name, tasks));
            let Some(cluster) = described else { continue };
            out.sources(&cluster, &coverage.of(name), &self.series.cluster_labels(&cluster.tags));
        }
    }

    /// Logs failed calls. A call that the role may not make fails in each run and is logged once.
    fn log_failures(&self, failures: &[DiscoveryError]) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        for failure in failures {
            let error = failure.to_string();
            if !failure.is_denied() {
                tracing::warn!(error, "a part of the state of ECS could not be read");
            } else if denied.insert(failure.call()) {
                let action = format!("ecs:{}", failure.call());
                tracing::warn!(
                    action,
                    error,
                    "a permission for the state of ECS is missing: allow the action, or update the stack"
                );
            }
        }
    }
}

/// Returns what is known about a cluster that could not be described.
fn cluster_of(name: &str, tasks: &[Arc<Task>]) -> Option<Arc<Cluster>> {
    let task = tasks.iter().find(|task| *task.cluster == *name)?;
    let tags = Arc::clone(&task.cluster_tags);
    Some(Arc::new(Cluster { tags, ..Cluster::from_arn(&task.cluster_arn) }))
}
