//! Compares the documents with the documents of the collector's exporter for the same spans.

use std::collections::HashMap;
use std::io::Write as _;

use serde_json::Value;
use sidecarless::model::budget::Unlimited;
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Options, segments};

use crate::xray::recordings::{Recording, recordings};

/// Returns documents that can be compared: ids that are random in the collector are numbered in order of appearance,
/// numbers are doubles, and nulls are omitted.
fn comparable(mut documents: Vec<Value>) -> Vec<Value> {
    let mut random = HashMap::new();
    if documents.len() == 2 {
        number(&mut random, documents[0].get_mut("parent_id"));
        number(&mut random, documents[1].get_mut("id"));
    }
    for document in &mut documents {
        let exceptions = document.get_mut("cause").and_then(|cause| cause.get_mut("exceptions"));
        for exception in exceptions.and_then(Value::as_array_mut).into_iter().flatten() {
            number(&mut random, exception.get_mut("id"));
            number(&mut random, exception.get_mut("cause"));
        }
        normalize(document);
    }
    documents
}

fn number(random: &mut HashMap<String, usize>, id: Option<&mut Value>) {
    if let Some(Value::String(id)) = id {
        let next = random.len();
        *id = format!("#{}", random.entry(id.clone()).or_insert(next));
    }
}

fn normalize(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.as_f64().unwrap().into(),
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(normalize);
        }
        _ => {}
    }
}

fn compare(path: &str, ours: &Value, theirs: &Value, differences: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let side = |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}.{key}"), &side(ours), &side(theirs), differences);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (position, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                compare(&format!("{path}[{position}]"), ours, theirs, differences);
            }
        }
        _ if ours == theirs => {}
        _ => differences.push(format!("{path}: {ours}, but {theirs} in the collector")),
    }
}

fn translated(recording: &Recording, compat: Compat) -> Vec<Value> {
    let segments =
        segments(&(&recording.request).into(), &Options { compat, ..Options::default() }, &Unlimited).unwrap();
    segments.documents.iter().map(|document| serde_json::from_str(&document.text()).unwrap()).collect()
}

#[test]
fn adot_mode_documents_equal_the_collectors() {
    let mut failures = Vec::new();
    let recordings = recordings();
    for recording in &recordings {
        let ours = Value::Array(comparable(translated(recording, Compat::Adot)));
        let theirs = Value::Array(comparable(recording.documents.clone()));
        let mut differences = Vec::new();
        compare("", &ours, &theirs, &mut differences);
        if !differences.is_empty() {
            failures.push(format!("{}:\n  {}", recording.case, differences.join("\n  ")));
        }
    }
    let _ =
        writeln!(std::io::stderr(), "{} of {} recordings equal", recordings.len() - failures.len(), recordings.len());
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn corrected_mode_has_as_many_documents_as_the_collector() {
    for recording in recordings() {
        assert_eq!(translated(&recording, Compat::Corrected).len(), recording.documents.len(), "{}", recording.case);
    }
}

#[test]
fn repeated_request_becomes_the_same_documents() {
    for recording in recordings() {
        let once = segments(&(&recording.request).into(), &Options::default(), &Unlimited).unwrap();
        assert_eq!(
            once.documents,
            segments(&(&recording.request).into(), &Options::default(), &Unlimited).unwrap().documents,
            "{}",
            recording.case
        );
    }
}
