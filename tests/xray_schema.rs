//! Tests that the documents of any request match the schema of X-Ray.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as Json, json};
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::any_value::Value;
use sidecarless::model::otlp::{
    AnyValue, ArrayValue, Event, ExportTraceServiceRequest, InstrumentationScope, KeyValue, KeyValueList, Link,
    Resource, ResourceSpans, ScopeSpans, Span, Status,
};
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Indexed, Options, Segments, segments};
use std::io::Write as _;

use crate::xray::recordings::recordings;
use crate::xray::schema::Schema;
use crate::xray::{CLIENT, SERVER, TestSpan};

/// Size limit of our documents, in the smaller of the two meanings of 64 kB.
const MAX_BYTES: usize = 64_000;

pub(crate) fn validation_errors(schema: &Schema, segments: &Segments) -> Vec<String> {
    let mut errors = Vec::new();
    for document in &segments.documents {
        if document.text().len() > MAX_BYTES {
            errors.push(format!("{} bytes", document.text().len()));
        }
        match serde_json::from_str::<Json>(&document.text()) {
            Ok(json) => {
                errors.extend(schema.validation_errors(&json));
                let ids = document.ids();
                if json["id"] != ids.id.as_str() || json["trace_id"] != ids.trace_id.as_str() {
                    errors.push(format!("{} has the ids {ids:?}", json["id"]));
                }
            }
            Err(error) => errors.push(format!("{error}: {}", document.text())),
        }
    }
    errors
}

#[test]
fn recorded_spans_become_valid_documents() {
    let (schema, mut count) = (Schema::of_segments(), 0);
    for recording in recordings() {
        for indexed in [Indexed::default(), Indexed::All] {
            let segments =
                segments(&(&recording.request).into(), &Options { indexed, ..Options::default() }, &Unlimited).unwrap();
            assert_eq!(validation_errors(&schema, &segments), Vec::<String>::new(), "{}", recording.case);
            count += segments.documents.len();
        }
    }
    let _ = writeln!(std::io::stderr(), "{count} documents match the schema");
}

#[test]
fn schema_rejects_invalid_documents() {
    let valid = &TestSpan::child(CLIENT, "x").documents(Compat::Corrected)[0];
    let schema = Schema::of_segments();
    assert!(schema.validation_errors(valid).is_empty());
    for (field, value) in [
        ("name", json!("a,b")),
        ("id", json!("0000000000000000")),
        ("trace_id", json!("1-2-3")),
        ("parent_id", Json::Null),
        ("annotations", json!({ "a b": 1 })),
        ("unknown", json!(1)),
    ] {
        let mut invalid = valid.clone();
        invalid[field] = value;
        assert!(!schema.validation_errors(&invalid).is_empty(), "{field}");
    }
}

type Change = fn(&mut Span);

#[test]
fn invalid_span_is_rejected_with_its_name() {
    let rejections = |change: Change| {
        let mut sent = TestSpan::root(SERVER, "pay");
        change(&mut sent.span);
        let segments = segments(&(&sent.request()).into(), &Options::default(), &Unlimited).unwrap();
        assert_eq!((segments.received, segments.documents.len()), (1, 0));
        segments.rejected.to_string()
    };
    let cases: [(Change, &str); 7] = [
        (|span| span.trace_id = vec![0; 16].into(), "trace_id"),
        (|span| span.trace_id = vec![1; 15].into(), "trace_id"),
        (|span| span.span_id = vec![0; 8].into(), "span_id"),
        (|span| span.span_id = vec![].into(), "span_id"),
        (|span| span.span_id = vec![1; 9].into(), "span_id"),
        (|span| span.parent_span_id = vec![1; 3].into(), "parent_span_id"),
        (|span| span.start_time_unix_nano = 0, "start_time"),
    ];
    for (change, reason) in cases {
        let rejected = rejections(change);
        assert!(rejected.starts_with(&format!("1 {reason}: span \"pay\" (")), "{rejected}");
    }
}

#[test]
fn invalid_end_time_is_corrected_and_kept_in_metadata() {
    let mut sent = TestSpan::root(SERVER, "x");
    sent.span.end_time_unix_nano = 0;
    let document = &sent.documents(Compat::Corrected)[0];
    assert_eq!((&document["in_progress"], &document["end_time"]), (&json!(true), &Json::Null));
    sent.span.end_time_unix_nano = 1_000_000_000;
    let document = &sent.documents(Compat::Corrected)[0];
    assert_eq!(
        (&document["end_time"], &document["metadata"]["otel"]["end_time"]),
        (&document["start_time"], &json!(1.0))
    );
}

