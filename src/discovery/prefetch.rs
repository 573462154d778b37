//! Tasks that are described together with another one, before they send anything.
//!
//! A new execution environment knows no task, and a lookup for each would take minutes within the limits of the lookups. So from the
//! second lookup in a cluster on, 100 of its tasks are listed at the same time, and the next lookup describes those that are unknown
//! together with its own task: 1,000 tasks take about 20 calls. A claim that ECS does not confirm lists nothing, because a client can
//! name any cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ecs::types::DesiredStatus;

use super::list::TASKS_PER_CALL;
use super::{Discovery, DiscoveryError, TaskBatch};
use crate::deadline::Deadline;
use crate::model::age::is_younger;
use crate::model::arn::cluster_name;
use crate::model::cache::Cache;
use crate::model::ecs::TaskStatus;
use crate::model::task::Task;
use crate::work_budget::MemoryLimit;

/// How long a description is kept for the first request of its task. Half of the time for which a description of a task that
/// pushes its stats is used.
const TTL_MS: i64 = 300_000;

/// Memory for the descriptions of some thousand tasks.
const MAX_BYTES: usize = 4 << 20;

/// Time after which a cluster is listed again: a task that is looked up then has probably started since.
const RELIST_MS: i64 = 60_000;

/// Timeout of ListTasks, which a request waits for although it can be answered without it.
const LIST_TIMEOUT: Duration = Duration::from_millis(500);

/// Clusters whose tasks are listed: each has up to 200 ARNs of 100 bytes.
const MAX_CLUSTERS: usize = 100;

/// Descriptions and lists of tasks that have sent nothing yet.
#[derive(Debug)]
pub(super) struct PrefetchedTasks {
    /// As DescribeTasks returned them, by ID.
    by_id: Cache<Arc<str>, Arc<Task>>,
    /// By short name of the cluster.
    lists: Mutex<HashMap<String, ClusterList>>,
}

/// The tasks of a cluster, as far as they are listed.
#[derive(Debug, Default)]
struct ClusterList {
    /// ARNs of tasks that are to be described.
    unknown: Vec<String>,
    /// `None`: the next page is the first one.
    next_token: Option<String>,
    /// Time of the last page. `None`: more pages follow.
    ended_ms: Option<i64>,
}

/// The next page of the tasks of a cluster.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    /// Name or ARN.
    cluster: String,
    token: Option<String>,
}

impl ClusterList {
    /// Keeps the ARNs of at most two pages.
    fn is_due(&self, now_ms: i64) -> bool {
        self.unknown.len() <= TASKS_PER_CALL && !self.ended_ms.is_some_and(|at_ms| is_younger(at_ms, RELIST_MS, now_ms))
    }
}

