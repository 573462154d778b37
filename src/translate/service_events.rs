//! Series about deployments and actions of services, for annotations in dashboards and for alerts.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS service deployment state change events" and "Amazon ECS service action
//! events". A sample has the time of its event, so an event that arrives twice writes the same sample twice. An event is a
//! point in time: its series has one sample, and queries return it for five minutes.

use crate::model::rejection::Rejections;
use crate::model::series::{InsertOutcome, Labels, SeriesBatch};
use crate::model::service_event::{ServiceEvent, ServiceEventKind};
use crate::translate::limits::exceeded_limit;
use crate::translate::stats::{Label, StatsResult, add_extra_labels};

/// A metric about an event. Each is a gauge, and its value is always 1.
#[derive(Debug)]
pub struct ServiceEventMetric {
    pub name: &'static str,
    /// Labels in addition to the labels of the service.
    pub labels: &'static [&'static str],
}

/// A deployment started, completed or failed.
pub const DEPLOYMENT_EVENT_INFO: ServiceEventMetric =
    ServiceEventMetric { name: "ecs_service_deployment_event_info", labels: &["event_name", "deployment"] };
/// The service scheduler did something, or could not do it.
pub const ACTION_EVENT_INFO: ServiceEventMetric =
    ServiceEventMetric { name: "ecs_service_action_event_info", labels: &["event_name", "event_type"] };
pub const SERVICE_EVENT_METRICS: &[&ServiceEventMetric] = &[&DEPLOYMENT_EVENT_INFO, &ACTION_EVENT_INFO];

/// Label value for a name that is in no table.
const OTHER: &str = "other";

/// Names of deployment events.
const DEPLOYMENT_EVENTS: &[&str] =
    &["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"];

/// Names of action events.
const ACTION_EVENTS: &[&str] = &[
    "SERVICE_STEADY_STATE",
    "TASKSET_STEADY_STATE",
    "CAPACITY_PROVIDER_STEADY_STATE",
    "SERVICE_DESIRED_COUNT_UPDATED",
    "TASKS_STOPPED",
    "SERVICE_DEPLOYMENT_IN_PROGRESS",
    "SERVICE_DEPLOYMENT_COMPLETED",
    "SERVICE_TASK_START_IMPAIRED",
    "SERVICE_DISCOVERY_INSTANCE_UNHEALTHY",
    "VPC_LATTICE_TARGET_UNHEALTHY",
    "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED",
    "ECS_OPERATION_THROTTLED",
    "SERVICE_DISCOVERY_OPERATION_THROTTLED",
    "SERVICE_TASK_PLACEMENT_FAILURE",
    "SERVICE_TASK_CONFIGURATION_FAILURE",
    "SERVICE_HEALTH_UNKNOWN",
    "SERVICE_DEPLOYMENT_FAILED",
];

const EVENT_TYPES: &[&str] = &["INFO", "WARN", "ERROR"];

/// Writes the series of an event. `extra` labels never replace a label of the event.
pub fn service_event_series(event: &ServiceEvent, at_ms: i64, extra: &Labels, out: &mut SeriesBatch) -> StatsResult {
    let mut labels = Labels::default();
    labels.set(Label::ClusterName.name(), &event.cluster);
    labels.set(Label::ServiceName.name(), &event.service);
    labels.set(Label::Region.name(), &event.region);
    labels.set(Label::AccountId.name(), &event.account);
    let metric = match event.kind {
        ServiceEventKind::Deployment => {
            labels.set("event_name", known(DEPLOYMENT_EVENTS, &event.name));
            labels.set("deployment", &event.deployment);
            &DEPLOYMENT_EVENT_INFO
        }
        ServiceEventKind::Action => {
            labels.set("event_name", known(ACTION_EVENTS, &event.name));
            labels.set("event_type", known(EVENT_TYPES, &event.event_type));
            &ACTION_EVENT_INFO
        }
    };
    labels.set("__name__", metric.name);
    add_extra_labels(&mut labels, extra);
    let mut rejected = Rejections::default();
    if let Some(reason) = exceeded_limit(labels.iter()) {
        rejected.add(reason, 1, || "the labels of a service event".to_owned());
        return StatsResult { written: 0, rejected };
    }
    let id = out.series(labels.iter());
    let written = u64::from(out.add_sample(id, at_ms, 1.0) == InsertOutcome::New);
    StatsResult { written, rejected }
}

