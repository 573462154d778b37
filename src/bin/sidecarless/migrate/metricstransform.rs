//! The metricstransform processor.

use serde_json::{Value, json};

use super::collector::Translation;
use super::definition::{items, text};
use super::rules::{constant, matching, named, prometheus_name};
use super::yaml;

/// Operations on labels with a rule.
const OPERATIONS: &str =
    "only add_label, update_label and delete_label_value are translated: compute values with recording rules";

impl Translation<'_> {
    /// Translates new names and operations on labels.
    pub(super) fn metrics_transform(&mut self, name: &str, settings: &Value, pipeline: &str) {
        let component = format!("processor {name}");
        self.report_unknown_options(&component, settings, &["transforms"]);
        if !self.is_for_all_metrics(name, pipeline) {
            return;
        }
        let mut rules = Vec::new();
        for transform in items(settings, "transforms") {
            let part = format!("{component}: {}", text(transform, "include"));
            self.report_unknown_options(
                &part,
                transform,
                &["include", "match_type", "action", "new_name", "operations"],
            );
            let Some(metric) = included(transform).filter(|_| text(transform, "action") == "update") else {
                self.report.add_unsupported(part, "only the action update of metrics by name is translated");
                continue;
            };
            for operation in items(transform, "operations") {
                match operation_rules(&metric, operation) {
                    Some(of_operation) => rules.extend(of_operation),
                    None => self.report.add_unsupported(format!("{part}: {}", text(operation, "action")), OPERATIONS),
                }
            }
            let new_name = text(transform, "new_name");
            if !new_name.is_empty() && text(transform, "match_type") == "regexp" {
                self.report
                    .add_unsupported(format!("{part}: new_name"), "new names of several metrics are not translated");
            } else if !new_name.is_empty() {
                let old = prometheus_name(text(transform, "include"));
                let regex = format!("{old}({})", metric.strip_prefix(&format!("(?:{old})")).unwrap_or_default());
                let replacement = format!("{}${{1}}", prometheus_name(new_name));
                rules.push(json!({"source_labels": ["__name__"], "regex": regex, "target_label": "__name__", "replacement": replacement}));
            }
        }
        self.add_rules(name, rules);
    }
}

/// Returns the expression for the series of the metrics of a transform.
fn included(transform: &Value) -> Option<String> {
    let include = transform["include"].as_str()?.to_owned();
    match transform["match_type"].as_str() {
        None | Some("" | "strict") => Some(named(&[include])),
        Some("regexp") => matching(&[include]).map(|expression| format!("(?:{expression})")),
        _ => None,
    }
}

fn operation_rules(metric: &str, operation: &Value) -> Option<Vec<Value>> {
    let label = prometheus_name(text(operation, "label"));
    let both = json!(["__name__", label]);
    let with_value = |value: &Value| format!("{metric};{}", quoted(&yaml::plain(value)));
    match text(operation, "action") {
        "add_label" => {
            let (label, value) =
                (prometheus_name(text(operation, "new_label")), constant(text(operation, "new_value")));
            Some(vec![
                json!({"source_labels": ["__name__"], "regex": metric, "target_label": label, "replacement": value}),
            ])
        }
        "delete_label_value" => {
            let regex = with_value(&operation["label_value"]);
            Some(vec![json!({"action": "drop", "source_labels": both, "regex": regex})])
        }
        "update_label" => {
            let change = |change: &Value| {
                let (regex, value) = (with_value(&change["value"]), constant(&yaml::plain(&change["new_value"])));
                json!({"source_labels": both, "regex": regex, "target_label": label, "replacement": value})
            };
            let mut rules: Vec<Value> = items(operation, "value_actions").map(change).collect();
            if let Some(new_label) = operation["new_label"].as_str().map(prometheus_name) {
                let regex = format!("{metric};(.+)");
                rules.push(json!({"source_labels": both, "regex": regex, "target_label": new_label}));
                rules.push(
                    json!({"source_labels": ["__name__"], "regex": metric, "target_label": label, "replacement": ""}),
                );
            }
            Some(rules)
        }
        _ => None,
    }
}

/// Returns the expression for a text.
fn quoted(text: &str) -> String {
    text.chars().flat_map(|char| char.is_ascii_punctuation().then_some('\\').into_iter().chain([char])).collect()
}
