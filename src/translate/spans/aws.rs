//! The `aws` block: the AWS resource that runs the service, and the AWS operation that a span calls.

use std::borrow::Cow;

use super::key::{Attributes, Key, KeySet};
use super::options::Options;
use super::resource_attributes::ResourceAttributes;
use super::segment::{Aws, AwsResource, LogGroup};
use super::{limits, rpc, value};
use crate::model::escaped_json::EscapedJson;
use crate::model::otlp::borrowed::Value;
use crate::translate::Compat;

/// Keys that the block can take from the span.
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

/// Spellings of `aws.request_id`: of the ADOT collector, of .NET and of Node.
const REQUEST_IDS: [Key; 3] = [Key::AwsRequestId, Key::AwsRequestId2, Key::AwsRequestId3];

/// The part of the block that is the same for all spans of a resource.
pub(super) struct AwsResourceBlocks<'a> {
    account_id: Cow<'a, str>,
    json: EscapedJson,
}

impl<'a> AwsResourceBlocks<'a> {
    /// Returns `None` if the resource belongs to another cloud.
    pub(super) fn read(attributes: ResourceAttributes<'a>, options: &'a Options) -> Option<Self> {
        let provider = attributes.bytes("cloud.provider");
        if !provider.is_empty() && provider != b"aws" {
            return None;
        }
        let platform = attributes.bytes("cloud.platform");
        let has = |key: &str| !attributes.bytes(key).is_empty();
        let resource = AwsResource {
            attributes,
            has_ec2: platform == b"aws_ec2" || has_instance(attributes.bytes("host.id"), options.compat),
            has_ecs: platform == b"aws_ecs",
            has_elastic_beanstalk: platform == b"aws_elastic_beanstalk" && has("service.instance.id"),
            has_eks: platform == b"aws_eks" || has("k8s.cluster.name"),
            log_groups: log_groups(attributes, &options.log_groups),
            sdk: sdk(attributes),
            is_auto_instrumented: has("telemetry.auto.version") || has("telemetry.distro.version"),
            writes_defaults: options.compat.writes_defaults(),
        };
        Some(AwsResourceBlocks { account_id: attributes.text("cloud.account.id"), json: resource.to_json() })
    }
}

/// Whether the host is an EC2 instance. Detectors of containers and other hosts record the ID of a machine.
fn has_instance(host_id: &[u8], compat: Compat) -> bool {
    if compat.takes_hosts_for_instances() { !host_id.is_empty() } else { host_id.starts_with(b"i-") }
}

/// Returns the first list that is not empty: log group ARNs, log group names, configured log groups.
fn log_groups<'a>(attributes: ResourceAttributes<'a>, configured: &'a [String]) -> Vec<LogGroup<'a>> {
    let arns = names(attributes.value("aws.log.group.arns"));
    if !arns.is_empty() {
        let group = |arn: Cow<'a, str>| {
            let name = arn.split(':').nth(6).map(str::to_owned);
            LogGroup { name: name.map_or_else(|| arn.clone(), Cow::Owned), arn }
        };
        return arns.into_iter().map(group).collect();
    }
    let named = |name: Cow<'a, str>| LogGroup { name, arn: Cow::Borrowed("") };
    let names = names(attributes.value("aws.log.group.names"));
    if names.is_empty() {
        return configured.iter().map(|name| named(Cow::Borrowed(name))).collect();
    }
    names.into_iter().map(named).collect()
}

/// Returns the names of an array, or of a string that joins them with `&`.
fn names<'a>(value: Option<&'a Value<'a>>) -> Vec<Cow<'a, str>> {
    match value {
        Some(Value::Array(array)) => {
            let names = array.values.iter().take(limits::LOG_GROUPS);
            names.map(|item| value::string(item.value.as_ref())).collect()
        }
        _ => {
            let joined = value::string(value);
            let names = joined.split('&').filter(|name| !name.is_empty()).take(limits::LOG_GROUPS);
            names.map(|name| Cow::Owned(name.to_owned())).collect()
        }
    }
}

