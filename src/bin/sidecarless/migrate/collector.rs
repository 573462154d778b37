//! Translates a collector configuration to settings of the function.

use std::collections::BTreeSet;

use serde_json::Value;

use super::builtin;
use super::components::{ComponentSupport, support};
use super::definition::{Sidecar, items};
use super::error::InputError;
use super::report::MigrationReport;
use super::yaml;

/// Changes that the remaining containers need.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    /// Whether containers send OTLP.
    pub(super) otlp: bool,
    /// Whether the sidecar collects container stats.
    pub(super) stats: bool,
    /// Whether containers send segments by UDP.
    pub(super) xray: bool,
    pub(super) prometheus: Vec<PrometheusEndpoint>,
}

/// A Prometheus endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PrometheusEndpoint {
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) job: String,
    /// Its `metric_relabel_configs`.
    pub(super) relabel: Value,
}

/// Translation of one sidecar.
pub(super) struct Translation<'a> {
    sidecar: &'a Sidecar,
    pub(super) config: Value,
    /// Relabelling rules of each processor.
    pub(super) rules: Vec<(String, Vec<Value>)>,
    pub(super) requirements: &'a mut Requirements,
    pub(super) report: &'a mut MigrationReport,
}

/// Translates the configuration of a sidecar. `given` is the configuration from the second file.
pub(super) fn translate(
    sidecar: &Sidecar,
    given: Option<&Value>,
    requirements: &mut Requirements,
    report: &mut MigrationReport,
) -> Result<(), InputError> {
    let config = match given {
        Some(given) => Some(given.clone()),
        None => configuration(sidecar, report)?,
    };
    for option in arguments(sidecar).1 {
        report.add_unsupported(
            format!("unknown: {}: {option}", sidecar.name),
            "see `sidecarless --help` for a similar setting",
        );
    }
    let Some(config) = config else {
        // The receivers are unknown. Most collectors receive OTLP.
        requirements.otlp = true;
        return Ok(());
    };
    Translation { sidecar, config, rules: Vec::new(), requirements, report }.pipelines();
    Ok(())
}

fn configuration(sidecar: &Sidecar, report: &mut MigrationReport) -> Result<Option<Value>, InputError> {
    if let Some(content) = sidecar.variable("AOT_CONFIG_CONTENT") {
        return yaml::read(content)
            .map(Some)
            .map_err(|error| InputError::ConfigContent { container: sidecar.name.clone(), error: Box::new(error) });
    }
    if let Some(from) = sidecar.secret("AOT_CONFIG_CONTENT") {
        let name = format!("AOT_CONFIG_CONTENT of {}", sidecar.name);
        report.add_unsupported(name, &format!("it is stored in {from}, which is not read: save it to a file (`aws ssm get-parameter --with-decryption --name ... --query Parameter.Value --output text`) and pass the file as the second argument"));
        return Ok(None);
    }
    let (paths, _) = arguments(sidecar);
    let config = if let [path] = *paths { builtin::configuration(path) } else { None };
    if config.is_none() {
        let path = if paths.is_empty() { "default of its image".to_owned() } else { paths.join(" with ") };
        report.add_unsupported(
            format!("configuration of {}: {path}", sidecar.name),
            "its content is unknown: pass the YAML file as the second argument",
        );
    }
    Ok(config)
}

/// Returns the configuration files in the command of the sidecar, and its other options.
fn arguments(sidecar: &Sidecar) -> (Vec<&str>, Vec<&str>) {
    let words = items(&sidecar.container, "entryPoint").chain(items(&sidecar.container, "command"));
    let mut words = words.filter_map(Value::as_str);
    let (mut paths, mut others) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        match word.strip_prefix("--config") {
            Some("") => paths.extend(words.next()),
            Some(rest) if rest.starts_with('=') => paths.extend(rest.strip_prefix('=')),
            _ if word.starts_with("--") => others.push(word),
            _ => {}
        }
    }
    (paths, others)
}

