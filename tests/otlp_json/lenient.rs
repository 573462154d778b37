//! Tests of what the JSON decoder accepts beyond the specification: strings that are not Unicode, and fields of OTLP 0.x.

use bytes::Bytes;
use proptest::prelude::*;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::any_value::Value;
use sidecarless::model::otlp::json;
use sidecarless::model::otlp::{Metric, NumberDataPoint, metric, number_data_point};

use super::{metrics, text, traces};

fn service_name(request: Bytes) -> String {
    let request = traces(&request).unwrap();
    let Some(resource) = &request.resource_spans[0].resource else { panic!("a resource") };
    let Some(Value::String(name)) = resource.attributes[0].value.as_ref().and_then(|any| any.value.as_ref()) else {
        panic!("a string")
    };
    String::from_utf8(name.to_vec()).unwrap()
}

fn with_service_name(name: &[u8]) -> Bytes {
    let (before, after) = (
        br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":""#,
        br#""}}]}}]}"#,
    );
    [&before[..], name, &after[..]].concat().into()
}

proptest! {
    #[test]
    fn escapes_of_any_utf16_units_are_decoded(units in prop::collection::vec(
        prop_oneof![any::<u16>(), 0xd7fe_u16..0xe002, Just(0xd83d_u16), Just(0xde00)], 0..20)
    ) {
        let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        prop_assert_eq!(service_name(with_service_name(escaped.as_bytes())), String::from_utf16_lossy(&units));
    }

    #[test]
    fn any_bytes_are_decoded(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte >= 0x20 && !b"\"\\".contains(byte)).collect();
        prop_assert_eq!(service_name(with_service_name(&bytes)), String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn strings_of_all_signals_may_have_unpaired_surrogates() {
    let body = Bytes::from_static(
        br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a\ud83d","unit":"\ude00"}]}]}]}"#,
    );
    let Metric { name, unit, .. } = &metrics(&body).unwrap().resource_metrics[0].scope_metrics[0].metrics[0];
    assert_eq!((name, unit), (&text("a\u{fffd}"), &text("\u{fffd}")));
    let body = Bytes::from_static(
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a\ud83d"},"severityText":"\ude00"}]}]}]}"#,
    );
    let record = json::logs(&body, &Unlimited).unwrap().resource_logs[0].scope_logs[0].log_records[0].clone();
    assert_eq!(record.severity_text, text("\u{fffd}"));
    assert_eq!(record.body.and_then(|body| body.value), Some(Value::String(text("a\u{fffd}"))));
}

#[test]
fn renamed_fields_of_old_logs_are_read() {
    let body = Bytes::from_static(
        br#"{"resourceLogs":[{"instrumentationLibraryLogs":[{"instrumentationLibrary":{"name":"lib"},"logs":[{"name":"event"}]}]}]}"#,
    );
    let logs = &json::logs(&body, &Unlimited).unwrap().resource_logs[0].scope_logs[0];
    assert_eq!(logs.scope.as_ref().map(|scope| scope.name.clone()), Some(text("lib")));
    assert_eq!(logs.log_records[0].event_name, text("event"));
}

/// Decodes a metric with this field.
fn old_metric(field: &str) -> metric::Data {
    let body = format!(
        r#"{{"resourceMetrics":[{{"instrumentationLibraryMetrics":[{{"metrics":[{{"name":"m",{field}}}]}}]}}]}}"#
    );
    metrics(&Bytes::from(body)).unwrap().resource_metrics[0].scope_metrics[0].metrics[0].data.clone().unwrap()
}

#[test]
fn renamed_fields_of_old_metrics_are_read() {
    let points = r#"{"dataPoints":[{"timeUnixNano":"1","labels":[{"key":"k","value":"v"}],"value":VALUE}]}"#;
    for (field, value, expected) in [
        ("intSum", r#""7""#, number_data_point::Value::Int(7)),
        ("intGauge", "-7", number_data_point::Value::Int(-7)),
        ("doubleSum", "7.5", number_data_point::Value::Double(7.5)),
        ("doubleGauge", r#""NaN""#, number_data_point::Value::Double(f64::NAN)),
    ] {
        let data = old_metric(&format!("\"{field}\":{}", points.replace("VALUE", value)));
        let points: Vec<NumberDataPoint> = match data {
            metric::Data::Sum(sum) if field.ends_with("Sum") => sum.data_points,
            metric::Data::Gauge(gauge) if field.ends_with("Gauge") => gauge.data_points,
            other => panic!("{field}: {other:?}"),
        };
        assert_eq!(format!("{:?}", points[0].value), format!("{:?}", Some(expected)), "{field}");
        assert_eq!(points[0].attributes[0].key, text("k"), "{field}");
    }
    for (field, kind) in [("doubleHistogram", "Histogram"), ("intHistogram", "Histogram"), ("doubleSummary", "Summary")]
    {
        let data = old_metric(&format!(r#""{field}":{{"dataPoints":[{{"count":"3","sum":6}}]}}"#));
        assert!(format!("{data:?}").starts_with(kind), "{field}: {data:?}");
    }
}

#[test]
fn field_of_another_signal_is_an_error() {
    let error = |result: Result<(), json::JsonDecodeError>| result.unwrap_err().to_string();
    let spans = Bytes::from_static(br#"{"resourceSpans":[{}]}"#);
    let logs = Bytes::from_static(br#"{"resource_logs":[{}]}"#);
    let expected = |name: &str, signal: &str, column| {
        format!("{name}: {signal} in a request for another signal: send them to /v1/{signal} (line 1, column {column})")
    };
    assert_eq!(error(metrics(&spans).map(drop)), expected("resourceSpans", "traces", 18));
    assert_eq!(error(json::logs(&spans, &Unlimited).map(drop)), expected("resourceSpans", "traces", 18));
    assert_eq!(error(traces(&logs).map(drop)), expected("resource_logs", "logs", 18));
}

#[test]
fn empty_field_of_another_signal_is_ignored() {
    for empty in ["[]", "null"] {
        let body = |own: &str, [first, second]: [&str; 2]| {
            Bytes::from(format!(r#"{{"{first}":{empty},"{own}":[{{}}],"{second}":{empty}}}"#))
        };
        let (spans, points, records) = ("resourceSpans", "resourceMetrics", "resourceLogs");
        assert_eq!(traces(&body(spans, [points, records])).unwrap().resource_spans.len(), 1);
        assert_eq!(metrics(&body(points, [spans, records])).unwrap().resource_metrics.len(), 1);
        assert_eq!(json::logs(&body(records, [spans, points]), &Unlimited).unwrap().resource_logs.len(), 1);
    }
}

#[test]
fn list_of_old_and_new_name_is_read_once() {
    let read = |signal: &str, resource: &str| {
        let body = Bytes::from(format!(r#"{{"resource{signal}":[{{{resource}}}]}}"#));
        match signal {
            "Spans" => format!("{:?}", traces(&body).unwrap()),
            "Metrics" => format!("{:?}", metrics(&body).unwrap()),
            _ => format!("{:?}", json::logs(&body, &Unlimited).unwrap()),
        }
    };
    for (signal, items) in [("Spans", "spans"), ("Metrics", "metrics"), ("Logs", "logRecords")] {
        let list = |name: &str, text: &str| format!(r#""{name}{signal}":[{{"{items}":[{{"name":"{text}"}}]}}]"#);
        let (old, new) = (list("instrumentationLibrary", "old"), list("scope", "new"));
        let (only_new, only_old) = (read(signal, &new), read(signal, &old));
        for both in [format!("{old},{new}"), format!("{new},{old}")] {
            assert_eq!(read(signal, &both), only_new);
        }
        for empty in ["[]", "null"] {
            let empty = format!(r#""scope{signal}":{empty}"#);
            assert_eq!(read(signal, &format!("{old},{empty}")), only_old);
            assert_eq!(read(signal, &format!("{empty},{old}")), only_old);
        }
    }
    let records = |fields: &str| read("Logs", &format!(r#""scopeLogs":[{{{fields}}}]"#));
    let (old, new) = (r#""logs":[{"name":"a"}]"#, r#""logRecords":[{"name":"b"}]"#);
    assert_eq!(records(&format!("{old},{new}")), records(new));
    assert_eq!(records(&format!("{new},{old}")), records(new));
}

#[test]
fn list_at_the_wrong_level_is_an_error() {
    let error = |signal: &str, body: String| {
        let body = Bytes::from(body);
        match signal {
            "Spans" => traces(&body).map(drop),
            "Metrics" => metrics(&body).map(drop),
            _ => json::logs(&body, &Unlimited).map(drop),
        }
    };
    for (signal, items) in [("Spans", "spans"), ("Metrics", "metrics"), ("Logs", "logRecords"), ("Logs", "logs")] {
        let (scopes, old) = (format!("scope{signal}"), format!("instrumentationLibrary{signal}"));
        for (name, place) in [
            (items, format!("resource{signal}[].scope{signal}[]")),
            (&scopes, format!("resource{signal}[]")),
            (&old, format!("resource{signal}[]")),
        ] {
            let told = error(signal, format!(r#"{{"{name}":[{{}}]}}"#)).unwrap_err().to_string();
            let expected = format!("{name}: a list at the wrong level: put it into {place} (");
            assert!(told.starts_with(&expected), "{told}");
            assert_eq!(error(signal, format!(r#"{{"{name}":[]}}"#)), Ok(()));
        }
        let told = error(signal, format!(r#"{{"resource{signal}":[{{"{items}":[{{}}]}}]}}"#)).unwrap_err().to_string();
        let expected = format!("resource{signal}[0].{items}: a list at the wrong level: put it into scope{signal}[] (");
        assert!(told.starts_with(&expected), "{told}");
    }
}
