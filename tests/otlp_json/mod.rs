//! Tests of the JSON decoder: the result equals the protobuf decoder's, and errors contain their path.

mod lenient;
pub(crate) mod print;
pub(crate) mod telemetry;

use bytes::Bytes;
use prost::Message;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::any_value::Value;
use sidecarless::model::otlp::json::{self, JsonDecodeError};
use sidecarless::model::otlp::{
    AnyValue, ExportLogsServiceRequest, ExportMetricsServiceRequest, ExportTraceServiceRequest, KeyValue, Resource,
    ResourceSpans, ScopeSpans, Span, metric, number_data_point,
};

fn traces(body: &Bytes) -> Result<ExportTraceServiceRequest, JsonDecodeError> {
    json::traces(body, &Unlimited)
}

fn metrics(body: &Bytes) -> Result<ExportMetricsServiceRequest, JsonDecodeError> {
    json::metrics(body, &Unlimited)
}

fn text(value: &str) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}

/// Decodes a request with one span that has these fields.
fn span(fields: &str) -> Result<Span, String> {
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
    let request = traces(&Bytes::from(body)).map_err(|error| error.to_string())?;
    Ok(request.resource_spans[0].scope_spans[0].spans[0].clone())
}

/// Decodes a span with one attribute that has this value.
fn attribute(value: &str) -> Result<Option<Value>, String> {
    let span = span(&format!(r#""attributes":[{{"key":"k","value":{value}}}]"#))?;
    Ok(span.attributes[0].value.clone().and_then(|any| any.value))
}

#[test]
fn published_trace_example_is_decoded() {
    let request = traces(&Bytes::from_static(include_bytes!("../data/otlp/trace.json"))).unwrap();
    let resource = &request.resource_spans[0];
    assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
    let scope = &resource.scope_spans[0];
    assert_eq!(scope.scope.as_ref().unwrap().version, "1.0.0");
    let span = &scope.spans[0];
    assert_eq!(
        span.trace_id[..],
        [0x5b, 0x8e, 0xff, 0xf7, 0x98, 3, 0x81, 3, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0xc]
    );
    assert_eq!(span.span_id[..], [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
    assert_eq!(span.parent_span_id[..], [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x73]);
    assert_eq!((span.name.clone(), span.kind), (text("I'm a server span"), 2));
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (1_544_712_660_000_000_000, 1_544_712_661_000_000_000)
    );
    let value = AnyValue { value: Some(Value::String(text("some value"))) };
    assert_eq!(span.attributes, [KeyValue { key: text("my.span.attr"), value: Some(value) }]);
}

#[test]
fn published_metrics_example_is_decoded() {
    let request = metrics(&Bytes::from_static(include_bytes!("../data/otlp/metrics.json"))).unwrap();
    let [counter, gauge, histogram] = &request.resource_metrics[0].scope_metrics[0].metrics[..] else {
        panic!("three metrics");
    };
    let Some(metric::Data::Sum(sum)) = &counter.data else { panic!("a sum") };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true));
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::Double(5.0)));
    let Some(metric::Data::Gauge(points)) = &gauge.data else { panic!("a gauge") };
    assert_eq!(points.data_points[0].time_unix_nano, 1_544_712_660_300_000_000);
    let Some(metric::Data::Histogram(points)) = &histogram.data else { panic!("a histogram") };
    let point = &points.data_points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (3, Some(3.0), Some(1.0), Some(1.0)));
    assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 1, 1][..], &[1.0][..]));
}