impl PrefetchedTasks {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        let by_id =
            Cache::new(TTL_MS, memory.cache_bytes(MAX_BYTES), |id: &Arc<str>, task: &Arc<Task>| id.len() + task.size());
        Self { by_id, lists: Mutex::default() }
    }

    /// Allows lists of clusters that exist. They are names or ARNs.
    pub(super) fn allow_lists<'a>(&self, clusters: impl IntoIterator<Item = &'a str>) {
        let mut lists = self.lists();
        for name in clusters.into_iter().map(cluster_name) {
            if lists.len() < MAX_CLUSTERS && !lists.contains_key(name) {
                lists.insert(name.to_owned(), ClusterList::default());
            }
        }
    }

    /// Returns the cluster in whose list the task is, or all clusters if it is in none.
    pub(super) fn narrow<'c>(&self, clusters: &'c [String], id: &str) -> &'c [String] {
        let lists = self.lists();
        let is_listed = |cluster: &String| {
            let list = lists.get(cluster_name(cluster));
            list.is_some_and(|list| list.unknown.iter().any(|arn| is_task(arn, id)))
        };
        clusters.iter().position(is_listed).and_then(|index| clusters.get(index..=index)).unwrap_or(clusters)
    }

    fn due_page(&self, clusters: &[String], now_ms: i64) -> Option<Page> {
        let lists = self.lists();
        clusters.iter().find_map(|cluster| {
            let list = lists.get(cluster_name(cluster)).filter(|list| list.is_due(now_ms))?;
            Some(Page { cluster: cluster.clone(), token: list.next_token.clone() })
        })
    }

    fn add_page(&self, cluster: &str, unknown: Vec<String>, next_token: Option<String>, now_ms: i64) {
        if let Some(list) = self.lists().get_mut(cluster_name(cluster)) {
            list.unknown.extend(unknown);
            list.ended_ms = next_token.is_none().then_some(now_ms);
            list.next_token = next_token;
        }
    }

    /// Removes and returns the ARNs that a call that describes the task can describe as well.
    fn take_unknown(&self, cluster: &str, id: &str) -> Vec<String> {
        let mut lists = self.lists();
        let Some(list) = lists.get_mut(cluster_name(cluster)) else { return Vec::new() };
        list.unknown.retain(|arn| !is_task(arn, id));
        let rest = list.unknown.len().saturating_sub(TASKS_PER_CALL - 1);
        list.unknown.split_off(rest)
    }

    /// Stores tasks whose containers have all started: the containers of the others have no IDs yet, with which a push is verified.
    fn insert(&self, tasks: Vec<Task>, now_ms: i64) {
        let has_ids = |task: &Task| task.containers.iter().all(|container| !container.runtime_id.is_empty());
        for task in tasks.into_iter().filter(|task| task.last_status == TaskStatus::Running && has_ids(task)) {
            self.by_id.insert(Arc::clone(&task.id), Arc::new(task), now_ms);
        }
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<String, ClusterList>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_task(arn: &str, id: &str) -> bool {
    arn.rsplit('/').next() == Some(id)
}

impl Discovery {
    /// Returns the description of a task in one of these clusters that was described together with another one.
    pub(super) fn take_prefetched(&self, id: &str, clusters: &[String], now_ms: i64) -> Option<Task> {
        let task = self.prefetched.by_id.get(id, now_ms)?;
        // A false claim must not take the task of another cluster.
        clusters.iter().find(|cluster| *cluster_name(cluster) == *task.cluster)?;
        self.prefetched.by_id.remove(id);
        Some(Arc::unwrap_or_clone(task))
    }

    /// Describes a task, and in the same call the unknown tasks of its cluster. `None`: the cluster does not have the task.
    pub(super) async fn describe_with_unknown(
        &self,
        id: &str,
        cluster: &str,
        deadline: &Deadline,
    ) -> Result<Option<Task>, DiscoveryError> {
        let others = self.prefetched.take_unknown(cluster, id);
        let tasks = [id.to_owned()].into_iter().chain(others).collect();
        let described = self.describe_batch(&TaskBatch { cluster: cluster.to_owned(), tasks }, deadline).await?;
        let (wanted, others): (Vec<Task>, Vec<Task>) = described.into_iter().partition(|task| *task.id == *id);
        self.prefetched.insert(others, deadline.now_ms());
        Ok(wanted.into_iter().next())
    }

    /// Lists further tasks of one of these clusters, if lists of it are allowed and a page is due.
    pub(super) async fn list_unknown(&self, clusters: &[String], deadline: &Deadline) {
        let now_ms = deadline.now_ms();
        let Some(Page { cluster, token }) = self.prefetched.due_page(clusters, now_ms) else { return };
        self.identities.limits.charge_call(now_ms);
        let request = self.api.client.list_tasks().cluster(&cluster).desired_status(DesiredStatus::Running);
        let request = request.max_results(TASKS_PER_CALL as i32).set_next_token(token).send();
        let call = self.api.call("ListTasks", &cluster, deadline, request);
        let (arns, token) = match deadline.timeout(LIST_TIMEOUT, call).await {
            Some(Ok(output)) => (output.task_arns.unwrap_or_default(), output.next_token),
            Some(Err(error)) => {
                tracing::warn!(error = %error, "tasks are looked up one by one");
                Default::default()
            }
            None => Default::default(),
        };
        let is_unknown = |arn: &String| {
            let id = arn.rsplit('/').next().unwrap_or_default();
            self.recent.task(id, now_ms).is_none() && self.prefetched.by_id.get(id, now_ms).is_none()
        };
        let unknown = arns.into_iter().filter(is_unknown).collect();
        self.prefetched.add_page(&cluster, unknown, token.filter(|token| !token.is_empty()), now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::TaskContainer;

    fn arns(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("arn:aws:ecs:eu-west-1:111122223333:task/shop/{number}")).collect()
    }

    fn page(token: Option<&str>) -> Option<Page> {
        Some(Page { cluster: "shop".into(), token: token.map(Into::into) })
    }

    #[test]
    fn cluster_is_listed_page_by_page_and_again_after_a_minute() {
        let (prefetched, shop) = (PrefetchedTasks::new(MemoryLimit::unlimited()), ["shop".to_owned()]);
        assert_eq!(prefetched.due_page(&shop, 0), None, "not before ECS confirms that it has a task");
        prefetched.allow_lists(["arn:aws:ecs:eu-west-1:111122223333:cluster/shop"]);
        assert_eq!(prefetched.due_page(&shop, 0), page(None));
        prefetched.add_page("shop", arns(0..100), Some("two".into()), 0);
        assert_eq!(prefetched.due_page(&shop, 0), page(Some("two")));
        prefetched.add_page("shop", arns(100..200), Some("three".into()), 0);
        assert_eq!(prefetched.due_page(&shop, 0), None, "two pages are enough");
        assert_eq!(prefetched.take_unknown("shop", "7").len(), 99);
        assert_eq!(prefetched.due_page(&shop, 0), page(Some("three")), "100 tasks are left");
        prefetched.add_page("shop", Vec::new(), None, 1_000);
        assert_eq!(prefetched.due_page(&shop, 60_999), None);
        assert_eq!(prefetched.due_page(&shop, 61_000), page(None));
        let mut others = prefetched.take_unknown("shop", "8");
        others.extend(prefetched.take_unknown("shop", "none"));
        assert!(others.len() == 99 && !others.iter().any(|arn| is_task(arn, "8")), "{others:?}");
        assert_eq!(prefetched.take_unknown("bank", "8"), [""; 0]);
    }

    #[test]
    fn list_tells_the_cluster_of_a_task() {
        let prefetched = PrefetchedTasks::new(MemoryLimit::unlimited());
        let clusters = ["bank".to_owned(), "shop".to_owned()];
        prefetched.allow_lists(["shop", "bank"]);
        prefetched.add_page("shop", arns(0..3), None, 0);
        assert_eq!(prefetched.narrow(&clusters, "2"), ["shop"]);
        assert_eq!(prefetched.narrow(&clusters, "3"), clusters);
    }

    #[test]
    fn task_that_is_starting_is_described_again() {
        let prefetched = PrefetchedTasks::new(MemoryLimit::unlimited());
        let task = |id: &str, status: &str, runtime_id: &str| Task {
            id: id.into(),
            last_status: status.into(),
            containers: vec![TaskContainer { runtime_id: runtime_id.into(), ..TaskContainer::default() }],
            ..Task::default()
        };
        prefetched.insert(vec![task("a", "RUNNING", "r-1"), task("b", "RUNNING", ""), task("c", "PENDING", "r-2")], 0);
        assert_eq!(["a", "b", "c"].map(|id| prefetched.by_id.get(id, 0).is_some()), [true, false, false]);
    }
}
