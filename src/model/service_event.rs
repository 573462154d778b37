//! Parses the EventBridge events "ECS Deployment State Change" and "ECS Service Action", which are about one service.
//!
//! Format: Amazon ECS Developer Guide, "Amazon ECS service deployment state change events" and "Amazon ECS service action
//! events". The ARN of the service is the first of the resources of an event.

use serde::Deserialize;

use crate::model::arn::{Arn, cluster_name};
use crate::model::json::{self, DocumentError, JsonStr};

/// Maximum length of the name of a cluster or service (Amazon ECS API Reference, CreateService).
const MAX_NAME_BYTES: usize = 255;

/// Maximum length of a deployment id. ECS writes `ecs-svc/` and up to 20 digits.
const MAX_DEPLOYMENT_BYTES: usize = 64;

/// Type of an event about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceEventKind {
    /// A deployment started, completed or failed.
    Deployment,
    /// The service scheduler did something, or could not do it.
    Action,
}

/// An event about one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    pub kind: ServiceEventKind,
    pub cluster_arn: String,
    /// Short name.
    pub cluster: String,
    pub service: String,
    pub region: String,
    pub account: String,
    /// Name in upper case, such as `SERVICE_STEADY_STATE`.
    pub name: String,
    /// `INFO`, `WARN` or `ERROR`.
    pub event_type: String,
    /// Deployment id (`ecs-svc/...`); empty for most actions.
    pub deployment: String,
    /// Sentence or code of ECS; empty if there is none.
    pub reason: String,
    /// When the service changed, in milliseconds since 1970.
    pub at_ms: Option<i64>,
}

impl ServiceEventKind {
    /// Returns the type for the `detail-type` of an event; `None` if the event is not about a service.
    pub fn from_detail_type(text: &str) -> Option<Self> {
        match text {
            "ECS Deployment State Change" => Some(Self::Deployment),
            "ECS Service Action" => Some(Self::Action),
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail<'a> {
    #[serde(borrow)]
    event_type: JsonStr<'a>,
    event_name: JsonStr<'a>,
    cluster_arn: JsonStr<'a>,
    deployment_id: JsonStr<'a>,
    reason: JsonStr<'a>,
    /// Of an action.
    created_at: JsonStr<'a>,
    /// Of a deployment.
    updated_at: JsonStr<'a>,
}

/// Parses the `detail` of an event. `service_arn` is the ARN of the service. Returns `None` if the service or its cluster is
/// unknown: the older format of service ARNs contains no cluster, and deployment events have no other field with it.
pub fn parse_detail(
    kind: ServiceEventKind,
    service_arn: &str,
    detail: &[u8],
) -> Result<Option<ServiceEvent>, DocumentError> {
    let detail = json::parse::<Detail<'_>>("detail of a service event", detail)?;
    Ok(service_event(kind, service_arn, &detail))
}

fn service_event(kind: ServiceEventKind, service_arn: &str, detail: &Detail<'_>) -> Option<ServiceEvent> {
    let arn = Arn::parse(service_arn).filter(|arn| arn.service == "ecs")?;
    let (cluster, service) = match arn.resource_of("service")?.split_once('/') {
        Some((cluster, service)) => (cluster, service),
        None => (cluster_name(&detail.cluster_arn), arn.resource_of("service")?),
    };
    if [cluster, service].iter().any(|name| name.is_empty() || name.len() > MAX_NAME_BYTES) {
        return None;
    }
    let Arn { partition, region, account, .. } = arn;
    Some(ServiceEvent {
        kind,
        cluster_arn: format!("arn:{partition}:ecs:{region}:{account}:cluster/{cluster}"),
        cluster: cluster.to_owned(),
        service: service.to_owned(),
        region: region.to_owned(),
        account: account.to_owned(),
        name: detail.event_name.to_string(),
        event_type: detail.event_type.to_string(),
        deployment: Some(&*detail.deployment_id).filter(|id| id.len() <= MAX_DEPLOYMENT_BYTES).unwrap_or("").to_owned(),
        reason: detail.reason.to_string(),
        at_ms: milliseconds(&detail.updated_at).or_else(|| milliseconds(&detail.created_at)),
    })
}

fn milliseconds(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "arn:aws:ecs:eu-west-1:111122223333:service/shop/cart-svc";
    const FAILED: &str = r#"{"eventType":"ERROR","eventName":"SERVICE_DEPLOYMENT_FAILED","deploymentId":"ecs-svc/123",
        "updatedAt":"2026-03-04T09:00:02.5Z","reason":"tasks failed to start.","new":[{}]}"#;

    fn parse(arn: &str, detail: &str) -> Option<ServiceEvent> {
        parse_detail(ServiceEventKind::Deployment, arn, detail.as_bytes()).unwrap()
    }

    #[test]
    fn deployment_event_names_service_deployment_and_reason() {
        let event = parse(SERVICE, FAILED).unwrap();
        assert_eq!((&*event.cluster, &*event.service, &*event.deployment), ("shop", "cart-svc", "ecs-svc/123"));
        assert_eq!((&*event.region, &*event.account), ("eu-west-1", "111122223333"));
        assert_eq!(event.cluster_arn, "arn:aws:ecs:eu-west-1:111122223333:cluster/shop");
        assert_eq!((&*event.name, &*event.event_type), ("SERVICE_DEPLOYMENT_FAILED", "ERROR"));
        assert_eq!((&*event.reason, event.at_ms), ("tasks failed to start.", Some(1_772_614_802_500)));
    }

    #[test]
    fn older_service_arn_takes_the_cluster_from_the_detail() {
        let arn = "arn:aws-cn:ecs:cn-north-1:111122223333:service/cart-svc";
        let detail = r#"{"clusterArn":"arn:aws-cn:ecs:cn-north-1:111122223333:cluster/shop"}"#;
        let event = parse(arn, detail).unwrap();
        assert_eq!((&*event.cluster, &*event.service), ("shop", "cart-svc"));
        assert_eq!(event.cluster_arn, "arn:aws-cn:ecs:cn-north-1:111122223333:cluster/shop");
        assert_eq!(parse(arn, FAILED), None, "without a cluster");
    }

    #[test]
    fn event_without_a_service_is_ignored() {
        let long = "s".repeat(256);
        for arn in [
            "",
            "cart-svc",
            "arn:aws:ecs:eu-west-1:111122223333:service/",
            "arn:aws:ecs:eu-west-1:111122223333:service/shop/",
            "arn:aws:ecs:eu-west-1:111122223333:capacity-provider/FARGATE",
            "arn:aws:s3:eu-west-1:111122223333:service/shop/cart",
            &format!("arn:aws:ecs:eu-west-1:111122223333:service/shop/{long}"),
        ] {
            assert_eq!(parse(arn, FAILED), None, "{arn}");
        }
    }

    #[test]
    fn missing_and_null_fields_are_empty_other_json_is_an_error() {
        let id = "e".repeat(65);
        for detail in ["{}", r#"{"eventName":null,"reason":null}"#, &format!(r#"{{"deploymentId":"{id}"}}"#)] {
            let event = parse(SERVICE, detail).unwrap();
            assert_eq!((&*event.name, &*event.deployment, &*event.reason, event.at_ms), ("", "", "", None), "{detail}");
        }
        for detail in ["not json", "7", r#"{"eventName":7}"#] {
            assert!(parse_detail(ServiceEventKind::Action, SERVICE, detail.as_bytes()).is_err(), "{detail}");
        }
    }
}
