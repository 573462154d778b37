//! Which task somebody says or proves to be, for pushes: asked for once an hour, and what is none not again for a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{CLUSTER_CONCURRENCY, Discovery, DiscoveryResult, TaskBatch};
use crate::deadline::Deadline;
use crate::model::arn::TaskArn;
use crate::model::task::Task;

/// What identifies a task does not change while it lives.
const TTL_MS: i64 = 3_600_000;

/// How long nobody asks again for what was no task, or could not be asked.
const NEGATIVE_TTL_MS: i64 = 60_000;

/// Answers kept: more tasks than one environment hears from within an hour.
const MAX_ENTRIES: usize = 10_000;

/// Digits of a task's id; of old there were UUIDs with dashes (Amazon ECS Developer Guide, "Amazon Resource Names and IDs").
const ID_DIGITS: usize = 32;

/// Answers by id, each with when it was had. `None`: it is no task.
type CachedTasks = HashMap<Box<str>, (Option<Arc<Task>>, i64)>;

/// The cache.
#[derive(Debug, Default)]
pub(super) struct TaskIdentityCache {
    by_id: Mutex<CachedTasks>,
}

/// Whether a name can be that of a task.
fn is_task_id(text: &str) -> bool {
    let digits = text.bytes().filter(|&byte| byte != b'-');
    digits.clone().count() == ID_DIGITS && digits.clone().all(|byte| byte.is_ascii_hexdigit())
}

impl Discovery {
    /// The task of a resource that says so, when it is in one of the wanted clusters.
    pub async fn task_by_arn(&self, arn: &str, deadline: &Deadline) -> Option<Arc<Task>> {
        let parsed = TaskArn::parse(arn).filter(|parsed| is_task_id(parsed.id))?;
        let clusters = [parsed.cluster.unwrap_or("default").to_owned()];
        self.lookup_task(parsed.id, &clusters, deadline).await.filter(|task| *task.arn == *arn)
    }

    /// The task whose role has signed under this session name. Anyone who may assume a role can choose the name: the task
    /// has to have that role.
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
        let clusters = match self.identified.get(session, deadline.now_ms()) {
            Some(_) => Vec::new(),
            None => self.clusters.resolve(&self.api, deadline).await.0,
        };
        let task = self.lookup_task(session, &clusters, deadline).await?;
        let role_of_task = task.task_role_arn.as_deref()?.rsplit('/').next()?;
        (role_of_task == role && *task.account == *account).then_some(task)
    }

    async fn lookup_task(&self, id: &str, clusters: &[String], deadline: &Deadline) -> Option<Arc<Task>> {
        let now_ms = deadline.now_ms();
        if let Some(answer) = self.identified.get(id, now_ms) {
            return answer;
        }
        // Whoever asks may lose patience before ECS answers: then nobody asks again for a while.
        self.identified.insert(id, None, now_ms);
        let answer = match self.known.task(id, now_ms) {
            Some(task) => Some(task),
            None => self.describe_by_id(id, clusters, deadline).await,
        };
        let answer = answer.filter(|task| self.clusters.matches(&task.cluster_arn));
        self.identified.insert(id, answer.clone(), now_ms);
        answer
    }

    /// The task of this id in any of the clusters.
    async fn describe_by_id(&self, id: &str, clusters: &[String], deadline: &Deadline) -> Option<Arc<Task>> {
        let mut answers = stream::iter(clusters)
            .map(|cluster| async move {
                let page = TaskBatch { cluster: cluster.clone(), tasks: vec![id.to_owned()] };
                self.describe(&[page], deadline).await
            })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        while let Some(DiscoveryResult { tasks, filtered: dropped, failures, .. }) = answers.next().await {
            for failure in failures {
                tracing::warn!(reason = failure.to_string(), "the sender of a push is not known: {failure}");
            }
            if let Some(task) = tasks.into_iter().chain(dropped).next() {
                return Some(task);
            }
        }
        None
    }
}

impl TaskIdentityCache {
    fn get(&self, id: &str, now_ms: i64) -> Option<Option<Arc<Task>>> {
        let answers = self.lock();
        let (task, had_ms) = answers.get(id)?;
        let kept_ms = if task.is_some() { TTL_MS } else { NEGATIVE_TTL_MS };
        (now_ms - had_ms < kept_ms).then(|| task.clone())
    }

    fn insert(&self, id: &str, task: Option<Arc<Task>>, now_ms: i64) {
        let mut answers = self.lock();
        if answers.len() >= MAX_ENTRIES {
            answers.clear();
        }
        answers.insert(id.into(), (task, now_ms));
    }

    fn lock(&self) -> MutexGuard<'_, CachedTasks> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_tasks_are_told_from_other_names_of_sessions() {
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
    fn what_is_no_task_is_asked_for_again_after_a_minute_and_a_task_after_an_hour() {
        let identified = TaskIdentityCache::default();
        identified.insert("none", None, 0);
        identified.insert("one", Some(Arc::default()), 0);
        for (id, now_ms, is_known) in [
            ("none", 59_999, true),
            ("none", 60_000, false),
            ("one", 3_599_999, true),
            ("one", 3_600_000, false),
            ("other", 0, false),
        ] {
            assert_eq!(identified.get(id, now_ms).is_some(), is_known, "{id} at {now_ms}");
        }
    }
}
