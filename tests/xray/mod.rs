//! A short notation for spans, for the tests of their documents.
pub(crate) mod recordings;
pub(crate) mod schema;

use bytes::Bytes;
use serde_json::Value as Json;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::any_value::Value;
use sidecarless::model::otlp::{
    AnyValue, ArrayValue, Event, ExportTraceServiceRequest, InstrumentationScope, KeyValue, KeyValueList, Link,
    Resource, ResourceSpans, ScopeSpans, Span, Status,
};
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Options, segments};

pub(crate) const INTERNAL: i32 = 1;
pub(crate) const SERVER: i32 = 2;
pub(crate) const CLIENT: i32 = 3;
pub(crate) const PRODUCER: i32 = 4;
pub(crate) const CONSUMER: i32 = 5;

pub(crate) const PARENT: &str = "1122334455667788";

/// A span with its resource, and the options of its translation.
pub(crate) struct TestSpan {
    pub(crate) span: Span,
    pub(crate) resource: Vec<KeyValue>,
    pub(crate) scope: Option<InstrumentationScope>,
    pub(crate) options: Options,
}

impl TestSpan {
    pub(crate) fn root(kind: i32, name: &str) -> Self {
        let span = Span {
            trace_id: Bytes::copy_from_slice(&0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()),
            span_id: Bytes::copy_from_slice(&0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()),
            name: Bytes::copy_from_slice(name.as_bytes()),
            kind,
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: 1_700_000_000_250_000_000,
            ..Span::default()
        };
        TestSpan { span, resource: Vec::new(), scope: None, options: Options::default() }
    }

    pub(crate) fn child(kind: i32, name: &str) -> Self {
        let mut child = TestSpan::root(kind, name);
        child.span.parent_span_id = Bytes::copy_from_slice(&0x1122_3344_5566_7788_u64.to_be_bytes());
        child
    }

    pub(crate) fn with(mut self, members: Json) -> Self {
        self.span.attributes.extend(attributes(members));
        self
    }

    pub(crate) fn on(mut self, resource: Json) -> Self {
        self.resource = attributes(resource);
        self
    }

    pub(crate) fn under(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn failed(mut self, message: &str) -> Self {
        self.span.status = Some(Status { message: Bytes::copy_from_slice(message.as_bytes()), code: 2 });
        self
    }

    pub(crate) fn event(self, name: &str, members: Json) -> Self {
        self.event_at(1_700_000_000_100_000_000, name, members)
    }

    pub(crate) fn event_at(mut self, time_unix_nano: u64, name: &str, members: Json) -> Self {
        let name = Bytes::copy_from_slice(name.as_bytes());
        let attributes = attributes(members);
        self.span.events.push(Event { time_unix_nano, name, attributes, dropped_attributes_count: 0 });
        self
    }

    /// Adds a link to a span of another trace.
    pub(crate) fn linked(mut self) -> Self {
        let link = Link { trace_id: vec![1; 16].into(), span_id: vec![2; 8].into(), ..Link::default() };
        self.span.links.push(link);
        self
    }

    pub(crate) fn request(&self) -> ExportTraceServiceRequest {
        let scope_spans =
            vec![ScopeSpans { scope: self.scope.clone(), spans: vec![self.span.clone()], schema_url: Bytes::new() }];
        let resource = Some(Resource { attributes: self.resource.clone(), dropped_attributes_count: 0 });
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: Bytes::new() }],
        }
    }

    pub(crate) fn documents(&self, compat: Compat) -> Vec<Json> {
        let options = Options { compat, ..self.options.clone() };
        let segments = segments(&(&self.request()).into(), &options, &Unlimited).unwrap();
        segments.documents.iter().map(|document| serde_json::from_str(&document.text()).unwrap()).collect()
    }
}

/// Adds the fields that corrected mode omits because a missing one means the same.
pub(crate) fn with_defaults(mut document: Json) -> Json {
    for flag in ["fault", "error", "throttle"] {
        if document[flag].is_null() {
            document[flag] = Json::Bool(false);
        }
    }
    if document["http"].is_object() && document["http"]["response"]["content_length"].is_null() {
        document["http"]["response"]["content_length"] = 0.into();
    }
    if document["aws"].is_object() && document["aws"]["xray"]["auto_instrumentation"].is_null() {
        document["aws"]["xray"]["auto_instrumentation"] = Json::Bool(false);
    }
    document
}

/// Returns the members of an object as attributes.
pub(crate) fn attributes(members: Json) -> Vec<KeyValue> {
    let Json::Object(members) = members else { panic!("attributes must be an object") };
    members
        .into_iter()
        .map(|(key, value)| KeyValue { key: Bytes::from(key.into_bytes()), value: Some(any_value(value)) })
        .collect()
}

fn any_value(value: Json) -> AnyValue {
    let value = match value {
        Json::Null => None,
        Json::Bool(value) => Some(Value::Bool(value)),
        Json::Number(number) => Some(match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Double(number.as_f64().unwrap()),
        }),
        Json::String(text) => Some(Value::String(Bytes::from(text.into_bytes()))),
        Json::Array(items) => Some(Value::Array(ArrayValue { values: items.into_iter().map(any_value).collect() })),
        Json::Object(members) => Some(Value::KvList(KeyValueList { values: attributes(Json::Object(members)) })),
    };
    AnyValue { value }
}

/// Returns the value at a path, or null. Dots separate keys and list positions, and the text after a slash is one key.
pub(crate) fn at<'v>(document: &'v Json, path: &str) -> &'v Json {
    let (path, last) = path.split_once('/').map_or((path, None), |(path, last)| (path, Some(last)));
    let step = |value: &'v Json, key: &str| match key.parse::<usize>() {
        Ok(position) => value.get(position),
        Err(_) => value.get(key),
    };
    let value = path.split('.').try_fold(document, step);
    let value = last.map_or(value, |key| value.and_then(|value| value.get(key)));
    value.unwrap_or(&Json::Null)
}
