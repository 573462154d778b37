//! Lookup of the task that a client claims or proves to be, for the identity attributes of pushed telemetry.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{CLUSTER_CONCURRENCY, Discovery, DiscoveryResult, TaskBatch};
use crate::deadline::Deadline;
use crate::model::arn::TaskArn;
use crate::model::cache::Cache;
use crate::model::task::Task;

/// The identity of a task does not change during its life.
const TTL_MS: i64 = 3_600_000;

/// Delay before an id that is not a task, or whose lookup failed, is looked up again.
const NEGATIVE_TTL_MS: i64 = 60_000;

/// More tasks than push to one environment within an hour.
const MAX_ENTRIES: usize = 10_000;

/// Hex digits of a task id. Older ids are UUIDs with dashes (Amazon ECS Developer Guide, "Amazon Resource Names and
/// IDs").
const ID_DIGITS: usize = 32;

/// Tasks by id; `None` for an id without a task.
#[derive(Debug)]
pub(super) struct TaskIdentityCache {
    by_id: Cache<Box<str>, Option<Arc<Task>>>,
}

/// Returns whether a text has the form of a task id.
fn is_task_id(text: &str) -> bool {
    let digits = text.bytes().filter(|&byte| byte != b'-');
    digits.clone().count() == ID_DIGITS && digits.clone().all(|byte| byte.is_ascii_hexdigit())
}

impl Discovery {
    /// Returns the task with this ARN if its cluster is selected.
    pub async fn task_by_arn(&self, arn: &str, deadline: &Deadline) -> Option<Arc<Task>> {
        let parsed = TaskArn::parse(arn).filter(|parsed| is_task_id(parsed.id))?;
        let clusters = [parsed.cluster.unwrap_or("default").to_owned()];
        self.lookup_task(parsed.id, &clusters, deadline).await.filter(|task| *task.arn == *arn)
    }

    /// Returns the task whose id is the role session name of a signed request. Any principal that can assume a role can
    /// choose the session name, so the task must have that role.
    pub async fn task_by_session(
        &self,
        session: &str,
        account: &str,
        role: &str,
        deadline: &Deadline,
    ) -> Option<Arc<Task>> {
        if !is_task_id(session) {
            return None;
        }
        let clusters = match self.identities.get(session, deadline.now_ms()) {
            Some(_) => Vec::new(),
            None => self.clusters.resolve(&self.api, deadline).await.items,
        };
        let task = self.lookup_task(session, &clusters, deadline).await?;
        let task_role = task.task_role_arn.as_deref()?.rsplit('/').next()?;
        (task_role == role && *task.account == *account).then_some(task)
    }

    async fn lookup_task(&self, id: &str, clusters: &[String], deadline: &Deadline) -> Option<Arc<Task>> {
        let now_ms = deadline.now_ms();
        if let Some(cached) = self.identities.get(id, now_ms) {
            return cached;
        }
        // Cache the miss first: the caller may time out before ECS responds, and the next lookup must not repeat the
        // call.
        self.identities.insert(id, None, now_ms);
        let task = match self.recent.task(id, now_ms) {
            Some(task) => Some(task),
            None => self.describe_by_id(id, clusters, deadline).await,
        };
        let task = task.filter(|task| self.clusters.matches(&task.cluster_arn));
        self.identities.insert(id, task.clone(), now_ms);
        task
    }

    /// Describes a task whose cluster is one of several.
    async fn describe_by_id(&self, id: &str, clusters: &[String], deadline: &Deadline) -> Option<Arc<Task>> {
        let mut results = stream::iter(clusters)
            .map(|cluster| async move {
                let batch = TaskBatch { cluster: cluster.clone(), tasks: vec![id.to_owned()] };
                self.describe(&[batch], deadline).await
            })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        while let Some(DiscoveryResult { tasks, filtered, failures, .. }) = results.next().await {
            for error in failures {
                tracing::warn!(error = %error, task_id = id, "task of a client could not be looked up");
            }
            if let Some(task) = tasks.into_iter().chain(filtered).next() {
                return Some(task);
            }
        }
        None
    }
}

impl Default for TaskIdentityCache {
    fn default() -> Self {
        Self { by_id: Cache::new(TTL_MS, MAX_ENTRIES) }
    }
}

impl TaskIdentityCache {
    fn get(&self, id: &str, now_ms: i64) -> Option<Option<Arc<Task>>> {
        self.by_id.get(id, now_ms)
    }

    fn insert(&self, id: &str, task: Option<Arc<Task>>, now_ms: i64) {
        match task {
            Some(task) => self.by_id.insert(id.into(), Some(task), now_ms),
            None => self.by_id.insert_with_ttl(id.into(), None, now_ms, NEGATIVE_TTL_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ids_differ_from_other_session_names() {
        for (name, expected) in [
            ("6b777c1809a94925ab48098fa09824de", true),
            ("6b777c18-09a9-4925-ab48-098fa09824de", true),
            ("i-0123456789abcdef0", false),
            ("botocore-session-1700000000", false),
            ("6b777c1809a94925ab48098fa09824dg", false),
            ("", false),
        ] {
            assert_eq!(is_task_id(name), expected, "{name}");
        }
    }

    #[test]
    fn miss_expires_after_a_minute_and_task_after_an_hour() {
        let identities = TaskIdentityCache::default();
        identities.insert("none", None, 0);
        identities.insert("one", Some(Arc::default()), 0);
        for (id, now_ms, is_cached) in [
            ("none", 59_999, true),
            ("none", 60_000, false),
            ("one", 3_599_999, true),
            ("one", 3_600_000, false),
            ("other", 0, false),
        ] {
            assert_eq!(identities.get(id, now_ms).is_some(), is_cached, "{id} at {now_ms}");
        }
    }
}
