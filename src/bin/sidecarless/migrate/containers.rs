//! The containers that are left: where they push to, and which of their ports are scraped.

use serde_json::{Value, json};

use super::collector::{PrometheusEndpoint, Requirements};
use super::definition::{Sidecar, items, text};
use super::report::MigrationReport;

/// To be replaced by the stack's output.
const URL: &str = "https://FUNCTION_URL/";

/// Where the docs keep the clients' header.
const HEADERS: &str = "/otlp/headers";

const DAEMON: &str = "AWS_XRAY_DAEMON_ADDRESS";

/// Ports of OTLP: today's, and those of old images.
const OTLP_PORTS: [&str; 4] = [":4317", ":4318", ":55680", ":55681"];

pub(super) fn rewrite(definition: &mut Value, sidecars: &[Sidecar], asks: &Requirements, report: &mut MigrationReport) {
    let family = text(definition, "family").to_owned();
    let has_role = definition["executionRoleArn"].is_string();
    let containers = definition["containerDefinitions"].as_array_mut();
    let containers = containers.map(Vec::as_mut_slice).unwrap_or_default();
    let is_only = containers.len() == 1;
    let mut pushes = false;
    for container in containers.iter_mut() {
        pushes |= push(container, sidecars, asks.otlp && is_only, report);
    }
    if asks.otlp && !pushes {
        report.add_unsupported(
            "OTLP clients",
            "no container says where it pushes to: set the variables of docs/quickstart.md in each that does",
        );
    }
    if pushes {
        report.note(format!("{URL} stands for the stack's output Url, and {HEADERS} for the SSM parameter with `Authorization=Bearer%20TOKEN`"));
        report.note("resource detectors: turn the SDK's ECS (and EC2) detector on, e.g. OTEL_NODE_RESOURCE_DETECTORS=env,host,os,aws (docs/identity.md)");
        if !has_role {
            report.add_unsupported(
                "executionRoleArn",
                "the definition has none, and ECS reads secrets with it: add a role that may read the parameter",
            );
        }
    }
    if asks.xray {
        report.add_unsupported(
            "X-Ray SDKs (UDP 2000)",
            "nothing listens on UDP: move them to OpenTelemetry's SDK, or POST segments to /TraceSegments",
        );
    }
    let mut rules = Vec::new();
    for page in &asks.pages {
        label(containers, page, &family, &mut rules);
    }
    if !rules.is_empty() {
        report.set("SIDECARLESS_SCRAPE_RULES", rules.join("; "));
    }
}

/// Points a container's SDK at the function; whether it pushes.
fn push(container: &mut Value, sidecars: &[Sidecar], always: bool, report: &mut MigrationReport) -> bool {
    let name = text(container, "name").to_owned();
    let lists = ["environment", "secrets"].into_iter();
    let pushes = always || lists.flat_map(|list| items(container, list)).any(|entry| is_of(entry, "OTEL_"));
    let entries = items(container, "environment");
    let mut kept: Vec<Value> = entries.filter_map(|entry| variable(&name, entry, sidecars, report)).collect();
    if pushes {
        for (key, value) in [("OTEL_EXPORTER_OTLP_ENDPOINT", URL), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")] {
            // ECS refuses a name that is both a variable and a secret.
            let is_set = kept.iter().chain(items(container, "secrets")).any(|entry| text(entry, "name") == key);
            if !is_set {
                kept.push(json!({"name": key, "value": value}));
            }
        }
        secrets(container, &name, report);
    }
    for entry in kept.iter().filter(|entry| text(entry, "name").starts_with("OTEL_EXPORTER_OTLP")) {
        report.variables.push((name.clone(), text(entry, "name").to_owned(), text(entry, "value").to_owned()));
    }
    if let Some(container) = container.as_object_mut()
        && (pushes || container.contains_key("environment"))
    {
        container.insert("environment".into(), Value::Array(kept));
    }
    if pushes {
        header(container, &name, report);
    }
    pushes
}

