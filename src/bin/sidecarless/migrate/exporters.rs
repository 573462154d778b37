//! Translates exporters to settings of the function.

use serde_json::Value;

use super::collector::{Translation, kind_of};
use super::definition::text;
use super::yaml;

/// Options of the remote write exporter that are translated, or that the function replaces: batches, retries, connections.
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

/// Workaround for roles.
const ROLE: &str =
    "the function signs with its own role: allow that role aps:RemoteWrite in the resource policy of the workspace";

impl Translation<'_> {
    pub(super) fn remote_write(&mut self, name: &str, settings: &Value) {
        let endpoint = self.resolved(text(settings, "endpoint"));
        if endpoint.is_empty() || endpoint.contains("${") {
            self.report.add_unsupported(
                format!("exporter {name}: endpoint"),
                "its value is not in the task definition: set AWS_PROMETHEUS_ENDPOINT",
            );
        }
        self.report.set("AWS_PROMETHEUS_ENDPOINT", endpoint);
        if let Some(namespace) = settings["namespace"].as_str().filter(|name| !name.is_empty()) {
            let namespace = self.resolved(namespace);
            self.report.set("SIDECARLESS_NAMESPACE", namespace);
        }
        self.external_labels(name, &settings["external_labels"]);
        if settings["target_info"]["enabled"] == false {
            self.report.set("SIDECARLESS_TARGET_INFO", "off");
        }
        if settings["resource_to_telemetry_conversion"]["enabled"] != true {
            self.report.set("SIDECARLESS_RESOURCE_LABELS", "off");
        }
        self.signing(&format!("exporter {name}: aws_auth"), &settings["aws_auth"]);
        self.report_unknown_options(&format!("exporter {name}"), settings, &REMOTE_WRITE);
    }

    fn external_labels(&mut self, name: &str, labels: &Value) {
        let mut kept = Vec::new();
        for (label, value) in labels.as_object().into_iter().flatten() {
            let value = self.resolved(&yaml::plain(value));
            if value.contains(',') {
                let option = format!("exporter {name}: external_labels: {label}={value}");
                self.report.add_unsupported(option, "values with a comma are not supported: use another value");
            } else {
                kept.push(format!("{label}={value}"));
            }
        }
        if !kept.is_empty() {
            self.report.set("SIDECARLESS_EXTERNAL_LABELS", kept.join(","));
        }
    }

    /// Reports how requests are signed.
    pub(super) fn signing(&mut self, component: &str, settings: &Value) {
        self.report.note("the function signs with its role for the region of the URL");
        const ROLES: [&str; 2] = ["role_arn", "assume_role"];
        for option in ROLES.into_iter().filter(|option| !settings[option].is_null()) {
            self.report.add_unsupported(format!("{component}: {option}"), ROLE);
        }
        self.report_unknown_options(component, settings, &[&ROLES[..], &["region", "service"]].concat());
    }

    pub(super) fn xray(&mut self, settings: &Value) {
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
        self.report.note("exporter awsxray: segments are sent to X-Ray in the account and region of the function");
        self.report_unknown_options("exporter awsxray", settings, &known);
    }

    pub(super) fn logs(&mut self, name: &str, settings: &Value, pipeline: &str) {
        let group = self.resolved(text(settings, "log_group_name"));
        if kind_of(pipeline) == "logs" && !group.is_empty() {
            self.report.set("SIDECARLESS_LOG_GROUP", group);
            let stream = self.resolved(text(settings, "log_stream_name"));
            self.report.set("SIDECARLESS_LOG_STREAM", stream);
        } else {
            self.report.add_unsupported(format!("exporter {name}"), "requires a log group and a logs pipeline");
        }
        self.report_unknown_options(
            &format!("exporter {name}"),
            settings,
            &["log_group_name", "log_stream_name", "region"],
        );
    }
}

fn joined(list: &Value) -> Option<String> {
    let words: Vec<&str> = list.as_array()?.iter().filter_map(Value::as_str).collect();
    (!words.is_empty()).then(|| words.join(","))
}
