//! Action of a scheduled run for every task, with the reason: for `sidecarless targets`, `check` and `estimate`.

use std::sync::Arc;

use serde::Serialize;

use super::run::cloudwatch::CloudWatchPoller;
use super::run::coverage::{next_step, reason};
use super::run::task_series::TaskSeries;
use crate::deadline::Deadline;
use crate::discovery::{Discovery, DiscoveryError, DiscoveryResult, ServiceQuery, TaskListing};
use crate::model::masked::masked_url;
use crate::model::task::Task;
use crate::scrape::prometheus_targets::prometheus_targets;
use crate::scrape::stats_targets::stats_target;
use crate::translate::state::source_name;
use crate::translate::stats::StatsSource;

/// Running tasks of the configured clusters.
#[derive(Debug, Serialize)]
pub struct TargetList {
    pub targets: Vec<TargetRow>,
    /// Failed ECS calls.
    pub errors: Vec<String>,
}

/// One task.
#[derive(Debug, Default, Serialize)]
pub struct TargetRow {
    pub cluster: String,
    pub service: String,
    pub family: String,
    pub task: String,
    pub launch_type: String,
    pub network_mode: String,
    pub status: String,
    pub included: bool,
    /// Rule that includes or excludes the task.
    pub rule: String,
    /// `push`, `endpoint`, `insights` or `none`; empty for a task that is not included.
    pub source: &'static str,
    /// Why there is no source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the task gets a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// Address of the stats target.
    pub address: Option<String>,
    pub port: Option<u16>,
    pub path: Option<String>,
    /// Prometheus targets of the task.
    pub prometheus_endpoints: Vec<String>,
    /// Reasons why declared endpoints are not scraped.
    pub errors: Vec<String>,
}

impl TargetList {
    /// Returns whether all calls succeeded and all declared endpoints can be scraped.
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty() && self.targets.iter().all(|target| target.errors.is_empty())
    }
}

/// Tasks that the settings include.
#[derive(Debug)]
pub struct TaskList {
    pub tasks: Vec<Arc<Task>>,
    /// Number of tasks that SIDECARLESS_TASK_FILTER excludes.
    pub filtered: usize,
    /// Number of tasks that push their stats.
    pub pushing: u32,
    /// Number of tasks whose stats come from Container Insights.
    pub from_insights: usize,
    /// Number of services none of whose tasks has a stats source, and that are read from CloudWatch.
    pub services_without_source: u32,
    /// Number of discovery names of Service Connect that are read from CloudWatch.
    pub discovery_names: u32,
    /// Minutes between two of these reads. `None` if there are none.
    pub cloudwatch_interval_min: Option<u8>,
    /// Failed ECS calls.
    pub errors: Vec<String>,
}

/// Lists the tasks of the account with the action of a scheduled run for each.
#[derive(Debug)]
pub(super) struct TargetLister {
    pub(super) discovery: Arc<Discovery>,
    pub(super) series: Arc<TaskSeries>,
    pub(super) cloudwatch: Arc<CloudWatchPoller>,
}

impl TargetLister {
    /// Returns the tasks that the settings include, and the tasks whose definition cannot be read.
    pub(super) async fn tasks(&self, deadline: &Deadline) -> TaskList {
        let listing = self.discovery.list(deadline).await;
        let mut discovered = self.discover(&listing, deadline).await;
        discovered.failures.extend(self.describe_services(&listing, &discovered.tasks, deadline).await);
        let from = |source| discovered.tasks.iter().filter(|task| self.series.source(task) == Some(source)).count();
        let from_insights = from(StatsSource::Insights);
        let read = self.cloudwatch.counts(&discovered, deadline);
        let pushing = u32::try_from(from(StatsSource::Push)).unwrap_or(u32::MAX);
        TaskList {
            pushing,
            from_insights,
            filtered: discovered.filtered.len(),
            services_without_source: read.services,
            discovery_names: read.discovery_names,
            cloudwatch_interval_min: self.cloudwatch.interval_min(),
            errors: discovered.failures.iter().map(ToString::to_string).collect(),
            tasks: discovered.tasks.into_iter().chain(discovered.without_definition).collect(),
        }
    }

