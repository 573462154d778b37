//! Scrape rules for jobs with relabelling rules of their own. Docker labels have no place for them.

use serde_json::{Value, json};

use super::collector::Requirements;
use super::definition::text;
use super::report::MigrationReport;
use super::rules::unescaped;
use sidecarless::rules::scrape_rule::ScrapeRule;

/// Sets the rules.
pub(super) fn set(definition: &Value, requirements: &Requirements, report: &mut MigrationReport) {
    let family = text(definition, "family");
    let endpoints = requirements.prometheus.iter().filter(|endpoint| endpoint.relabel.is_array());
    let mut rules = Vec::new();
    for endpoint in endpoints {
        let rule = json!({
            "family": family, "port": endpoint.port, "path": endpoint.path, "job": endpoint.job,
            "metric_relabel_configs": endpoint.relabel,
        });
        match ScrapeRule::parse_all(&json!([rule]).to_string()) {
            Ok(_) => rules.push(rule),
            Err(error) => report.add_unsupported(
                format!("job {}: metric_relabel_configs: {error}", endpoint.job),
                "correct the rules and add them to a scrape rule (docs/scraping.md)",
            ),
        }
    }
    if !rules.is_empty() {
        report.note("metric_relabel_configs: they are part of a scrape rule; if other services have scrape rules as well, join the lists");
        report.set("SIDECARLESS_SCRAPE_RULES", Value::from(rules).to_string());
    }
}

/// Returns rules in which `$$` of the collector is a dollar sign. `null` if there are none.
pub(super) fn unescaped_rules(rules: &Value) -> Value {
    match rules {
        Value::String(text) => Value::from(unescaped(text)),
        Value::Array(items) => items.iter().map(unescaped_rules).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), unescaped_rules(value))).collect())
        }
        other => other.clone(),
    }
}
