//! The segment document: every field that is written, in order, and the value that fills it.
//!
//! Schema: AWS X-Ray Developer Guide, "X-Ray segment documents". tests/schema/segment.json has it as a JSON Schema, and
//! tests/xray_schema.rs validates documents against it. Fields that the guide does not list, such as `links`,
//! `aws.table_names` and `aws.ecs.task_arn`, are from the collector's exporter. docs/xray-mapping.md lists the source
//! attribute of each field.

use std::borrow::Cow;

use super::ids::{self, DocumentIds, SpanId};
use super::limits;
use super::links::SpanLink;
use super::resource_attributes::ResourceAttributes;
use super::stack::StackFrame;
use crate::model::escaped_json::{EscapedJson, JsonWriter};

/// A segment or an independent subsegment.
pub(super) struct Segment<'d, 'a> {
    /// Node of the trace map, at most 200 characters. Omitted if empty, which only adot mode produces.
    pub(super) name: &'d str,
    pub(super) ids: DocumentIds,
    pub(super) is_subsegment: bool,
    /// `aws` for AWS SDK calls, `remote` for other outgoing calls.
    pub(super) namespace: Option<&'static str>,
    pub(super) times: SegmentTimes,
    pub(super) flags: Flags,
    pub(super) http: Option<Http<'a>>,
    /// Exceptions of `cause`, which is omitted if the span has no failure.
    pub(super) exceptions: Option<&'d [Exception<'a>]>,
    /// Type of the AWS resource that runs the service, such as `AWS::ECS::Fargate`.
    pub(super) origin: Option<&'static str>,
    /// `None` if the service does not run on AWS.
    pub(super) aws: Option<Aws<'d, 'a>>,
    /// See [`service`].
    pub(super) service: Option<&'d EscapedJson>,
    pub(super) sql: Option<Sql<'a>>,
    /// At most 250 characters.
    pub(super) user: &'d str,
    pub(super) links: Vec<SpanLink<'a>>,
    /// Whether values are written that mean the same as a missing field: false, and a size of 0.
    pub(super) writes_defaults: bool,
}

impl Segment<'_, '_> {
    /// Writes the members of the document. `annotations` writes the indexed attributes, and `metadata` all attributes
    /// and span fields that have no other place in the document. It receives the result of `annotations`.
    pub(super) fn write<T>(
        self,
        json: &mut JsonWriter,
        annotations: impl FnOnce(&mut JsonWriter) -> T,
        metadata: impl FnOnce(&mut JsonWriter, T),
    ) {
        json.text_field_unless_empty("name", self.name);
        self.ids.write(json);
        if self.is_subsegment {
            json.text_field("type", "subsegment");
        }
        if let Some(namespace) = self.namespace {
            json.text_field("namespace", namespace);
        }
        self.times.write(json);
        self.flags.write(json, self.writes_defaults);
        if let Some(http) = &self.http {
            json.object_field("http", |json| http.write(json, self.writes_defaults));
        }
        if let Some(exceptions) = self.exceptions {
            json.object_field("cause", |json| {
                json.array_field_unless_empty("exceptions", |json| {
                    json.within(limits::BLOCK_BYTES, |json| json.each(exceptions, |json, e| e.write(json)));
                });
            });
        }
        if let Some(origin) = self.origin {
            json.text_field("origin", origin);
        }
        if let Some(aws) = &self.aws {
            json.object_field("aws", |json| json.within(limits::BLOCK_BYTES, |json| aws.write(json)));
        }
        if let Some(service) = self.service {
            json.field("service");
            json.raw_escaped(service);
        }
        if let Some(sql) = &self.sql {
            json.object_field("sql", |json| sql.write(json));
        }
        json.text_field_unless_empty("user", self.user);
        let annotated =
            json.object_field_unless_empty("annotations", |json| json.within(limits::BLOCK_BYTES, annotations));
        json.object_field_unless_empty("metadata", |json| metadata(json, annotated));
        json.array_field_unless_empty("links", |json| {
            json.within(limits::BLOCK_BYTES, |json| json.each(&self.links, |json, link| link.write(json)));
        });
    }
}

impl DocumentIds {
    /// Omits an id of zeros, which only adot mode produces.
    fn write(&self, json: &mut JsonWriter) {
        if self.id != SpanId::default() {
            json.text_field("id", &ids::span_id_text(&self.id));
        }
        json.text_field("trace_id", &ids::trace_id_text(&self.trace));
        if let Some(parent) = &self.parent {
            json.text_field("parent_id", &ids::span_id_text(parent));
        }
    }
}

/// Times in seconds since the epoch.
#[derive(Clone, Copy)]
pub(super) struct SegmentTimes {
    pub(super) start: f64,
    /// `None` for a segment that is in progress.
    pub(super) end: Option<f64>,
}

