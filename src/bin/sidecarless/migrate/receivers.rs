//! Receivers of a collector, and what filters them, as settings of the function and targets of its scrapes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::builtin;
use super::collector::{PrometheusEndpoint, Translation, kind_of};
use super::definition::{items, text};
use super::yaml;
use sidecarless::translate::stats::METRICS;

/// The receiver's own default.
const COLLECTION_INTERVAL: &str = "20s";

impl Translation<'_> {
    pub(super) fn otlp(&mut self, name: &str, settings: &Value) {
        self.asks.otlp = true;
        self.report.note(
            "receiver otlp: the Function URL, over HTTP only; a client of gRPC (4317) has to change its protocol",
        );
        let what = format!("receiver {name}: protocols");
        self.report_unknown_options(&what, &settings["protocols"], &["grpc", "http"]);
        self.report_unknown_options(&format!("{what}: http"), &settings["protocols"]["http"], &["endpoint"]);
    }

    pub(super) fn stats(&mut self, name: &str, settings: &Value, pipeline: &Value) {
        let interval = settings["collection_interval"].as_str().unwrap_or(COLLECTION_INTERVAL);
        self.report.note(format!(
            "receiver {name}: read every {interval}; here once a minute, and SIDECARLESS_SCRAPE_INTERVAL says otherwise"
        ));
        self.report_unknown_options(&format!("receiver {name}"), settings, &["collection_interval"]);
        self.report.note("receiver awsecscontainermetrics: Container Insights of the cluster, or a stats endpoint in the application and the docker label `sidecarless.stats.port` (docs/quickstart.md)");
        if !items(pipeline, "processors").any(|name| kind_of(name.as_str().unwrap_or_default()) == "filter") {
            self.report.set("SIDECARLESS_STATS_METRICS", "all");
        }
    }

    pub(super) fn filter(&mut self, name: &str, settings: &Value, pipeline: &Value) {
        let is_stats = items(pipeline, "receivers").all(|name| name == "awsecscontainermetrics");
        let include = &settings["metrics"]["include"];
        let names: Vec<&str> = items(include, "metric_names").filter_map(Value::as_str).collect();
        let is_only = settings.as_object().is_some_and(|all| all.keys().all(|key| key == "metrics"))
            && settings["metrics"].as_object().is_some_and(|all| all.len() == 1);
        if !is_stats || !is_only || names.is_empty() || include["match_type"] != "strict" {
            self.report.add_unsupported(format!("processor {name}"), "only a strict list of names of awsecscontainermetrics translates: drop series with SIDECARLESS_RELABEL");
        } else if names.iter().collect::<BTreeSet<_>>() == builtin::ADOT_DEFAULT_METRICS.iter().collect() {
            self.report.note(format!("processor {name}: its nine metrics are the default, with two more"));
        } else {
            self.chosen(name, &names);
        }
    }

    /// Metrics that a filter keeps. The receiver makes none of another name, and a collector does not mind.
    fn chosen(&mut self, filter: &str, names: &[&str]) {
        let is_known = |name: &str| METRICS.iter().any(|metric| metric.name == name);
        let (known, unknown): (Vec<&str>, Vec<&str>) = names.iter().copied().partition(|name| is_known(name));
        if known.is_empty() {
            return self.report.add_unsupported(
                format!("processor {filter}"),
                "it keeps no metric that there is: leave the statistics out with SIDECARLESS_SOURCES=off",
            );
        }
        for name in unknown {
            self.report.note(format!("processor {filter}: {name} is no metric of awsecscontainermetrics, left out"));
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
            let what = format!("receiver {name}: job {}", text(job, "job_name"));
            for each in items(job, "static_configs") {
                self.report_unknown_options(&format!("{what}: static_configs"), each, &["targets"]);
            }
            let targets = items(job, "static_configs").flat_map(|each| items(each, "targets")).map(yaml::plain);
            for target in targets {
                let target = self.resolved(&target);
                let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                let is_own = ["localhost:", "127.0.0.1:", "0.0.0.0:"].iter().any(|host| target.starts_with(host));
                let Some(port) = port.filter(|_| is_own) else {
                    self.report.add_unsupported(
                        format!("{what}: target {target}"),
                        "only endpoints of ECS tasks are scraped: give that task a docker label (docs/scraping.md)",
                    );
                    continue;
                };
                let path = job["metrics_path"].as_str().unwrap_or("/metrics").to_owned();
                let page = PrometheusEndpoint { port, path, job: text(job, "job_name").to_owned() };
                if !self.asks.pages.contains(&page) {
                    self.asks.pages.push(page);
                }
            }
            let mut known = vec!["job_name", "metrics_path", "static_configs", "scrape_interval", "scrape_timeout"];
            if job["scheme"].is_null() || job["scheme"] == "http" {
                known.push("scheme");
            }
            self.report_unknown_options(&what, job, &known);
        }
        self.report.note(format!("receiver {name}: scraped once a minute; SIDECARLESS_SCRAPE_INTERVAL says otherwise"));
    }
}
