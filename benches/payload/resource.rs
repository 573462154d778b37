//! The resource of a service on Fargate, with the 17 attributes of the SDK's ECS detector.

use sidecarless::model::otlp::{InstrumentationScope, Resource};

use super::text;

const TASK: &str = "5f0e6c1d2b3a49788e7d6c5b4a392817";

pub(super) fn resource() -> Resource {
    let arn = |resource: &str| format!("arn:aws:ecs:eu-west-1:111122223333:{resource}");
    let attributes = vec![
        text("service.name", "checkout"),
        text("service.namespace", "shop"),
        text("service.version", "1.4.2"),
        text("service.instance.id", TASK),
        text("deployment.environment.name", "production"),
        text("cloud.provider", "aws"),
        text("cloud.platform", "aws_ecs"),
        text("cloud.region", "eu-west-1"),
        text("cloud.availability_zone", "eu-west-1b"),
        text("aws.ecs.cluster.arn", arn("cluster/shop")),
        text("aws.ecs.launchtype", "fargate"),
        text("aws.ecs.task.arn", arn(&format!("task/shop/{TASK}"))),
        text("aws.ecs.task.family", "checkout"),
        text("aws.ecs.task.revision", "42"),
        text("container.name", "checkout"),
        text("telemetry.sdk.language", "java"),
        text("telemetry.sdk.version", "1.55.0"),
    ];
    Resource { attributes, dropped_attributes_count: 0 }
}

pub(super) fn scope(name: &'static str) -> InstrumentationScope {
    InstrumentationScope { name: name.into(), version: "2.21.0-alpha".into(), ..InstrumentationScope::default() }
}
