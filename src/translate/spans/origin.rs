//! The `origin` of a segment: the type of AWS resource that runs the service.
//!
//! Rules: awsxrayexporter, `internal/translator/segment.go`, `determineAwsOrigin`. Only resource attributes count, and
//! no resource becomes `AWS::Lambda::Function`.

use super::resource_attributes::ResourceAttributes;

pub(super) fn origin(resource: ResourceAttributes<'_>) -> Option<&'static str> {
    if resource.has("cloud.provider") && resource.bytes("cloud.provider") != b"aws" {
        return None;
    }
    match resource.bytes("cloud.platform") {
        b"aws_app_runner" => Some("AWS::AppRunner::Service"),
        b"aws_eks" => Some("AWS::EKS::Container"),
        b"aws_elastic_beanstalk" => Some("AWS::ElasticBeanstalk::Environment"),
        b"aws_ecs" => Some(match resource.bytes("aws.ecs.launchtype") {
            b"ec2" => "AWS::ECS::EC2",
            b"fargate" => "AWS::ECS::Fargate",
            _ => "AWS::ECS::Container",
        }),
        b"aws_ec2" => Some("AWS::EC2::Instance"),
        _ => None,
    }
}
