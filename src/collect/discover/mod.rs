//! Which tasks run: ListClusters, ListTasks and DescribeTasks page by page, task definitions and hosts from caches.
//!
//! Per cluster of N tasks this costs ceil(N/100) ListTasks and ceil(N/100) DescribeTasks, and one DescribeTaskDefinition
//! per revision that this environment has not met: revisions never change. Services are not asked for: a task's group
//! names its service. A cluster or a page that fails never costs the others, and where the failure is one that passes,
//! such as throttling, the tasks of the last few minutes stand in. (Amazon ECS API Reference.)

mod api;
mod cluster_tags;
mod clusters;
mod definitions;
mod describe;
mod ec2;
mod hosts;
mod identify;
mod known;
mod list;
mod stopped;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::TaskField;
use futures_util::StreamExt as _;
use futures_util::stream;

pub use api::DiscoveryError;
pub use ec2::Ec2;
pub use list::{Listing, Page};

use api::Api;
use cluster_tags::ClusterTags;
use clusters::Wanted;
use definitions::Definitions;
use hosts::Hosts;
use identify::Identified;
use known::Known;
use stopped::Stopped;

use crate::deadline::Deadline;
use crate::model::target::Task;
use crate::model::task_filter::TaskFilter;

/// Clusters, and pages of tasks, asked for side by side.
const CLUSTERS_AT_ONCE: usize = 4;

/// Whether anybody asks for tags: as labels, or to filter tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct WantedTags {
    /// DescribeTasks brings them along; events do not.
    pub of_tasks: bool,
    /// They take calls of their own.
    pub of_clusters: bool,
}

/// Finds tasks; keeps what does not change between the invocations of one environment.
#[derive(Debug)]
pub struct Discovery {
    api: Api,
    wanted: Wanted,
    filter: TaskFilter,
    definitions: Definitions,
    hosts: Hosts,
    cluster_tags: ClusterTags,
    tags: WantedTags,
    known: Known,
    stopped: Stopped,
    identified: Identified,
}

/// Tasks, and what could not be asked.
#[derive(Debug, Default)]
pub struct Discovered {
    /// Those that SIDECARLESS_TASKS keeps.
    pub tasks: Vec<Arc<Task>>,
    /// The others.
    pub dropped: Vec<Arc<Task>>,
    /// Tasks of which only DescribeTasks is known, because their definition could not be had.
    pub undefined: Vec<Arc<Task>>,
    pub failures: Vec<DiscoveryError>,
    /// How many of the tasks are as they were some minutes ago.
    pub recalled: usize,
    /// Tasks that ECS has forgotten since it listed them.
    pub gone: usize,
}

impl Discovered {
    /// All tasks that were found, the filtered ones included.
    pub fn len(&self) -> usize {
        self.tasks.len() + self.dropped.len() + self.undefined.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Discovery {
    /// `clusters` are names, ARNs and globs, as the setting has them.
    pub fn new(ecs: Client, ec2: Ec2, clusters: &[String], filter: TaskFilter, tags: WantedTags) -> Self {
        Self {
            api: Api::new(ecs),
            wanted: Wanted::new(clusters),
            filter,
            definitions: Definitions::default(),
            hosts: Hosts::new(ec2),
            cluster_tags: ClusterTags::new(tags.of_clusters),
            tags,
            known: Known::default(),
            stopped: Stopped::default(),
            identified: Identified::default(),
        }
    }

    /// Everything of what was listed.
    pub async fn describe_all(&self, listing: &Listing, deadline: &Deadline) -> Discovered {
        let mut discovered = self.describe(&listing.pages, deadline).await;
        discovered.failures.splice(0..0, listing.failures.iter().cloned());
        for cluster in &listing.broken {
            self.recall(self.unlisted(listing, cluster, deadline), &mut discovered);
        }
        discovered
    }

    /// The listed pages; and for clusters whose list broke off, the tasks of the last minutes that are in none of these.
    pub fn pages_of(&self, listing: &Listing, deadline: &Deadline) -> Vec<Page> {
        let unlisted = listing.broken.iter().flat_map(|cluster| {
            let tasks = self.unlisted(listing, cluster, deadline).into_iter().map(|task| task.arn.to_string());
            Page::of_many(cluster, &tasks.collect::<Vec<_>>())
        });
        listing.pages.iter().cloned().chain(unlisted).collect()
    }

    /// What is known from the last minutes of a cluster's tasks that were not listed.
    fn unlisted(&self, listing: &Listing, cluster: &str, deadline: &Deadline) -> Vec<Arc<Task>> {
        let listed: BTreeSet<&str> = listing.pages.iter().flat_map(|page| &page.tasks).map(String::as_str).collect();
        let before = self.known.of_cluster(cluster, deadline.now_ms()).into_iter();
        before.filter(|task| !listed.contains(&*task.arn) && is_to_run(task)).collect()
    }

    /// What ECS says of the tasks of some pages. Those that have gone since they were listed are left out: that is no
    /// error.
    pub async fn describe(&self, pages: &[Page], deadline: &Deadline) -> Discovered {
        let mut discovered = Discovered::default();
        let mut tasks = Vec::new();
        let mut answers = stream::iter(pages)
            .map(|page| async move { (page, self.describe_page(page, deadline).await) })
            .buffer_unordered(CLUSTERS_AT_ONCE);
        while let Some((page, answer)) = answers.next().await {
            match answer {
                Ok(described) => {
                    discovered.gone += page.tasks.len().saturating_sub(described.len());
                    tasks.extend(described);
                }
                Err(error) => {
                    let known = page.tasks.iter().filter_map(|arn| self.known.task(arn, deadline.now_ms()));
                    let known = if error.passing { known.collect() } else { Vec::new() };
                    self.recall(known, &mut discovered);
                    discovered.failures.push(error);
                }
            }
        }
        drop(answers);
        self.complete(tasks, &mut discovered, deadline).await;
        discovered
    }

    /// Like `describe`, but tasks of which this environment has heard in the last minutes are as they were then.
    pub async fn describe_unknown(&self, pages: &[Page], deadline: &Deadline) -> Discovered {
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
                unknown.push(Page { cluster: page.cluster.clone(), tasks });
            }
        }
        let mut discovered = self.describe(&unknown, deadline).await;
        self.sort(known, &mut discovered);
        discovered
    }