impl SegmentTimes {
    fn write(self, json: &mut JsonWriter) {
        json.float_field("start_time", self.start);
        match self.end {
            Some(end) => json.float_field("end_time", end),
            None => json.boolean_field("in_progress", true),
        }
    }
}

/// The cause of a failure: `fault` is the service, `error` the caller, and `throttle` a rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) fault: bool,
    pub(super) error: bool,
    pub(super) throttle: bool,
}

impl Flags {
    fn write(self, json: &mut JsonWriter, writes_defaults: bool) {
        for (name, value) in [("fault", self.fault), ("error", self.error), ("throttle", self.throttle)] {
            if value || writes_defaults {
                json.boolean_field(name, value);
            }
        }
    }
}

/// The `http` block. Empty strings are omitted.
#[derive(Default)]
pub(super) struct Http<'a> {
    pub(super) method: Cow<'a, str>,
    pub(super) url: Cow<'a, str>,
    pub(super) user_agent: Cow<'a, str>,
    pub(super) client_ip: Cow<'a, str>,
    /// Whether `client_ip` is from a header, not from the connection.
    pub(super) x_forwarded_for: bool,
    pub(super) status: Option<i64>,
    pub(super) content_length: i64,
}

impl Http<'_> {
    fn write(&self, json: &mut JsonWriter, writes_defaults: bool) {
        json.object_field("request", |json| {
            json.text_field_unless_empty("method", &self.method);
            json.text_field_unless_empty("url", &self.url);
            json.text_field_unless_empty("user_agent", &self.user_agent);
            json.text_field_unless_empty("client_ip", &self.client_ip);
            if self.x_forwarded_for {
                json.boolean_field("x_forwarded_for", true);
            }
        });
        json.object_field_unless_empty("response", |json| {
            if let Some(status) = self.status {
                json.int_field("status", status);
            }
            if self.content_length != 0 || writes_defaults {
                json.int_field("content_length", self.content_length);
            }
        });
    }
}

/// An exception in `cause`.
pub(super) struct Exception<'a> {
    pub(super) id: SpanId,
    pub(super) kind: Cow<'a, str>,
    pub(super) message: Cow<'a, str>,
    /// Whether the called service reported the exception.
    pub(super) remote: Option<bool>,
    /// Id of the exception that caused this one.
    pub(super) cause: Option<SpanId>,
    /// Deepest call first.
    pub(super) stack: Vec<StackFrame<'a>>,
    /// Number of frames that `stack` does not contain.
    pub(super) truncated: u64,
}

impl Exception<'_> {
    fn write(&self, json: &mut JsonWriter) {
        json.object(|json| {
            json.text_field("id", &ids::span_id_text(&self.id));
            json.text_field("type", &self.kind);
            json.text_field("message", &self.message);
            if let Some(remote) = self.remote {
                json.boolean_field("remote", remote);
            }
            if let Some(cause) = &self.cause {
                json.text_field("cause", &ids::span_id_text(cause));
            }
            json.array_field_unless_empty("stack", |json| {
                json.each(&self.stack, |json, frame| {
                    json.object(|json| {
                        json.text_field("path", &frame.path);
                        json.text_field("label", &frame.label);
                        json.int_field("line", frame.line);
                    });
                });
            });
            if self.truncated > 0 {
                json.int_field("truncated", i64::try_from(self.truncated).unwrap_or(i64::MAX));
            }
        });
    }
}

/// The `aws` block. Empty strings are omitted.
pub(super) struct Aws<'d, 'a> {
    /// See [`AwsResource::to_json`].
    pub(super) resource: &'d EscapedJson,
    pub(super) operation: Cow<'a, str>,
    pub(super) account_id: Cow<'a, str>,
    pub(super) region: Cow<'a, str>,
    pub(super) request_id: Cow<'a, str>,
    pub(super) queue_url: Cow<'a, str>,
    pub(super) table_name: Cow<'a, str>,
    pub(super) table_names: Vec<Cow<'a, str>>,
}

impl Aws<'_, '_> {
    fn write(&self, json: &mut JsonWriter) {
        json.raw_escaped(self.resource);
        json.text_field_unless_empty("operation", &self.operation);
        json.text_field_unless_empty("account_id", &self.account_id);
        json.text_field_unless_empty("region", &self.region);
        json.text_field_unless_empty("request_id", &self.request_id);
        json.text_field_unless_empty("queue_url", &self.queue_url);
        json.text_field_unless_empty("table_name", &self.table_name);
        json.array_field_unless_empty("table_names", |json| json.each(&self.table_names, |json, name| json.text(name)));
    }
}

