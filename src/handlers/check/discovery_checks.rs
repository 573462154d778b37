//! Checks of the input of a scheduled run: tasks in ECS, Container Insights events, and targets.

use super::caller::ArnBuilder;
use super::connectivity;
use super::handler::CheckHandler;
use super::report::CheckResult;
use crate::deadline::Deadline;
use crate::discovery::{ClusterStates, DiscoveryResult, TaskBatch, TaskListing};
use crate::model::ecs::NetworkLocation;
use crate::model::task::Task;
use crate::rules::glob;
use crate::scrape::insights::MinuteWindow;
use crate::settings::Settings;
use crate::translate::state::Scope;

/// Task that is described if no task is running: ECS reports it as missing, or denies access.
const NO_TASK: &str = "00000000000000000000000000000000";

/// An API operation of a scheduled run.
pub(super) struct ApiCheck {
    pub(super) operation: &'static str,
    pub(super) action: &'static str,
    /// Resource in the policy.
    pub(super) resource: String,
    /// Message of success. An error if the operation was not called.
    pub(super) result: Result<String, &'static str>,
}

impl CheckHandler {
    pub(super) async fn check_reads(&self, arns: &ArnBuilder, deadline: &Deadline) -> Vec<CheckResult> {
        let listing = self.discovery.list(deadline).await;
        let clusters = self.describe_clusters(&listing, deadline).await;
        let mut discovered = self.discovery.describe_all(&listing, deadline).await;
        discovered.failures.extend(clusters.failures.iter().cloned());
        if let (Some(cluster), []) = (listing.clusters.first(), listing.batches.as_slice()) {
            let missing = TaskBatch { cluster: cluster.clone(), tasks: vec![NO_TASK.into()] };
            discovered.failures.extend(self.discovery.describe(&[missing], deadline).await.failures);
        }
        let mut checks = self.task_checks(&listing, &discovered, arns);
        checks.extend(self.state_checks(&clusters, &listing, &mut discovered, arns, deadline).await);
        checks.extend(host_checks(&discovered, arns));
        let mut results: Vec<CheckResult> = checks.into_iter().map(|check| check.into_result(&discovered)).collect();
        results.push(self.check_sources(&discovered));
        results.push(self.check_insights(listing.clusters.first(), arns, deadline).await);
        results.push(self.check_cloudwatch(listing.clusters.first(), deadline).await);
        results.push(connectivity::check(&self.targets.rows(&discovered), deadline).await);
        results
    }

    /// Returns whether a scheduled run describes clusters.
    fn needs_clusters(&self) -> bool {
        let Settings { state, sources, tag_labels, .. } = &self.settings;
        let has_series = state.has_scope(Scope::Cluster) || state.has_scope(Scope::ContainerInstance);
        has_series || sources.insights || tag_labels.uses_cluster_tags()
    }

    async fn describe_clusters(&self, listing: &TaskListing, deadline: &Deadline) -> ClusterStates {
        if !self.needs_clusters() {
            return ClusterStates::default();
        }
        self.discovery.describe_clusters(&listing.clusters, deadline).await
    }