/// What becomes of one variable of a container; none when it is taken out.
fn variable(container: &str, entry: &Value, sidecars: &[Sidecar], report: &mut MigrationReport) -> Option<Value> {
    let (key, value) = (text(entry, "name"), text(entry, "value"));
    let what = format!("{container}: {key}={value}");
    let is_otlp = key.starts_with("OTEL_EXPORTER_OTLP");
    let names = sidecars.iter().any(|sidecar| value.contains(&format!("{}:", sidecar.name)));
    let is_theirs = names || ["localhost:", "127.0.0.1:", "0.0.0.0:"].iter().any(|host| value.contains(host));
    let has_port = |ports: &[&str]| is_theirs && ports.iter().any(|port| value.contains(port));
    if key == DAEMON {
        report.add_unsupported(what, "nothing listens on UDP; the variable is taken out: move to OpenTelemetry's SDK");
        return None;
    }
    if is_otlp && key.ends_with("_PROTOCOL") {
        if value == "grpc" {
            report.add_unsupported(what, "there is no gRPC: http/protobuf is set, and the SDK needs its HTTP exporter");
        }
        return None;
    }
    if is_otlp && is_theirs {
        if has_port(&[":4317", ":55680"]) {
            report.add_unsupported(what, "that is gRPC: http/protobuf is set, and the SDK needs its HTTP exporter");
        }
        return Some(json!({"name": key, "value": endpoint(key)}));
    }
    if names || has_port(&OTLP_PORTS) || has_port(&[":2000"]) {
        report.add_unsupported(what, "it names what is taken out: point it elsewhere");
    }
    Some(entry.clone())
}

/// Names settings of the exporter that are secrets: nobody knows from here what they say.
fn secrets(container: &Value, name: &str, report: &mut MigrationReport) {
    for entry in items(container, "secrets").filter(|entry| is_of(entry, "OTEL_EXPORTER_OTLP")) {
        let key = text(entry, "name");
        let expected = match key {
            _ if key.ends_with("ENDPOINT") => endpoint(key),
            _ if key.ends_with("PROTOCOL") => "http/protobuf".to_owned(),
            _ => continue,
        };
        let instead =
            format!("it is in {}, which is not read from here: it has to say {expected}", text(entry, "valueFrom"));
        report.add_unsupported(format!("{name}: {key}"), &instead);
    }
}

fn is_of(entry: &Value, prefix: &str) -> bool {
    text(entry, "name").starts_with(prefix)
}

fn endpoint(key: &str) -> String {
    let signal = ["TRACES", "METRICS", "LOGS"].into_iter().find(|signal| key.contains(signal));
    signal.map_or_else(|| URL.to_owned(), |signal| format!("{URL}v1/{}", signal.to_lowercase()))
}

/// The bearer token, by reference.
fn header(container: &mut Value, name: &str, report: &mut MigrationReport) {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let is_set = |list: &str| items(container, list).any(|entry| text(entry, "name") == VARIABLE);
    if is_set("environment") || is_set("secrets") {
        return report.add_unsupported(
            format!("{name}: {VARIABLE}"),
            "it is set already: add the function's Authorization header to it",
        );
    }
    let secret = json!({"name": VARIABLE, "valueFrom": HEADERS});
    match container.get_mut("secrets").and_then(Value::as_array_mut) {
        Some(secrets) => secrets.push(secret),
        None => container["secrets"] = json!([secret]),
    }
    report.variables.push((name.to_owned(), VARIABLE.into(), format!("from {HEADERS}")));
}

/// A docker label where the container is known and has none yet; a rule otherwise.
fn label(containers: &mut [Value], page: &PrometheusEndpoint, family: &str, rules: &mut Vec<String>) {
    const PORT: &str = "ECS_PROMETHEUS_EXPORTER_PORT";
    let maps =
        |container: &Value| items(container, "portMappings").any(|mapping| mapping["containerPort"] == page.port);
    let index = containers.iter().position(maps).or((containers.len() == 1).then_some(0));
    let free =
        index.and_then(|index| containers.get_mut(index)).filter(|container| container["dockerLabels"][PORT].is_null());
    let Some(container) = free.and_then(Value::as_object_mut) else {
        let job = if page.job.is_empty() { String::new() } else { format!(" job={}", page.job) };
        return rules.push(format!("family={family} port={} path={}{job}", page.port, page.path));
    };
    let labels = container.entry("dockerLabels").or_insert_with(|| json!({}));
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[PORT] = page.port.to_string().into();
    labels["ECS_PROMETHEUS_METRICS_PATH"] = page.path.as_str().into();
    if !page.job.is_empty() {
        labels["ECS_PROMETHEUS_JOB_NAME"] = page.job.as_str().into();
    }
}
