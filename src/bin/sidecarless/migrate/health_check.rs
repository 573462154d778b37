//! Health check that sends the stats of a task, in place of the sidecar.
//!
//! A health check is the only command that a task definition can add to a container without a new image. ECS runs it in the
//! container, with its environment (Amazon ECS API Reference, `HealthCheck`).

use serde_json::{Value, json};

use super::containers::require_execution_role;
use super::definition::{items, text};
use super::report::MigrationReport;

/// Placeholder for the stack output `OtlpEndpoint`.
const URL: &str = "https://FUNCTION_URL";

/// SSM parameter of the token, as in docs/quickstart.md.
const TOKEN: &str = "/sidecarless/token";

/// Docker label that declares the source, and its value.
const LABEL: (&str, &str) = ("sidecarless.stats", "push");

/// Shell command that sends both documents with the program that the image has, one line for each step. Its result is ignored. The
/// metadata endpoint cannot be reached through a proxy.
const PUSH: &str = include_str!("push_stats.sh");

/// Maximum seconds for the push: the sum of its own limits, which are in the command.
const PUSH_TIMEOUT_S: u64 = 12;

/// Seconds between two checks without a check of the user's own, which is the default interval of scheduled runs.
const INTERVAL_S: u64 = 60;

/// Defaults and maximum of ECS (Amazon ECS API Reference, `HealthCheck`).
const DEFAULT_INTERVAL_S: u64 = 30;
const DEFAULT_TIMEOUT_S: u64 = 5;
const MAX_TIMEOUT_S: u64 = 60;

/// Failures before ECS replaces a task without a check of the user's own: the maximum, because the check only fails if the image has no
/// shell, or if the machine is overloaded.
const RETRIES: u64 = 10;

/// What a container checks already.
enum OwnCheck<'a> {
    None,
    /// A line for the shell of the image.
    Shell(&'a str),
    /// A command that may run without a shell.
    Command,
}

/// Adds the health check, the label and the variables to the first essential container.
pub(super) fn add(definition: &mut Value, report: &mut MigrationReport) {
    if text(&definition["runtimePlatform"], "operatingSystemFamily").starts_with("WINDOWS") {
        return report.add_unsupported("container stats", "the function cannot read the stats of Windows containers");
    }
    let has_role = definition["executionRoleArn"].is_string();
    let containers = definition["containerDefinitions"].as_array_mut();
    let mut containers = containers.map(Vec::as_mut_slice).unwrap_or_default().iter_mut();
    let Some(container) = containers.find(|container| container["essential"] != false) else { return };
    let name = text(container, "name").to_owned();
    let Some(check) = with_push(&container["healthCheck"]) else {
        return report.add_unsupported(
            format!("container stats of {name}"),
            "its health check may run without a shell, so the stats must be sent from code (docs/container-stats.md)",
        );
    };
    report_requirements(&name, container, report);
    container["healthCheck"] = check;
    set_label(container);
    for (list, variable, key, value) in
        [("environment", "SIDECARLESS_URL", "value", URL), ("secrets", "SIDECARLESS_TOKEN", "valueFrom", TOKEN)]
    {
        if add_entry(container, list, json!({"name": variable, key: value})) {
            let source = if list == "secrets" { format!("from {value}") } else { value.to_owned() };
            report.variables.push((name.clone(), variable.into(), source));
        }
    }
    require_execution_role(has_role, report);
}

fn report_requirements(name: &str, container: &Value, report: &mut MigrationReport) {
    let own = &container["healthCheck"];
    report.note(format!(
        "replace {URL} with the stack output OtlpEndpoint, and {TOKEN} with the SSM parameter that contains the token"
    ));
    if own["timeout"].as_u64().is_some_and(|own| own + PUSH_TIMEOUT_S > MAX_TIMEOUT_S) {
        report.note(format!(
            "the health check of {name} has {MAX_TIMEOUT_S} s, the maximum, for the push of up to {PUSH_TIMEOUT_S} s and its own check"
        ));
    }
    if matches!(own_check(own), OwnCheck::Shell(_)) {
        report.note(format!(
            "the health check of {name} sends the stats with curl or wget, then runs its own check every {} s",
            interval_s(own)
        ));
        return;
    }
    report.note(format!(
        "{name} had no health check: ECS counts a deployment as complete only after the first successful check"
    ));
    let image = text(container, "image");
    report.add_unsupported(
        format!("{name}: healthCheck"),
        &format!(
            "it needs a shell and curl or wget, and ECS replaces tasks whose check cannot start: run `docker run --rm --entrypoint \
             /bin/sh {image} -c 'command -v curl wget'`; if it fails, send the stats from code (docs/container-stats.md)"
        ),
    );
}

/// Returns a health check that sends the stats and then runs the check of the user's own. `None` if that may run without a shell.
fn with_push(own: &Value) -> Option<Value> {
    let push = PUSH.lines().collect::<Vec<_>>().join(" ");
    let number = |key: &str| own[key].as_u64();
    let timeout = (number("timeout").unwrap_or(DEFAULT_TIMEOUT_S) + PUSH_TIMEOUT_S).min(MAX_TIMEOUT_S);
    let (command, timeout, retries) = match own_check(own) {
        OwnCheck::Command => return None,
        OwnCheck::Shell(own) => (format!("{push}; {own}"), timeout, number("retries")),
        OwnCheck::None => (format!("{push}; exit 0"), DEFAULT_TIMEOUT_S + PUSH_TIMEOUT_S, Some(RETRIES)),
    };
    let mut check = json!({"command": ["CMD-SHELL", command], "interval": interval_s(own), "timeout": timeout});
    for (key, value) in [("retries", retries), ("startPeriod", number("startPeriod"))] {
        if let Some(value) = value {
            check[key] = value.into();
        }
    }
    Some(check)
}