    fn task_checks(&self, listing: &TaskListing, discovered: &DiscoveryResult, arns: &ArnBuilder) -> Vec<ApiCheck> {
        let (clusters, tasks) = (listing.clusters.len(), listing.task_count());
        let is_listed = self.settings.clusters.iter().any(|pattern| glob::is_glob(pattern));
        let has_cluster =
            |message| if clusters > 0 { Ok(message) } else { Err("no cluster matches SIDECARLESS_CLUSTERS") };
        let has_task = !discovered.tasks.is_empty() || !discovered.filtered.is_empty();
        vec![
            ApiCheck {
                operation: "ListClusters",
                action: "ecs:ListClusters",
                resource: "*".into(),
                result: if is_listed {
                    Ok(format!("{clusters} clusters"))
                } else {
                    Err("not called, because SIDECARLESS_CLUSTERS contains no glob")
                },
            },
            ApiCheck {
                operation: "ListTasks",
                action: "ecs:ListTasks",
                resource: "*".into(),
                result: has_cluster(format!("{tasks} tasks")),
            },
            ApiCheck {
                operation: "DescribeTasks",
                action: "ecs:DescribeTasks",
                resource: arns.arn("ecs", "task/*"),
                result: has_cluster(format!("{} tasks", discovered.len())),
            },
            ApiCheck {
                operation: "DescribeTaskDefinition",
                action: "ecs:DescribeTaskDefinition",
                resource: "*".into(),
                result: if has_task { Ok("read for each task".into()) } else { Err("no task is running") },
            },
            ApiCheck {
                operation: "DescribeClusters",
                action: "ecs:DescribeClusters",
                resource: arns.arn("ecs", "cluster/*"),
                result: if self.needs_clusters() {
                    has_cluster("counts, settings and tags are read".into())
                } else {
                    Err("not called, because no setting needs counts, settings or tags of clusters")
                },
            },
        ]
    }

    async fn check_insights(&self, cluster: Option<&String>, arns: &ArnBuilder, deadline: &Deadline) -> CheckResult {
        const ACTION: &str = "logs:FilterLogEvents";
        let (true, Some(delay)) = (self.settings.sources.insights, self.settings.insights_lag) else {
            let message = "the settings disable Container Insights, or a subscription filter pushes its events";
            return CheckResult::skip(ACTION, message);
        };
        let Some(cluster) = cluster else {
            return CheckResult::skip(ACTION, "no cluster matches SIDECARLESS_CLUSTERS");
        };
        let minute = MinuteWindow::for_run(deadline.started_ms(), delay);
        match self.insights.check_access(cluster, minute, deadline).await {
            Ok(true) => CheckResult::ok(ACTION, format!("the events of {cluster} can be read")),
            Ok(false) => {
                let message =
                    format!("{cluster} has no Container Insights: tasks need a stats endpoint for their stats");
                CheckResult::ok(ACTION, message)
            }
            Err(failure) => {
                let group = arns.arn("logs", "log-group:/aws/ecs/containerinsights/*");
                CheckResult::from_error(ACTION, &group, failure.to_string(), &failure.error)
            }
        }
    }
}

/// Checks of the operations that find the addresses of tasks on EC2 instances.
fn host_checks(discovered: &DiscoveryResult, arns: &ArnBuilder) -> [ApiCheck; 2] {
    let tasks = discovered.tasks.iter().chain(&discovered.filtered).filter(|task| is_on_host(task)).count();
    let result = || match tasks {
        0 => Err("not called, because no task uses the address of its container instance"),
        _ => Ok(format!("tasks with the address of their container instance: {tasks}")),
    };
    [
        ApiCheck {
            operation: "DescribeContainerInstances",
            action: "ecs:DescribeContainerInstances",
            resource: arns.arn("ecs", "container-instance/*"),
            result: result(),
        },
        ApiCheck {
            operation: "DescribeInstances",
            action: "ec2:DescribeInstances",
            resource: "*".into(),
            result: result(),
        },
    ]
}

impl ApiCheck {
    fn into_result(self, discovered: &DiscoveryResult) -> CheckResult {
        let failure = discovered.failures.iter().find(|failure| failure.call() == self.operation);
        match (failure, self.result) {
            (Some(failure), _) => {
                CheckResult::from_error(self.action, &self.resource, failure.to_string(), &failure.error)
            }
            (None, Ok(message)) => CheckResult::ok(self.action, message),
            (None, Err(message)) => CheckResult::skip(self.action, message),
        }
    }
}

/// Returns whether the task has the address of an EC2 instance.
fn is_on_host(task: &Task) -> bool {
    task.container_instance_arn.is_some() && task.network_location() == NetworkLocation::Host
}