    /// Completes a task that an event told of; `None` when it is in none of the wanted clusters, or filtered out.
    pub async fn of_event(&self, mut task: Task, deadline: &Deadline) -> (Option<Arc<Task>>, Vec<DiscoveryError>) {
        if !self.wanted.includes(&task.cluster_arn) {
            return (None, Vec::new());
        }
        let mut discovered = Discovered::default();
        // Events tell no tags, and the task's series may have them as labels.
        if let Some(known) = self.known(&task.arn, deadline) {
            task.tags.clone_from(&known.tags);
        } else if self.tags.of_tasks {
            let page = Page { cluster: task.cluster_arn.to_string(), tasks: vec![task.arn.to_string()] };
            match self.describe_page(&page, deadline).await {
                Ok(described) => task.tags = described.into_iter().flat_map(|described| described.tags).collect(),
                Err(error) => discovered.failures.push(error),
            }
        }
        self.complete(vec![task], &mut discovered, deadline).await;
        (discovered.tasks.pop().or_else(|| discovered.undefined.pop()), discovered.failures)
    }

    /// What this environment has heard of a task in the last minutes.
    pub fn known(&self, arn: &str, deadline: &Deadline) -> Option<Arc<Task>> {
        self.known.task(arn, deadline.now_ms())
    }

    /// All tasks that this environment has heard of in the last minutes, those that have stopped since included.
    pub fn recent(&self, deadline: &Deadline) -> Vec<Arc<Task>> {
        self.known.all(deadline.now_ms())
    }

    /// Why a task is kept or dropped: the rule of SIDECARLESS_TASKS that decided.
    pub fn verdict(&self, task: &Task) -> Result<Option<&str>, &str> {
        self.filter.verdict(task)
    }

    async fn describe_page(&self, page: &Page, deadline: &Deadline) -> Result<Vec<Task>, DiscoveryError> {
        let request = self.api.client.describe_tasks().cluster(&page.cluster).set_tasks(Some(page.tasks.clone()));
        let request = request.include(TaskField::Tags).send();
        let output = self.api.call("DescribeTasks", &page.cluster, deadline, request).await?;
        Ok(output.tasks.unwrap_or_default().iter().filter_map(describe::task).collect())
    }

    /// Adds what the definitions and hosts say, and sorts the tasks by the filter.
    async fn complete(&self, mut tasks: Vec<Task>, discovered: &mut Discovered, deadline: &Deadline) {
        let definitions = tasks.iter().map(|task| Arc::clone(&task.definition_arn)).collect();
        discovered.failures.extend(self.definitions.fetch(&self.api, &definitions, deadline).await);
        for task in &mut tasks {
            if let Some(definition) = self.definitions.known(&task.definition_arn) {
                definition.complete(task);
            }
        }
        discovered.failures.extend(self.hosts.complete(&self.api, &mut tasks, deadline).await);
        discovered.failures.extend(self.cluster_tags.complete(&self.api, &mut tasks, deadline).await);
        let is_defined = |task: &Task| self.definitions.known(&task.definition_arn).is_some();
        let (defined, undefined): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(is_defined);
        let defined: Vec<Arc<Task>> = defined.into_iter().map(Arc::new).collect();
        self.known.remember(&defined, deadline.now_ms());
        self.sort(defined, discovered);
        discovered.undefined.extend(undefined.into_iter().map(Arc::new));
    }

    fn recall(&self, tasks: Vec<Arc<Task>>, discovered: &mut Discovered) {
        discovered.recalled += tasks.len();
        self.sort(tasks, discovered);
    }

    fn sort(&self, tasks: Vec<Arc<Task>>, discovered: &mut Discovered) {
        for task in tasks {
            let kept = self.filter.verdict(&task).is_ok();
            let place = if kept { &mut discovered.tasks } else { &mut discovered.dropped };
            place.push(task);
        }
    }
}

/// What ListTasks lists when it is asked for running tasks.
fn is_to_run(task: &Task) -> bool {
    &*task.desired_status != "STOPPED"
}
