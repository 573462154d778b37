//! Lookup of the task that a client claims or proves to be, for the identity attributes of pushed telemetry.

use std::sync::Arc;

use futures_util::future::join;
use futures_util::{StreamExt as _, stream};

use super::ecs_client::Listed;
use super::lookup_limits::{LookupClient, LookupLimits};
use super::{CLUSTER_CONCURRENCY, Discovery, DiscoveryResult};
use crate::deadline::Deadline;
use crate::model::arn::{TaskArn, is_task_id};
use crate::model::cache::Cache;
use crate::model::task::Task;
use crate::work_budget::MemoryLimit;

/// The identity of a task does not change during its life.
const TTL_MS: i64 = 3_600_000;

/// Delay before an id that is not a task, or whose lookup failed, is looked up again.
const NEGATIVE_TTL_MS: i64 = 60_000;

/// How long the description of a task that pushes its stats is used. After this, a task that has stopped can send nothing.
const PUSHING_TASK_TTL_MS: i64 = 600_000;

/// Time between two lookups of a task whose push has containers that its description does not have.
const REFRESH_INTERVAL_MS: i64 = 60_000;

/// Memory for the tasks that were looked up again.
const MAX_REFRESHED_BYTES: usize = 1 << 20;

/// Memory for tasks: more than push to one environment within an hour.
const MAX_BYTES: usize = 4 << 20;

/// The clusters of the account rarely change, and a new one is listed within a minute.
const CLUSTERS_TTL_MS: i64 = 60_000;

/// Memory for the names of clusters.
const MAX_CLUSTER_BYTES: usize = 1 << 20;

/// Reason why a task was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// No selected cluster has the task.
    Unknown,
    /// ECS did not respond, or the client caused too many lookups.
    Unavailable,
}

/// Tasks of clients, and the limits of their lookups.
#[derive(Debug)]
pub(super) struct TaskIdentities {
    by_name: Cache<Arc<str>, Result<Arc<Task>, LookupError>>,
    /// Tasks that were looked up again in the last minute.
    refreshed: Cache<Arc<str>, ()>,
    clusters: Cache<(), Arc<[String]>>,
    pub(super) limits: LookupLimits,
}

/// A task to look up.
struct Lookup<'a> {
    /// The id of a session, or cluster and id of a claim: a false claim must not hide the task in another cluster.
    name: String,
    id: &'a str,
    clusters: Arc<[String]>,
    client: LookupClient<'a>,
    /// How long the task is cached.
    ttl_ms: i64,
}

/// A task, if ECS knows it, and whether a call failed.
struct Described {
    task: Option<Arc<Task>>,
    is_incomplete: bool,
}

impl Discovery {
    /// Returns the task with this ARN if its cluster is selected. `client` claims to be the task.
    pub async fn task_by_arn(
        &self,
        arn: &str,
        client: LookupClient<'_>,
        deadline: &Deadline,
    ) -> Result<Arc<Task>, LookupError> {
        self.claimed_task(arn, client, "", TTL_MS, deadline).await
    }

    /// Returns the task with this ARN as it was described in the last minutes.
    pub async fn pushing_task(
        &self,
        arn: &str,
        client: LookupClient<'_>,
        deadline: &Deadline,
    ) -> Result<Arc<Task>, LookupError> {
        match self.cached_task(arn, deadline).filter(|task| *task.arn == *arn) {
            Some(task) => Ok(task),
            None => self.claimed_task(arn, client, "push/", PUSHING_TASK_TTL_MS, deadline).await,
        }
    }

    async fn claimed_task(
        &self,
        arn: &str,
        client: LookupClient<'_>,
        prefix: &str,
        ttl_ms: i64,
        deadline: &Deadline,
    ) -> Result<Arc<Task>, LookupError> {
        let claim = TaskArn::parse(arn).filter(TaskArn::is_in_limits).ok_or(LookupError::Unknown)?;
        let cluster = claim.cluster.unwrap_or("default");
        if !self.clusters.matches(&claim.cluster_arn(cluster)) {
            return Err(LookupError::Unknown);
        }
        let name = format!("{prefix}{cluster}/{}", claim.id);
        let lookup = Lookup { name, id: claim.id, clusters: [cluster.to_owned()].into(), client, ttl_ms };
        let task = self.lookup_task(lookup, deadline).await?;
        if *task.arn == *arn { Ok(task) } else { Err(LookupError::Unknown) }
    }

