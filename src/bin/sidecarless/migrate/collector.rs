//! A collector's configuration as settings of the function.

use std::collections::BTreeSet;

use serde_json::Value;

use super::builtin;
use super::components::{ComponentSupport, verdict};
use super::definition::{Sidecar, items};
use super::error::InputError;
use super::report::MigrationReport;
use super::yaml;

/// What the containers need.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    /// Something pushes OTLP.
    pub(super) otlp: bool,
    /// Something sends segments by UDP.
    pub(super) xray: bool,
    pub(super) pages: Vec<PrometheusEndpoint>,
}

/// A Prometheus endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PrometheusEndpoint {
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) job: String,
}

/// What translates with one sidecar.
pub(super) struct Translation<'a> {
    sidecar: &'a Sidecar,
    config: Value,
    pub(super) asks: &'a mut Requirements,
    pub(super) report: &'a mut MigrationReport,
}

/// Reads the configuration that the sidecar runs with.
pub(super) fn translate(
    sidecar: &Sidecar,
    given: Option<&Value>,
    asks: &mut Requirements,
    report: &mut MigrationReport,
) -> Result<(), InputError> {
    let config = match given {
        Some(given) => Some(given.clone()),
        None => found(sidecar, report)?,
    };
    for option in arguments(sidecar).1 {
        report.add_unsupported(
            format!("not known: {}: {option}", sidecar.name),
            "see `sidecarless --help` for a setting like it",
        );
    }
    let Some(config) = config else {
        // Nothing is known of what it takes: that applications push to it is why it is there.
        asks.otlp = true;
        return Ok(());
    };
    Translation { sidecar, config, asks, report }.pipelines();
    Ok(())
}

fn found(sidecar: &Sidecar, report: &mut MigrationReport) -> Result<Option<Value>, InputError> {
    if let Some(content) = sidecar.variable("AOT_CONFIG_CONTENT") {
        return yaml::read(content)
            .map(Some)
            .map_err(|error| InputError::ConfigContent { container: sidecar.name.clone(), error: Box::new(error) });
    }
    if let Some(from) = sidecar.secret("AOT_CONFIG_CONTENT") {
        let what = format!("AOT_CONFIG_CONTENT of {}", sidecar.name);
        report.add_unsupported(what, &format!("it is in {from}, which is not read from here: save it (`aws ssm get-parameter --with-decryption --name ... --query Parameter.Value --output text`) and give the file as the second argument"));
        return Ok(None);
    }
    let (paths, _) = arguments(sidecar);
    let config = if let [path] = *paths { builtin::configuration(path) } else { None };
    if config.is_none() {
        let path = if paths.is_empty() { "its image's default".to_owned() } else { paths.join(" with ") };
        report.add_unsupported(
            format!("configuration of {}: {path}", sidecar.name),
            "not known from here: give the YAML as the second argument",
        );
    }
    Ok(config)
}

/// The configuration files that the sidecar is started with, and its other options.
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
            self.report.add_unsupported("service.pipelines", "the configuration has none, so nothing was translated");
        }
        let mut used = BTreeSet::new();
        for (name, pipeline) in pipelines.into_iter().flatten() {
            if !["traces", "metrics", "logs"].contains(&kind_of(name)) {
                self.report.add_unsupported(format!("pipeline {name}"), "not known: traces, metrics and logs are");
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
        for extension in items(&config["service"], "extensions").map(yaml::plain) {
            self.component("extensions", &extension, "", &Value::Null);
            used.insert(("extensions", extension));
        }
        for kind in ["receivers", "processors", "exporters", "extensions", "connectors"] {
            for name in config[kind].as_object().into_iter().flat_map(serde_json::Map::keys) {
                if !used.contains(&(kind, name.clone())) {
                    self.report.note(format!("{kind} {name}: in no pipeline, left out"));
                }
            }
        }
    }

    fn component(&mut self, kind: &str, name: &str, pipeline: &str, whole: &Value) {
        let what = format!("{} {name}", kind.trim_end_matches('s'));
        match verdict(kind, kind_of(name)) {
            ComponentSupport::Equivalent(by) => self.report.note(format!("{what}: {by}")),
            ComponentSupport::Unsupported(instead) => {
                self.asks.xray |= (kind, kind_of(name)) == ("receivers", "awsxray");
                self.report.add_unsupported(what, instead);
            }
            ComponentSupport::Unknown => self
                .report
                .add_unsupported(format!("not known: {what}"), "see whether an SDK or another service does it"),
            ComponentSupport::Translated => self.translate_component(kind, name, pipeline, whole),
        }
    }

    fn translate_component(&mut self, kind: &str, name: &str, pipeline: &str, whole: &Value) {
        let settings = self.config[kind][name].clone();
        match (kind, kind_of(name)) {
            ("receivers", "otlp") => self.otlp(name, &settings),
            ("receivers", "prometheus") => self.prometheus(name, &settings),
            ("receivers", _) => self.stats(name, &settings, whole),
            ("extensions", _) => self.signing(&format!("extension {name}"), &settings),
            ("processors", _) => self.filter(name, &settings, whole),
            ("exporters", "awsxray") => self.xray(&settings),
            ("exporters", "awscloudwatchlogs") => self.logs(name, &settings, pipeline),
            _ => self.remote_write(name, &settings),
        }
    }

    /// Names what was not looked at.
    pub(super) fn report_unknown_options(&mut self, what: &str, settings: &Value, known: &[&str]) {
        for option in settings.as_object().into_iter().flat_map(serde_json::Map::keys) {
            if !known.contains(&option.as_str()) {
                self.report.add_unsupported(
                    format!("not known: {what}: {option}"),
                    "see `sidecarless --help` for a setting like it",
                );
            }
        }
    }

    /// With references to variables that the sidecar has put in; others stay text.
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

/// The type in a name such as `batch/traces`.
pub(super) fn kind_of(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}
