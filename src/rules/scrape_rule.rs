//! Prometheus endpoints of tasks without docker labels.
//!
//! Rules are words, or a list of mappings in YAML or JSON with the same keys, which may have `metric_relabel_configs` as well:
//!
//! ```yaml
//! - service: cart-*
//!   port: [9404, 9405]
//!   metric_relabel_configs:
//!   - {action: drop, source_labels: [__name__], regex: jvm_.*}
//! ```
//!
//! ```text
//! rules = rule *(";" rule)
//! rule  = word *(SP word)
//! word  = condition                      ; as in a task filter; all conditions of a rule must match
//!       / "port=" number *("," number)
//!       / "path=" path                   ; default: /metrics; may have a query
//!       / "scheme=" ("http" / "https")  ; default: http
//!       / "job=" name                    ; default: the service of the task, or its family
//!       / "container=" glob              ; default: the container that has the port
//! ```
//!
//! The CloudWatch agent and the ECS observer of the ADOT collector call this discovery by service name and by task definition.

use std::str::FromStr;
use std::sync::Arc;

use super::relabel::{Expressions, RelabelConfigs};
use super::task_filter::Condition;
use super::yaml::{self, Node, Value};
use super::{InvalidValue, glob};
use crate::model::masked::masked_url;
use crate::model::task::{Task, TaskContainer, is_plain_path_and_query};

/// One rule.
#[derive(Clone, Debug, Default)]
pub struct ScrapeRule {
    conditions: Vec<Condition>,
    container: Option<String>,
    /// Container ports, at least one.
    pub ports: Vec<u16>,
    /// Starts with `/`.
    pub path: Option<String>,
    pub is_https: bool,
    pub job: Option<String>,
    /// Rules for the samples of its targets.
    pub relabel: Arc<RelabelConfigs>,
}

impl ScrapeRule {
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InvalidValue> {
        // A condition starts with a letter.
        if text.trim_start().starts_with(['-', '[', '#']) {
            return from_yaml(text);
        }
        text.split(';').map(str::trim).filter(|rule| !rule.is_empty()).map(str::parse).collect()
    }

    pub fn matches(&self, task: &Task) -> bool {
        self.conditions.iter().all(|condition| condition.matches(task))
    }

    /// Returns the indexes of the containers to scrape: the containers selected by the rule that map the port, or the first
    /// selected container if none maps it. Containers that have stopped are left out if another one is left. If all have
    /// stopped, all are returned: any of them may have been scraped.
    pub fn containers(&self, task: &Task, port: u16) -> Vec<usize> {
        let is_selected = |container: &TaskContainer| {
            self.container.as_ref().is_none_or(|pattern| glob::matches(pattern, &container.name))
        };
        let maps = |container: &TaskContainer| {
            container.port_mappings.iter().any(|mapping| mapping.container_port == port)
                || container.network_bindings.iter().any(|binding| binding.container_port == port)
        };
        let selected = || task.containers.iter().enumerate().filter(|(_, container)| is_selected(container));
        let is_mapped = selected().any(|(_, container)| maps(container));
        let candidates = || selected().filter(|(_, container)| !is_mapped || maps(container));
        let remaining = candidates().filter(|(_, container)| !container.has_stopped()).map(|(index, _)| index);
        let remaining: Vec<usize> = remaining.take(if is_mapped { usize::MAX } else { 1 }).collect();
        if remaining.is_empty() { candidates().map(|(index, _)| index).collect() } else { remaining }
    }
}

impl FromStr for ScrapeRule {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut rule = ScrapeRule::default();
        for word in text.split_whitespace() {
            rule.set(word)?;
        }
        rule.checked(&format!("rule \"{}\"", shown(text)))
    }
}

impl ScrapeRule {
    /// Applies a word such as `port=9404`.
    fn set(&mut self, word: &str) -> Result<(), InvalidValue> {
        match word.split_once('=') {
            Some(("port", ports)) => self.ports = ports.split(',').map(port).collect::<Result<_, _>>()?,
            Some(("path", path)) if path.starts_with('/') && is_plain_path_and_query(path) => {
                self.path = Some(path.into());
            }
            Some(("path", path)) => {
                return Err(InvalidValue::new(format!(
                    "invalid path \"{}\": use a path that starts with /, with a plain query",
                    masked_url(path)
                )));
            }
            Some(("scheme", "http")) => self.is_https = false,
            Some(("scheme", "https")) => self.is_https = true,
            Some(("scheme", scheme)) => {
                return Err(InvalidValue::new(format!("invalid scheme \"{scheme}\": use http or https")));
            }
            Some(("job", job)) if !job.is_empty() => self.job = Some(job.into()),
            Some(("container", pattern)) if !pattern.is_empty() => self.container = Some(pattern.into()),
            _ => self.conditions.push(Condition::parse(word)?),
        }
        Ok(())
    }