#[test]
fn document_does_not_contain_connection_passwords() {
    for system in ["mysql", "mongodb"] {
        for indexed in [Indexed::default(), Indexed::All] {
            let sent = TestSpan::child(CLIENT, "x")
                .with(json!({ "db.system": system, "db.connection_string": "mongodb://app:s3cret@db:27017/shop" }))
                .under(Options { indexed, ..Options::default() });
            let document = sent.documents(Compat::Corrected)[0].to_string();
            assert!(document.contains("mongodb://app@db:27017/shop") && !document.contains("s3cret"), "{document}");
        }
    }
}

/// Keys that the translation reads, so that generated spans have every block.
const KEYS: [&str; 60] = [
    "aws.span.kind",
    "aws.local.service",
    "aws.remote.service",
    "aws.remote.operation",
    "remoteTarget",
    "peer.service",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "rpc.grpc.status_code",
    "aws.service",
    "aws.operation",
    "aws.account_id",
    "aws.region",
    "aws.request_id",
    "aws.queue_url",
    "messaging.url",
    "aws.table_name",
    "aws.dynamodb.table_names",
    "db.system",
    "db.system.name",
    "db.name",
    "db.namespace",
    "db.connection_string",
    "db.statement",
    "db.user",
    "http.method",
    "http.request.method",
    "http.url",
    "url.full",
    "url.path",
    "url.query",
    "url.scheme",
    "http.host",
    "http.target",
    "http.status_code",
    "http.response.status_code",
    "http.client_ip",
    "client.address",
    "net.peer.ip",
    "net.peer.name",
    "net.peer.port",
    "server.address",
    "server.port",
    "network.peer.address",
    "http.status_text",
    "enduser.id",
    "aws.xray.inprogress",
    "aws.xray.annotations",
    "aws.xray.metadata.",
    "aws.xray.metadata.default",
    "aws.xray.metadata.otel",
    "otel.resource.service.name",
    "service.name",
    "service.version",
    "cloud.provider",
    "cloud.platform",
    "telemetry.sdk.language",
    "aws.log.group.arns",
    "host.id",
];

const TEXTS: [&str; 24] = [
    "",
    "LOCAL_ROOT",
    "aws-api",
    "aws",
    "aws_ecs",
    "aws_eks",
    "aws_elastic_beanstalk",
    "java",
    "python",
    "nodejs",
    "go",
    "ruby",
    "rust",
    "dotnet",
    "postgresql",
    "10.0.0.1",
    "::1",
    "{\"a\":[1,null]}",
    "null",
    "a,b?",
    "x y\u{0}\"\\",
    "x\n\tat a.b(C.java:1)\nCaused by: X: y",
    "jdbc:mysql://u:p@h:1/x?password=z",
    "service.name",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => proptest::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
        3 => any::<String>(),
        1 => (any::<char>(), 0..3000_usize).prop_map(|(c, times)| c.to_string().repeat(times)),
    ]
}

fn bytes() -> impl Strategy<Value = bytes::Bytes> {
    prop_oneof![
        9 => text().prop_map(|text| text.into_bytes().into()),
        1 => vec(any::<u8>(), 0..20).prop_map(bytes::Bytes::from),
    ]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        8 => bytes().prop_map(|text| Some(Value::String(text))),
        1 => any::<bool>().prop_map(|value| Some(Value::Bool(value))),
        2 => prop_oneof![Just(200), Just(429), Just(503), Just(8), any::<i64>()].prop_map(|n| Some(Value::Int(n))),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), any::<f64>()].prop_map(|n| Some(Value::Double(n))),
        1 => vec(any::<u8>(), 0..9).prop_map(|bytes| Some(Value::Bytes(bytes.into()))),
        1 => Just(None),
    ];
    leaf.prop_map(|value| AnyValue { value }).prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| Some(Value::Array(ArrayValue { values }))),
            vec((bytes(), proptest::option::of(inner)), 0..4).prop_map(|pairs| {
                let values = pairs.into_iter().map(|(key, value)| KeyValue { key, value }).collect();
                Some(Value::KvList(KeyValueList { values }))
            }),
        ]
        .prop_map(|value| AnyValue { value })
    })
}

fn attributes(max: usize) -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        8 => proptest::sample::select(KEYS.to_vec()).prop_map(|key| bytes::Bytes::from_static(key.as_bytes())),
        2 => bytes(),
    ];
    vec((key, proptest::option::weighted(0.95, value())).prop_map(|(key, value)| KeyValue { key, value }), 0..max)
}

fn id(length: usize) -> impl Strategy<Value = bytes::Bytes> {
    prop_oneof![
        12 => vec(any::<u8>(), length),
        1 => Just(vec![0; length]),
        1 => vec(any::<u8>(), 0..20),
        1 => Just(Vec::new()),
    ]
    .prop_map(bytes::Bytes::from)
}

