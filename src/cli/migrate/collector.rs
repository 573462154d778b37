//! A collector's configuration as settings of the function.

use std::collections::BTreeSet;

use serde_json::Value;

use super::builtin;
use super::components::{Verdict, verdict};
use super::definition::{Sidecar, items, text};
use super::report::Report;
use super::yaml;

/// Options of the remote write exporter that are looked at, and those whose work is the function's own: batches, repeats, connections.
const REMOTE_WRITE: [&str; 14] = [
    "endpoint",
    "namespace",
    "external_labels",
    "target_info",
    "resource_to_telemetry_conversion",
    "auth",
    "aws_auth",
    "timeout",
    "retry_on_failure",
    "sending_queue",
    "remote_write_queue",
    "max_batch_size_bytes",
    "wal",
    "compression",
];

/// What the containers need.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Something pushes OTLP.
    pub(super) otlp: bool,
    /// Something sends segments by UDP.
    pub(super) xray: bool,
    pub(super) pages: Vec<Page>,
}

/// A Prometheus endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) job: String,
}

/// What translates with one sidecar.
struct Translation<'a> {
    sidecar: &'a Sidecar,
    config: Value,
    asks: &'a mut Asks,
    report: &'a mut Report,
}

/// Reads the configuration that the sidecar runs with.
pub(super) fn translate(
    sidecar: &Sidecar,
    given: Option<&Value>,
    asks: &mut Asks,
    report: &mut Report,
) -> Result<(), String> {
    let config = match given {
        Some(given) => Some(given.clone()),
        None => found(sidecar, report)?,
    };
    let Some(config) = config else {
        // Nothing is known of what it takes: that applications push to it is why it is there.
        asks.otlp = true;
        return Ok(());
    };
    Translation { sidecar, config, asks, report }.pipelines();
    Ok(())
}

fn found(sidecar: &Sidecar, report: &mut Report) -> Result<Option<Value>, String> {
    if let Some(content) = sidecar.variable("AOT_CONFIG_CONTENT") {
        return yaml::read(content)
            .map(Some)
            .map_err(|error| format!("AOT_CONFIG_CONTENT of {}: {error}", sidecar.name));
    }
    if let Some(from) = sidecar.secret("AOT_CONFIG_CONTENT") {
        let what = format!("AOT_CONFIG_CONTENT of {}", sidecar.name);
        report.gap(what, &format!("it is in {from}, which is not read from here: save it (`aws ssm get-parameter --with-decryption --name ... --query Parameter.Value --output text`) and give the file as the second argument"));
        return Ok(None);
    }
    let words: Vec<&str> = items(&sidecar.container, "entryPoint")
        .chain(items(&sidecar.container, "command"))
        .filter_map(Value::as_str)
        .collect();
    let path = words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix("--config") {
        Some("") => words.get(index + 1).copied(),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    });
    let config = path.and_then(builtin::configuration);
    if config.is_none() {
        let path = path.unwrap_or("its image's default");
        report.gap(
            format!("configuration of {}: {path}", sidecar.name),
            "not known from here: give the YAML as the second argument",
        );
    }
    Ok(config)
}