    fn checked(self, name: &str) -> Result<Self, InvalidValue> {
        match (self.ports.is_empty(), self.conditions.is_empty()) {
            (true, _) => Err(InvalidValue::new(format!("{name} has no port: add port=9404"))),
            (_, true) => Err(InvalidValue::new(format!("{name} selects no tasks: add service=cart-* or family=*"))),
            _ => Ok(self),
        }
    }
}

/// Reads a list of rules in YAML. The error names the invalid rule by its number and key.
fn from_yaml(text: &str) -> Result<Vec<ScrapeRule>, InvalidValue> {
    let Some(Node { value: Value::Sequence(items), .. }) = yaml::read(text)? else {
        return Err(InvalidValue::new("use a list of rules, such as [{service: cart-*, port: 9404}]"));
    };
    let mut expressions = Expressions::default();
    let rule = |(index, item): (usize, &Node)| {
        let rule = rule_of(item, &mut expressions);
        rule.map_err(|error| InvalidValue::new(format!("rule {} (line {}): {error}", index + 1, item.line)))
    };
    items.iter().enumerate().map(rule).collect()
}

fn rule_of(item: &Node, expressions: &mut Expressions) -> Result<ScrapeRule, InvalidValue> {
    let Value::Mapping(entries) = &item.value else {
        return Err(InvalidValue::new(format!(
            "{}: use a mapping, such as {{service: cart-*, port: 9404}}",
            item.kind()
        )));
    };
    let mut rule = ScrapeRule::default();
    for (key, value) in entries {
        let key = key.text().unwrap_or_default();
        if key == "metric_relabel_configs" {
            let configs = RelabelConfigs::from_node(value, expressions);
            let configs = configs.map_err(|error| InvalidValue::new(format!("{key}: {error}")))?;
            rule.relabel = Arc::new(configs);
            continue;
        }
        let value = match &value.value {
            Value::Sequence(ports) if key == "port" => {
                ports.iter().map(|port| port.text().unwrap_or_default()).collect::<Vec<_>>().join(",")
            }
            _ => {
                let invalid = || InvalidValue::new(format!("{key}: {}: use a text", value.kind()));
                value.text().ok_or_else(invalid)?.to_owned()
            }
        };
        rule.set(&format!("{key}={value}"))?;
    }
    rule.checked("it")
}