impl Translation<'_> {
    fn pipelines(&mut self) {
        let config = self.config.clone();
        let pipelines = config["service"]["pipelines"].as_object();
        if pipelines.is_none_or(serde_json::Map::is_empty) {
            self.report.add_unsupported("service.pipelines", "the configuration has no pipelines");
        }
        let mut used = BTreeSet::new();
        for (name, pipeline) in pipelines.into_iter().flatten() {
            if !["traces", "metrics", "logs"].contains(&kind_of(name)) {
                self.report.add_unsupported(
                    format!("pipeline {name}"),
                    "unknown: only traces, metrics and logs are supported",
                );
            }
            for kind in ["receivers", "processors", "exporters"] {
                for component in items(pipeline, kind).map(yaml::plain) {
                    // A connector is the exporter of one pipeline and the receiver of another.
                    let is_connector = kind != "processors" && config["connectors"].get(&component).is_some();
                    let kind = if is_connector { "connectors" } else { kind };
                    self.component(kind, &component, name, pipeline);
                    used.insert((kind, component));
                }
            }
        }
        self.set_rules();
        for extension in items(&config["service"], "extensions").map(yaml::plain) {
            self.component("extensions", &extension, "", &Value::Null);
            used.insert(("extensions", extension));
        }
        for kind in ["receivers", "processors", "exporters", "extensions", "connectors"] {
            for name in config[kind].as_object().into_iter().flat_map(serde_json::Map::keys) {
                if !used.contains(&(kind, name.clone())) {
                    self.report.note(format!("{kind} {name}: not used by a pipeline, ignored"));
                }
            }
        }
    }

    fn component(&mut self, kind: &str, name: &str, pipeline: &str, pipeline_config: &Value) {
        let component = format!("{} {name}", kind.trim_end_matches('s'));
        match support(kind, kind_of(name)) {
            ComponentSupport::Equivalent(by) => self.report.note(format!("{component}: {by}")),
            ComponentSupport::Unsupported(fix) => {
                self.requirements.xray |= (kind, kind_of(name)) == ("receivers", "awsxray");
                self.report.add_unsupported(component, fix);
            }
            ComponentSupport::Unknown => self.report.add_unsupported(
                format!("unknown: {component}"),
                "check whether an SDK or another service provides it",
            ),
            ComponentSupport::Translated => self.translate_component(kind, name, pipeline, pipeline_config),
        }
    }

    fn translate_component(&mut self, kind: &str, name: &str, pipeline: &str, pipeline_config: &Value) {
        let settings = self.config[kind][name].clone();
        match (kind, kind_of(name)) {
            ("receivers", "otlp") => self.otlp(name, &settings),
            ("receivers", "prometheus") => self.prometheus(name, &settings),
            ("receivers", _) => self.stats(name, &settings, pipeline_config),
            ("extensions", _) => self.signing(&format!("extension {name}"), &settings),
            ("processors", "attributes") => self.attributes(name, &settings, pipeline),
            ("processors", "metricstransform") => self.metrics_transform(name, &settings, pipeline),
            ("processors", _) => self.filter(name, &settings, pipeline, pipeline_config),
            ("exporters", "awsxray") => self.xray(&settings),
            ("exporters", "awscloudwatchlogs") => self.logs(name, &settings, pipeline),
            _ => self.remote_write(name, &settings),
        }
    }

    /// Reports options that are not translated.
    pub(super) fn report_unknown_options(&mut self, component: &str, settings: &Value, known: &[&str]) {
        for option in settings.as_object().into_iter().flat_map(serde_json::Map::keys) {
            if !known.contains(&option.as_str()) {
                self.report.add_unsupported(
                    format!("unknown: {component}: {option}"),
                    "see `sidecarless --help` for a similar setting",
                );
            }
        }
    }

    /// Replaces references to environment variables of the sidecar. Other references stay text.
    pub(super) fn resolved(&self, text: &str) -> String {
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, from)) = rest.split_once("${") {
            done.push_str(before);
            let Some((reference, after)) = from.split_once('}') else {
                return done + "${" + from;
            };
            match self.sidecar.variable(reference.trim_start_matches("env:")) {
                Some(value) => done.push_str(value),
                None => done.push_str(&format!("${{{reference}}}")),
            }
            rest = after;
        }
        done + rest
    }
}

/// Returns the type in a name such as `batch/traces`.
pub(super) fn kind_of(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}
