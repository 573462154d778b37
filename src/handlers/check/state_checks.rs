//! Checks of the state of ECS, and of the sources of container statistics.

use super::caller::ArnBuilder;
use super::discovery_checks::ApiCheck;
use super::handler::CheckHandler;
use super::report::CheckResult;
use crate::deadline::Deadline;
use crate::discovery::{
    ClusterStates, ContainerInstanceStates, DiscoveryResult, ServiceQuery, ServiceStates, TaskListing,
};
use crate::handlers::run::coverage::{Coverage, next_step, reason};
use crate::translate::state::Scope;

/// Result of calls that the setting disables.
const DISABLED: &str = "not called, because SIDECARLESS_STATE_METRICS includes no metric of them";

impl CheckHandler {
    /// Returns whether scheduled runs describe the resources of a scope.
    fn describes(&self, scope: Scope) -> bool {
        let has_names = scope == Scope::Service && self.targets.cloudwatch.needs_services();
        has_names || self.settings.state.has_scope(scope)
    }

    /// Describes services and container instances, and adds failures to those of the discovery.
    pub(super) async fn state_checks(
        &self,
        clusters: &ClusterStates,
        listing: &TaskListing,
        discovered: &mut DiscoveryResult,
        arns: &ArnBuilder,
        deadline: &Deadline,
    ) -> Vec<ApiCheck> {
        let (mut services, mut instances) = (ServiceStates::default(), ContainerInstanceStates::default());
        if self.describes(Scope::Service) {
            let (clusters, tasks) = (listing.clusters.as_slice(), discovered.tasks.as_slice());
            let query = ServiceQuery { clusters, is_complete: false, tasks, minute: Some(0) };
            services = self.discovery.describe_services(&query, deadline).await;
        }
        let described: Vec<_> = clusters.clusters.iter().filter_map(|cluster| cluster.now.clone()).collect();
        let has_instances = described.iter().any(|cluster| cluster.container_instances > 0);
        if self.describes(Scope::ContainerInstance) {
            instances = self.discovery.describe_container_instances(&described, deadline).await;
        }
        discovered.failures.extend(services.failures);
        discovered.failures.extend(instances.failures);
        let enabled = |scope, result| if self.describes(scope) { result } else { Err(DISABLED) };
        let has_cluster = !listing.clusters.is_empty();
        let listed = if has_cluster {
            Ok(format!("{} services", services.known))
        } else {
            Err("no cluster matches SIDECARLESS_CLUSTERS")
        };
        let of_service = if services.known > 0 {
            Ok(format!("{} services", services.services.len()))
        } else {
            Err("no service exists")
        };
        let of_instance = if has_instances {
            Ok(format!("{} container instances", instances.instances.len()))
        } else {
            Err("no cluster has container instances")
        };
        let check = |operation, action, resource, result| ApiCheck { operation, action, resource, result };
        vec![
            check("ListServices", "ecs:ListServices", "*".into(), enabled(Scope::Service, listed)),
            check(
                "DescribeServices",
                "ecs:DescribeServices",
                arns.arn("ecs", "service/*"),
                enabled(Scope::Service, of_service),
            ),
            check(
                "ListContainerInstances",
                "ecs:ListContainerInstances",
                arns.arn("ecs", "cluster/*"),
                enabled(Scope::ContainerInstance, of_instance),
            ),
        ]
    }

    /// Checks that each task has a source of container statistics.
    pub(super) fn check_sources(&self, discovered: &DiscoveryResult) -> CheckResult {
        const NAME: &str = "container statistics";
        let coverage = Coverage::new(&self.targets.series, &discovered.tasks);
        let (total, clusters) = (coverage.total(), coverage.clusters_without());
        let Some(cluster) = clusters.first() else {
            return match total.total() {
                0 => CheckResult::skip(NAME, "no task is running"),
                _ => CheckResult::ok(
                    NAME,
                    format!(
                        "tasks that push their stats: {}, with a stats endpoint: {}, with Container Insights: {}",
                        total.push, total.endpoint, total.insights
                    ),
                ),
            };
        };
        let sources = self.settings.sources;
        let message = format!(
            "{} of {} tasks have no source of container statistics, in clusters {}: {}",
            total.none,
            total.total(),
            clusters.join(","),
            reason(sources, cluster)
        );
        CheckResult::fail(NAME, message, next_step(sources, cluster))
    }
}