fn sdk(attributes: ResourceAttributes<'_>) -> Cow<'_, str> {
    let (name, language) = (attributes.text("telemetry.sdk.name"), attributes.text("telemetry.sdk.language"));
    if name.is_empty() || language.is_empty() { name } else { format!("{name} for {language}").into() }
}

/// Reads the block of a span, and marks the attributes in it as consumed.
pub(super) fn read<'d, 'a>(
    attributes: &mut Attributes<'a>,
    resource: &'d AwsResourceBlocks<'a>,
    compat: Compat,
) -> Aws<'d, 'a> {
    let is_stable = !compat.ignores_stable_conventions();
    let is_call = is_aws_call(attributes, compat);
    let mut region = attributes.text(Key::AwsRegion);
    if is_stable && region.is_empty() && is_call {
        // The second one is from the AWS distribution for Node.
        let regions = [Key::CloudRegion, Key::AwsAuthRegion].map(|key| attributes.text(key));
        region = regions.into_iter().find(|region| !region.is_empty()).unwrap_or_default();
    }
    let account_id = match attributes.value(Key::AwsAccountId) {
        Some(_) => attributes.text(Key::AwsAccountId),
        None => resource.account_id.clone(),
    };
    let mut aws = Aws {
        resource: &resource.json,
        operation: match attributes.has(Key::AwsOperation) {
            true => attributes.text(Key::AwsOperation),
            false if is_call || compat.has_operation_of_every_call() => rpc::operation(attributes, compat),
            false => Cow::default(),
        },
        account_id,
        region,
        request_id: first(attributes, if is_stable { &REQUEST_IDS } else { &[Key::AwsRequestId, Key::AwsRequestId2] }),
        queue_url: queue_url(attributes, is_call, compat),
        table_name: first(attributes, &[Key::AwsTableName, Key::AwsTableName2]),
        table_names: Vec::new(),
    };
    aws.read_tables(attributes);
    if is_stable && is_call && aws.table_name.is_empty() && aws.table_names.is_empty() && is_dynamodb(attributes) {
        aws.table_name = attributes.text(Key::DbCollectionName);
    }
    aws.consume(attributes, compat);
    aws
}

/// Returns the URL of an SQS queue, or an empty text.
fn queue_url<'a>(attributes: &Attributes<'a>, is_call: bool, compat: Compat) -> Cow<'a, str> {
    if compat.ignores_stable_conventions() {
        return first(attributes, &[Key::MessagingUrl, Key::AwsQueueUrl, Key::AwsQueueUrl2]);
    }
    // The URLs of other messaging systems are brokers, such as `amqp://host` and the list of Kafka in Python.
    let url = attributes.text(Key::MessagingUrl);
    if url.starts_with("https://") || url.starts_with("http://") {
        return url;
    }
    let keys = [Key::AwsQueueUrl, Key::AwsQueueUrl2, Key::AwsSqsQueueUrl];
    let url = keys.into_iter().map(|key| attributes.text(key)).find(|url| !url.is_empty()).unwrap_or_default();
    if !url.is_empty() || !is_call || rpc::aws_service(attributes, compat) != "SQS" {
        return url;
    }
    // Node records the queue as the URL of the request, and Go as the address of the server.
    let urls = [Key::UrlFull, Key::ServerAddress].map(|key| attributes.text(key));
    urls.into_iter().find(|url| is_queue_url(url)).unwrap_or_default()
}

/// Whether a URL ends with an account and a queue. The URL of a request is often only the endpoint.
fn is_queue_url(url: &str) -> bool {
    let address = url.split_once("://").map(|(_, address)| address);
    address.is_some_and(|address| address.split('/').skip(1).filter(|part| !part.is_empty()).count() >= 2)
}

