//! What a tick reads: tasks in ECS, events of Container Insights, and a target over the network.

use super::caller::ArnBuilder;
use super::connectivity;
use super::handler::CheckHandler;
use super::remedy::remedy;
use super::report::CheckResult;
use crate::deadline::Deadline;
use crate::discovery::{DiscoveryResult, TaskBatch, TaskListing};
use crate::model::ecs::NetworkLocation;
use crate::model::task::Task;
use crate::rules::glob;
use crate::scrape::insights::MinuteWindow;

/// Asked for where no task runs: ECS answers that it is missing, or that nobody may ask.
const NO_TASK: &str = "00000000000000000000000000000000";

/// A call of ECS or EC2: its operation, its action, on what it has to be allowed, and whether it was made.
struct ApiCheck {
    operation: &'static str,
    action: &'static str,
    resource: String,
    /// What came of it, or why it was not made.
    result: Result<String, &'static str>,
}

impl CheckHandler {
    pub(super) async fn check_reads(&self, place: &ArnBuilder, deadline: &Deadline) -> Vec<CheckResult> {
        let listing = self.discovery.list(deadline).await;
        let mut discovered = self.discovery.describe_all(&listing, deadline).await;
        if let (Some(cluster), []) = (listing.clusters.first(), listing.batches.as_slice()) {
            let nobody = TaskBatch { cluster: cluster.clone(), tasks: vec![NO_TASK.into()] };
            discovered.failures.extend(self.discovery.describe(&[nobody], deadline).await.failures);
        }
        let calls = self.calls(&listing, &discovered, place);
        let mut findings: Vec<CheckResult> = calls.into_iter().map(|call| call.finding(&discovered)).collect();
        findings.push(self.check_insights(listing.clusters.first(), place, deadline).await);
        findings.push(connectivity::check(&self.targets.rows(&discovered), deadline).await);
        findings
    }

    fn calls(&self, listing: &TaskListing, discovered: &DiscoveryResult, place: &ArnBuilder) -> Vec<ApiCheck> {
        let (clusters, tasks) = (listing.clusters.len(), listing.task_count());
        let lists = self.settings.clusters.iter().any(|pattern| glob::is_glob(pattern));
        let known = || discovered.tasks.iter().chain(&discovered.filtered);
        let on_hosts = known().filter(|task| is_on_host(task)).count();
        let any = "*".to_owned();
        let made = |was: bool, came: String, otherwise: &'static str| if was { Ok(came) } else { Err(otherwise) };
        let call = |operation, action, resource, made| ApiCheck { operation, action, resource, result: made };
        let named = "SIDECARLESS_CLUSTERS names the clusters: it is not called";
        let no_cluster = "no cluster of SIDECARLESS_CLUSTERS is known";
        let no_tags = "SIDECARLESS_TAG_LABELS asks for no tags of clusters";
        let wants_clusters = self.settings.tag_labels.uses_cluster_tags();
        let no_host = "no task shares its host's network";
        let containers = place.arn("ecs", "container-instance/*");
        vec![
            call("ListClusters", "ecs:ListClusters", any.clone(), made(lists, format!("{clusters} clusters"), named)),
            call("ListTasks", "ecs:ListTasks", any.clone(), made(clusters > 0, format!("{tasks} tasks"), no_cluster)),
            call(
                "DescribeTasks",
                "ecs:DescribeTasks",
                place.arn("ecs", "task/*"),
                made(clusters > 0, format!("{} tasks", discovered.len()), no_cluster),
            ),
            call(
                "DescribeTaskDefinition",
                "ecs:DescribeTaskDefinition",
                any.clone(),
                made(known().count() > 0, "read for every task".into(), "no task runs"),
            ),
            call(
                "DescribeClusters",
                "ecs:DescribeClusters",
                place.arn("ecs", "cluster/*"),
                made(wants_clusters && clusters > 0, "tags of clusters are read".into(), no_tags),
            ),
            call(
                "DescribeContainerInstances",
                "ecs:DescribeContainerInstances",
                containers,
                made(on_hosts > 0, format!("tasks on hosts: {on_hosts}"), no_host),
            ),
            call(
                "DescribeInstances",
                "ec2:DescribeInstances",
                any,
                made(on_hosts > 0, format!("tasks on hosts: {on_hosts}"), no_host),
            ),
        ]
    }

    async fn check_insights(&self, cluster: Option<&String>, place: &ArnBuilder, deadline: &Deadline) -> CheckResult {
        const ACTION: &str = "logs:FilterLogEvents";
        let (true, Some(lag)) = (self.settings.sources.insights, self.settings.insights_lag) else {
            return CheckResult::skip(ACTION, "the settings leave out Container Insights, or have its events pushed");
        };
        let Some(cluster) = cluster else { return CheckResult::skip(ACTION, "no cluster is known") };
        match self.insights.check_access(cluster, MinuteWindow::for_run(deadline.started_ms(), lag), deadline).await {
            Ok(true) => CheckResult::ok(ACTION, format!("events of {cluster} may be read")),
            Ok(false) => {
                let says = format!("{cluster} has no Container Insights: only tasks with an endpoint have stats");
                CheckResult::ok(ACTION, says)
            }
            Err(error) => {
                let group = place.arn("logs", "log-group:/aws/ecs/containerinsights/*");
                let reason = error.to_string();
                let fix = remedy(ACTION, &group, &reason);
                CheckResult::fail(ACTION, reason, fix)
            }
        }
    }
}

impl ApiCheck {
    fn finding(self, discovered: &DiscoveryResult) -> CheckResult {
        let failure = discovered.failures.iter().find(|failure| failure.call() == self.operation);
        match (failure, self.result) {
            (Some(failure), _) => {
                let reason = failure.to_string();
                let fix = remedy(self.action, &self.resource, &reason);
                CheckResult::fail(self.action, reason, fix)
            }
            (None, Ok(came)) => CheckResult::ok(self.action, came),
            (None, Err(otherwise)) => CheckResult::skip(self.action, otherwise),
        }
    }
}

/// Returns whether the task has the address of an EC2 instance.
fn is_on_host(task: &Task) -> bool {
    task.container_instance_arn.is_some() && task.network_location() == NetworkLocation::Host
}
