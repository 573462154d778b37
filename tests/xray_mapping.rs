//! Holds docs/xray-mapping.md to the code: what it says of an attribute is what becomes of it.

use serde_json::{Value, json};
use sidecarless::model::otlp::InstrumentationScope;
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Options, segments};
use std::io::Write as _;

use crate::xray::{CLIENT, INTERNAL, PRODUCER, SERVER, TestSpan, at};

const PAGE: &str = include_str!("../docs/xray-mapping.md");

/// Rows of the table below a heading, each as its cells without the ticks around them.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let table = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    table.skip(1).map(cells).collect()
}

fn unticked(cell: &str) -> &str {
    cell.trim_matches('`')
}

fn json_of(cell: &str) -> Value {
    match unticked(cell) {
        "" => json!({}),
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether the document has the example where the cell says.
fn holds(document: &Value, place: &str, example: &Value) -> bool {
    if place == "-" {
        return !document.to_string().contains(&plain(example));
    }
    if let Some((path, stated)) = place.split_once(" = ") {
        return *at(document, unticked(path)) == json_of(stated);
    }
    let found = at(document, unticked(place));
    found == example || (found.is_string() && plain(found).contains(&plain(example)))
}

fn check(what: &str, sent: &TestSpan, [best, adot]: [&str; 2], example: &Value) -> Vec<String> {
    let adot = if adot == "same" { best } else { adot };
    let mut wrong = Vec::new();
    for (compat, place) in [(Compat::Corrected, best), (Compat::Adot, adot)] {
        let options = Options { compat, ..Options::default() };
        let segments = segments(&sent.request(), &options);
        let document: Value = serde_json::from_str(&segments.documents[0].text()).unwrap();
        if !holds(&document, place, example) {
            wrong.push(format!("{what} {compat:?}: {example} is not at {place}: {document}"));
        }
    }
    wrong
}

fn member(key: &str, value: &Value) -> Value {
    let mut members = serde_json::Map::new();
    members.insert(unticked(key).to_owned(), value.clone());
    Value::Object(members)
}

#[test]
fn xray_mapping_of_span_attributes_is_as_the_page_says() {
    let (mut wrong, rows) = (Vec::new(), rows("Span attributes"));
    for row in &rows {
        let [key, example, kind, beside, best, adot] = row.as_slice() else { panic!("{row:?}") };
        let example = json_of(example);
        let sent = match kind.as_str() {
            "SERVER" => TestSpan::root(SERVER, "span"),
            "CLIENT" => TestSpan::child(CLIENT, "span"),
            "INTERNAL" => TestSpan::child(INTERNAL, "span"),
            kind => panic!("no kind {kind}"),
        };
        let sent = sent.with(json_of(beside)).with(member(key, &example));
        wrong.extend(check(key, &sent, [best, adot], &example));
    }
    let _ = writeln!(std::io::stderr(), "{} span attributes", rows.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 80);
}

#[test]
fn xray_mapping_of_resource_attributes_is_as_the_page_says() {
    let (mut wrong, rows) = (Vec::new(), rows("Resource attributes"));
    for row in &rows {
        let [key, example, beside, best, adot] = row.as_slice() else { panic!("{row:?}") };
        let example = json_of(example);
        let mut resource = json_of(beside);
        resource.as_object_mut().unwrap().extend(member(key, &example).as_object().unwrap().clone());
        let sent = TestSpan::root(SERVER, "span").on(resource);
        wrong.extend(check(key, &sent, [best, adot], &example));
        let kept = format!("metadata.default/otel.resource.{}", unticked(key));
        wrong.extend(check(key, &sent, [&kept, "same"], &example));
    }
    let _ = writeln!(std::io::stderr(), "{} resource attributes", rows.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 30);
}

/// A span with one field set, and what the field holds.
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
        field => panic!("no field {field}"),
    }
}

#[test]
fn xray_mapping_of_span_fields_is_as_the_page_says() {
    let (mut wrong, rows) = (Vec::new(), rows("Span fields"));
    for row in &rows {
        let [field, best, adot] = row.as_slice() else { panic!("{row:?}") };
        let (sent, example) = with_field(field);
        wrong.extend(check(field, &sent, [best, adot], &json!(example)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 8);
}