fn is_dynamodb(attributes: &Attributes<'_>) -> bool {
    let is = |key| matches!(attributes.bytes(key), b"dynamodb" | b"aws.dynamodb");
    is(Key::DbSystemName) || is(Key::DbSystem)
}

/// Whether the span is the receipt of messages with an AWS SDK, not the processing of a message.
pub(super) fn receives(attributes: &Attributes<'_>, compat: Compat) -> bool {
    let is_process = |key| attributes.bytes(key) == b"process";
    !compat.names_every_kind_by_peer()
        && is_aws_call(attributes, compat)
        && !is_process(Key::MessagingOperation)
        && !is_process(Key::MessagingOperationType)
}

/// Whether a client span is the receipt of messages.
pub(super) fn is_receive(attributes: &Attributes<'_>, compat: Compat) -> bool {
    let is_stated = |key| attributes.bytes(key) == b"receive";
    receives(attributes, compat)
        && (rpc::operation(attributes, compat) == "ReceiveMessage"
            || is_stated(Key::MessagingOperation)
            || is_stated(Key::MessagingOperationType))
}

/// Returns the block of a service segment, which has only the members of the resource.
pub(super) fn of_service<'d, 'a>(resource: &'d AwsResourceBlocks<'a>, compat: Compat) -> Aws<'d, 'a> {
    Aws {
        resource: &resource.json,
        operation: Cow::default(),
        account_id: if compat.omits_service_account() { Cow::default() } else { resource.account_id.clone() },
        region: Cow::default(),
        request_id: Cow::default(),
        queue_url: Cow::default(),
        table_name: Cow::default(),
        table_names: Vec::new(),
    }
}

/// Returns the text of the first key that is present, which is empty if the value is not a string.
fn first<'a>(attributes: &Attributes<'a>, keys: &[Key]) -> Cow<'a, str> {
    keys.iter().find(|key| attributes.has(**key)).map_or(Cow::Borrowed(""), |key| attributes.text(*key))
}

impl<'a> Aws<'_, 'a> {
    /// `aws.dynamodb.table_names` replaces the table name: several names become `table_names`.
    fn read_tables(&mut self, attributes: &Attributes<'a>) {
        match attributes.value(Key::AwsDynamodbTableNames) {
            Some(Value::String(_)) => self.table_name = attributes.text(Key::AwsDynamodbTableNames),
            Some(Value::Array(array)) => match array.values.as_slice() {
                [] => {}
                [name] => self.table_name = value::string(name.value.as_ref()),
                names => {
                    self.table_name = Cow::Borrowed("");
                    let names = names.iter().take(limits::TABLES);
                    self.table_names = names.map(|name| value::string(name.value.as_ref())).collect();
                }
            },
            _ => {}
        }
    }

    fn consume(&self, attributes: &mut Attributes<'a>, compat: Compat) {
        if compat.consumes_unused_keys() {
            return attributes.consumed.add(CONSUMED);
        }
        attributes.consume_if(Key::AwsOperation, &self.operation);
        attributes.consume_if(Key::RpcMethod, &self.operation);
        attributes.consume_if(Key::AwsAccountId, &self.account_id);
        attributes.consume_if(Key::AwsRegion, &self.region);
        for key in REQUEST_IDS {
            attributes.consume_if(key, &self.request_id);
        }
        attributes.consume_if(Key::AwsQueueUrl, &self.queue_url);
        attributes.consume_if(Key::AwsQueueUrl2, &self.queue_url);
        attributes.consume_if(Key::AwsTableName, &self.table_name);
        attributes.consume_if(Key::AwsTableName2, &self.table_name);
    }
}

/// Whether the span is an AWS SDK call.
pub(super) fn is_aws_call(attributes: &Attributes<'_>, compat: Compat) -> bool {
    attributes.bytes(Key::RpcSystem) == b"aws-api"
        || (!compat.ignores_stable_conventions() && attributes.bytes(Key::RpcSystemName) == b"aws-api")
}
