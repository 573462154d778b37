//! Translates exporters to settings of the function.

use serde_json::Value;
use sidecarless::deliver::remote_write::workspace_region;
use sidecarless::model::arn::Arn;
use url::Url;

use super::collector::{Translation, kind_of};
use super::definition::text;
use super::yaml;

/// Options of the remote write exporter that are translated, or that the function replaces: batches, retries, connections.
const REMOTE_WRITE: [&str; 16] = [
    "endpoint",
    "namespace",
    "add_metric_suffixes",
    "translation_strategy",
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

/// Workaround for roles whose ARN is unknown.
const ROLE: &str = "its value is not the ARN of a role: set SIDECARLESS_AMP_ROLE_ARN, or allow the role of the function \
                    aps:RemoteWrite in the resource policy of the workspace";

impl Translation<'_> {
    pub(super) fn remote_write(&mut self, name: &str, settings: &Value) {
        let endpoint = self.resolved(text(settings, "endpoint"));
        if endpoint.is_empty() || endpoint.contains("${") {
            self.report.add_unsupported(
                format!("exporter {name}: endpoint"),
                "its value is not in the task definition: set AWS_PROMETHEUS_ENDPOINT",
            );
        }
        let endpoint = self.without_user(name, endpoint);
        self.report.set("AWS_PROMETHEUS_ENDPOINT", endpoint);
        if let Some(namespace) = settings["namespace"].as_str().filter(|name| !name.is_empty()) {
            let namespace = self.resolved(namespace);
            self.report.set("SIDECARLESS_NAMESPACE", namespace);
        }
        self.translation_strategy(settings);
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

    /// Returns the endpoint without user name and password.
    fn without_user(&mut self, name: &str, endpoint: String) -> String {
        let Ok(mut url) = Url::parse(&endpoint) else { return endpoint };
        if url.username().is_empty() && url.password().is_none() {
            return endpoint;
        }
        self.report.add_unsupported(
            format!("exporter {name}: endpoint"),
            "its user name and password are not sent: the function signs its requests",
        );
        // Fails only without a host, and then there is no user.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.into()
    }

    /// Translates `translation_strategy`, which overrides the deprecated `add_metric_suffixes`.
    fn translation_strategy(&mut self, settings: &Value) {
        let strategy = match text(settings, "translation_strategy") {
            "" if settings["add_metric_suffixes"] == false => "UnderscoreEscapingWithoutSuffixes",
            strategy => strategy,
        };
        if matches!(strategy, "NoUTF8EscapingWithSuffixes" | "NoTranslation") {
            self.report.set("SIDECARLESS_UTF8_NAMES", "send");
        }
        if !strategy.is_empty() {
            self.report.set("SIDECARLESS_TRANSLATION_STRATEGY", strategy);
        }
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

    /// Translates the region and the role of requests. Exporters are translated before extensions, so the URL is known.
    pub(super) fn signing(&mut self, component: &str, settings: &Value) {
        self.report
            .note("the function signs for the region in the URL, with its role unless SIDECARLESS_AMP_ROLE_ARN is set");
        let url = self.report.setting("AWS_PROMETHEUS_ENDPOINT").and_then(|url| Url::parse(url).ok());
        if let Some(region) = self.region(&settings["region"])
            && url.as_ref().and_then(workspace_region) != Some(&region)
        {
            self.report.set("SIDECARLESS_AMP_REGION", region);
        }
        const ROLES: [&str; 2] = ["role_arn", "assume_role"];
        for option in ROLES.into_iter().filter(|option| !settings[option].is_null()) {
            let role = if option == "assume_role" { &settings[option]["arn"] } else { &settings[option] };
            match self.role(role) {
                Some(arn) => self.report.set("SIDECARLESS_AMP_ROLE_ARN", arn),
                None => self.report.add_unsupported(format!("{component}: {option}"), ROLE),
            }
        }
        if let Some(id) = settings["assume_role"]["external_id"].as_str() {
            let id = self.resolved(id);
            self.report.set("SIDECARLESS_AMP_EXTERNAL_ID", id);
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
        let mut known = [&known[..], &["request_timeout_seconds", "max_retries", "middleware"]].concat();
        if let Some(region) = self.region(&settings["region"]) {
            self.report.set("SIDECARLESS_XRAY_REGION", region);
            known.push("region");
        }
        if let Some(arn) = self.role(&settings["role_arn"]) {
            self.report.set("SIDECARLESS_XRAY_ROLE_ARN", arn);
            known.push("role_arn");
        }
        self.report.note("exporter awsxray: without SIDECARLESS_XRAY_REGION and SIDECARLESS_XRAY_ROLE_ARN, segments are sent to X-Ray in the account and region of the function");
        self.report_unknown_options("exporter awsxray", settings, &known);
    }

    /// Returns the name of a region. `None` if the value is something else, such as a reference to a variable.
    fn region(&self, value: &Value) -> Option<String> {
        let region = self.resolved(value.as_str()?);
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (region.split('-').count() >= 3 && region.chars().all(is_name)).then_some(region)
    }

    /// Returns the ARN of a role. `None` if the value is something else.
    fn role(&self, value: &Value) -> Option<String> {
        let text = self.resolved(value.as_str()?);
        let is_role = Arn::parse(&text).is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"));
        is_role.then_some(text)
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
