//! The attributes processor.

use serde_json::{Value, json};

use super::collector::Translation;
use super::definition::{items, text};
use super::rules::{constant, prometheus_name, unescaped};
use super::yaml;

impl Translation<'_> {
    /// Translates actions on attributes of data points, which are labels.
    pub(super) fn attributes(&mut self, name: &str, settings: &Value, pipeline: &str) {
        let component = format!("processor {name}");
        self.report_unknown_options(&component, settings, &["actions"]);
        // Conditions select other items than all of them.
        let has_conditions = settings.as_object().is_some_and(|options| options.len() > 1);
        if has_conditions || !self.is_for_all_metrics(name, pipeline) {
            return;
        }
        let mut rules = Vec::new();
        for action in items(settings, "actions") {
            match self.attribute_rules(action) {
                Some(of_action) => rules.extend(of_action),
                None => self.report.add_unsupported(
                    format!("{component}: {} of {}", text(action, "action"), text(action, "key")),
                    "there is no such rule: hashmod puts values into groups (docs/relabelling.md)",
                ),
            }
        }
        self.add_rules(name, rules);
    }

    fn attribute_rules(&self, action: &Value) -> Option<Vec<Value>> {
        let key = prometheus_name(text(action, "key"));
        let kind = text(action, "action");
        match kind {
            "delete" if !action["pattern"].is_null() => {
                let pattern = unescaped(text(action, "pattern")).replace("\\.", "_");
                return Some(vec![json!({"action": "labeldrop", "regex": format!(".*(?:{pattern}).*")})]);
            }
            "delete" => return Some(vec![json!({"action": "labeldrop", "regex": key})]),
            "extract" => return extracted(&key, &unescaped(text(action, "pattern"))),
            _ => {}
        }
        let present = match kind {
            "insert" => "",
            "update" => ".+",
            "upsert" => ".*",
            _ => return None,
        };
        if let Some(from) = action["from_attribute"].as_str() {
            let from = prometheus_name(from);
            let regex = format!("{present};(.+)");
            return Some(vec![json!({"source_labels": [key, from], "regex": regex, "target_label": key})]);
        }
        let value = action.get("value").filter(|value| !value.is_null() && !value.is_object() && !value.is_array())?;
        let value = constant(&unescaped(&self.resolved(&yaml::plain(value))));
        Some(vec![json!({"source_labels": [key], "regex": present, "target_label": key, "replacement": value})])
    }
}

/// Returns a rule for each named group of an expression, which may match a part of the value.
fn extracted(key: &str, pattern: &str) -> Option<Vec<Value>> {
    let names = pattern.split("(?P<").skip(1).map(|rest| rest.split_once('>').map(|(name, _)| name));
    let names: Vec<&str> = names.collect::<Option<_>>()?;
    let rule = |name: &&str| json!({"source_labels": [key], "regex": format!(".*?(?:{pattern}).*"), "target_label": name, "replacement": format!("${{{name}}}")});
    (!names.is_empty()).then(|| names.iter().map(rule).collect())
}