/// Returns a rule for an error. A `?` in another word than the path is part of a glob.
fn shown(rule: &str) -> String {
    let word = |word: &str| if word.starts_with("path=") { masked_url(word) } else { word.to_owned() };
    rule.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn port(text: &str) -> Result<u16, InvalidValue> {
    text.parse()
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| InvalidValue::new(format!("invalid port \"{text}\": use 1 to 65535")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::PortMapping;

    fn container(name: &str, port: u16) -> TaskContainer {
        let mapping = PortMapping { container_port: port, ..PortMapping::default() };
        TaskContainer { name: name.into(), port_mappings: vec![mapping], ..TaskContainer::default() }
    }

    #[test]
    fn rule_selects_containers_of_tasks() {
        let containers = vec![container("proxy", 80), container("app", 9404), container("app-admin", 9405)];
        let mut task = Task { family: "cart".into(), containers, ..Task::default() };
        task.set_group("service:cart-svc");
        for (rule, port, expected) in [
            ("service=cart-* port=9404", 9404, Some(vec![1])),
            ("service=cart-* port=9404,9405", 9405, Some(vec![2])),
            ("family=cart container=app* port=9405", 9405, Some(vec![2])),
            ("family=cart container=app* port=1234", 1234, Some(vec![1])),
            ("family=cart port=1234", 1234, Some(vec![0])),
            ("family=cart container=none port=80", 80, Some(vec![])),
            ("service=cart-* family=bank port=80", 80, None),
        ] {
            let rule: ScrapeRule = rule.parse().expect("valid rule");
            assert_eq!(rule.matches(&task).then(|| rule.containers(&task, port)), expected, "{rule:?}");
        }
    }

    #[test]
    fn container_that_has_not_stopped_is_preferred() {
        let task = |statuses: [&str; 3]| {
            let mut containers = vec![container("init", 80), container("app", 80), container("other", 81)];
            for (container, status) in containers.iter_mut().zip(statuses) {
                container.last_status = status.into();
            }
            Task { family: "cart".into(), containers, ..Task::default() }
        };
        for (statuses, port, expected) in [
            (["STOPPED", "RUNNING", "RUNNING"], 9404, vec![1]),
            (["STOPPED", "RUNNING", "RUNNING"], 80, vec![1]),
            (["STOPPED", "STOPPED", "PENDING"], 9404, vec![2]),
            (["STOPPED", "STOPPED", "RUNNING"], 80, vec![0, 1]),
            (["STOPPED", "STOPPED", "STOPPED"], 9404, vec![0, 1, 2]),
        ] {
            let rule: ScrapeRule = format!("family=cart port={port}").parse().expect("valid rule");
            assert_eq!(rule.containers(&task(statuses), port), expected, "{statuses:?} {port}");
        }
    }

    #[test]
    fn rules_are_separated_by_semicolons() {
        let secure: ScrapeRule = "family=a port=1 scheme=https path=/m?format=text&x[]=1".parse().expect("valid rule");
        assert_eq!((secure.is_https, secure.path.as_deref()), (true, Some("/m?format=text&x[]=1")));
        let rules = ScrapeRule::parse_all("service=cart-* port=9404 path=/m/ job=java; ; family=web port=80,81;");
        let rules = rules.expect("valid rules");
        assert_eq!(rules.len(), 2);
        assert_eq!((rules[0].path.as_deref(), rules[0].job.as_deref()), (Some("/m/"), Some("java")));
        assert_eq!((rules[1].ports.as_slice(), &rules[1].path), (&[80, 81][..], &None));
        assert!(ScrapeRule::parse_all("").is_ok_and(|rules| rules.is_empty()));
    }

    #[test]
    fn yaml_rules_have_the_same_keys_and_relabelling_rules() {
        let yaml = "- {service: cart-*, port: 9404, path: /m/, job: java batch}\n- family: web\n  port: [80, 81]\n  scheme: https\n  metric_relabel_configs:\n  - {action: drop, regex: x}\n";
        let rules = ScrapeRule::parse_all(yaml).expect("valid rules");
        let facts = |rule: &ScrapeRule| (rule.ports.clone(), rule.is_https, rule.job.clone(), rule.relabel.is_empty());
        assert_eq!(
            rules.iter().map(facts).collect::<Vec<_>>(),
            [(vec![9404], false, Some("java batch".to_owned()), true), (vec![80, 81], true, None, false)]
        );
        assert_eq!(rules[0].conditions, [Condition::parse("service=cart-*").expect("condition")]);
        let json = r#"[{"family": "web", "port": 80, "metric_relabel_configs": null}]"#;
        assert_eq!(ScrapeRule::parse_all(json).map(|rules| rules.len()), Ok(1));
        for (yaml, expected) in [
            ("- family=a port=80", "rule 1 (line 1): text: use a mapping, such as {service: cart-*, port: 9404}"),
            ("- {family: a, port: 80}\n- {family: a}", "rule 2 (line 2): it has no port: add port=9404"),
            ("- {port: 80}", "rule 1 (line 1): it selects no tasks: add service=cart-* or family=*"),
            ("- {family: [a], port: 80}", "rule 1 (line 1): family: a list: use a text"),
            ("- {family: a, port: [80, x]}", "rule 1 (line 1): invalid port \"x\": use 1 to 65535"),
            (
                "- family: a\n  port: 80\n  metric_relabel_configs:\n  - {action: keep}\n  - {action: keep, regex: (}",
                "rule 1 (line 1): metric_relabel_configs: rule 2 (line 5): regex: missing closing )",
            ),
        ] {
            assert_eq!(ScrapeRule::parse_all(yaml).expect_err(yaml).to_string(), expected);
        }
    }

    #[test]
    fn invalid_rules_are_named() {
        for (text, expected) in [
            ("service=cart", "has no port"),
            ("port=80", "selects no tasks"),
            ("family=a port=x", "invalid port \"x\""),
            ("family=a port=0", "invalid port \"0\""),
            ("family=a port=80,", "invalid port \"\""),
            ("family=a port=80 path=m", "invalid path \"m\""),
            ("family=a port=80 path=/m#x", "invalid path \"/m#...\""),
            ("family=a port=80 path=/m?x#y", "invalid path \"/m?...\""),
            ("family=a? path=/m?token=secret", "rule \"family=a? path=/m?...\" has no port"),
            ("family=a port=80 scheme=ftp", "invalid scheme \"ftp\""),
            ("family=a port=80 name=b", "invalid condition \"name=b\""),
        ] {
            let error = ScrapeRule::parse_all(text).expect_err("invalid rule").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
