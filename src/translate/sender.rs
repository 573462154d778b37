//! Attributes of points and spans that would be taken for the identity of the task that sent them.
//!
//! The attributes of a resource are those that ECS reports for the task that signed the request. A point or span could still add
//! another value to the same label, or replace it: such attributes are removed.

use std::fmt::{self, Formatter};

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::model::otlp::{EncodedAttribute, MetricsRequest, TraceRequest};
use crate::model::reserved::TASK_LABELS;
use crate::translate::identity::{identity_key, label};
use crate::translate::spans::NAMESPACE_BYTES;

/// Prefix of resource attributes in the metadata of segments.
const OTEL_RESOURCE: &[u8] = b"otel.resource.";

/// Attribute whose members are merged with the resource attributes in the metadata of segments.
const DEFAULT_NAMESPACE: &[u8] = b"aws.xray.metadata.default";

/// What is known about the sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The request is not signed: its identity is a mere claim, and nothing is removed.
    Unsigned,
    /// ECS confirms the task: no point or span has attributes of its identity.
    Task,
    /// ECS does not confirm a task: no point or span names one.
    Unknown,
}

impl Sender {
    /// Removes the attributes of points.
    pub fn protect_metrics(self, metrics: &mut MetricsRequest) {
        if self != Self::Unsigned {
            metrics.remove_point_attributes(|attribute| self.owns(attribute.key()));
        }
    }

    /// Removes the attributes of spans.
    pub fn protect_traces(self, traces: &mut TraceRequest) {
        if self != Self::Unsigned {
            traces.remove_span_attributes(|attribute| self.replaces_resource(attribute));
        }
    }

    /// Returns whether the label of an attribute is one of the sender's identity.
    fn owns(self, key: &[u8]) -> bool {
        // Most attributes need no conversion: a label starts with the letters of its key.
        if !key.starts_with(b"aws") && !key.starts_with(b"cloud") {
            return false;
        }
        match self {
            Self::Unsigned => false,
            Self::Task => identity_key(key).is_some(),
            Self::Unknown => label(key).starts_with(TASK_LABELS),
        }
    }

    /// Returns whether a segment would have the attribute of a span in place of a resource attribute of the sender.
    fn replaces_resource(self, attribute: EncodedAttribute<'_>) -> bool {
        let key = attribute.key();
        let of_resource = |key: &[u8]| key.strip_prefix(OTEL_RESOURCE).is_some_and(|key| self.owns(key));
        if !key.eq_ignore_ascii_case(DEFAULT_NAMESPACE) {
            return of_resource(key);
        }
        // No segment contains a longer value.
        attribute.text().is_some_and(|json| json.len() <= NAMESPACE_BYTES && has_member(json, of_resource))
    }
}

/// Returns whether `json` is an object with a member whose key is `wanted`. The members are not stored: a small object can have many.
fn has_member(json: &[u8], wanted: impl Fn(&[u8]) -> bool) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.deserialize_map(HasMember(wanted)).is_ok_and(|found| found && deserializer.end().is_ok())
}

struct HasMember<F>(F);

impl<'de, F: Fn(&[u8]) -> bool> Visitor<'de> for HasMember<F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some((key, IgnoredAny)) = members.next_entry::<String, _>()? {
            found |= (self.0)(key.as_bytes());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::model::otlp::any_value::Value;
    use crate::model::otlp::metric::Data;
    use crate::model::otlp::{
        AnyValue, ExportMetricsServiceRequest, ExportTraceServiceRequest, Gauge, KeyValue, Metric, NumberDataPoint,
        ResourceMetrics, ResourceSpans, ScopeMetrics, ScopeSpans, Span,
    };

    fn attribute(key: &str, value: &str) -> KeyValue {
        let value = AnyValue { value: Some(Value::String(value.to_owned().into())) };
        KeyValue { key: key.to_owned().into(), value: Some(value) }
    }

    #[test]
    fn labels_of_the_identity_belong_to_the_sender() {
        for (key, of_task, of_unknown) in [
            ("aws.ecs.task.arn", true, true),
            ("aws_ecs_service_name", true, true),
            ("aws/ecs..cluster_name", true, true),
            ("cloud.region", true, false),
            ("cloud:account:id", true, false),
            ("aws.ecs.container.arn", false, true),
            ("aws.region", false, false),
            ("cloud.resource_id", false, false),
            ("cloudy", false, false),
            ("service.name", false, false),
        ] {
            assert_eq!(Sender::Task.owns(key.as_bytes()), of_task, "{key}");
            assert_eq!(Sender::Unknown.owns(key.as_bytes()), of_unknown, "{key}");
        }
    }

    #[test]
    fn point_has_no_attributes_of_its_sender() {
        let point = |keys: &[&str]| {
            let attributes = keys.iter().map(|key| attribute(key, "x")).collect();
            let gauge = Gauge { data_points: vec![NumberDataPoint { attributes, ..NumberDataPoint::default() }] };
            let metric = Metric { data: Some(Data::Gauge(gauge)), ..Metric::default() };
            let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
            let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
            MetricsRequest::from(&ExportMetricsServiceRequest { resource_metrics })
        };
        let claimed = ["aws.ecs.task.arn", "cloud.region", "team", "aws.ecs.container.arn"];
        for (sender, kept) in [
            (Sender::Unsigned, &claimed[..]),
            (Sender::Task, &["team", "aws.ecs.container.arn"]),
            (Sender::Unknown, &["cloud.region", "team"]),
        ] {
            let mut metrics = point(&claimed);
            sender.protect_metrics(&mut metrics);
            assert_eq!(metrics, point(kept), "{sender:?}");
        }
    }

    #[test]
    fn span_cannot_replace_resource_attributes_of_its_sender() {
        let unread = format!(r#"{{"a":"{}","otel.resource.aws.ecs.task.arn":"evil"}}"#, "x".repeat(NAMESPACE_BYTES));
        let kept = [
            attribute("aws.xray.metadata.default", &unread),
            attribute("aws.ecs.task.arn", "what the span is about"),
            attribute("otel.resource.team", "shop"),
            attribute("aws.xray.metadata.default", r#"{"otel.resource.team":"shop"}"#),
            attribute("aws.xray.metadata.default", "no JSON"),
            attribute("aws.xray.metadata.own", r#"{"otel.resource.aws.ecs.task.arn":"in its own namespace"}"#),
        ];
        let removed = [
            attribute("otel.resource.aws.ecs.task.arn", "evil"),
            attribute("otel.resource.aws/ecs/service/name", "evil"),
            attribute("aws.xray.metadata.Default", r#"{"a":1,"\u006ftel.resource.aws.ecs.task.arn":"evil"}"#),
        ];
        for sender in [Sender::Task, Sender::Unknown] {
            let span = Span { attributes: [&kept[..], &removed].concat(), ..Span::default() };
            let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
            let mut traces = TraceRequest::from(&ExportTraceServiceRequest { resource_spans });
            sender.protect_traces(&mut traces);
            let span = Span::decode(traces.resource_spans[0].scope_spans[0].spans[0].clone()).unwrap();
            assert_eq!(span.attributes, kept, "{sender:?}");
        }
    }
}
