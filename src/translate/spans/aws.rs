//! The `aws` block: what AWS calls the resource, and which AWS operation a span is.

use std::borrow::Cow;

use super::json::JsonWriter;
use super::key::{Attributes, Key, KeySet};
use super::resource::ResourceAttributes;
use super::{Options, value};
use crate::model::otlp::any_value::Value;
use crate::translate::Compat;

/// Keys that the block takes from the span, whether it uses them or not.
pub(super) const CONSUMED: KeySet = KeySet::from_keys(&[
    Key::AwsOperation,
    Key::RpcMethod,
    Key::AwsAccountId,
    Key::AwsRegion,
    Key::AwsRequestId,
    Key::AwsRequestId2,
    Key::AwsQueueUrl,
    Key::AwsQueueUrl2,
    Key::AwsTableName,
    Key::AwsTableName2,
]);

/// The part of the block that every span of a resource shares.
pub(super) struct AwsResourceBlocks<'a> {
    account_id: Cow<'a, str>,
    /// Members of the block, as JSON.
    members: String,
}

impl<'a> AwsResourceBlocks<'a> {
    /// Nothing where the resource belongs to another cloud.
    pub(super) fn read(resource: ResourceAttributes<'a>, options: &Options) -> Option<Self> {
        let provider = resource.bytes("cloud.provider");
        if !provider.is_empty() && provider != b"aws" {
            return None;
        }
        let mut json = JsonWriter::default();
        let platform = resource.bytes("cloud.platform");
        if platform == b"aws_ec2" || !resource.bytes("host.id").is_empty() {
            ec2(&mut json, resource);
        }
        if platform == b"aws_ecs" {
            ecs(&mut json, resource);
        }
        if platform == b"aws_elastic_beanstalk" && !resource.bytes("service.instance.id").is_empty() {
            elastic_beanstalk(&mut json, resource);
        }
        if platform == b"aws_eks" || !resource.bytes("k8s.cluster.name").is_empty() {
            eks(&mut json, resource);
        }
        cloudwatch_logs(&mut json, resource, &options.log_groups);
        xray(&mut json, resource);
        Some(AwsResourceBlocks { account_id: resource.text("cloud.account.id"), members: json.into_escaped() })
    }
}

/// Writes members from resource attributes, leaving out those without text.
fn members(json: &mut JsonWriter, resource: ResourceAttributes<'_>, fields: &[(&str, &str)]) {
    for (field, attribute) in fields {
        json.text_field_unless_empty(field, &resource.text(attribute));
    }
}

fn block(json: &mut JsonWriter, name: &str, write: impl FnOnce(&mut JsonWriter)) {
    json.key(name);
    json.open('{');
    write(json);
    json.close('}');
}

fn ec2(json: &mut JsonWriter, resource: ResourceAttributes<'_>) {
    let fields = [
        ("instance_id", "host.id"),
        ("availability_zone", "cloud.availability_zone"),
        ("instance_size", "host.type"),
        ("ami_id", "host.image.id"),
    ];
    block(json, "ec2", |json| members(json, resource, &fields));
}

fn ecs(json: &mut JsonWriter, resource: ResourceAttributes<'_>) {
    let fields = [
        ("container", "container.name"),
        ("container_id", "container.id"),
        ("task_arn", "aws.ecs.task.arn"),
        ("task_family", "aws.ecs.task.family"),
        ("cluster_arn", "aws.ecs.cluster.arn"),
        ("container_arn", "aws.ecs.container.arn"),
        ("availability_zone", "cloud.availability_zone"),
        ("launch_type", "aws.ecs.launchtype"),
    ];
    block(json, "ecs", |json| members(json, resource, &fields));
}

fn elastic_beanstalk(json: &mut JsonWriter, resource: ResourceAttributes<'_>) {
    let fields = [("environment_name", "service.namespace"), ("version_label", "service.version")];
    block(json, "elastic_beanstalk", |json| {
        members(json, resource, &fields);
        json.key("deployment_id");
        json.int(resource.text("service.instance.id").parse().unwrap_or(0));
    });
}

fn eks(json: &mut JsonWriter, resource: ResourceAttributes<'_>) {
    let fields = [("cluster_name", "k8s.cluster.name"), ("pod", "k8s.pod.name"), ("container_id", "container.id")];
    block(json, "eks", |json| members(json, resource, &fields));
}

/// The first that is not empty of: log group ARNs, log group names, the groups that the settings name.
fn cloudwatch_logs(json: &mut JsonWriter, resource: ResourceAttributes<'_>, configured: &[String]) {
    json.array_unless_empty("cloudwatch_logs", |json| {
        let arns = names(resource.value("aws.log.group.arns"));
        let groups = names(resource.value("aws.log.group.names"));
        if !arns.is_empty() {
            arns.iter().for_each(|arn| log_group(json, arn.split(':').nth(6).unwrap_or(arn), arn));
        } else if !groups.is_empty() {
            groups.iter().for_each(|group| log_group(json, group, ""));
        } else {
            configured.iter().for_each(|group| log_group(json, group, ""));
        }
    });
}

fn log_group(json: &mut JsonWriter, group: &str, arn: &str) {
    json.open('{');
    json.text_field_unless_empty("log_group", group);
    json.text_field_unless_empty("arn", arn);
    json.close('}');
}

/// Names joined by `&`, or an array of them.
fn names(value: Option<&Value>) -> Vec<Cow<'_, str>> {
    match value {
        Some(Value::Array(array)) => array.values.iter().map(|item| value::string(item.value.as_ref())).collect(),
        _ => {
            let joined = value::string(value);
            joined.split('&').filter(|name| !name.is_empty()).map(|name| Cow::Owned(name.to_owned())).collect()
        }
    }
}