#[test]
fn values_follow_the_json_mapping_of_protobuf() {
    for (json, expected) in [
        (r#"{"stringValue":"x"}"#, Some(Value::String(text("x")))),
        (r#"{"string_value":"a\"\u00e9\n\ud83d\ude00"}"#, Some(Value::String(text("a\"é\n😀")))),
        (r#"{"stringValue":""}"#, Some(Value::String(text("")))),
        (r#"{"boolValue":false}"#, Some(Value::Bool(false))),
        (r#"{"intValue":"-9223372036854775808"}"#, Some(Value::Int(i64::MIN))),
        (r#"{"intValue":9223372036854775807}"#, Some(Value::Int(i64::MAX))),
        (r#"{"int_value":12.0}"#, Some(Value::Int(12))),
        (r#"{"intValue":"1e3"}"#, Some(Value::Int(1000))),
        (r#"{"doubleValue":1}"#, Some(Value::Double(1.0))),
        (r#"{"doubleValue":-1.5e-3}"#, Some(Value::Double(-0.0015))),
        (r#"{"doubleValue":"2.5"}"#, Some(Value::Double(2.5))),
        (r#"{"doubleValue":"-Infinity"}"#, Some(Value::Double(f64::NEG_INFINITY))),
        (r#"{"bytesValue":"+/8="}"#, Some(Value::Bytes(Bytes::from_static(&[0xfb, 0xff])))),
        (r#"{"bytesValue":"-_8"}"#, Some(Value::Bytes(Bytes::from_static(&[0xfb, 0xff])))),
        (r#"{"bytesValue":""}"#, Some(Value::Bytes(Bytes::new()))),
        (r#"{"intValue":1,"stringValue":"the last one counts"}"#, Some(Value::String(text("the last one counts")))),
        (r#"{"intValue":1,"stringValue":null}"#, Some(Value::Int(1))),
        (r#"{"future":{"a":[1,{"b":null}]}}"#, None),
        ("{}", None),
        ("null", None),
    ] {
        assert_eq!(attribute(json), Ok(expected), "{json}");
    }
    let Ok(Some(Value::Double(value))) = attribute(r#"{"doubleValue":"NaN"}"#) else { panic!("a double") };
    assert!(value.is_nan());
}

#[test]
fn nested_values_are_decoded() {
    let Ok(Some(Value::Array(array))) = attribute(r#"{"arrayValue":{"values":[{"intValue":1},null,{}]}}"#) else {
        panic!("an array");
    };
    assert_eq!(array.values, [AnyValue { value: Some(Value::Int(1)) }, AnyValue::default(), AnyValue::default()]);
    let json = r#"{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}},{"key":"b"}]}}"#;
    let Ok(Some(Value::KvList(list))) = attribute(json) else { panic!("a list") };
    assert_eq!(list.values[0].value, Some(AnyValue { value: Some(Value::Bool(true)) }));
    assert_eq!((list.values[1].key.clone(), list.values[1].value.clone()), (text("b"), None));
}

#[test]
fn fields_have_two_names_and_enums_numbers_and_names() {
    let both = [
        r#""traceId":"0aFF","startTimeUnixNano":"5","droppedAttributesCount":1,"kind":2,"status":{"code":2}"#,
        r#""trace_id":"0AfF","start_time_unix_nano":5,"dropped_attributes_count":"1","kind":"SPAN_KIND_SERVER",
           "status":{"code":"STATUS_CODE_ERROR"},"aField":{"of":["tomorrow"]},"name":null,"events":null,"links":null"#,
    ];
    let [camel, snake] = both.map(|fields| span(fields).unwrap());
    assert_eq!(camel, snake);
    assert_eq!((&camel.trace_id[..], camel.kind), (&[0x0a, 0xff][..], 2));
    assert_eq!(span(r#""kind":"3""#).unwrap().kind, 3);
    assert_eq!(span(r#""kind":99"#).unwrap().kind, 99, "numbers of later versions are kept");
}

#[test]
fn empty_request_is_valid() {
    for body in ["{}", " {\n} ", "null", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#] {
        assert_eq!(traces(&Bytes::from(body)), Ok(ExportTraceServiceRequest::default()), "{body}");
    }
}

#[test]
fn error_contains_path_and_position() {
    for (fields, expected) in [
        (r#""traceId":"123""#, "traceId: invalid id of 3 hexadecimal digits, expected an even number"),
        (r#""traceId":"zz""#, "traceId: invalid hexadecimal digits \"zz\""),
        (r#""traceId":"é""#, "traceId: invalid hexadecimal digits \"é\""),
        (r#""traceId":7"#, "traceId: invalid value 7, expected hexadecimal digits"),
        (r#""name":true"#, "name: invalid value true, expected a string"),
        (r#""name":["a"]"#, "name: invalid type: sequence, expected a string, a number, true, false or null"),
        (r#""kind":"SERVER""#, "kind: invalid value \"SERVER\", expected a 32-bit integer"),
        (r#""kind":3000000000"#, "kind: invalid value 3000000000, expected a 32-bit integer"),
        (r#""startTimeUnixNano":"-1""#, "startTimeUnixNano: invalid value \"-1\", expected an unsigned 64-bit integer"),
        (r#""startTimeUnixNano":1.5"#, "startTimeUnixNano: invalid value 1.5, expected an unsigned 64-bit integer"),
        (r#""flags":"NaN""#, "flags: invalid value \"NaN\", expected an unsigned 32-bit integer"),
        (r#""attributes":{}"#, "attributes: invalid type: map, expected an array of objects"),
        (r#""attributes":[{},5]"#, "attributes[1]: invalid type: integer `5`, expected an object"),
        (r#""status":"bad""#, "status: invalid type: string \"bad\", expected an object"),
        (
            r#""events":[{},{"attributes":[{"value":{"intValue":"x"}}]}]"#,
            "events[1].attributes[0].value.intValue: invalid value \"x\", expected a 64-bit integer",
        ),
        (
            r#""attributes":[{"value":{"bytesValue":"a*"}}]"#,
            "attributes[0].value.bytesValue: invalid base64 \"a*\": Invalid symbol 42, offset 1.",
        ),
        (
            r#""attributes":[{"value":{"arrayValue":{"values":[{"boolValue":"true"}]}}}]"#,
            "attributes[0].value.arrayValue.values[0].boolValue: invalid value \"true\", expected true or false",
        ),
    ] {
        let error = span(fields).unwrap_err();
        let expected = format!("resourceSpans[0].scopeSpans[0].spans[0].{expected} (line 1, column ");
        assert!(error.starts_with(&expected), "{error}\nis not\n{expected}");
    }
}

#[test]
fn syntax_error_contains_path_and_position() {
    for (body, expected) in [
        (&b""[..], "request: EOF while parsing a value (line 1, column 0)"),
        (b"[]", "request: invalid type: sequence, expected an object (line 1, column 2)"),
        (b"{} {}", "request: trailing characters (line 1, column 4)"),
        (b"{\"resourceSpans\":[\n{", "resourceSpans[0]: EOF while parsing an object (line 2, column 1)"),
        (
            b"{\"resourceSpans\":[{\"resource\":{]",
            "resourceSpans[0].resource: key must be a string (line 1, column 32)",
        ),
        (
            b"{\"resourceSpans\":[{\"schemaUrl\":\"\\ud8\"}]}",
            "resourceSpans[0].schemaUrl: invalid escape (line 1, column 38)",
        ),
        (b"{\"resourceSpans\":1e999}", "resourceSpans: number out of range (line 1, column 22)"),
        (b"\x0a\x00\x12", "request: expected value (line 2, column 1)"),
    ] {
        let error = traces(&Bytes::copy_from_slice(body)).map_err(|error| error.to_string());
        assert_eq!(error, Err(expected.to_owned()), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn truncated_request_is_an_error() {
    let full = include_bytes!("../data/otlp/metrics.json");
    for length in 0..full.len() {
        let cut = Bytes::from_static(&full[..length]);
        assert!(metrics(&cut).is_err(), "cut after {length} bytes");
    }
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| {
        let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
        attribute(&format!("{open}{{}}{close}"))
    };
    assert!(nested(30).is_ok());
    for depth in [50, 100_000] {
        let error = nested(depth).unwrap_err();
        assert!(error.contains("recursion limit exceeded"), "{error}");
    }
    let unknown = format!(r#""unknown":{}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(span(&unknown).is_ok_and(|span| span == Span::default()), "ignored fields do not count as nesting");
}

#[test]
fn string_without_escapes_is_a_slice_of_the_body() {
    let body = Bytes::from_static(include_bytes!("../data/otlp/trace.json"));
    let request = traces(&body).unwrap();
    let name = &request.resource_spans[0].scope_spans[0].spans[0].name;
    let (start, end) = (body.as_ptr() as usize, body.as_ptr() as usize + body.len());
    assert!((start..end).contains(&(name.as_ptr() as usize)));
}

#[test]
fn id_of_wrong_length_rejects_only_its_span() {
    assert_eq!(span(r#""traceId":"0102""#).unwrap().trace_id[..], [1, 2]);
    assert!(span(r#""traceId":"""#).unwrap().trace_id.is_empty());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn traces_are_equal_in_json_and_protobuf(request in telemetry::traces()) {
            let json = print::traces(&request);
            let from_json = traces(&Bytes::from(json.clone())).map_err(|error| TestCaseError::fail(format!("{error} in {json}")))?;
            let from_protobuf = ExportTraceServiceRequest::decode(Bytes::from(request.encode_to_vec()))?;
            prop_assert_eq!(from_json.encode_to_vec(), from_protobuf.encode_to_vec());
            prop_assert_eq!(from_json, request);
        }

        #[test]
        fn metrics_are_equal_in_json_and_protobuf(request in telemetry::metrics()) {
            let json = print::metrics(&request);
            let from_json = metrics(&Bytes::from(json.clone())).map_err(|error| TestCaseError::fail(format!("{error} in {json}")))?;
            let from_protobuf = ExportMetricsServiceRequest::decode(Bytes::from(request.encode_to_vec()))?;
            prop_assert_eq!(from_json.encode_to_vec(), from_protobuf.encode_to_vec());
            prop_assert_eq!(from_json, request);
        }

        #[test]
        fn logs_are_equal_in_json_and_protobuf(request in telemetry::logs()) {
            let json = print::logs(&request);
            let from_json = json::logs(&Bytes::from(json.clone()), &Unlimited).map_err(|error| TestCaseError::fail(format!("{error} in {json}")))?;
            let from_protobuf = ExportLogsServiceRequest::decode(Bytes::from(request.encode_to_vec()))?;
            prop_assert_eq!(from_json.encode_to_vec(), from_protobuf.encode_to_vec());
            prop_assert_eq!(from_json, request);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
            let _ = traces(&Bytes::from(bytes.clone()));
            let mut example = include_bytes!("../data/otlp/metrics.json").to_vec();
            let at = at.index(example.len());
            example.splice(at..at, bytes);
            let _ = metrics(&Bytes::from(example));
        }
    }

    #[test]
    fn request_with_only_default_values_is_kept() {
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource::default()),
                scope_spans: vec![ScopeSpans { spans: vec![Span::default()], ..ScopeSpans::default() }],
                ..ResourceSpans::default()
            }],
        };
        assert_eq!(traces(&Bytes::from(print::traces(&request))), Ok(request));
    }
}