fn event() -> impl Strategy<Value = Event> {
    let name = prop_oneof![Just("exception".to_owned()), Just("HTTP request failure".to_owned()), text()];
    let key = prop_oneof![
        4 => Just("exception.type"), 4 => Just("exception.message"), 8 => Just("exception.stacktrace"),
        1 => Just("aws.http.error_message"), 1 => Just("http.response.status_code"), 1 => Just("message.type"),
    ];
    let pair = (key, value()).prop_map(|(key, value)| KeyValue { key: key.into(), value: Some(value) });
    (any::<u64>(), name, vec(pair, 0..5)).prop_map(|(time_unix_nano, name, attributes)| Event {
        time_unix_nano,
        name: name.into_bytes().into(),
        attributes,
        dropped_attributes_count: 0,
    })
}

fn span() -> impl Strategy<Value = Span> {
    let link = (id(16), id(8), attributes(3));
    let link =
        link.prop_map(|(trace_id, span_id, attributes)| Link { trace_id, span_id, attributes, ..Link::default() });
    let time =
        || prop_oneof![1 => Just(0), 1 => Just(u64::MAX), 4 => Just(1_700_000_000_123_456_789), 4 => any::<u64>()];
    let kind = prop_oneof![8 => -1..8_i32, 1 => any::<i32>(), 1 => Just(i32::MIN), 1 => Just(i32::MAX)];
    let ids = (id(16), id(8), id(8), bytes(), kind);
    let status =
        (bytes(), prop_oneof![4 => 0..3_i32, 1 => any::<i32>()]).prop_map(|(message, code)| Status { message, code });
    let rest = (attributes(16), vec(event(), 0..3), vec(link, 0..3), proptest::option::of(status));
    (ids, time(), time(), rest).prop_map(|(ids, start_time_unix_nano, end_time_unix_nano, rest)| {
        let ((trace_id, span_id, parent_span_id, name, kind), (attributes, events, links, status)) = (ids, rest);
        Span {
            trace_id,
            span_id,
            parent_span_id,
            name,
            kind,
            start_time_unix_nano,
            end_time_unix_nano,
            attributes,
            events,
            links,
            status,
            ..Span::default()
        }
    })
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (bytes(), attributes(2)).prop_map(|(name, attributes)| InstrumentationScope {
        name,
        attributes,
        ..InstrumentationScope::default()
    });
    let resource = attributes(12).prop_map(|attributes| Resource { attributes, dropped_attributes_count: 0 });
    let scope_spans = (proptest::option::of(scope), vec(span(), 0..3));
    let scope_spans =
        scope_spans.prop_map(|(scope, spans)| ScopeSpans { scope, spans, schema_url: bytes::Bytes::new() });
    let resource_spans = (proptest::option::of(resource), vec(scope_spans, 0..3));
    let resource_spans = resource_spans.prop_map(|(resource, scope_spans)| ResourceSpans {
        resource,
        scope_spans,
        schema_url: bytes::Bytes::new(),
    });
    vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn indexed() -> impl Strategy<Value = Indexed> {
    let keys = proptest::sample::subsequence(KEYS.to_vec(), 0..8);
    prop_oneof![
        Just(Indexed::All),
        keys.prop_map(|keys| Indexed::Listed(keys.into_iter().map(str::to_owned).collect())),
    ]
}

/// Checks the documents and the counts of a request. Spans that became two documents are recognized by the ids.
fn check(request: &ExportTraceServiceRequest, options: &Options) -> Result<(), TestCaseError> {
    let spans = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let spans = spans.map(|scope| scope.spans.len() as u64).sum::<u64>();
    let result = segments(&request.into(), options, &Unlimited).unwrap();
    let splits = result.documents.windows(2).filter(|pair| {
        let call: Json = serde_json::from_str(&pair[0].text()).unwrap();
        call["parent_id"].as_str() == Some(&*pair[1].ids().id) && call["type"] == "subsegment"
    });
    let documented = (result.documents.len() - splits.count()) as u64;
    prop_assert_eq!(result.received, spans);
    prop_assert_eq!(documented + result.rejected.total(), spans);
    if options.compat == Compat::Corrected {
        prop_assert_eq!(validation_errors(&Schema::of_segments(), &result), Vec::<String>::new());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_becomes_valid_documents_of_all_spans(
        request in request(),
        indexed in indexed(),
    ) {
        for compat in [Compat::Corrected, Compat::Adot] {
            let options = Options { compat, indexed: indexed.clone(), log_groups: Vec::new() };
            check(&request, &options)?;
        }
    }

    #[test]
    fn random_bytes_do_not_cause_a_panic(body in vec(any::<u8>(), 0..300)) {
        if let Ok(request) = ExportTraceServiceRequest::decode(body.as_slice()) {
            check(&request, &Options::default())?;
        }
        let _ = sidecarless::translate::sdk_segments::validate_body(&body, &Unlimited);
    }
}
