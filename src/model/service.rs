//! A service of Amazon ECS, from DescribeServices. Times are in milliseconds since 1970.

use std::sync::Arc;

use crate::model::arn::{Arn, cluster_name};
use crate::model::ecs::{LaunchType, RolloutState, ServiceStatus};
use crate::model::task::Tag;

/// Memory of the texts of a service that have about the same length everywhere, such as its ARN and its strategies.
const USUAL_TEXT_BYTES: usize = 512;

/// One service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    pub arn: Arc<str>,
    pub name: Arc<str>,
    /// Short name.
    pub cluster: Arc<str>,
    pub region: Arc<str>,
    pub account: Arc<str>,
    pub status: ServiceStatus,
    pub desired_tasks: u32,
    pub running_tasks: u32,
    pub pending_tasks: u32,
    pub deployments: u32,
    /// Only services with the deployment controllers `CODE_DEPLOY` and `EXTERNAL` have task sets.
    pub task_sets: u32,
    /// Unspecified for a service with a capacity provider strategy.
    pub launch_type: LaunchType,
    /// Capacity providers of the strategy, joined by `,`; empty without one.
    pub capacity_provider: Arc<str>,
    pub scheduling_strategy: Arc<str>,
    pub deployment_controller: Arc<str>,
    /// Family of the task definition of the newest deployment.
    pub task_definition_family: Arc<str>,
    pub created_at_ms: Option<i64>,
    /// The newest deployment.
    pub primary: Option<Deployment>,
    /// Tags of the cluster. Only present if a setting uses them.
    pub cluster_tags: Arc<[Tag]>,
    /// Names by which other services reach this one through Service Connect, of the newest deployment.
    pub discovery_names: Arc<[DiscoveryName]>,
}

/// A discovery name of Service Connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryName {
    pub name: Arc<str>,
    /// Whether the proxies encrypt its traffic.
    pub has_tls: bool,
}

/// A deployment of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    pub rollout_state: RolloutState,
    /// Consecutive tasks that failed to start; 0 again after one has started.
    pub failed_tasks: u32,
    pub desired_tasks: u32,
    pub running_tasks: u32,
    pub pending_tasks: u32,
    pub created_at_ms: Option<i64>,
    pub updated_at_ms: Option<i64>,
}

impl Service {
    /// Returns a service with the values of its ARN. Older ARNs do not contain the cluster.
    pub fn from_arn(arn: &str, cluster: &str) -> Self {
        let parsed = Arn::parse(arn);
        let part = |part: fn(&Arn<'_>) -> String| parsed.as_ref().map(part).unwrap_or_default().into();
        Self {
            arn: arn.into(),
            name: service_name(arn).into(),
            cluster: cluster_name(cluster).into(),
            region: part(|arn| arn.region.into()),
            account: part(|arn| arn.account.into()),
            ..Self::default()
        }
    }

    /// Returns the memory of the service in bytes, for the limit of a cache.
    pub fn size(&self) -> usize {
        let names = self.discovery_names.iter().map(|one| size_of::<DiscoveryName>() + one.name.len());
        size_of::<Self>() + USUAL_TEXT_BYTES + self.capacity_provider.len() + names.sum::<usize>()
    }
}

/// Returns the name in the ARN of a service; a name is returned unchanged.
pub fn service_name(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_fields_come_from_both_forms_of_its_arn() {
        for arn in
            ["arn:aws:ecs:eu-west-1:111122223333:service/shop/cart", "arn:aws:ecs:eu-west-1:111122223333:service/cart"]
        {
            let service = Service::from_arn(arn, "arn:aws:ecs:eu-west-1:111122223333:cluster/shop");
            let values = [&service.cluster, &service.name, &service.region, &service.account].map(|text| &**text);
            assert_eq!(values, ["shop", "cart", "eu-west-1", "111122223333"], "{arn}");
        }
        assert_eq!(service_name("cart"), "cart");
    }
}
