//! Spans as real clients send them, and the values of their documents: see data/traces/README.md.

use std::io::Write as _;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::ExportTraceServiceRequest;
use sidecarless::model::otlp::json::traces;
use sidecarless::translate::Compat::{self, Adot, Corrected};
use sidecarless::translate::spans::{Options, segments};

use crate::xray::schema::Schema;
use crate::xray::{CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, TestSpan, at, attributes, with_defaults};

/// The files of rows, by kind.
const FILES: [(&str, &str); 1] = [("clients", include_str!("data/traces/clients.json"))];

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} of {row}"))
}

fn span(sent: &Value) -> TestSpan {
    let kind = match text(sent, "kind") {
        "INTERNAL" => INTERNAL,
        "SERVER" => SERVER,
        "CLIENT" => CLIENT,
        "PRODUCER" => PRODUCER,
        "CONSUMER" => CONSUMER,
        kind => panic!("unknown kind {kind}"),
    };
    let name = text(sent, "name");
    let span = if sent["parent"] == true { TestSpan::child(kind, name) } else { TestSpan::root(kind, name) };
    let span = span.with(sent.get("attributes").cloned().unwrap_or_else(|| json!({})));
    let span = if sent["error"] == true { span.failed("") } else { span };
    match &sent["exception"] {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (format!("exception.{key}"), value.clone()));
            span.event("exception", Value::Object(members.collect::<Map<_, _>>()))
        }
        _ => span,
    }
}

/// Returns the request of a row, or the error of the decoder.
fn request(row: &Value) -> Result<ExportTraceServiceRequest, String> {
    let decode = |body: Vec<u8>| traces(&Bytes::from(body), &Unlimited).map_err(|error| error.to_string());
    if let Some(body) = row["body"].as_str() {
        return decode(body.as_bytes().to_vec());
    }
    if let Some(bytes) = row["bytes"].as_str() {
        return decode(base64::engine::general_purpose::STANDARD.decode(bytes).unwrap());
    }
    let mut spans = row["spans"].as_array().unwrap().iter().map(span);
    let mut first = spans.next().unwrap();
    first.resource = attributes(row["resource"].clone());
    let mut request = first.request();
    request.resource_spans[0].scope_spans[0].spans.extend(spans.map(|sent| sent.span));
    Ok(request)
}

/// Returns the value at a path, or a list of the exceptions or frames: see data/traces/README.md.
fn actual(document: &Value, path: &str) -> Value {
    let exceptions = document["cause"]["exceptions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let frames = exceptions.first().and_then(|first| first["stack"].as_array());
    let of_frames = |key: &str| frames.into_iter().flatten().map(|frame| frame[key].clone()).collect();
    let of_exceptions = |key: &str| exceptions.iter().map(|exception| exception[key].clone()).collect();
    let position = |exception: &Value| exceptions.iter().position(|other| other["id"] == exception["cause"]);
    match path {
        "types" => of_exceptions("type"),
        "messages" => of_exceptions("message"),
        "causes" => exceptions.iter().map(|exception| json!(position(exception))).collect(),
        "labels" => of_frames("label"),
        "paths" => of_frames("path"),
        "lines" => of_frames("line"),
        path => at(document, path).clone(),
    }
}

/// Returns the differences between the documents of a row and its values in one mode.
fn differences(row: &Value, compat: Compat, expected: &[Value]) -> Vec<String> {
    let request = match request(row) {
        Ok(request) => request,
        Err(error) => return vec![error],
    };
    let segments = segments(&(&request).into(), &Options { compat, ..Options::default() }, &Unlimited).unwrap();
    let documents: Vec<Value> =
        segments.documents.iter().map(|document| serde_json::from_str(&document.text()).unwrap()).collect();
    if documents.len() != expected.len() {
        return vec![format!("{} documents, expected {}", documents.len(), expected.len())];
    }
    let mut differences = Vec::new();
    for (document, expected) in documents.iter().zip(expected) {
        if compat == Corrected {
            differences.extend(Schema::of_segments().validation_errors(document));
        }
        let document = with_defaults(document.clone());
        for (path, value) in expected.as_object().unwrap() {
            let actual = actual(&document, path);
            if actual != *value {
                differences.push(format!("{path} is {actual}, expected {value}"));
            }
        }
    }
    differences
}

#[test]
fn spans_of_clients_become_the_expected_documents() {
    let mut failures = Vec::new();
    let mut total = 0;
    for (kind, file) in FILES {
        let rows: Vec<Value> = serde_json::from_str(file).unwrap();
        for row in &rows {
            let name = text(row, "name");
            assert!(text(row, "source").starts_with("https://") && !text(row, "rule").is_empty(), "{name}");
            for (compat, member) in [(Corrected, "corrected"), (Adot, "adot")] {
                let Some(expected) = row[member].as_array() else { continue };
                total += 1;
                let differences = differences(row, compat, expected);
                if !differences.is_empty() {
                    failures.push(format!("{kind}: {name} {compat:?}:\n  {}", differences.join("\n  ")));
                }
            }
        }
    }
    let _ = writeln!(std::io::stderr(), "{} of {total} right", total - failures.len());
    assert!(failures.is_empty(), "{} of {total} wrong:\n{}", failures.len(), failures.join("\n"));
}