impl Translation<'_> {
    fn pipelines(&mut self) {
        let config = self.config.clone();
        let pipelines = config["service"]["pipelines"].as_object();
        if pipelines.is_none_or(serde_json::Map::is_empty) {
            self.report.gap("service.pipelines", "the configuration has none, so nothing was translated");
        }
        let mut used = BTreeSet::new();
        for (name, pipeline) in pipelines.into_iter().flatten() {
            if !["traces", "metrics", "logs"].contains(&kind_of(name)) {
                self.report.gap(format!("pipeline {name}"), "not known: traces, metrics and logs are");
            }
            for kind in ["receivers", "processors", "exporters"] {
                for component in items(pipeline, kind).map(yaml::plain) {
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
            Verdict::Same(by) => self.report.note(format!("{what}: {by}")),
            Verdict::None(instead) => {
                self.asks.xray |= (kind, kind_of(name)) == ("receivers", "awsxray");
                self.report.gap(what, instead);
            }
            Verdict::Unknown => {
                self.report.gap(format!("not known: {what}"), "see whether an SDK or another service does it")
            }
            Verdict::Looked => self.looked(kind, name, pipeline, whole),
        }
    }

    fn looked(&mut self, kind: &str, name: &str, pipeline: &str, whole: &Value) {
        let settings = self.config[kind][name].clone();
        match (kind, kind_of(name)) {
            ("receivers", "otlp") => {
                self.asks.otlp = true;
                self.report.note("receiver otlp: the Function URL, over HTTP only; a client of gRPC (4317) has to change its protocol");
            }
            ("receivers", "prometheus") => self.prometheus(name, &settings),
            ("receivers", _) => self.stats(whole),
            ("processors", _) => self.filter(name, &settings, whole),
            ("exporters", "awsxray") => self.xray(&settings),
            ("exporters", "awscloudwatchlogs") => self.logs(name, &settings, pipeline),
            _ => self.remote_write(name, &settings),
        }
    }

    fn remote_write(&mut self, name: &str, settings: &Value) {
        let endpoint = self.resolved(text(settings, "endpoint"));
        if endpoint.is_empty() || endpoint.contains("${") {
            self.report.gap(
                format!("exporter {name}: endpoint"),
                "its value is not in the task definition: set AWS_PROMETHEUS_ENDPOINT yourself",
            );
        }
        self.report.set("AWS_PROMETHEUS_ENDPOINT", endpoint);
        if let Some(namespace) = settings["namespace"].as_str().filter(|name| !name.is_empty()) {
            let namespace = self.resolved(namespace);
            self.report.set("SIDECARLESS_NAMESPACE", namespace);
        }
        let labels = settings["external_labels"].as_object().into_iter().flatten();
        let labels: Vec<String> =
            labels.map(|(name, value)| format!("{name}={}", self.resolved(&yaml::plain(value)))).collect();
        if !labels.is_empty() {
            self.report.set("SIDECARLESS_EXTERNAL_LABELS", labels.join(","));
        }
        if settings["target_info"]["enabled"] == false {
            self.report.set("SIDECARLESS_TARGET_INFO", "off");
        }
        if settings["resource_to_telemetry_conversion"]["enabled"] != true {
            self.report.set("SIDECARLESS_RESOURCE_LABELS", "off");
        }
        self.rest(&format!("exporter {name}"), settings, &REMOTE_WRITE);
    }

    /// Names what was not looked at.
    fn rest(&mut self, what: &str, settings: &Value, known: &[&str]) {
        for option in settings.as_object().into_iter().flat_map(serde_json::Map::keys) {
            if !known.contains(&option.as_str()) {
                self.report
                    .gap(format!("not known: {what}: {option}"), "see `sidecarless --help` for a setting like it");
            }
        }
    }

    fn xray(&mut self, settings: &Value) {
        if settings["index_all_attributes"] == true {
            self.report.set("SIDECARLESS_XRAY_INDEXED_ATTRIBUTES", "all");
        } else if let Some(list) = joined(&settings["indexed_attributes"]) {
            self.report.set("SIDECARLESS_XRAY_INDEXED_ATTRIBUTES", list);
        }
        if let Some(list) = joined(&settings["aws_log_groups"]) {
            let list = self.resolved(&list);
            self.report.set("SIDECARLESS_XRAY_LOG_GROUPS", list);
        }
        let known = ["index_all_attributes", "indexed_attributes", "aws_log_groups", "telemetry", "num_workers"];
        let known = [&known[..], &["request_timeout_seconds", "max_retries", "middleware"]].concat();
        self.report.note("exporter awsxray: segments go to X-Ray of the function's account and region");
        self.rest("exporter awsxray", settings, &known);
    }

    fn logs(&mut self, name: &str, settings: &Value, pipeline: &str) {
        let group = self.resolved(text(settings, "log_group_name"));
        if kind_of(pipeline) == "logs" && !group.is_empty() {
            self.report.set("SIDECARLESS_LOG_GROUP", group);
            let stream = self.resolved(text(settings, "log_stream_name"));
            self.report.set("SIDECARLESS_LOG_STREAM", stream);
        } else {
            self.report.gap(format!("exporter {name}"), "it needs a log group, and a pipeline of logs");
        }
        self.rest(&format!("exporter {name}"), settings, &["log_group_name", "log_stream_name", "region"]);
    }

    fn stats(&mut self, pipeline: &Value) {
        self.report.note("receiver awsecscontainermetrics: Container Insights of the cluster, or a stats endpoint in the application and the docker label `sidecarless.stats.port` (docs/quickstart.md)");
        if !items(pipeline, "processors").any(|name| kind_of(name.as_str().unwrap_or_default()) == "filter") {
            self.report.set("SIDECARLESS_STATS_METRICS", "all");
        }
    }

    fn filter(&mut self, name: &str, settings: &Value, pipeline: &Value) {
        let is_stats = items(pipeline, "receivers").all(|name| name == "awsecscontainermetrics");
        let include = &settings["metrics"]["include"];
        let names: Vec<&str> = items(include, "metric_names").filter_map(Value::as_str).collect();
        let is_only = settings.as_object().is_some_and(|all| all.keys().all(|key| key == "metrics"))
            && settings["metrics"].as_object().is_some_and(|all| all.len() == 1);
        if !is_stats || !is_only || names.is_empty() || include["match_type"] != "strict" {
            self.report.gap(format!("processor {name}"), "only a strict list of names of awsecscontainermetrics translates: drop series with SIDECARLESS_RELABEL");
        } else if names.iter().collect::<BTreeSet<_>>() == builtin::NINE.iter().collect() {
            self.report.note(format!("processor {name}: its nine metrics are the default, with two more"));
        } else {
            self.report.set("SIDECARLESS_STATS_METRICS", names.join(","));
        }
    }

    fn prometheus(&mut self, name: &str, settings: &Value) {
        for job in items(&settings["config"], "scrape_configs") {
            let what = format!("receiver {name}: job {}", text(job, "job_name"));
            let targets = items(job, "static_configs").flat_map(|each| items(each, "targets")).map(yaml::plain);
            for target in targets {
                let target = self.resolved(&target);
                let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                let is_own = ["localhost:", "127.0.0.1:", "0.0.0.0:"].iter().any(|host| target.starts_with(host));
                let Some(port) = port.filter(|_| is_own) else {
                    self.report.gap(
                        format!("{what}: target {target}"),
                        "only endpoints of ECS tasks are scraped: give that task a docker label (docs/scraping.md)",
                    );
                    continue;
                };
                let path = job["metrics_path"].as_str().unwrap_or("/metrics").to_owned();
                let page = Page { port, path, job: text(job, "job_name").to_owned() };
                if !self.asks.pages.contains(&page) {
                    self.asks.pages.push(page);
                }
            }
            let mut known = vec!["job_name", "metrics_path", "static_configs", "scrape_interval", "scrape_timeout"];
            if job["scheme"].is_null() || job["scheme"] == "http" {
                known.push("scheme");
            }
            self.rest(&what, job, &known);
        }
        self.report.note(format!("receiver {name}: scraped once a minute; SIDECARLESS_SCRAPE_INTERVAL says otherwise"));
    }

    /// With references to variables that the sidecar has put in; others stay text.
    fn resolved(&self, text: &str) -> String {
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
fn kind_of(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

fn joined(list: &Value) -> Option<String> {
    let words: Vec<&str> = list.as_array()?.iter().filter_map(Value::as_str).collect();
    (!words.is_empty()).then(|| words.join(","))
}
