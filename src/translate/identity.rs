//! Attributes of an ECS task, added to the resources that the task pushes.
//!
//! They replace the `ecs` and `system` detectors of the sidecar's `resourcedetection` processor, which runs on the host of
//! the application. Attributes that are only available on the host (image and type of an EC2 host) are left to the SDK.
//! Names: OpenTelemetry semantic conventions, "AWS ECS", "AWS Logs", "Cloud" and "Host".

use bytes::Bytes;

use crate::model::otlp::{AnyValue, ArrayValue, KeyValue, Resource, any_value::Value};
use crate::model::reserved::TASK_LABELS;
use crate::model::signal::Signal;
use crate::model::task::{Task, TaskContainer};
use crate::translate::names;

/// Returns the label that a key becomes. Keys with other characters, such as `aws/ecs/task/family`, have the same label.
pub(super) fn label(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    names::label(&key).unwrap_or_default().into_owned()
}

/// Attributes that identify a task.
const IDENTIFYING: [&str; 13] = [
    "cloud.provider",
    "cloud.platform",
    "cloud.region",
    "cloud.account.id",
    "cloud.availability_zone",
    "aws.ecs.cluster.arn",
    "aws.ecs.cluster.name",
    "aws.ecs.service.name",
    "aws.ecs.task.arn",
    "aws.ecs.task.id",
    "aws.ecs.task.family",
    "aws.ecs.task.revision",
    "aws.ecs.launchtype",
];

/// Prefix of attributes that only ECS has a value for.
const OF_ECS: &str = "aws.ecs.";

/// Returns the attribute that identifies a task and has the same label as this key.
pub(super) fn identity_key(key: &[u8]) -> Option<&'static str> {
    let label = label(key);
    // The labels of these keys have an underscore for each dot.
    let has_label = |known: &&str| known.len() == label.len() && known.replace('.', "_") == label;
    IDENTIFYING.into_iter().find(has_label)
}

/// Evidence that a task sent the telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// The request is signed with the credentials of the task: conflicting attributes are overwritten.
    Signature,
    /// The attributes of the resource name the task: only missing attributes are added.
    ResourceAttributes,
}

