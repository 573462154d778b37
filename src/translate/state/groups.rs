//! Numbers of tasks by status and by source of their statistics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::metrics::StateKind;
use super::task::source_name;
use super::writer::{Resource, StateWriter, scope_labels};
use crate::model::ecs::TaskStatus;
use crate::model::series::Labels;
use crate::model::task::{Tag, Task};
use crate::translate::stats::{Label, StatsSource};

/// Statuses that are written as 0 if no task of a group has them. Tasks are in the others only for seconds.
const USUAL_STATUSES: [TaskStatus; 4] =
    [TaskStatus::Pending, TaskStatus::Activating, TaskStatus::Running, TaskStatus::Deactivating];

/// All sources, also those that no task has.
const SOURCES: [Option<StatsSource>; 4] =
    [Some(StatsSource::Push), Some(StatsSource::Endpoint), Some(StatsSource::Insights), None];

/// Tasks of a service with one launch type, or of a family if they have no service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskGroup {
    pub cluster: Arc<str>,
    pub region: Arc<str>,
    pub account: Arc<str>,
    pub service: Option<Arc<str>>,
    /// Empty for a group with a service.
    pub family: Arc<str>,
    pub launch_type: Arc<str>,
}

/// Numbers of tasks in each group.
#[derive(Clone, Debug, Default)]
pub struct TaskGroups {
    groups: BTreeMap<TaskGroup, GroupState>,
}

#[derive(Clone, Debug, Default)]
struct GroupState {
    by_status: BTreeMap<Box<str>, u32>,
    /// Tags of the cluster.
    cluster_tags: Arc<[Tag]>,
}

/// Numbers of tasks by source of their statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    pub push: u32,
    pub endpoint: u32,
    pub insights: u32,
    pub none: u32,
}

impl SourceCounts {
    pub fn add(&mut self, source: Option<StatsSource>) {
        match source {
            Some(StatsSource::Push) => self.push += 1,
            Some(StatsSource::Endpoint) => self.endpoint += 1,
            Some(StatsSource::Insights) => self.insights += 1,
            None => self.none += 1,
        }
    }

    /// Returns the sum with the tasks of another cluster.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            push: self.push + other.push,
            endpoint: self.endpoint + other.endpoint,
            insights: self.insights + other.insights,
            none: self.none + other.none,
        }
    }

    pub fn total(&self) -> u32 {
        self.push + self.endpoint + self.insights + self.none
    }

    fn of(&self, source: Option<StatsSource>) -> u32 {
        match source {
            Some(StatsSource::Push) => self.push,
            Some(StatsSource::Endpoint) => self.endpoint,
            Some(StatsSource::Insights) => self.insights,
            None => self.none,
        }
    }
}

impl TaskGroups {
    /// Counts a task.
    pub fn add(&mut self, task: &Task) {
        let group = TaskGroup {
            cluster: Arc::clone(&task.cluster),
            region: Arc::clone(&task.region),
            account: Arc::clone(&task.account),
            service: task.service.clone(),
            family: if task.service.is_some() { "".into() } else { Arc::clone(&task.family) },
            launch_type: task.launch_type.as_str().to_ascii_lowercase().into(),
        };
        let state = self.groups.entry(group).or_default();
        match state.by_status.get_mut(task.last_status.as_str()) {
            Some(count) => *count += 1,
            None => {
                state.by_status.insert(task.last_status.as_str().into(), 1);
            }
        }
        state.cluster_tags = Arc::clone(&task.cluster_tags);
    }

    /// Adds groups of `previous` that have no tasks now, if `keeps` returns whether they may have tasks again.
    pub fn keep_empty(&mut self, previous: &Self, keeps: impl Fn(&TaskGroup) -> bool) {
        for (group, state) in previous.groups.iter().filter(|(group, _)| keeps(group)) {
            let state = GroupState { by_status: BTreeMap::new(), cluster_tags: Arc::clone(&state.cluster_tags) };
            self.groups.entry(group.clone()).or_insert(state);
        }
    }

    /// Removes and returns the groups of the clusters for which `is_known` returns `false`.
    #[must_use]
    pub fn take_unknown(&mut self, is_known: impl Fn(&str) -> bool) -> Self {
        Self { groups: self.groups.extract_if(.., |group, _| !is_known(&group.cluster)).collect() }
    }

    /// Adds the groups of other clusters.
    pub fn extend(&mut self, others: Self) {
        self.groups.extend(others.groups);
    }

    /// Returns the memory of the groups in bytes.
    pub fn size(&self) -> usize {
        let status = size_of::<(Box<str>, u32)>() + 16;
        let group =
            |state: &GroupState| size_of::<TaskGroup>() + size_of::<GroupState>() + state.by_status.len() * status;
        self.groups.values().map(group).sum()
    }
}

impl StateWriter<'_> {
    /// Writes the numbers of tasks of each group. `extra` returns labels for the tags of a cluster.
    pub fn task_groups(&mut self, groups: &TaskGroups, extra: impl Fn(&[Tag]) -> Labels) {
        for (group, GroupState { by_status, cluster_tags }) in &groups.groups {
            let TaskGroup { cluster, region, account, service, family, launch_type } = group;
            let service = service.as_deref().unwrap_or_default();
            let mut labels = scope_labels(cluster, service, region, account, &Labels::default());
            labels.set(Label::TaskFamily.name(), family);
            crate::translate::stats::add_extra_labels(&mut labels, &extra(cluster_tags));
            let resource = Resource::new(labels);
            let usual = USUAL_STATUSES.each_ref().map(TaskStatus::as_str);
            let statuses: BTreeSet<&str> = by_status.keys().map(|status| &**status).chain(usual).collect();
            for status in statuses {
                let count = by_status.get(status).copied().unwrap_or_default();
                self.with(&resource, StateKind::Tasks, &[launch_type, status], f64::from(count));
            }
        }
    }

    /// Writes the numbers of tasks of a cluster by source of their statistics.
    pub fn sources(&mut self, cluster: &crate::model::cluster::Cluster, counts: &SourceCounts, extra: &Labels) {
        let labels = scope_labels(&cluster.name, "", &cluster.region, &cluster.account, extra);
        let resource = Resource::new(labels);
        for source in SOURCES {
            let count = f64::from(counts.of(source));
            self.with(&resource, StateKind::TasksBySource, &[source_name(source)], count);
        }
    }
}