fn xray(json: &mut JsonWriter, resource: ResourceAttributes<'_>) {
    let (name, language) = (resource.text("telemetry.sdk.name"), resource.text("telemetry.sdk.language"));
    let sdk = if name.is_empty() || language.is_empty() { name } else { format!("{name} for {language}").into() };
    let is_auto =
        ["telemetry.auto.version", "telemetry.distro.version"].iter().any(|key| !resource.bytes(key).is_empty());
    block(json, "xray", |json| {
        json.text_field_unless_empty("sdk", &sdk);
        json.text_field_unless_empty("sdk_version", &resource.text("telemetry.sdk.version"));
        json.boolean_field("auto_instrumentation", is_auto);
    });
}

/// The members of the block that come from the span.
#[derive(Default)]
pub(super) struct Operation<'a> {
    fields: [(&'static str, Cow<'a, str>); 6],
    table_names: Vec<Cow<'a, str>>,
}

/// Of the first key that is there, the text; a key that is there with another type counts as empty.
fn first<'a>(attributes: &Attributes<'a>, keys: &[Key]) -> Cow<'a, str> {
    keys.iter().find(|key| attributes.has(**key)).map_or(Cow::Borrowed(""), |key| attributes.text(*key))
}

impl<'a> Operation<'a> {
    pub(super) fn read(attributes: &mut Attributes<'a>, resource: &AwsResourceBlocks<'a>, compat: Compat) -> Self {
        let best = compat == Compat::Corrected;
        let mut region = attributes.text(Key::AwsRegion);
        let mut queue_url = first(attributes, &[Key::MessagingUrl, Key::AwsQueueUrl, Key::AwsQueueUrl2]);
        if best && region.is_empty() && is_aws_call(attributes, compat) {
            region = attributes.text(Key::CloudRegion);
        }
        if best && queue_url.is_empty() {
            queue_url = attributes.text(Key::AwsSqsQueueUrl);
        }
        let account_id = match attributes.value(Key::AwsAccountId) {
            Some(_) => attributes.text(Key::AwsAccountId),
            None => resource.account_id.clone(),
        };
        let (table_name, table_names) = tables(attributes);
        let fields = [
            ("operation", first(attributes, &[Key::AwsOperation, Key::RpcMethod])),
            ("account_id", account_id),
            ("region", region),
            ("request_id", first(attributes, &[Key::AwsRequestId, Key::AwsRequestId2])),
            ("queue_url", queue_url),
            ("table_name", table_name),
        ];
        let operation = Operation { fields, table_names };
        operation.consume(attributes, best);
        operation
    }

    /// The collector takes its keys whole; at best a key is taken only where its text is in the block.
    fn consume(&self, attributes: &mut Attributes<'a>, best: bool) {
        if !best {
            return attributes.consumed.add(CONSUMED);
        }
        let [operation, account_id, region, request_id, queue_url, table_name] = self.fields.each_ref();
        attributes.consume_if(Key::AwsOperation, &operation.1);
        attributes.consume_if(Key::RpcMethod, &operation.1);
        attributes.consume_if(Key::AwsAccountId, &account_id.1);
        attributes.consume_if(Key::AwsRegion, &region.1);
        attributes.consume_if(Key::AwsRequestId, &request_id.1);
        attributes.consume_if(Key::AwsRequestId2, &request_id.1);
        attributes.consume_if(Key::AwsQueueUrl, &queue_url.1);
        attributes.consume_if(Key::AwsQueueUrl2, &queue_url.1);
        attributes.consume_if(Key::AwsTableName, &table_name.1);
        attributes.consume_if(Key::AwsTableName2, &table_name.1);
    }
}

/// Whether the span is a call of an AWS SDK.
pub(super) fn is_aws_call(attributes: &Attributes<'_>, compat: Compat) -> bool {
    attributes.bytes(Key::RpcSystem) == b"aws-api"
        || (compat == Compat::Corrected && attributes.bytes(Key::RpcSystemName) == b"aws-api")
}

fn tables<'a>(attributes: &Attributes<'a>) -> (Cow<'a, str>, Vec<Cow<'a, str>>) {
    let named = first(attributes, &[Key::AwsTableName, Key::AwsTableName2]);
    match attributes.value(Key::AwsDynamodbTableNames) {
        Some(Value::String(_)) => (attributes.text(Key::AwsDynamodbTableNames), Vec::new()),
        Some(Value::Array(array)) => match array.values.as_slice() {
            [] => (named, Vec::new()),
            [only] => (value::string(only.value.as_ref()), Vec::new()),
            several => {
                let names = several.iter().map(|item| value::string(item.value.as_ref())).collect();
                (Cow::Borrowed(""), names)
            }
        },
        _ => (named, Vec::new()),
    }
}

/// Writes the block. `operation` is absent on a service segment, which keeps what its resource is; at best its
/// resource's account as well.
pub(super) fn write(
    json: &mut JsonWriter,
    resource: &AwsResourceBlocks<'_>,
    operation: Option<&Operation<'_>>,
    compat: Compat,
) {
    json.key("aws");
    json.open('{');
    json.raw_escaped(&resource.members);
    match operation {
        Some(operation) => {
            for (field, text) in &operation.fields {
                json.text_field_unless_empty(field, text);
            }
            json.array_unless_empty("table_names", |json| {
                operation.table_names.iter().for_each(|name| json.text(name))
            });
        }
        None if compat == Compat::Corrected => json.text_field_unless_empty("account_id", &resource.account_id),
        None => {}
    }
    json.close('}');
}
