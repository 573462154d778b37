//! How many tasks a service or cluster wants and has. No receiver names these: the names are CloudWatch's own words.

use super::event::{Counts, Event};
use super::{Context, Kind};
use crate::model::json::Number;
use crate::model::series::{Labels, Pushed, SeriesBatch};
use crate::translate::stats::{Label, add_extra};

/// A count of a service or of a cluster.
#[derive(Debug)]
pub struct Count {
    pub name: &'static str,
    /// The field of the event.
    pub field: &'static str,
    pub(super) of: Kind,
    pub(super) value: fn(&Counts) -> Number,
}

/// Every count, in the unit Count, a gauge each.
pub const COUNTS: &[Count] = &[
    Count {
        name: "ecs_service_desired_task_count",
        field: "DesiredTaskCount",
        of: Kind::Service,
        value: |counts| counts.desired_task_count,
    },
    Count {
        name: "ecs_service_running_task_count",
        field: "RunningTaskCount",
        of: Kind::Service,
        value: |counts| counts.running_task_count,
    },
    Count {
        name: "ecs_service_pending_task_count",
        field: "PendingTaskCount",
        of: Kind::Service,
        value: |counts| counts.pending_task_count,
    },
    Count {
        name: "ecs_service_deployment_count",
        field: "DeploymentCount",
        of: Kind::Service,
        value: |counts| counts.deployment_count,
    },
    Count {
        name: "ecs_service_task_set_count",
        field: "TaskSetCount",
        of: Kind::Service,
        value: |counts| counts.task_set_count,
    },
    Count { name: "ecs_cluster_task_count", field: "TaskCount", of: Kind::Cluster, value: |counts| counts.task_count },
    Count {
        name: "ecs_cluster_service_count",
        field: "ServiceCount",
        of: Kind::Cluster,
        value: |counts| counts.service_count,
    },
    Count {
        name: "ecs_cluster_container_instance_count",
        field: "ContainerInstanceCount",
        of: Kind::Cluster,
        value: |counts| counts.container_instance_count,
    },
];

/// Returns how many samples were written, and how many were there already.
pub(super) fn write(
    event: &Event<'_>,
    kind: Kind,
    at_ms: i64,
    context: &Context<'_>,
    out: &mut SeriesBatch,
) -> (u64, u64) {
    let mut labels = labels(event, kind, context);
    let (mut written, mut again) = (0, 0);
    for count in COUNTS.iter().filter(|count| count.of == kind) {
        let Some(value) = (count.value)(&event.counts).0 else { continue };
        labels.set("__name__", count.name);
        let id = out.series(labels.iter());
        match out.push(id, at_ms, value) {
            Pushed::New => written += 1,
            Pushed::Replaced => again += 1,
        }
    }
    (written, again)
}

fn labels(event: &Event<'_>, kind: Kind, context: &Context<'_>) -> Labels {
    let mut labels = Labels::default();
    labels.set(Label::ClusterName.name(), &event.cluster_name);
    if kind == Kind::Service {
        labels.set(Label::ServiceName.name(), &event.service_name);
    }
    let (region, account) = context.place(event);
    labels.set(Label::Region.name(), region);
    labels.set(Label::AccountId.name(), account);
    add_extra(&mut labels, &(context.extra)(None));
    labels
}