    /// Describes a task again that changed since it was described; at most once a minute. `None` if the description does not change.
    pub async fn refreshed_task(
        &self,
        task: &Task,
        client: LookupClient<'_>,
        deadline: &Deadline,
    ) -> Option<Arc<Task>> {
        let (now_ms, identities) = (deadline.now_ms(), &self.identities);
        if identities.refreshed.get(&task.arn, now_ms).is_some()
            || !identities.limits.acquire(client, 1, deadline).await
        {
            return None;
        }
        identities.refreshed.insert(Arc::clone(&task.arn), (), now_ms);
        // `enrich` keeps it as the last description of the task.
        let refreshed = self.describe_by_id(&task.id, &[task.cluster_arn.to_string()], deadline).await.task?;
        let ids = |task: &Task| -> Vec<Arc<str>> {
            task.containers.iter().map(|container| Arc::clone(&container.runtime_id)).collect()
        };
        if ids(&refreshed) != ids(task) {
            identities.limits.confirm(client.sender, now_ms);
        }
        Some(refreshed)
    }

    /// Returns the task whose id is the role session name of a signed request. Any principal that can assume a role can
    /// choose the session name, so the task must have that role.
    pub async fn task_by_session(
        &self,
        session: &str,
        account: &str,
        role: &str,
        client: LookupClient<'_>,
        deadline: &Deadline,
    ) -> Result<Arc<Task>, LookupError> {
        if !is_task_id(session) {
            return Err(LookupError::Unknown);
        }
        let clusters = match self.identities.get(session, deadline.now_ms()) {
            Some(_) => Arc::default(),
            None => self.clusters_of_sessions(deadline).await,
        };
        if clusters.len() > 1 {
            // The lists tell the clusters of the next sessions, which would otherwise cost a call for each cluster.
            self.prefetched.allow_lists(clusters.iter().map(String::as_str));
        }
        let lookup = Lookup { name: session.to_owned(), id: session, clusters, client, ttl_ms: TTL_MS };
        let task = self.lookup_task(lookup, deadline).await?;
        let task_role = task.task_role_arn.as_deref().and_then(|arn| arn.rsplit('/').next());
        let is_own = task_role == Some(role) && *task.account == *account;
        if is_own { Ok(task) } else { Err(LookupError::Unknown) }
    }

    /// Returns the selected clusters. They are listed once a minute, not for each session.
    async fn clusters_of_sessions(&self, deadline: &Deadline) -> Arc<[String]> {
        let now_ms = deadline.now_ms();
        if let Some(clusters) = self.identities.clusters.get(&(), now_ms) {
            return clusters;
        }
        let Listed { items, error } = self.clusters.resolve(&self.api, deadline).await;
        let clusters: Arc<[String]> = items.into();
        if error.is_none() {
            self.identities.clusters.insert((), Arc::clone(&clusters), now_ms);
        }
        clusters
    }

    async fn lookup_task(&self, lookup: Lookup<'_>, deadline: &Deadline) -> Result<Arc<Task>, LookupError> {
        let now_ms = deadline.now_ms();
        if let Some(cached) = self.identities.get(&lookup.name, now_ms) {
            return cached;
        }
        if let Some(task) = self.described_task(&lookup, deadline).await {
            self.identities.insert(lookup.name, Ok(Arc::clone(&task)), lookup.ttl_ms, now_ms);
            return Ok(task);
        }
        // A task that was confirmed before keeps its identity if it cannot be looked up now.
        let expired = self.identities.by_name.get_stale(&*lookup.name).and_then(Result::ok);
        let clusters = self.prefetched.narrow(&lookup.clusters, lookup.id);
        if !self.identities.limits.acquire(lookup.client, clusters.len(), deadline).await {
            return expired.ok_or(LookupError::Unavailable);
        }
        // Cache the failure first: the caller may time out before ECS responds, and the next lookup must not repeat the
        // call.
        let pending = expired.clone().ok_or(LookupError::Unavailable);
        self.identities.insert(lookup.name.clone(), pending, NEGATIVE_TTL_MS, now_ms);
        let lists = self.list_unknown(&lookup.clusters, deadline);
        let (described, ()) = join(self.describe_by_id(lookup.id, clusters, deadline), lists).await;
        let (error, is_incomplete) = (described.error(), described.is_incomplete);
        let task = described.task.filter(|task| self.clusters.matches(&task.cluster_arn));
        if let Some(task) = &task {
            self.identities.limits.confirm(lookup.client.sender, now_ms);
            self.prefetched.allow_lists([&*task.cluster]);
        }
        let ttl_ms = if task.is_some() { lookup.ttl_ms } else { NEGATIVE_TTL_MS };
        let task = task.or_else(|| expired.filter(|_| is_incomplete)).ok_or(error);
        self.identities.insert(lookup.name, task.clone(), ttl_ms, now_ms);
        task
    }

