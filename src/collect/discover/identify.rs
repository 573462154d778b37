//! Which task somebody says or proves to be, for pushes: asked for once an hour, and what is none not again for a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{CLUSTERS_AT_ONCE, Discovered, Discovery, Page};
use crate::deadline::Deadline;
use crate::model::arn::TaskArn;
use crate::model::target::Task;

/// What identifies a task does not change while it lives.
const KEPT_MS: i64 = 3_600_000;

/// How long nobody asks again for what was no task, or could not be asked.
const UNKNOWN_KEPT_MS: i64 = 60_000;

/// Answers kept: more tasks than one environment hears from within an hour.
const KEPT: usize = 10_000;

/// Digits of a task's id; of old there were UUIDs with dashes (Amazon ECS Developer Guide, "Amazon Resource Names and IDs").
const ID_DIGITS: usize = 32;

/// Answers by id, each with when it was had. `None`: it is no task.
type Answers = HashMap<Box<str>, (Option<Arc<Task>>, i64)>;

/// The cache.
#[derive(Debug, Default)]
pub(super) struct Identified {
    by_id: Mutex<Answers>,
}

/// Whether a name can be that of a task.
fn is_task_id(text: &str) -> bool {
    let digits = text.bytes().filter(|&byte| byte != b'-');
    digits.clone().count() == ID_DIGITS && digits.clone().all(|byte| byte.is_ascii_hexdigit())
}

impl Discovery {
    /// The task of a resource that says so, when it is in one of the wanted clusters.
    pub async fn claimed(&self, arn: &str, deadline: &Deadline) -> Option<Arc<Task>> {
        let parsed = TaskArn::parse(arn).filter(|parsed| is_task_id(parsed.id))?;
        let clusters = [parsed.cluster.unwrap_or("default").to_owned()];
        self.identified(parsed.id, &clusters, deadline).await.filter(|task| *task.arn == *arn)
    }

    /// The task whose role has signed under this session name. Anyone who may assume a role can choose the name: the task
    /// has to have that role.
    pub async fn signed(&self, session: &str, account: &str, role: &str, deadline: &Deadline) -> Option<Arc<Task>> {
        if !is_task_id(session) {
            return None;
        }
        let clusters = match self.identified.answer(session, deadline.now_ms()) {
            Some(_) => Vec::new(),
            None => self.wanted.clusters(&self.api, deadline).await.0,
        };
        let task = self.identified(session, &clusters, deadline).await?;
        let role_of_task = task.task_role_arn.as_deref()?.rsplit('/').next()?;
        (role_of_task == role && *task.account == *account).then_some(task)
    }

    async fn identified(&self, id: &str, clusters: &[String], deadline: &Deadline) -> Option<Arc<Task>> {
        let now_ms = deadline.now_ms();
        if let Some(answer) = self.identified.answer(id, now_ms) {
            return answer;
        }
        // Whoever asks may lose patience before ECS answers: then nobody asks again for a while.
        self.identified.keep(id, None, now_ms);
        let answer = match self.known.task(id, now_ms) {
            Some(task) => Some(task),
            None => self.described(id, clusters, deadline).await,
        };
        let answer = answer.filter(|task| self.wanted.includes(&task.cluster_arn));
        self.identified.keep(id, answer.clone(), now_ms);
        answer
    }

    /// The task of this id in any of the clusters.
    async fn described(&self, id: &str, clusters: &[String], deadline: &Deadline) -> Option<Arc<Task>> {
        let mut answers = stream::iter(clusters)
            .map(|cluster| async move {
                let page = Page { cluster: cluster.clone(), tasks: vec![id.to_owned()] };
                self.describe(&[page], deadline).await
            })
            .buffer_unordered(CLUSTERS_AT_ONCE);
        while let Some(Discovered { tasks, dropped, failures, .. }) = answers.next().await {
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

impl Identified {
    fn answer(&self, id: &str, now_ms: i64) -> Option<Option<Arc<Task>>> {
        let answers = self.answers();
        let (task, had_ms) = answers.get(id)?;
        let kept_ms = if task.is_some() { KEPT_MS } else { UNKNOWN_KEPT_MS };
        (now_ms - had_ms < kept_ms).then(|| task.clone())
    }

    fn keep(&self, id: &str, task: Option<Arc<Task>>, now_ms: i64) {
        let mut answers = self.answers();
        if answers.len() >= KEPT {
            answers.clear();
        }
        answers.insert(id.into(), (task, now_ms));
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
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
        let identified = Identified::default();
        identified.keep("none", None, 0);
        identified.keep("one", Some(Arc::default()), 0);
        for (id, now_ms, is_known) in [
            ("none", 59_999, true),
            ("none", 60_000, false),
            ("one", 3_599_999, true),
            ("one", 3_600_000, false),
            ("other", 0, false),
        ] {
            assert_eq!(identified.answer(id, now_ms).is_some(), is_known, "{id} at {now_ms}");
        }
    }
}