/// Resource attributes of an ECS task.
#[derive(Clone, Debug)]
pub struct TaskAttributes {
    /// Attributes that identify the task.
    identifying: Vec<(&'static str, Value)>,
    /// Attributes that are only added if missing: the values of the application may be more exact.
    descriptive: Vec<(&'static str, Value)>,
    log_groups: Vec<(&'static str, Value)>,
}

impl TaskAttributes {
    pub fn from_task(task: &Task) -> Self {
        let launch_type = task.launch_type.as_str().to_ascii_lowercase();
        let values: [&str; IDENTIFYING.len()] = [
            "aws",
            "aws_ecs",
            &task.region,
            &task.account,
            &task.availability_zone,
            &task.cluster_arn,
            &task.cluster,
            task.service.as_deref().unwrap_or_default(),
            &task.arn,
            &task.id,
            &task.family,
            &task.revision,
            &launch_type,
        ];
        let identifying: Vec<_> = IDENTIFYING.into_iter().zip(values).collect();
        let is_windows = task.platform_family.to_ascii_uppercase().starts_with("WINDOWS");
        let descriptive = [
            ("host.name", task.private_dns_name.as_deref().unwrap_or_default()),
            ("host.id", task.ec2_instance_id.as_deref().unwrap_or_default()),
            ("os.type", if is_windows { "windows" } else { "linux" }),
        ];
        Self {
            identifying: string_values(&identifying),
            descriptive: string_values(&descriptive),
            log_groups: logs(task),
        }
    }

    /// Removes attributes that would be merged with an attribute that identifies the task, or used in its place: other keys
    /// with the same label, repeated keys, and what ECS does not report of the task, such as a service.
    fn remove_conflicts(&self, resource: &mut Resource) {
        let mut found = Vec::new();
        resource.attributes.retain(|attribute| {
            let Some(key) = identity_key(&attribute.key) else { return true };
            let is_known = !key.starts_with(OF_ECS) || self.identifying.iter().any(|(known, _)| *known == key);
            let is_kept = is_known && attribute.key == key.as_bytes() && !found.contains(&key);
            found.extend(is_kept.then_some(key));
            is_kept
        });
    }

    /// Adds the attributes to a resource.
    pub fn apply(&self, resource: &mut Resource, source: IdentitySource, signal: Signal) {
        if source == IdentitySource::Signature {
            self.remove_conflicts(resource);
        }
        // Not doubled: a resource can have very many attributes.
        resource.attributes.reserve_exact(self.identifying.len() + self.descriptive.len() + self.log_groups.len());
        for (key, value) in &self.identifying {
            match resource.attributes.iter_mut().find(|attribute| attribute.key == key.as_bytes()) {
                Some(attribute) if source == IdentitySource::Signature => {
                    attribute.value = Some(AnyValue { value: Some(value.clone()) })
                }
                Some(_) => {}
                None => resource.attributes.push(attribute(key, value)),
            }
        }
        // X-Ray links the log groups of a segment's resource. In metrics, every attribute becomes a label, and lists of log
        // groups are not useful labels.
        let logs = self.log_groups.iter().filter(|_| signal == Signal::Traces);
        for (key, value) in self.descriptive.iter().chain(logs) {
            if !resource.attributes.iter().any(|attribute| attribute.key == key.as_bytes()) {
                resource.attributes.push(attribute(key, value));
            }
        }
    }
}

/// Removes the attributes that name a task, for a signed request that ECS does not confirm to be from a task.
pub fn withhold_identity(resource: &mut Resource) {
    resource.attributes.retain(|attribute| !label(&attribute.key).starts_with(TASK_LABELS));
}

/// Returns the task ARN in the attributes of a resource.
pub fn claimed_task(resource: &Resource) -> Option<&str> {
    let attribute = resource.attributes.iter().find(|attribute| attribute.key == b"aws.ecs.task.arn"[..])?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::String(arn) => str::from_utf8(arn).ok(),
        _ => None,
    }
}

/// Returns names and ARNs of the CloudWatch log groups and streams of the containers, as the `ecs` detector does.
fn logs(task: &Task) -> Vec<(&'static str, Value)> {
    let mut lists: [Vec<String>; 4] = Default::default();
    for container in &task.containers {
        let Some(group) = &container.log_group else { continue };
        let arn = format!("arn:{}:logs:{}:{}:log-group:{group}", task.partition, task.region, task.account);
        let [groups, group_arns, streams, stream_arns] = &mut lists;
        if let Some(stream) = log_stream(task, container) {
            stream_arns.push(format!("{arn}:log-stream:{stream}"));
            streams.push(stream);
        }
        if !group_arns.contains(&arn) {
            groups.push(group.to_string());
            group_arns.push(arn);
        }
    }
    let names = ["aws.log.group.names", "aws.log.group.arns", "aws.log.stream.names", "aws.log.stream.arns"];
    let used = names.into_iter().zip(lists).filter(|(_, list)| !list.is_empty());
    used.map(|(name, list)| (name, list_of(list))).collect()
}

/// Returns the stream name of the `awslogs` driver. Without a prefix, it is the container ID.
fn log_stream(task: &Task, container: &TaskContainer) -> Option<String> {
    match &container.log_stream_prefix {
        Some(prefix) => Some(format!("{prefix}/{}/{}", container.name, task.id)),
        None => Some(container.runtime_id.to_string()).filter(|id| !id.is_empty()),
    }
}

fn string_values(attributes: &[(&'static str, &str)]) -> Vec<(&'static str, Value)> {
    let known = attributes.iter().filter(|(_, value)| !value.is_empty());
    known.map(|&(key, value)| (key, Value::String(Bytes::copy_from_slice(value.as_bytes())))).collect()
}

fn list_of(texts: Vec<String>) -> Value {
    let value = |text: String| AnyValue { value: Some(Value::String(text.into())) };
    Value::Array(ArrayValue { values: texts.into_iter().map(value).collect() })
}

fn attribute(key: &'static str, value: &Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value.clone()) });
    KeyValue { key: Bytes::from_static(key.as_bytes()), value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::borrowed;
    use crate::translate::attributes::write_value;

    fn task() -> Task {
        let logging = |name: &str, prefix: Option<&str>| TaskContainer {
            name: name.into(),
            log_group: Some("/shop/cart".into()),
            log_stream_prefix: prefix.map(Into::into),
            runtime_id: "r-1".into(),
            ..TaskContainer::default()
        };
        let mut task = Task::from_arn("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e");
        task.set_cluster("arn:aws:ecs:eu-west-1:111122223333:cluster/shop");
        task.set_definition("arn:aws:ecs:eu-west-1:111122223333:task-definition/cart:12");
        task.set_group("service:cart-svc");
        task.launch_type = "FARGATE".into();
        task.availability_zone = "eu-west-1b".into();
        task.private_dns_name = Some("ip-10-2-3-4.eu-west-1.compute.internal".into());
        task.containers = vec![logging("app", Some("ecs")), logging("proxy", None), TaskContainer::default()];
        task
    }

    fn applied(given: &[(&'static str, &str)], source: IdentitySource, signal: Signal) -> Vec<String> {
        let attributes = string_values(given).iter().map(|(key, value)| attribute(key, value)).collect();
        let mut resource = Resource { attributes, ..Resource::default() };
        TaskAttributes::from_task(&task()).apply(&mut resource, source, signal);
        let format = |attribute: &KeyValue| {
            let mut text = format!("{}=", String::from_utf8_lossy(&attribute.key));
            write_value(borrowed::KeyValue::from(attribute).value.as_ref(), &mut text);
            text
        };
        resource.attributes.iter().map(format).collect()
    }

    #[test]
    fn attributes_with_the_label_of_an_identity_are_removed() {
        let synonyms = [("aws_ecs_task_family", "evil"), ("aws/ecs/task/arn", "evil"), ("cloud_region", "evil")];
        let signed = applied(&synonyms, IdentitySource::Signature, Signal::Metrics);
        assert!(!signed.iter().any(|attribute| attribute.ends_with("=evil")), "{signed:?}");
        let claimed = applied(&synonyms, IdentitySource::ResourceAttributes, Signal::Metrics);
        assert!(claimed.iter().any(|attribute| attribute == "cloud_region=evil"), "{claimed:?}");

        let attributes = string_values(&synonyms).iter().map(|(key, value)| attribute(key, value)).collect();
        let mut resource = Resource { attributes, ..Resource::default() };
        withhold_identity(&mut resource);
        let keys: Vec<_> = resource.attributes.iter().map(|attribute| attribute.key.as_ref()).collect();
        assert_eq!(keys, [b"cloud_region"], "only the names of a task are removed");
    }

    const IDENTITY: [&str; 13] = [
        "cloud.provider=aws",
        "cloud.platform=aws_ecs",
        "cloud.region=eu-west-1",
        "cloud.account.id=111122223333",
        "cloud.availability_zone=eu-west-1b",
        "aws.ecs.cluster.arn=arn:aws:ecs:eu-west-1:111122223333:cluster/shop",
        "aws.ecs.cluster.name=shop",
        "aws.ecs.service.name=cart-svc",
        "aws.ecs.task.arn=arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e",
        "aws.ecs.task.id=5f0e",
        "aws.ecs.task.family=cart",
        "aws.ecs.task.revision=12",
        "aws.ecs.launchtype=fargate",
    ];

    #[test]
    fn repeated_keys_and_a_service_that_ecs_does_not_report_are_removed() {
        let given = string_values(&[
            ("aws.ecs.task.arn", "evil"),
            ("aws.ecs.task.arn", "evil"),
            ("aws.ecs.service.name", "evil"),
            ("cloud.availability_zone", "mine"),
            ("aws.ecs.container.arn", "mine"),
        ]);
        let attributes = given.iter().map(|(key, value)| attribute(key, value)).collect();
        let mut resource = Resource { attributes, ..Resource::default() };
        let task = Task { service: None, availability_zone: "".into(), ..task() };
        TaskAttributes::from_task(&task).apply(&mut resource, IdentitySource::Signature, Signal::Metrics);
        let evil = AnyValue { value: Some(Value::String("evil".into())) };
        assert!(resource.attributes.iter().all(|attribute| attribute.value.as_ref() != Some(&evil)), "{resource:?}");
        let keys: Vec<_> = resource.attributes.iter().map(|attribute| attribute.key.as_ref()).collect();
        let kept: [&[u8]; 3] = [b"aws.ecs.task.arn", b"cloud.availability_zone", b"aws.ecs.container.arn"];
        assert_eq!(keys[..3], kept);
        assert_eq!(keys.len(), 3 + IDENTIFYING.len() - 3 + 2, "each of them once: {keys:?}");
    }

    #[test]
    fn every_identity_label_has_its_key() {
        for key in IDENTIFYING {
            assert_eq!(label(key.as_bytes()), key.replace('.', "_"));
            assert_eq!(identity_key(key.as_bytes()), Some(key));
        }
    }

    #[test]
    fn all_attributes_are_added_to_an_empty_resource() {
        let descriptive = ["host.name=ip-10-2-3-4.eu-west-1.compute.internal", "os.type=linux"];
        let logs = [
            r#"aws.log.group.names=["/shop/cart"]"#,
            r#"aws.log.group.arns=["arn:aws:logs:eu-west-1:111122223333:log-group:/shop/cart"]"#,
            r#"aws.log.stream.names=["ecs/app/5f0e","r-1"]"#,
            r#"aws.log.stream.arns=["arn:aws:logs:eu-west-1:111122223333:log-group:/shop/cart:log-stream:ecs/app/5f0e","arn:aws:logs:eu-west-1:111122223333:log-group:/shop/cart:log-stream:r-1"]"#,
        ];
        assert_eq!(applied(&[], IdentitySource::Signature, Signal::Metrics), [&IDENTITY[..], &descriptive].concat());
        assert_eq!(
            applied(&[], IdentitySource::ResourceAttributes, Signal::Traces),
            [&IDENTITY[..], &descriptive, &logs].concat()
        );
    }

    #[test]
    fn only_a_signature_overwrites_identifying_attributes() {
        for (source, task_arn, zone) in [
            (IdentitySource::Signature, IDENTITY[8], "cloud.availability_zone=eu-west-1b"),
            (IdentitySource::ResourceAttributes, "aws.ecs.task.arn=another", "cloud.availability_zone=mars"),
        ] {
            let given = [("aws.ecs.task.arn", "another"), ("cloud.availability_zone", "mars"), ("host.name", "mine")];
            let attributes = applied(&given, source, Signal::Metrics);
            assert_eq!(attributes[..3], [task_arn, zone, "host.name=mine"], "{source:?}");
            assert_eq!(attributes.len(), IDENTITY.len() + 2, "{source:?}: no duplicates");
        }
    }

    #[test]
    fn only_attributes_of_a_task_are_withheld() {
        let given =
            [("aws.ecs.task.arn", "a"), ("service.name", "cart"), ("aws.ecs.service.name", "b"), ("cloud.region", "c")];
        let attributes = string_values(&given).iter().map(|(key, value)| attribute(key, value)).collect();
        let mut resource = Resource { attributes, ..Resource::default() };
        withhold_identity(&mut resource);
        let keys: Vec<&[u8]> = resource.attributes.iter().map(|attribute| &attribute.key[..]).collect();
        assert_eq!(keys, [&b"service.name"[..], b"cloud.region"]);
    }

    #[test]
    fn task_arn_is_read_from_the_resource() {
        let resource =
            |value| Resource { attributes: vec![attribute("aws.ecs.task.arn", &value)], ..Resource::default() };
        assert_eq!(claimed_task(&resource(Value::String("arn:x".into()))), Some("arn:x"));
        assert_eq!(claimed_task(&resource(Value::Int(7))), None);
        assert_eq!(claimed_task(&resource(Value::String(Bytes::from_static(&[0xff])))), None);
        assert_eq!(claimed_task(&Resource::default()), None);
    }
}
