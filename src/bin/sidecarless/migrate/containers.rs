//! Changes the remaining containers: OTLP variables and docker labels of scraped ports.

use serde_json::{Value, json};

use super::collector::{PrometheusEndpoint, Requirements};
use super::definition::{Sidecar, items, text};
use super::report::MigrationReport;

/// Placeholder for the stack output.
const URL: &str = "https://FUNCTION_URL/";

/// SSM parameter of the client header, as in the documentation.
const HEADERS: &str = "/otlp/headers";

/// Variables that a container with an SDK needs. The intervals are longer than the defaults of some SDKs, because each export is an
/// invocation that is paid for (docs/quickstart.md).
const SDK_VARIABLES: [(&str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", URL),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_BSP_SCHEDULE_DELAY", "15000"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "60000"),
];

const DAEMON: &str = "AWS_XRAY_DAEMON_ADDRESS";

/// OTLP ports, current and old.
const OTLP_PORTS: [&str; 4] = [":4317", ":4318", ":55680", ":55681"];

pub(super) fn rewrite(
    definition: &mut Value,
    sidecars: &[Sidecar],
    requirements: &Requirements,
    report: &mut MigrationReport,
) {
    let family = text(definition, "family").to_owned();
    let has_role = definition["executionRoleArn"].is_string();
    let containers = definition["containerDefinitions"].as_array_mut();
    let containers = containers.map(Vec::as_mut_slice).unwrap_or_default();
    let is_only = containers.len() == 1;
    let mut sends_otlp = false;
    for container in containers.iter_mut() {
        sends_otlp |= configure_sdk(container, sidecars, requirements.otlp && is_only, report);
    }
    if requirements.otlp && !sends_otlp {
        report.add_unsupported(
            "OTLP clients",
            "no container has OTEL_ variables: set the variables of docs/quickstart.md in each container that sends OTLP",
        );
    }
    if sends_otlp {
        report.note(format!("replace {URL} with the stack output OtlpEndpoint, and {HEADERS} with the SSM parameter that contains `Authorization=Bearer%20TOKEN`"));
        report.note("each export is an invocation: OTEL_BSP_SCHEDULE_DELAY and OTEL_METRIC_EXPORT_INTERVAL set how often the SDK sends (docs/cost.md)");
        report.note("enable the ECS (and EC2) resource detector of the SDK, such as OTEL_NODE_RESOURCE_DETECTORS=env,host,os,aws (docs/identity.md)");
        require_execution_role(has_role, report);
    }
    if requirements.xray {
        report.add_unsupported(
            "X-Ray SDKs (UDP 2000)",
            "UDP is not supported: replace them with OpenTelemetry SDKs, or POST segments to /TraceSegments",
        );
    }
    let mut rules = Vec::new();
    for endpoint in &requirements.prometheus {
        add_labels(containers, endpoint, &family, &mut rules);
    }
    if !rules.is_empty() {
        report.set("SIDECARLESS_SCRAPE_RULES", rules.join("; "));
    }
}

/// Reports a missing role for the secrets that were added.
pub(super) fn require_execution_role(has_role: bool, report: &mut MigrationReport) {
    if !has_role {
        report.add_unsupported(
            "executionRoleArn",
            "missing, but ECS needs it to read secrets: add a role that can read the parameter",
        );
    }
}

/// Sets the OTLP variables of a container. Returns whether the container sends OTLP.
fn configure_sdk(container: &mut Value, sidecars: &[Sidecar], always: bool, report: &mut MigrationReport) -> bool {
    let name = text(container, "name").to_owned();
    let lists = ["environment", "secrets"].into_iter();
    let sends_otlp = always || lists.flat_map(|list| items(container, list)).any(|entry| is_of(entry, "OTEL_"));
    let entries = items(container, "environment");
    let mut kept: Vec<Value> = entries.filter_map(|entry| variable(&name, entry, sidecars, report)).collect();
    if sends_otlp {
        for (key, value) in SDK_VARIABLES {
            // ECS rejects a name that is both a variable and a secret.
            let is_set = kept.iter().chain(items(container, "secrets")).any(|entry| text(entry, "name") == key);
            if !is_set {
                kept.push(json!({"name": key, "value": value}));
            }
        }
        secrets(container, &name, report);
    }
    let is_shown = |key: &str| is_otlp(key) || SDK_VARIABLES.iter().any(|(name, _)| *name == key);
    for entry in kept.iter().filter(|entry| is_shown(text(entry, "name"))) {
        report.variables.push((name.clone(), text(entry, "name").to_owned(), text(entry, "value").to_owned()));
    }
    if let Some(container) = container.as_object_mut()
        && (sends_otlp || container.contains_key("environment"))
    {
        container.insert("environment".into(), Value::Array(kept));
    }
    if sends_otlp {
        add_header(container, &name, report);
    }
    sends_otlp
}

