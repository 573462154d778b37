//! Relabelling rules in place of processors of metrics.

use serde_json::{Value, json};

use super::collector::{Translation, kind_of};
use super::definition::items;
use super::yaml;
use sidecarless::rules::relabel::RelabelConfigs;

pub(super) const SETTING: &str = "SIDECARLESS_WRITE_RELABEL_CONFIGS";

/// What the translation of OTLP names to Prometheus appends: a unit, `_total`, and the series of a histogram or summary.
const ENDINGS: &str = "(?:_(?:days|hours|minutes|seconds|milliseconds|microseconds|nanoseconds|bytes|kibibytes|mebibytes|gibibytes|kilobytes|megabytes|gigabytes|meters|volts|amperes|joules|watts|grams|celsius|hertz|percent|ratio))?(?:_per_(?:second|minute|hour))?(?:_total)?(?:_bucket|_count|_sum)?";

/// Series of the function itself, which no pipeline of the collector has.
const OWN: &str = "up|scrape_.*|target_info|sidecarless_.*|ecs_.*|container_.*";

impl Translation<'_> {
    /// Returns whether a processor is in all pipelines of metrics, as rules are. Reports a processor that is not.
    pub(super) fn is_for_all_metrics(&mut self, name: &str, pipeline: &str) -> bool {
        let pipelines = self.config["service"]["pipelines"].as_object();
        let metrics = pipelines.into_iter().flatten().filter(|(other, _)| kind_of(other) == "metrics");
        let has = |pipeline: &Value| items(pipeline, "processors").any(|other| yaml::plain(other) == name);
        let reason = if kind_of(pipeline) != "metrics" {
            "it changes spans or logs: do this in the SDK"
        } else if !metrics.map(|(_, pipeline)| pipeline).all(has) {
            "it belongs to some pipelines of metrics only, and rules apply to all series"
        } else {
            return true;
        };
        self.report.add_unsupported(format!("processor {name}"), reason);
        false
    }

    /// Adds the rules of a processor. A processor of several pipelines has them once.
    pub(super) fn add_rules(&mut self, name: &str, rules: Vec<Value>) {
        if rules.is_empty() || self.rules.iter().any(|(other, _)| other == name) {
            return;
        }
        self.report.note(format!(
            "processor {name}: replaced by relabelling rules; check the names of metrics and labels in them"
        ));
        self.rules.push((name.to_owned(), rules));
    }

    /// Writes the setting. Collectors accept expressions that rules do not.
    pub(super) fn set_rules(&mut self) {
        let mut all = Vec::new();
        for (name, rules) in std::mem::take(&mut self.rules) {
            match RelabelConfigs::parse(&Value::from(rules.clone()).to_string()) {
                Ok(_) => all.extend(rules),
                Err(error) => self.report.add_unsupported(
                    format!("processor {name}: {error}"),
                    "write the rules by hand (docs/relabelling.md)",
                ),
            }
        }
        if !all.is_empty() {
            self.report.set(SETTING, Value::from(all).to_string());
        }
    }
}

/// Returns a name as Prometheus has it.
pub(super) fn prometheus_name(name: &str) -> String {
    name.chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '_' || char == ':' { char } else { '_' })
        .collect()
}

/// Returns the expression for the series of OTLP metrics with one of these names.
pub(super) fn named(names: &[String]) -> String {
    format!("(?:{}){ENDINGS}", names.iter().map(|name| prometheus_name(name)).collect::<Vec<_>>().join("|"))
}

/// Returns the expression for series of metrics whose name contains a match of one of these expressions. `None` if one of them
/// cannot be converted.
pub(super) fn matching(expressions: &[String]) -> Option<String> {
    let converted: Option<Vec<String>> = expressions.iter().map(|expression| converted(expression)).collect();
    Some(converted?.join("|"))
}

/// Converts an expression for names with dots, which may match a part of the name.
fn converted(expression: &str) -> Option<String> {
    let expression = unescaped(expression).replace("\\.", "_");
    let (is_start, rest) = expression.strip_prefix('^').map_or((false, expression.as_str()), |rest| (true, rest));
    let (is_end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    let has_alternatives = rest.contains('|') && !(rest.starts_with('(') && rest.ends_with(')'));
    if rest.contains(['^', '$', '\\', '/', '-']) || has_alternatives && (is_start || is_end) {
        return None;
    }
    Some(format!("{}(?:{rest}){}", if is_start { "" } else { ".*" }, if is_end { ENDINGS } else { ".*" }))
}

/// Returns text of a collector configuration, in which `$$` is a dollar sign.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}

/// Returns a text as a replacement without references.
pub(super) fn constant(text: &str) -> String {
    text.replace('$', "$$")
}

pub(super) fn drop(expression: &str) -> Value {
    json!({"action": "drop", "source_labels": ["__name__"], "regex": expression})
}

pub(super) fn keep(expression: &str) -> Value {
    json!({"action": "keep", "source_labels": ["__name__"], "regex": format!("{OWN}|{expression}")})
}