/// The interval of the user's own check is kept, because it decides how fast a failure is found.
fn interval_s(own: &Value) -> u64 {
    let default = if matches!(own_check(own), OwnCheck::None) { INTERVAL_S } else { DEFAULT_INTERVAL_S };
    own["interval"].as_u64().unwrap_or(default)
}

fn own_check(check: &Value) -> OwnCheck<'_> {
    let words: Vec<&str> = check["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match words.as_slice() {
        [] | ["NONE", ..] => OwnCheck::None,
        ["CMD-SHELL", line, ..] => OwnCheck::Shell(line),
        _ => OwnCheck::Command,
    }
}

fn set_label(container: &mut Value) {
    if !container["dockerLabels"].is_object() {
        container["dockerLabels"] = json!({});
    }
    container["dockerLabels"][LABEL.0] = LABEL.1.into();
}

/// Adds an entry to a list, unless the container has one with the same name. Returns whether it was added.
fn add_entry(container: &mut Value, list: &str, entry: Value) -> bool {
    let is_set = |list: &str| items(container, list).any(|other| other["name"] == entry["name"]);
    if is_set("environment") || is_set("secrets") {
        return false;
    }
    match container.get_mut(list).and_then(Value::as_array_mut) {
        Some(entries) => entries.push(entry),
        None => container[list] = json!([entry]),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push() -> String {
        PUSH.lines().collect::<Vec<_>>().join(" ")
    }

    fn with(own: &Value) -> (String, Value) {
        let mut check = with_push(own).unwrap();
        let command = check["command"][1].as_str().unwrap().strip_prefix(&push()).unwrap().to_owned();
        check.as_object_mut().unwrap().remove("command");
        (command, check)
    }

    #[test]
    fn own_check_decides_on_the_result() {
        for (own, command, rest) in [
            (Value::Null, "; exit 0", json!({"interval": 60, "timeout": 17, "retries": 10})),
            (
                json!({"command": ["CMD-SHELL", "curl -f localhost || exit 1"], "startPeriod": 5}),
                "; curl -f localhost || exit 1",
                json!({"interval": 30, "timeout": 17, "startPeriod": 5}),
            ),
            (
                json!({"command": ["CMD-SHELL", "true"], "interval": 10, "timeout": 60, "retries": 3}),
                "; true",
                json!({"interval": 10, "timeout": 60, "retries": 3}),
            ),
            (json!({"command": ["NONE"]}), "; exit 0", json!({"interval": 60, "timeout": 17, "retries": 10})),
        ] {
            assert_eq!(with(&own), (command.to_owned(), rest), "{own}");
        }
    }

    #[test]
    fn check_without_a_shell_is_not_changed() {
        for command in [json!(["CMD", "/app/check"]), json!(["/app/check"])] {
            let mut definition =
                json!({"containerDefinitions": [{"name": "cart", "healthCheck": {"command": command}}]});
            let before = definition.clone();
            let mut report = MigrationReport::default();
            add(&mut definition, &mut report);
            assert_eq!(definition, before);
            assert_eq!(report.unsupported.len(), 1);
        }
    }

    #[test]
    fn quickstart_has_the_same_command() {
        let quickstart = include_str!("../../../../docs/quickstart.md");
        let check = with_push(&Value::Null).unwrap();
        let command = check["command"].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
        assert!(quickstart.contains(&format!("\"command\": [{command}]")), "docs/quickstart.md lacks: {command}");
        let rest = format!(
            "\"interval\": {}, \"timeout\": {}, \"retries\": {}",
            check["interval"], check["timeout"], check["retries"]
        );
        assert!(quickstart.contains(&rest), "docs/quickstart.md lacks: {rest}");
    }

    #[test]
    fn existing_values_are_kept() {
        let container = json!({"name": "cart", "secrets": [{"name": "SIDECARLESS_TOKEN", "valueFrom": "mine"}],
            "dockerLabels": {"team": "shop"}});
        let mut definition = json!({"containerDefinitions": [{"name": "job", "essential": false}, container]});
        add(&mut definition, &mut MigrationReport::default());
        let cart = &definition["containerDefinitions"][1];
        assert_eq!(cart["secrets"], json!([{"name": "SIDECARLESS_TOKEN", "valueFrom": "mine"}]));
        assert_eq!(cart["dockerLabels"], json!({"team": "shop", "sidecarless.stats": "push"}));
        assert_eq!(definition["containerDefinitions"][0], json!({"name": "job", "essential": false}));
    }

    #[test]
    fn windows_task_is_not_changed() {
        let mut definition = json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
            "containerDefinitions": [{"name": "cart"}]});
        let before = definition.clone();
        let mut report = MigrationReport::default();
        add(&mut definition, &mut report);
        assert_eq!(definition, before);
        assert_eq!(report.unsupported.len(), 1);
    }
}
