//! Tests that docs/xray-mapping.md matches the code.

use serde_json::{Value, json};
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::InstrumentationScope;
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Options, segments};
use std::io::Write as _;

use crate::xray::{CLIENT, INTERNAL, PRODUCER, SERVER, TestSpan, at};

const PAGE: &str = include_str!("../docs/xray-mapping.md");

/// Returns the cells of the rows in the table below a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let table = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    table.skip(1).map(cells).collect()
}

fn without_backticks(cell: &str) -> &str {
    cell.trim_matches('`')
}

fn parse_json(cell: &str) -> Value {
    match without_backticks(cell) {
        "" => json!({}),
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether the document has the example at the path in a cell. The path is `-` if no field has it.
fn contains(document: &Value, path: &str, example: &Value) -> bool {
    if path == "-" {
        return !document.to_string().contains(&plain(example));
    }
    if let Some((path, value)) = path.split_once(" = ") {
        return *at(document, without_backticks(path)) == parse_json(value);
    }
    let value = at(document, without_backticks(path));
    value == example || (value.is_string() && plain(value).contains(&plain(example)))
}

fn check(row: &str, sent: &TestSpan, [corrected, adot]: [&str; 2], example: &Value) -> Vec<String> {
    let adot = if adot == "same" { corrected } else { adot };
    let mut failures = Vec::new();
    for (compat, path) in [(Compat::Corrected, corrected), (Compat::Adot, adot)] {
        let options = Options { compat, ..Options::default() };
        let segments = segments(&(&sent.request()).into(), &options, &Unlimited).unwrap();
        let document: Value = serde_json::from_str(&segments.documents[0].text()).unwrap();
        if !contains(&document, path, example) {
            failures.push(format!("{row} {compat:?}: {example} is not at {path}: {document}"));
        }
    }
    failures
}

fn member(key: &str, value: &Value) -> Value {
    let mut members = serde_json::Map::new();
    members.insert(without_backticks(key).to_owned(), value.clone());
    Value::Object(members)
}

#[test]
fn span_attribute_table_matches_the_code() {
    let (mut failures, rows) = (Vec::new(), rows("Span attributes"));
    for row in &rows {
        let [key, example, kind, others, corrected, adot] = row.as_slice() else { panic!("{row:?}") };
        let example = parse_json(example);
        let sent = match kind.as_str() {
            "SERVER" => TestSpan::root(SERVER, "span"),
            "CLIENT" => TestSpan::child(CLIENT, "span"),
            "INTERNAL" => TestSpan::child(INTERNAL, "span"),
            kind => panic!("unknown kind {kind}"),
        };
        let sent = sent.with(parse_json(others)).with(member(key, &example));
        failures.extend(check(key, &sent, [corrected, adot], &example));
    }
    let _ = writeln!(std::io::stderr(), "{} span attributes", rows.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(rows.len() > 80);
}

#[test]
fn resource_attribute_table_matches_the_code() {
    let (mut failures, rows) = (Vec::new(), rows("Resource attributes"));
    for row in &rows {
        let [key, example, others, corrected, adot] = row.as_slice() else { panic!("{row:?}") };
        let example = parse_json(example);
        let mut resource = parse_json(others);
        resource.as_object_mut().unwrap().extend(member(key, &example).as_object().unwrap().clone());
        let sent = TestSpan::root(SERVER, "span").on(resource);
        failures.extend(check(key, &sent, [corrected, adot], &example));
        let metadata = format!("metadata.default/otel.resource.{}", without_backticks(key));
        failures.extend(check(key, &sent, [&metadata, "same"], &example));
    }
    let _ = writeln!(std::io::stderr(), "{} resource attributes", rows.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(rows.len() > 30);
}

/// Returns a span with one field set, and the value of the field.
fn with_field(field: &str) -> (TestSpan, &'static str) {
    let mut sent = TestSpan::root(SERVER, "span").on(json!({ "service.name": "shop" }));
    let exception = json!({ "exception.type": "Type1", "exception.message": "message1" });
    match field {
        "name of a SERVER span" => (sent, "span"),
        "status message with an exception event" => (sent.failed("status1").event("exception", exception), "status1"),
        "status message without an exception event" => (sent.failed("status1"), "status1"),
        "event name" => (sent.event("event1", json!({})), "event1"),
        "exception type" => (sent.event("exception", exception), "Type1"),
        "exception message" => (sent.event("exception", exception), "message1"),
        "scope name" => {
            sent.scope = Some(InstrumentationScope { name: "scope1".into(), ..InstrumentationScope::default() });
            (sent, "scope1")
        }
        "trace state" => {
            sent.span.trace_state = "a=state1".into();
            (sent, "a=state1")
        }
        "kind PRODUCER" => {
            sent.span.kind = PRODUCER;
            (sent, "PRODUCER")
        }
        field => panic!("unknown field {field}"),
    }
}

#[test]
fn span_field_table_matches_the_code() {
    let (mut failures, rows) = (Vec::new(), rows("Span fields"));
    for row in &rows {
        let [field, corrected, adot] = row.as_slice() else { panic!("{row:?}") };
        let (sent, example) = with_field(field);
        failures.extend(check(field, &sent, [corrected, adot], &json!(example)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(rows.len() > 8);
}
