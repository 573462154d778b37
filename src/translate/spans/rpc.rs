//! The service and the operation of a remote procedure call.
//!
//! Up to 1.38 of the semantic conventions, `rpc.service` is the service and `rpc.method` the operation. From 1.39,
//! `rpc.method` has both: `service/operation`.

use std::borrow::Cow;

use super::key::{Attributes, Key};
use crate::translate::Compat;

/// Names that the AWS SDKs for Java report, and the service IDs, which the other SDKs report and X-Ray documents use.
/// Sources: `SERVICE_NAME` of the clients of aws-sdk-java-v2 and aws-sdk-java.
const JAVA_SERVICES: [(&str, &str); 23] = [
    ("DynamoDb", "DynamoDB"),
    ("AmazonDynamoDBv2", "DynamoDB"),
    ("AmazonDynamoDB", "DynamoDB"),
    ("Sqs", "SQS"),
    ("AmazonSQS", "SQS"),
    ("Sns", "SNS"),
    ("AmazonSNS", "SNS"),
    ("Amazon S3", "S3"),
    ("AmazonS3", "S3"),
    ("AmazonKinesis", "Kinesis"),
    ("AWSLambda", "Lambda"),
    ("SecretsManager", "Secrets Manager"),
    ("AWSSecretsManager", "Secrets Manager"),
    ("Sfn", "SFN"),
    ("AWSStepFunctions", "SFN"),
    ("Kms", "KMS"),
    ("AWSKMS", "KMS"),
    ("Sts", "STS"),
    ("AWSSecurityTokenService", "STS"),
    ("Ssm", "SSM"),
    ("AWSSimpleSystemsManagement", "SSM"),
    ("CloudWatchLogs", "CloudWatch Logs"),
    ("AWSLogs", "CloudWatch Logs"),
];

/// Returns the called service, or an empty text.
pub(super) fn service<'a>(attributes: &Attributes<'a>, compat: Compat) -> Cow<'a, str> {
    let service = attributes.text(Key::RpcService);
    if !service.is_empty() || compat.ignores_stable_conventions() {
        return service;
    }
    let service =
        slice(attributes.text(Key::RpcMethod), |method| method.rsplit_once('/').map_or("", |(service, _)| service));
    slice(service, |service| service.trim_start_matches('/'))
}

/// Returns the service of an AWS SDK call by its service ID.
pub(super) fn aws_service<'a>(attributes: &Attributes<'a>, compat: Compat) -> Cow<'a, str> {
    let service = service(attributes, compat);
    match JAVA_SERVICES.iter().find(|(name, _)| *name == service) {
        Some((_, id)) => Cow::Borrowed(id),
        None => service,
    }
}

/// Returns the called operation, or an empty text.
pub(super) fn operation<'a>(attributes: &Attributes<'a>, compat: Compat) -> Cow<'a, str> {
    let method = attributes.text(Key::RpcMethod);
    if compat.ignores_stable_conventions() {
        return method;
    }
    slice(method, |method| method.rsplit_once('/').map_or(method, |(_, operation)| operation))
}

/// Returns a part of a text, without a copy if the text is borrowed.
fn slice<'a>(text: Cow<'a, str>, part: impl FnOnce(&str) -> &str) -> Cow<'a, str>
where
{
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text)),
        Cow::Owned(text) => Cow::Owned(part(&text).to_owned()),
    }
}
