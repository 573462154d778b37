//! What a tick would do with every task, and why: for `sidecarless targets`.

use std::sync::Arc;

use serde::Serialize;

use super::Pipeline;
use crate::deadline::Deadline;
use crate::discovery::DiscoveryResult;
use crate::model::task::Task;
use crate::scrape::prometheus_targets::prometheus_targets;
use crate::scrape::stats_targets::stats_target;
use crate::translate::stats::StatsSource;

/// Every task that was found.
#[derive(Debug, Serialize)]
pub struct TargetList {
    pub targets: Vec<TargetRow>,
    /// What could not be asked.
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
    /// The rule that kept or dropped it.
    pub rule: String,
    /// `endpoint`, `insights`, or empty.
    pub source: &'static str,
    /// Where it is scraped.
    pub address: Option<String>,
    pub port: Option<u16>,
    pub path: Option<String>,
    /// Its Prometheus endpoints that are scraped as well.
    pub prometheus_endpoints: Vec<String>,
    /// Why endpoints that the task declares are not scraped.
    pub errors: Vec<String>,
}

impl TargetList {
    /// Whether everything could be asked, and everything that declares an endpoint can be scraped.
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty() && self.targets.iter().all(|target| target.errors.is_empty())
    }
}

/// The tasks that are looked at, as far as they are known.
#[derive(Debug)]
pub struct TaskList {
    pub tasks: Vec<Arc<Task>>,
    /// How many SIDECARLESS_TASK_FILTER leaves out.
    pub filtered: usize,
    /// How many of the tasks Container Insights is read for.
    pub from_insights: usize,
    /// What could not be asked.
    pub errors: Vec<String>,
}

impl Pipeline {
    /// The tasks of which `targets` says that they are kept, and those whose definition cannot be read.
    pub async fn tasks(&self, deadline: &Deadline) -> TaskList {
        let listing = self.discovery.list(deadline).await;
        let discovered = self.discovery.describe_all(&listing, deadline).await;
        let insights = discovered.tasks.iter().filter(|task| self.source(task) == Some(StatsSource::Insights));
        TaskList {
            from_insights: insights.count(),
            filtered: discovered.filtered.len(),
            errors: discovered.failures.iter().map(ToString::to_string).collect(),
            tasks: discovered.tasks.into_iter().chain(discovered.without_definition).collect(),
        }
    }

    /// Every running task of the wanted clusters, by cluster, family and id.
    pub async fn targets(&self, deadline: &Deadline) -> TargetList {
        let listing = self.discovery.list(deadline).await;
        self.rows(&self.discovery.describe_all(&listing, deadline).await)
    }

    /// The list of what was discovered.
    pub(super) fn rows(&self, discovered: &DiscoveryResult) -> TargetList {
        let known = discovered.tasks.iter().chain(&discovered.filtered).map(|task| self.row(task));
        let undefined = discovered
            .without_definition
            .iter()
            .map(|task| TargetRow { errors: vec!["its task definition cannot be read".into()], ..identity(task) });
        let mut targets: Vec<TargetRow> = known.chain(undefined).collect();
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
            Err("") => row.rule = "no rule of SIDECARLESS_TASK_FILTER keeps it".into(),
            Err(rule) => row.rule = rule.to_owned(),
        }
        if !row.included {
            return row;
        }
        let source = self.source(task);
        row.source = match source {
            Some(StatsSource::Endpoint) => "endpoint",
            Some(StatsSource::Insights) => "insights",
            None => "",
        };
        if self.settings.sources.prometheus {
            for page in prometheus_targets(task, &self.settings.prometheus_scrape.rules, &self.settings.scrape_ranges) {
                match page {
                    Ok(page) => row.prometheus_endpoints.push(format!("{}{}", page.address, page.path)),
                    Err(dropped) => row.errors.push(dropped.to_string()),
                }
            }
        }
        if source != Some(StatsSource::Endpoint) {
            return row;
        }
        match stats_target(task, &self.settings.scrape_ranges) {
            Some(Ok(target)) => {
                row.address = Some(target.address.ip().to_string());
                row.port = Some(target.address.port());
                row.path = Some(target.path);
            }
            Some(Err(dropped)) => row.errors.push(dropped.to_string()),
            None => {}
        }
        row
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
