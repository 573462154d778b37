//! Our documents beside those of the collector's own exporter, for the same spans.

use std::collections::HashMap;
use std::io::Write as _;

use serde_json::Value;
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Options, segments};

use crate::xray::recordings::{Recording, recordings};

/// Documents in a form in which those of two runs can be compared: ids that are random in the collector numbered in the
/// order in which they appear, numbers as doubles, nulls left out.
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
        normalise(document);
    }
    documents
}

fn number(random: &mut HashMap<String, usize>, id: Option<&mut Value>) {
    if let Some(Value::String(id)) = id {
        let next = random.len();
        *id = format!("#{}", random.entry(id.clone()).or_insert(next));
    }
}

fn normalise(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.as_f64().unwrap().into(),
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(normalise);
        }
        _ => {}
    }
}

fn difference(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let side = |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or(Value::Null);
                difference(&format!("{path}.{key}"), &side(ours), &side(theirs), found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                difference(&format!("{path}[{at}]"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: ours {ours}, the collector's {theirs}")),
    }
}

fn translated(recording: &Recording, compat: Compat) -> Vec<Value> {
    let segments = segments(&recording.request, &Options { compat, ..Options::default() });
    segments.documents.iter().map(|document| serde_json::from_str(&document.text()).unwrap()).collect()
}

#[test]
fn xray_documents_under_adot_are_the_collectors() {
    let mut failures = Vec::new();
    let recordings = recordings();
    for recording in &recordings {
        let ours = Value::Array(comparable(translated(recording, Compat::Adot)));
        let theirs = Value::Array(comparable(recording.documents.clone()));
        let mut found = Vec::new();
        difference("", &ours, &theirs, &mut found);
        if !found.is_empty() {
            failures.push(format!("{}:\n  {}", recording.case, found.join("\n  ")));
        }
    }
    let _ =
        writeln!(std::io::stderr(), "{} of {} recordings equal", recordings.len() - failures.len(), recordings.len());
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn at_best_every_recorded_span_has_as_many_documents_as_with_the_collector() {
    for recording in recordings() {
        assert_eq!(translated(&recording, Compat::Corrected).len(), recording.documents.len(), "{}", recording.case);
    }
}

#[test]
fn a_request_that_is_sent_again_gives_the_same_documents() {
    for recording in recordings() {
        let once = segments(&recording.request, &Options::default());
        assert_eq!(once.documents, segments(&recording.request, &Options::default()).documents, "{}", recording.case);
    }
}
