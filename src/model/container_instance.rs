//! A container instance of Amazon ECS: an EC2, external or managed instance that runs tasks. From DescribeContainerInstances.

use std::sync::Arc;

use crate::model::arn::{Arn, cluster_name};
use crate::model::ecs::ContainerInstanceStatus;
use crate::model::task::Tag;

/// Memory of the texts of a container instance.
const USUAL_TEXT_BYTES: usize = 512;

/// One container instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerInstance {
    pub arn: Arc<str>,
    /// Last part of the ARN.
    pub id: Arc<str>,
    /// Short name.
    pub cluster: Arc<str>,
    pub region: Arc<str>,
    pub account: Arc<str>,
    pub ec2_instance_id: Arc<str>,
    pub capacity_provider: Arc<str>,
    pub availability_zone: Arc<str>,
    pub status: ContainerInstanceStatus,
    pub agent_connected: bool,
    pub registered: Capacity,
    /// Capacity that no task has reserved.
    pub remaining: Capacity,
    pub running_tasks: u32,
    pub pending_tasks: u32,
    /// Tags of the cluster. Only present if a setting uses them.
    pub cluster_tags: Arc<[Tag]>,
}

/// Capacity for tasks. A value that ECS did not send is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// CPU units.
    pub cpu: Option<i32>,
    pub memory_mib: Option<i32>,
}

impl ContainerInstance {
    /// Returns a container instance with the values of its ARN. Older ARNs do not contain the cluster.
    pub fn from_arn(arn: &str, cluster: &str) -> Self {
        let parsed = Arn::parse(arn);
        let part = |part: fn(&Arn<'_>) -> String| parsed.as_ref().map(part).unwrap_or_default().into();
        Self {
            arn: arn.into(),
            id: arn.rsplit('/').next().unwrap_or_default().into(),
            cluster: cluster_name(cluster).into(),
            region: part(|arn| arn.region.into()),
            account: part(|arn| arn.account.into()),
            ..Self::default()
        }
    }

    /// Returns the memory of the container instance in bytes, for the limit of a cache.
    pub fn size(&self) -> usize {
        size_of::<Self>() + USUAL_TEXT_BYTES
    }
}