fn known(names: &[&'static str], name: &str) -> &'static str {
    names.iter().find(|known| **known == name).copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: ServiceEventKind, name: &str, event_type: &str) -> ServiceEvent {
        ServiceEvent {
            kind,
            cluster_arn: "arn:aws:ecs:eu-west-1:111122223333:cluster/shop".into(),
            cluster: "shop".into(),
            service: "cart-svc".into(),
            region: "eu-west-1".into(),
            account: "111122223333".into(),
            name: name.into(),
            event_type: event_type.into(),
            deployment: "ecs-svc/123".into(),
            reason: "tasks failed to start.".into(),
            at_ms: None,
        }
    }

    /// Returns the labels of the only series without the labels of the service.
    fn own_labels(event: &ServiceEvent) -> String {
        let mut batch = SeriesBatch::default();
        let extra = Labels::from_iter([("cluster_tag_env", "prod"), ("event_name", "external")]);
        let result = service_event_series(event, 1_000, &extra, &mut batch);
        assert_eq!((result.written, batch.len()), (1, 1));
        let series = batch.iter().next().unwrap();
        assert_eq!((series.samples()[0].timestamp_ms, series.samples()[0].value), (1_000, 1.0));
        let service = ["aws_ecs_cluster_name", "aws_ecs_service_name", "cloud_region", "cloud_account_id"];
        let labels: Vec<(&str, &str)> = series.labels().collect();
        assert!(service.iter().all(|name| labels.iter().any(|(label, _)| label == name)), "{labels:?}");
        let own = labels.iter().filter(|(label, _)| !service.contains(label) && *label != "cluster_tag_env");
        own.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn event_is_a_series_with_a_fixed_set_of_names() {
        use ServiceEventKind::{Action, Deployment};
        let deployment =
            |name: &str| format!("__name__=ecs_service_deployment_event_info deployment=ecs-svc/123 event_name={name}");
        let action = |name: &str, kind: &str| {
            format!("__name__=ecs_service_action_event_info event_name={name} event_type={kind}")
        };
        for (event, expected) in [
            (event(Deployment, "SERVICE_DEPLOYMENT_FAILED", "ERROR"), deployment("SERVICE_DEPLOYMENT_FAILED")),
            (event(Deployment, "SERVICE_DEPLOYMENT_STOPPED", ""), deployment("other")),
            (event(Action, "SERVICE_STEADY_STATE", "INFO"), action("SERVICE_STEADY_STATE", "INFO")),
            (event(Action, "service_steady_state", "info"), action("other", "other")),
            (event(Action, "", ""), action("other", "other")),
        ] {
            assert_eq!(own_labels(&event), expected);
        }
    }

    #[test]
    fn repeated_event_writes_the_same_sample() {
        let event = event(ServiceEventKind::Deployment, "SERVICE_DEPLOYMENT_COMPLETED", "INFO");
        let mut batch = SeriesBatch::default();
        for written in [1, 0] {
            let result = service_event_series(&event, 1_000, &Labels::default(), &mut batch);
            assert_eq!(result.written, written);
        }
        assert_eq!((batch.len(), batch.point_count()), (1, 1));
    }

    #[test]
    fn label_that_is_too_long_is_rejected() {
        let event = ServiceEvent { region: "r".repeat(3_000), ..event(ServiceEventKind::Action, "", "") };
        let mut batch = SeriesBatch::default();
        let result = service_event_series(&event, 1_000, &Labels::default(), &mut batch);
        assert_eq!((result.rejected.total(), batch.len()), (1, 0));
    }
}
