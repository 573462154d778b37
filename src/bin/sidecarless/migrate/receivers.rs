//! Translates receivers and filters to settings of the function and to targets.

use std::collections::BTreeSet;

use serde_json::Value;

use super::builtin;
use super::collector::{PrometheusEndpoint, Translation, kind_of};
use super::definition::{items, text};
use super::scrape_rules::unescaped_rules;
use super::yaml;
use sidecarless::settings::values;
use sidecarless::translate::stats::METRICS;

/// Default of the receiver.
const COLLECTION_INTERVAL: &str = "20s";

impl Translation<'_> {
    pub(super) fn otlp(&mut self, name: &str, settings: &Value) {
        self.requirements.otlp = true;
        self.report.note(
            "receiver otlp: replaced by the Function URL, over HTTP only; gRPC clients (4317) must change their protocol",
        );
        let component = format!("receiver {name}: protocols");
        self.report_unknown_options(&component, &settings["protocols"], &["grpc", "http"]);
        let http = &settings["protocols"]["http"];
        self.report_unknown_options(&format!("{component}: http"), http, &["endpoint", "cors"]);
        self.cors(&format!("{component}: http: cors"), &http["cors"]);
    }

    /// The origins of browsers. The function has no patterns.
    fn cors(&mut self, component: &str, cors: &Value) {
        self.report_unknown_options(component, cors, &["allowed_origins"]);
        let mut origins = Vec::new();
        for origin in items(cors, "allowed_origins").map(yaml::plain) {
            match values::origin(&self.resolved(&origin)) {
                Ok(origin) => origins.push(origin),
                Err(_) => self.report.add_unsupported(
                    format!("{component}: allowed_origins: {origin}"),
                    "list each origin in SIDECARLESS_CORS_ORIGINS (docs/networking.md)",
                ),
            }
        }
        if !origins.is_empty() {
            self.report.set("SIDECARLESS_CORS_ORIGINS", origins.join(","));
        }
    }

    pub(super) fn stats(&mut self, name: &str, settings: &Value, pipeline: &Value) {
        let interval = settings["collection_interval"].as_str().unwrap_or(COLLECTION_INTERVAL);
        self.report.note(format!(
            "receiver {name}: collected every {interval}; the health check that replaces it sends the stats in its own interval"
        ));
        self.report_unknown_options(&format!("receiver {name}"), settings, &["collection_interval"]);
        self.requirements.stats = true;
        if !items(pipeline, "processors").any(|name| kind_of(name.as_str().unwrap_or_default()) == "filter") {
            self.report.set("SIDECARLESS_STATS_METRICS", "all");
        }
    }

    pub(super) fn filter(&mut self, name: &str, settings: &Value, pipeline_name: &str, pipeline: &Value) {
        let is_stats = items(pipeline, "receivers").all(|name| name == "awsecscontainermetrics");
        let include = &settings["metrics"]["include"];
        let names: Vec<&str> = items(include, "metric_names").filter_map(Value::as_str).collect();
        let is_only = settings.as_object().is_some_and(|all| all.keys().all(|key| key == "metrics"))
            && settings["metrics"].as_object().is_some_and(|all| all.len() == 1);
        if !is_stats || !is_only || names.is_empty() || include["match_type"] != "strict" {
            self.filter_by_name(name, settings, pipeline_name);
        } else if names.iter().collect::<BTreeSet<_>>() == builtin::ADOT_DEFAULT_METRICS.iter().collect() {
            self.report.note(format!("processor {name}: its nine metrics are part of the default metrics"));
        } else {
            self.select_metrics(name, &names);
        }
    }

    /// Selects the metrics that a filter keeps. Collectors ignore unknown names in filters.
    fn select_metrics(&mut self, filter: &str, names: &[&str]) {
        let is_known = |name: &str| METRICS.iter().any(|metric| metric.name == name);
        let (known, unknown): (Vec<&str>, Vec<&str>) = names.iter().copied().partition(|name| is_known(name));
        if known.is_empty() {
            return self.report.add_unsupported(
                format!("processor {filter}"),
                "it keeps only unknown metrics: disable task stats with SIDECARLESS_SOURCES=prometheus",
            );
        }
        for name in unknown {
            self.report.note(format!("processor {filter}: {name} is not a metric of awsecscontainermetrics, ignored"));
        }
        self.report.set("SIDECARLESS_STATS_METRICS", known.join(","));
    }

    pub(super) fn prometheus(&mut self, name: &str, settings: &Value) {
        self.report_unknown_options(&format!("receiver {name}"), settings, &["config"]);
        let config = &settings["config"];
        self.report_unknown_options(&format!("receiver {name}: config"), config, &["global", "scrape_configs"]);
        let times = ["scrape_interval", "scrape_timeout", "evaluation_interval"];
        self.report_unknown_options(&format!("receiver {name}: config: global"), &config["global"], &times);
        for job in items(config, "scrape_configs") {
            let component = format!("receiver {name}: job {}", text(job, "job_name"));
            for each in items(job, "static_configs") {
                self.report_unknown_options(&format!("{component}: static_configs"), each, &["targets"]);
            }
            let targets = items(job, "static_configs").flat_map(|each| items(each, "targets")).map(yaml::plain);
            for target in targets {
                let target = self.resolved(&target);
                let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                let is_own = ["localhost:", "127.0.0.1:", "0.0.0.0:"].iter().any(|host| target.starts_with(host));
                let Some(port) = port.filter(|_| is_own) else {
                    self.report.add_unsupported(
                        format!("{component}: target {target}"),
                        "only endpoints of ECS tasks are scraped: add a docker label to that task (docs/scraping.md)",
                    );
                    continue;
                };
                let path = job["metrics_path"].as_str().unwrap_or("/metrics").to_owned();
                let (job_name, relabel) =
                    (text(job, "job_name").to_owned(), unescaped_rules(&job["metric_relabel_configs"]));
                let endpoint = PrometheusEndpoint { port, path, job: job_name, relabel };
                if !self.requirements.prometheus.contains(&endpoint) {
                    self.requirements.prometheus.push(endpoint);
                }
            }
            let mut known = vec!["job_name", "metrics_path", "static_configs", "scrape_interval", "scrape_timeout"];
            known.push("metric_relabel_configs");
            if job["scheme"].is_null() || job["scheme"] == "http" {
                known.push("scheme");
            }
            self.report_unknown_options(&component, job, &known);
        }
        self.report.note(format!("receiver {name}: scraped every minute or SIDECARLESS_SCRAPE_INTERVAL"));
    }
}
