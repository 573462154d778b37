//! Health check that sends the stats of a task, in place of the sidecar.
//!
//! A health check is the only command that a task definition can add to a container without a new image. ECS runs it in the
//! container, with its environment (Amazon ECS API Reference, `HealthCheck`).

use serde_json::{Value, json};

use super::containers::require_execution_role;
use super::definition::{items, text};
use super::report::MigrationReport;

/// Placeholder for the stack output.
const URL: &str = "https://FUNCTION_URL";

/// SSM parameter of the token, as in the documentation.
const TOKEN: &str = "/sidecarless/token";

/// Docker label that declares the source, and its value.
const LABEL: (&str, &str) = ("sidecarless.stats", "push");

/// Shell command that sends both documents with the program that the image has. It never fails.
const PUSH: &str = include_str!("push_stats.sh");

/// Seconds between two checks without a check of the user's own, which is the default interval of scheduled runs.
const INTERVAL_S: u64 = 60;

/// Maximum seconds for the push: the sum of its own limits, which are in the command.
const PUSH_TIMEOUT_S: u64 = 12;

/// Default and maximum of ECS (Amazon ECS API Reference, `HealthCheck`).
const DEFAULT_TIMEOUT_S: u64 = 5;
const MAX_TIMEOUT_S: u64 = 60;

/// Failures before ECS replaces a task. Only the check of the user's own can fail; without one, ECS must never replace the task.
const RETRIES: u64 = 10;

/// Adds the health check, the label and the variables to the first essential container.
pub(super) fn add(definition: &mut Value, report: &mut MigrationReport) {
    if text(&definition["runtimePlatform"], "operatingSystemFamily").starts_with("WINDOWS") {
        report.add_unsupported(
            "container stats",
            "the health check needs a Linux shell: see docs/container-stats.md for Windows",
        );
        return;
    }
    let has_role = definition["executionRoleArn"].is_string();
    let containers = definition["containerDefinitions"].as_array_mut();
    let mut containers = containers.map(Vec::as_mut_slice).unwrap_or_default().iter_mut();
    let Some(container) = containers.find(|container| container["essential"] != false) else { return };
    let name = text(container, "name").to_owned();
    let check = with_push(&container["healthCheck"]);
    let has_own_check = container["healthCheck"].is_object();
    container["healthCheck"] = check;
    set_label(container);
    add_entry(container, "environment", json!({"name": "SIDECARLESS_URL", "value": URL}));
    add_entry(container, "secrets", json!({"name": "SIDECARLESS_TOKEN", "valueFrom": TOKEN}));
    report.variables.push((name.clone(), "SIDECARLESS_URL".into(), URL.into()));
    report.variables.push((name.clone(), "SIDECARLESS_TOKEN".into(), format!("from {TOKEN}")));
    report.note(format!(
        "replace {URL} with the stack output Url, and {TOKEN} with the SSM parameter that contains the token"
    ));
    report.note(format!(
        "the health check of {name} sends the stats of the task: its image needs a shell and curl or wget. For other images, and for \
         sending from code, see docs/container-stats.md"
    ));
    if !has_own_check {
        report.note(format!(
            "{name} had no health check: ECS now counts a task as healthy, and a deployment as complete, only after the first check"
        ));
    }
    require_execution_role(has_role, report);
}

/// Returns a health check that sends the stats and then runs the check of the user's own.
fn with_push(own: &Value) -> Value {
    let push = PUSH.trim();
    let own_command = command_line(&own["command"]);
    let number = |key: &str| own[key].as_u64();
    let timeout = number("timeout").unwrap_or(DEFAULT_TIMEOUT_S);
    let (command, timeout, retries) = match &own_command {
        Some(own) => (format!("{push}; {own}"), timeout + PUSH_TIMEOUT_S, number("retries")),
        None => (format!("{push}; exit 0"), DEFAULT_TIMEOUT_S + PUSH_TIMEOUT_S, Some(RETRIES)),
    };
    let mut check = json!({
        "command": ["CMD-SHELL", command],
        "interval": number("interval").unwrap_or(INTERVAL_S),
        "timeout": timeout.min(MAX_TIMEOUT_S),
    });
    for (key, value) in [("retries", retries), ("startPeriod", number("startPeriod"))] {
        if let Some(value) = value {
            check[key] = value.into();
        }
    }
    check
}

/// Returns a health check command as a shell command. `None` if there is none.
fn command_line(command: &Value) -> Option<String> {
    let words: Vec<&str> = command.as_array()?.iter().filter_map(Value::as_str).collect();
    match words.split_first()? {
        (&"NONE", _) => None,
        (&"CMD-SHELL", [line, ..]) => Some((*line).to_owned()),
        (&"CMD", words) => Some(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")),
        // ECS accepts a command without a prefix, and runs it as CMD.
        _ => Some(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")),
    }
}

/// Returns a word quoted for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.:=@%+,".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn set_label(container: &mut Value) {
    if !container["dockerLabels"].is_object() {
        container["dockerLabels"] = json!({});
    }
    container["dockerLabels"][LABEL.0] = LABEL.1.into();
}

/// Adds an entry to a list, unless the container has one with the same name.
fn add_entry(container: &mut Value, list: &str, entry: Value) {
    let is_set = items(container, "environment").chain(items(container, "secrets"));
    if is_set.into_iter().any(|other| other["name"] == entry["name"]) {
        return;
    }
    match container.get_mut(list).and_then(Value::as_array_mut) {
        Some(entries) => entries.push(entry),
        None => container[list] = json!([entry]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(own: &Value) -> (String, Value) {
        let mut check = with_push(own);
        let command = check["command"][1].as_str().unwrap().strip_prefix(PUSH.trim()).unwrap().to_owned();
        check.as_object_mut().unwrap().remove("command");
        (command, check)
    }

    #[test]
    fn own_check_decides_on_the_result() {
        for (own, command, rest) in [
            (Value::Null, "; exit 0", json!({"interval": 60, "timeout": 17, "retries": 10})),
            (
                json!({"command": ["CMD-SHELL", "curl -f localhost || exit 1"], "interval": 30, "startPeriod": 5}),
                "; curl -f localhost || exit 1",
                json!({"interval": 30, "timeout": 17, "startPeriod": 5}),
            ),
            (
                json!({"command": ["CMD", "/app/check", "it's", ""], "timeout": 60, "retries": 3}),
                r"; /app/check 'it'\''s' ''",
                json!({"interval": 60, "timeout": 60, "retries": 3}),
            ),
            (json!({"command": ["NONE"]}), "; exit 0", json!({"interval": 60, "timeout": 17, "retries": 10})),
            (json!({"command": ["/app/check"]}), "; /app/check", json!({"interval": 60, "timeout": 17})),
        ] {
            assert_eq!(with(&own), (command.to_owned(), rest), "{own}");
        }
    }

    #[test]
    fn quickstart_has_the_same_command() {
        let quickstart = include_str!("../../../../docs/quickstart.md");
        let check = with_push(&Value::Null);
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