    /// Returns a task that was described before, for a scheduled run or together with another one.
    async fn described_task(&self, lookup: &Lookup<'_>, deadline: &Deadline) -> Option<Arc<Task>> {
        let now_ms = deadline.now_ms();
        let is_selected = |task: &Arc<Task>| self.clusters.matches(&task.cluster_arn);
        if let Some(task) = self.recent.task(lookup.id, now_ms).filter(is_selected) {
            return Some(task);
        }
        let task = self.take_prefetched(lookup.id, &lookup.clusters, now_ms)?;
        self.complete(task, deadline).await.task.filter(is_selected)
    }

    /// Describes a task whose cluster is one of several.
    async fn describe_by_id(&self, id: &str, clusters: &[String], deadline: &Deadline) -> Described {
        let mut results = stream::iter(clusters)
            .map(|cluster| self.describe_with_unknown(id, cluster, deadline))
            .buffer_unordered(CLUSTER_CONCURRENCY);
        let mut is_incomplete = clusters.is_empty();
        while let Some(result) = results.next().await {
            match result {
                Ok(None) => {}
                Ok(Some(task)) => return self.complete(task, deadline).await,
                Err(error) => {
                    is_incomplete = true;
                    tracing::warn!(error = %error, task_id = id, "task of a client could not be looked up");
                }
            }
        }
        Described { task: None, is_incomplete }
    }

    /// Completes a task with its definition.
    async fn complete(&self, task: Task, deadline: &Deadline) -> Described {
        let (id, mut discovered) = (Arc::clone(&task.id), DiscoveryResult::default());
        self.enrich(vec![task], &mut discovered, deadline).await;
        let DiscoveryResult { tasks, filtered, failures, .. } = discovered;
        for error in &failures {
            tracing::warn!(error = %error, task_id = &*id, "task of a client could not be looked up");
        }
        Described { task: tasks.into_iter().chain(filtered).next(), is_incomplete: !failures.is_empty() }
    }
}

impl Described {
    /// Returns the error if there is no task.
    fn error(&self) -> LookupError {
        if self.is_incomplete { LookupError::Unavailable } else { LookupError::Unknown }
    }
}

impl TaskIdentities {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        let weigh_task = |name: &Arc<str>, task: &Result<Arc<Task>, LookupError>| {
            name.len() + task.as_ref().map_or(0, |task| task.size())
        };
        let weigh_clusters = |(): &(), clusters: &Arc<[String]>| clusters.iter().map(|name| name.len() + 32).sum();
        Self {
            by_name: Cache::new(TTL_MS, memory.cache_bytes(MAX_BYTES), weigh_task),
            refreshed: Cache::new(REFRESH_INTERVAL_MS, MAX_REFRESHED_BYTES, |arn, ()| arn.len()),
            clusters: Cache::new(CLUSTERS_TTL_MS, MAX_CLUSTER_BYTES, weigh_clusters),
            limits: LookupLimits::default(),
        }
    }

    fn get(&self, name: &str, now_ms: i64) -> Option<Result<Arc<Task>, LookupError>> {
        self.by_name.get(name, now_ms)
    }

    fn insert(&self, name: String, task: Result<Arc<Task>, LookupError>, ttl_ms: i64, now_ms: i64) {
        self.by_name.insert_with_ttl(name.into(), task, now_ms, ttl_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn miss_expires_after_a_minute_and_task_after_an_hour() {
        let identities = TaskIdentities::new(MemoryLimit::unlimited());
        identities.insert("none".into(), Err(LookupError::Unknown), NEGATIVE_TTL_MS, 0);
        identities.insert("one".into(), Ok(Arc::default()), TTL_MS, 0);
        for (name, now_ms, is_cached) in [
            ("none", 59_999, true),
            ("none", 60_000, false),
            ("one", 3_599_999, true),
            ("one", 3_600_000, false),
            ("other", 0, false),
        ] {
            assert_eq!(identities.get(name, now_ms).is_some(), is_cached, "{name} at {now_ms}");
        }
    }
}