/// Returns the new value of an environment variable. `None` if it is removed.
fn variable(container: &str, entry: &Value, sidecars: &[Sidecar], report: &mut MigrationReport) -> Option<Value> {
    let (key, value) = (text(entry, "name"), text(entry, "value"));
    let variable = format!("{container}: {key}={value}");
    let names_sidecar = sidecars.iter().any(|sidecar| value.contains(&format!("{}:", sidecar.name)));
    let is_sidecar = names_sidecar || ["localhost:", "127.0.0.1:", "0.0.0.0:"].iter().any(|host| value.contains(host));
    let has_port = |ports: &[&str]| is_sidecar && ports.iter().any(|port| value.contains(port));
    if key == DAEMON {
        report.add_unsupported(variable, "UDP is not supported, so the variable was removed: use an OpenTelemetry SDK");
        return None;
    }
    if is_otlp(key) && key.ends_with("_PROTOCOL") {
        if value == "grpc" {
            report.add_unsupported(
                variable,
                "gRPC is not supported, so http/protobuf was set: the SDK needs its HTTP exporter",
            );
        }
        return None;
    }
    if is_otlp(key) && is_sidecar {
        if has_port(&[":4317", ":55680"]) {
            report.add_unsupported(
                variable,
                "gRPC is not supported, so http/protobuf was set: the SDK needs its HTTP exporter",
            );
        }
        return Some(json!({"name": key, "value": endpoint(key)}));
    }
    if names_sidecar || has_port(&OTLP_PORTS) || has_port(&[":2000"]) {
        report.add_unsupported(variable, "it refers to the removed container: change it");
    }
    Some(entry.clone())
}

/// Reports exporter variables that are secrets, because their values are unknown.
fn secrets(container: &Value, name: &str, report: &mut MigrationReport) {
    for entry in items(container, "secrets").filter(|entry| is_of(entry, "OTEL_EXPORTER_OTLP")) {
        let key = text(entry, "name");
        let expected = match key {
            _ if key.ends_with("ENDPOINT") => endpoint(key),
            _ if key.ends_with("PROTOCOL") => "http/protobuf".to_owned(),
            _ => continue,
        };
        let fix = format!("it is stored in {}, which is not read: set it to {expected}", text(entry, "valueFrom"));
        report.add_unsupported(format!("{name}: {key}"), &fix);
    }
}

fn is_otlp(key: &str) -> bool {
    key.starts_with("OTEL_EXPORTER_OTLP")
}

fn is_of(entry: &Value, prefix: &str) -> bool {
    text(entry, "name").starts_with(prefix)
}

fn endpoint(key: &str) -> String {
    let signal = ["TRACES", "METRICS", "LOGS"].into_iter().find(|signal| key.contains(signal));
    signal.map_or_else(|| URL.to_owned(), |signal| format!("{URL}v1/{}", signal.to_lowercase()))
}

/// Adds the bearer token as a secret.
fn add_header(container: &mut Value, name: &str, report: &mut MigrationReport) {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let is_set = |list: &str| items(container, list).any(|entry| text(entry, "name") == VARIABLE);
    if is_set("environment") || is_set("secrets") {
        return report.add_unsupported(
            format!("{name}: {VARIABLE}"),
            "already set: add the Authorization header of the function",
        );
    }
    let secret = json!({"name": VARIABLE, "valueFrom": HEADERS});
    match container.get_mut("secrets").and_then(Value::as_array_mut) {
        Some(secrets) => secrets.push(secret),
        None => container["secrets"] = json!([secret]),
    }
    report.variables.push((name.to_owned(), VARIABLE.into(), format!("from {HEADERS}")));
}

/// Adds docker labels if one container maps the port and has no labels, or else a scrape rule.
fn add_labels(containers: &mut [Value], endpoint: &PrometheusEndpoint, family: &str, rules: &mut Vec<String>) {
    const PORT: &str = "ECS_PROMETHEUS_EXPORTER_PORT";
    let maps =
        |container: &Value| items(container, "portMappings").any(|mapping| mapping["containerPort"] == endpoint.port);
    let index = containers.iter().position(maps).or((containers.len() == 1).then_some(0));
    let free =
        index.and_then(|index| containers.get_mut(index)).filter(|container| container["dockerLabels"][PORT].is_null());
    let Some(container) = free.and_then(Value::as_object_mut) else {
        let job = if endpoint.job.is_empty() { String::new() } else { format!(" job={}", endpoint.job) };
        return rules.push(format!("family={family} port={} path={}{job}", endpoint.port, endpoint.path));
    };
    let labels = container.entry("dockerLabels").or_insert_with(|| json!({}));
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[PORT] = endpoint.port.to_string().into();
    labels["ECS_PROMETHEUS_METRICS_PATH"] = endpoint.path.as_str().into();
    if !endpoint.job.is_empty() {
        labels["ECS_PROMETHEUS_JOB_NAME"] = endpoint.job.as_str().into();
    }
}
