//! Counts of services and clusters, such as desired and running tasks. The receiver has no such metrics, so the
//! names follow CloudWatch.

use super::event::{Counts, PerformanceEvent};
use super::{EventContext, EventType};
use crate::model::json::LenientNumber;
use crate::model::series::{InsertOutcome, Labels, SeriesBatch};
use crate::translate::stats::{Label, add_extra_labels};

/// A count of a service or of a cluster.
#[derive(Debug)]
pub struct ResourceCount {
    pub name: &'static str,
    /// Field of the event.
    pub field: &'static str,
    pub(super) event_type: EventType,
    pub(super) value: fn(&Counts) -> LenientNumber,
}

/// All counts. Each is a gauge.
pub const COUNTS: &[ResourceCount] = &[
    ResourceCount {
        name: "ecs_service_desired_task_count",
        field: "DesiredTaskCount",
        event_type: EventType::Service,
        value: |counts| counts.desired_task_count,
    },
    ResourceCount {
        name: "ecs_service_running_task_count",
        field: "RunningTaskCount",
        event_type: EventType::Service,
        value: |counts| counts.running_task_count,
    },
    ResourceCount {
        name: "ecs_service_pending_task_count",
        field: "PendingTaskCount",
        event_type: EventType::Service,
        value: |counts| counts.pending_task_count,
    },
    ResourceCount {
        name: "ecs_service_deployment_count",
        field: "DeploymentCount",
        event_type: EventType::Service,
        value: |counts| counts.deployment_count,
    },
    ResourceCount {
        name: "ecs_service_task_set_count",
        field: "TaskSetCount",
        event_type: EventType::Service,
        value: |counts| counts.task_set_count,
    },
    ResourceCount {
        name: "ecs_cluster_task_count",
        field: "TaskCount",
        event_type: EventType::Cluster,
        value: |counts| counts.task_count,
    },
    ResourceCount {
        name: "ecs_cluster_service_count",
        field: "ServiceCount",
        event_type: EventType::Cluster,
        value: |counts| counts.service_count,
    },
    ResourceCount {
        name: "ecs_cluster_container_instance_count",
        field: "ContainerInstanceCount",
        event_type: EventType::Cluster,
        value: |counts| counts.container_instance_count,
    },
];

/// Returns the number of new and of duplicate samples.
pub(super) fn write(
    event: &PerformanceEvent<'_>,
    kind: EventType,
    at_ms: i64,
    context: &EventContext<'_>,
    out: &mut SeriesBatch,
) -> (u64, u64) {
    let mut labels = labels(event, kind, context);
    let (mut written, mut duplicates) = (0, 0);
    for count in COUNTS.iter().filter(|count| count.event_type == kind && !(context.excluded_counts)(count.name)) {
        let Some(value) = (count.value)(&event.counts).0 else { continue };
        labels.set("__name__", count.name);
        let id = out.series(labels.iter());
        match out.add_sample(id, at_ms, value) {
            InsertOutcome::New => written += 1,
            InsertOutcome::Replaced => duplicates += 1,
        }
    }
    (written, duplicates)
}

fn labels(event: &PerformanceEvent<'_>, kind: EventType, context: &EventContext<'_>) -> Labels {
    let mut labels = Labels::default();
    labels.set(Label::ClusterName.name(), &event.cluster_name);
    if kind == EventType::Service {
        labels.set(Label::ServiceName.name(), &event.service_name);
    }
    let (region, account) = context.region_and_account(event);
    labels.set(Label::Region.name(), region);
    labels.set(Label::AccountId.name(), account);
    add_extra_labels(&mut labels, &(context.extra_labels)(None));
    labels
}
