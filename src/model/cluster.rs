//! A cluster of Amazon ECS, from DescribeClusters.

use std::sync::Arc;

use crate::model::arn::{Arn, cluster_name};
use crate::model::ecs::ContainerInsights;
use crate::model::task::Tag;

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    pub arn: Arc<str>,
    /// Short name.
    pub name: Arc<str>,
    pub region: Arc<str>,
    pub account: Arc<str>,
    pub running_tasks: u32,
    pub pending_tasks: u32,
    pub active_services: u32,
    /// Registered container instances. Fargate has none.
    pub container_instances: u32,
    pub container_insights: ContainerInsights,
    /// Only present if a setting uses them.
    pub tags: Arc<[Tag]>,
}

impl Cluster {
    /// Returns a cluster with the values of its ARN.
    pub fn from_arn(arn: &str) -> Self {
        let parsed = Arn::parse(arn);
        let part = |part: fn(&Arn<'_>) -> String| parsed.as_ref().map(part).unwrap_or_default().into();
        Self {
            arn: arn.into(),
            name: cluster_name(arn).into(),
            region: part(|arn| arn.region.into()),
            account: part(|arn| arn.account.into()),
            ..Self::default()
        }
    }

    /// Returns the memory of the cluster in bytes, for the limit of a cache.
    pub fn size(&self) -> usize {
        let tags: usize = self.tags.iter().map(|(name, value)| size_of::<Tag>() + name.len() + value.len()).sum();
        size_of::<Self>() + self.arn.len() + self.name.len() + self.region.len() + self.account.len() + tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_fields_come_from_its_arn() {
        let cluster = Cluster::from_arn("arn:aws:ecs:eu-west-1:111122223333:cluster/shop");
        assert_eq!([&*cluster.name, &*cluster.region, &*cluster.account], ["shop", "eu-west-1", "111122223333"]);
        assert_eq!(&*Cluster::from_arn("shop").name, "shop");
    }
}