    /// Lists every running task of the configured clusters, by cluster, family and ID.
    pub(super) async fn list(&self, deadline: &Deadline) -> TargetList {
        let listing = self.discovery.list(deadline).await;
        self.rows(&self.discover(&listing, deadline).await)
    }

    /// Describes all tasks, and the clusters whose settings decide on their source.
    async fn discover(&self, listing: &TaskListing, deadline: &Deadline) -> DiscoveryResult {
        let mut failures = Vec::new();
        if self.series.sources.insights {
            failures = self.discovery.describe_clusters(&listing.clusters, deadline).await.failures;
        }
        let mut discovered = self.discovery.describe_all(listing, deadline).await;
        discovered.failures.extend(failures);
        discovered
    }

    /// Describes the services if their metrics are read by discovery name. Returns the failed calls.
    async fn describe_services(
        &self,
        listing: &TaskListing,
        tasks: &[Arc<Task>],
        deadline: &Deadline,
    ) -> Vec<DiscoveryError> {
        if !self.cloudwatch.needs_services() {
            return Vec::new();
        }
        let query = ServiceQuery { clusters: &listing.clusters, is_complete: false, tasks, minute: None };
        self.discovery.describe_services(&query, deadline).await.failures
    }

    /// Lists the tasks that were discovered.
    pub(super) fn rows(&self, discovered: &DiscoveryResult) -> TargetList {
        let known = discovered.tasks.iter().chain(&discovered.filtered).map(|task| self.row(task));
        let without_definition = discovered
            .without_definition
            .iter()
            .map(|task| TargetRow { errors: vec!["the task definition cannot be read".into()], ..identity(task) });
        let mut targets: Vec<TargetRow> = known.chain(without_definition).collect();
        targets.sort_by(|a, b| (&a.cluster, &a.family, &a.task).cmp(&(&b.cluster, &b.family, &b.task)));
        TargetList { targets, errors: discovered.failures.iter().map(ToString::to_string).collect() }
    }

    fn row(&self, task: &Arc<Task>) -> TargetRow {
        let mut row = identity(task);
        match self.discovery.matching_rule(task) {
            Ok(rule) => {
                row.included = true;
                row.rule = rule.unwrap_or("all tasks").to_owned();
            }
            Err("") => row.rule = "no rule of SIDECARLESS_TASK_FILTER matches".into(),
            Err(rule) => row.rule = rule.to_owned(),
        }
        if !row.included {
            return row;
        }
        let source = self.series.source(task);
        row.source = source_name(source);
        if source.is_none() {
            row.reason = Some(reason(self.series.sources, &task.cluster));
            row.next_step = Some(next_step(self.series.sources, &task.cluster));
        }
        self.add_prometheus_targets(task, &mut row);
        if source == Some(StatsSource::Endpoint) {
            self.add_stats_target(task, &mut row);
        }
        row
    }

    fn add_prometheus_targets(&self, task: &Arc<Task>, row: &mut TargetRow) {
        if !self.series.sources.prometheus {
            return;
        }
        for target in prometheus_targets(task, &self.series.prometheus.rules, &self.series.scrape_ranges) {
            match target {
                Ok(target) => {
                    row.prometheus_endpoints.push(format!("{}{}", target.address, masked_url(&target.path)));
                }
                Err(error) => row.errors.push(error.to_string()),
            }
        }
    }

    fn add_stats_target(&self, task: &Arc<Task>, row: &mut TargetRow) {
        match stats_target(task, &self.series.scrape_ranges) {
            Some(Ok(target)) => {
                row.address = Some(target.address.ip().to_string());
                row.port = Some(target.address.port());
                row.path = Some(target.path);
            }
            Some(Err(error)) => row.errors.push(error.to_string()),
            None => {}
        }
    }
}

fn identity(task: &Task) -> TargetRow {
    TargetRow {
        cluster: task.cluster.to_string(),
        service: task.service.as_deref().unwrap_or_default().to_owned(),
        family: task.family.to_string(),
        task: task.id.to_string(),
        launch_type: task.launch_type.to_string(),
        network_mode: task.network_mode.to_string(),
        status: task.last_status.to_string(),
        ..TargetRow::default()
    }
}
