//! The filter processor.

use serde_json::Value;

use super::collector::Translation;
use super::definition::items;
use super::rules::{drop, keep, matching, named};
use super::yaml;

impl Translation<'_> {
    /// Translates a filter of metrics by name.
    pub(super) fn filter_by_name(&mut self, name: &str, settings: &Value, pipeline: &str) {
        let component = format!("processor {name}");
        self.report_unknown_options(&component, settings, &["metrics", "error_mode"]);
        let metrics = &settings["metrics"];
        self.report_unknown_options(&format!("{component}: metrics"), metrics, &["include", "exclude", "metric"]);
        if !metrics.is_object() || !self.is_for_all_metrics(name, pipeline) {
            return;
        }
        let mut rules = Vec::new();
        for (side, rule) in [("include", keep as fn(&str) -> Value), ("exclude", drop)] {
            if metrics[side].is_null() {
                continue;
            }
            let part = format!("{component}: metrics: {side}");
            self.report_unknown_options(&part, &metrics[side], &["match_type", "metric_names"]);
            match names(&metrics[side]) {
                Some(expression) => rules.push(rule(&expression)),
                None => self.report.add_unsupported(
                    part,
                    "only names, and simple expressions for them, are translated: see docs/relabelling.md",
                ),
            }
        }
        for condition in items(metrics, "metric").map(yaml::plain) {
            match condition_names(&condition) {
                Some(expression) => rules.push(drop(&expression)),
                None => self.report.add_unsupported(
                    format!("{component}: metrics: metric: {condition}"),
                    "only name == \"...\" and IsMatch(name, \"...\") are translated: see docs/relabelling.md",
                ),
            }
        }
        self.add_rules(name, rules);
    }
}

/// Returns the expression for `metric_names`.
fn names(side: &Value) -> Option<String> {
    let names: Vec<String> = items(side, "metric_names").map(yaml::plain).collect();
    if names.is_empty() {
        return None;
    }
    match side["match_type"].as_str() {
        Some("strict") => Some(named(&names)),
        Some("regexp") => matching(&names),
        _ => None,
    }
}

/// Returns the expression for a condition of the OpenTelemetry transformation language, such as `name == "a" or name == "b"`.
fn condition_names(condition: &str) -> Option<String> {
    let expressions: Option<Vec<String>> = condition.split(" or ").map(|part| term_names(part.trim())).collect();
    Some(expressions?.join("|"))
}

fn term_names(term: &str) -> Option<String> {
    let quoted = |text: &str| {
        let text = text.trim().strip_prefix('"')?.strip_suffix('"')?;
        (!text.contains('"')).then(|| text.replace(r"\\", r"\"))
    };
    if let Some((field, value)) = term.split_once("==") {
        let is_name = matches!(field.trim(), "name" | "metric.name");
        return Some(named(&[quoted(value).filter(|_| is_name)?]));
    }
    let (field, expression) = term.strip_prefix("IsMatch(")?.strip_suffix(')')?.split_once(',')?;
    let is_name = matches!(field.trim(), "name" | "metric.name");
    matching(&[quoted(expression).filter(|_| is_name)?])
}
