//! Deployments and actions of services from EventBridge.

use std::time::Duration;

use serde_json::{Value, json};
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;

use crate::sandbox::Sandbox;
use crate::sandbox::amp::Labels;

const DEPLOYMENT: &str = include_str!("../events/deployment-failed.json");
const ACTION: &str = include_str!("../events/service-action.json");
/// 2026-11-22T23:25:03Z, the time of both events.
const AT_MS: i64 = 1_795_389_903_000;

async fn handle(sandbox: &Sandbox, event: &Value) -> Value {
    let deadline = Deadline::after(Duration::from_secs(20));
    sandbox.handlers.handle(Event::parse(&event.to_string()), &deadline).await.unwrap().into_json()
}

#[tokio::test]
async fn service_event_is_a_sample_at_its_time() {
    let settings = [
        ("SIDECARLESS_CLUSTERS", "sh*"),
        ("SIDECARLESS_MAX_SAMPLE_AGE", "off"),
        ("SIDECARLESS_TAG_LABELS", "cluster.env,team"),
        ("SIDECARLESS_EXTERNAL_LABELS", "site=lab"),
    ];
    let common = [
        ("aws_ecs_cluster_name", "shop"),
        ("aws_ecs_service_name", "cart-svc"),
        ("cloud_account_id", "111122223333"),
        ("cloud_region", "eu-west-1"),
        ("cluster_tag_env", "prod"),
        ("site", "lab"),
    ];
    for (event, own) in [
        (
            DEPLOYMENT,
            [
                ("__name__", "ecs_service_deployment_event_info"),
                ("deployment", "ecs-svc/1234567890123456789"),
                ("event_name", "SERVICE_DEPLOYMENT_FAILED"),
            ],
        ),
        (
            ACTION,
            [
                ("__name__", "ecs_service_action_event_info"),
                ("event_name", "SERVICE_TASK_PLACEMENT_FAILURE"),
                ("event_type", "ERROR"),
            ],
        ),
    ] {
        let sandbox = Sandbox::start(&settings).await;
        sandbox.aws.ecs().cluster_tags = vec![("env", "prod"), ("team", "of the cluster")];
        let event: Value = serde_json::from_str(event).unwrap();
        for _ in 0..2 {
            assert_eq!(handle(&sandbox, &event).await["delivered"], 1, "{event}");
        }
        let labels: Labels = common.iter().chain(&own).map(|&(name, value)| (name.into(), value.into())).collect();
        let sample = (labels, 1.0, AT_MS);
        assert_eq!(sandbox.amp.samples(), [sample.clone(), sample], "a repeated event writes the same sample");
    }
}

#[tokio::test]
async fn service_event_that_has_no_series_is_skipped() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "shop"), ("SIDECARLESS_MAX_SAMPLE_AGE", "off")]).await;
    let event: Value = serde_json::from_str(DEPLOYMENT).unwrap();
    let with = |field: &str, value: Value| {
        let mut event = event.clone();
        event[field] = value;
        event
    };
    let other_cluster = json!(["arn:aws:ecs:eu-west-1:111122223333:service/bank/cart-svc"]);
    let no_cluster = json!(["arn:aws:ecs:eu-west-1:111122223333:service/cart-svc"]);
    let mut no_time = with("time", json!("now"));
    no_time["detail"]["updatedAt"] = Value::Null;
    for (event, reason) in [
        (with("resources", other_cluster), "the settings exclude the cluster"),
        (with("resources", no_cluster), "the event does not name a service and its cluster"),
        (with("resources", json!("arn")), "the event does not name a service and its cluster"),
        (no_time, "the event has no time"),
    ] {
        assert_eq!(handle(&sandbox, &event).await, json!({"skipped": reason}), "{event}");
    }
    assert_eq!(sandbox.amp.requests() + sandbox.aws.requests(), 0);
}