/// A string field and the resource attribute that fills it. The field is omitted if the attribute is empty.
type ResourceField = (&'static str, &'static str);

const EC2: [ResourceField; 4] = [
    ("instance_id", "host.id"),
    ("availability_zone", "cloud.availability_zone"),
    ("instance_size", "host.type"),
    ("ami_id", "host.image.id"),
];

const ECS: [ResourceField; 8] = [
    ("container", "container.name"),
    ("container_id", "container.id"),
    ("task_arn", "aws.ecs.task.arn"),
    ("task_family", "aws.ecs.task.family"),
    ("cluster_arn", "aws.ecs.cluster.arn"),
    ("container_arn", "aws.ecs.container.arn"),
    ("availability_zone", "cloud.availability_zone"),
    ("launch_type", "aws.ecs.launchtype"),
];

const ELASTIC_BEANSTALK: [ResourceField; 2] =
    [("environment_name", "service.namespace"), ("version_label", "service.version")];

const EKS: [ResourceField; 3] =
    [("cluster_name", "k8s.cluster.name"), ("pod", "k8s.pod.name"), ("container_id", "container.id")];

/// The members of `aws` that come from the resource, and which of them are written.
pub(super) struct AwsResource<'a> {
    pub(super) attributes: ResourceAttributes<'a>,
    pub(super) has_ec2: bool,
    pub(super) has_ecs: bool,
    pub(super) has_elastic_beanstalk: bool,
    pub(super) has_eks: bool,
    pub(super) log_groups: Vec<LogGroup<'a>>,
    /// Name and language of the SDK.
    pub(super) sdk: Cow<'a, str>,
    pub(super) is_auto_instrumented: bool,
    /// Whether `xray` is written without content, and its flag if it is false.
    pub(super) writes_defaults: bool,
}

/// An entry of `aws.cloudwatch_logs`.
pub(super) struct LogGroup<'a> {
    pub(super) name: Cow<'a, str>,
    /// Empty if unknown.
    pub(super) arn: Cow<'a, str>,
}

impl AwsResource<'_> {
    /// Returns the members as JSON, which all documents of the resource contain.
    pub(super) fn to_json(&self) -> EscapedJson {
        let mut json = JsonWriter::with_limit(limits::BLOCK_BYTES);
        if self.has_ec2 {
            json.object_field("ec2", |json| self.write_fields(json, &EC2));
        }
        if self.has_ecs {
            json.object_field("ecs", |json| self.write_fields(json, &ECS));
        }
        if self.has_elastic_beanstalk {
            json.object_field("elastic_beanstalk", |json| {
                self.write_fields(json, &ELASTIC_BEANSTALK);
                json.int_field("deployment_id", self.attributes.text("service.instance.id").parse().unwrap_or(0));
            });
        }
        if self.has_eks {
            json.object_field("eks", |json| self.write_fields(json, &EKS));
        }
        json.array_field_unless_empty("cloudwatch_logs", |json| {
            json.each(&self.log_groups, |json, group| {
                json.object(|json| {
                    json.text_field_unless_empty("log_group", &group.name);
                    json.text_field_unless_empty("arn", &group.arn);
                });
            });
        });
        json.object_field_unless_empty("xray", |json| {
            json.text_field_unless_empty("sdk", &self.sdk);
            json.text_field_unless_empty("sdk_version", &self.attributes.text("telemetry.sdk.version"));
            if self.is_auto_instrumented || self.writes_defaults {
                json.boolean_field("auto_instrumentation", self.is_auto_instrumented);
            }
        });
        json.into_escaped()
    }

    fn write_fields(&self, json: &mut JsonWriter, fields: &[ResourceField]) {
        for (field, attribute) in fields {
            json.text_field_unless_empty(field, &self.attributes.text(attribute));
        }
    }
}

/// Returns the `service` object.
pub(super) fn service(version: &str) -> EscapedJson {
    let mut json = JsonWriter::default();
    json.object(|json| json.text_field_unless_empty("version", version));
    json.into_escaped()
}

/// The `sql` block. Empty strings are omitted.
pub(super) struct Sql<'a> {
    pub(super) url: Cow<'a, str>,
    pub(super) connection_string: String,
    pub(super) database_type: Cow<'a, str>,
    pub(super) user: Cow<'a, str>,
    pub(super) sanitized_query: Cow<'a, str>,
}

impl Sql<'_> {
    fn write(&self, json: &mut JsonWriter) {
        json.text_field_unless_empty("url", &self.url);
        json.text_field_unless_empty("connection_string", &self.connection_string);
        json.text_field_unless_empty("database_type", &self.database_type);
        json.text_field_unless_empty("user", &self.user);
        json.text_field_unless_empty("sanitized_query", &self.sanitized_query);
    }
}
