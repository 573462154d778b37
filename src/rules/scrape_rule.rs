//! Prometheus endpoints of tasks that no docker label declares: rules of a setting.
//!
//! ```text
//! rules = rule *(";" rule)
//! rule  = word *(SP word)
//! word  = condition                      ; as in a task filter; all of a rule's must hold
//!       / "port=" number *("," number)
//!       / "path=" path                   ; else /metrics
//!       / "job=" name                    ; else the task's service, or its family
//!       / "container=" glob              ; else the container that has the port
//! ```
//!
//! They are what the CloudWatch agent and the ADOT collector's ECS observer call discovery by service name and by task
//! definition.

use std::str::FromStr;

use super::glob;
use super::task_filter::Condition;
use crate::model::task::{Task, TaskContainer, is_plain_path};

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeRule {
    conditions: Vec<Condition>,
    container: Option<String>,
    /// Container ports, at least one.
    pub ports: Vec<u16>,
    /// Starts with `/`.
    pub path: Option<String>,
    pub job: Option<String>,
}

impl ScrapeRule {
    /// Reads all rules; the error names the word that is wrong.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        text.split(';').map(str::trim).filter(|rule| !rule.is_empty()).map(str::parse).collect()
    }

    pub fn matches(&self, task: &Task) -> bool {
        self.conditions.iter().all(|condition| condition.matches(task))
    }

    /// The containers, by their indexes, of which a port is scraped: those that map it among those that the rule names,
    /// and where none does, the first of these.
    pub fn containers(&self, task: &Task, port: u16) -> Vec<usize> {
        let is_named = |container: &TaskContainer| {
            self.container.as_ref().is_none_or(|pattern| glob::matches(pattern, &container.name))
        };
        let maps = |container: &TaskContainer| {
            container.port_mappings.iter().any(|mapping| mapping.container_port == port)
                || container.network_bindings.iter().any(|binding| binding.container_port == port)
        };
        let named = || task.containers.iter().enumerate().filter(|(_, container)| is_named(container));
        let mapping: Vec<usize> = named().filter(|(_, container)| maps(container)).map(|(index, _)| index).collect();
        if mapping.is_empty() { named().map(|(index, _)| index).take(1).collect() } else { mapping }
    }
}

impl FromStr for ScrapeRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rule = ScrapeRule::default();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(("port", ports)) => rule.ports = ports.split(',').map(port).collect::<Result<_, _>>()?,
                Some(("path", path)) if path.starts_with('/') && is_plain_path(path) => rule.path = Some(path.into()),
                Some(("path", path)) => return Err(format!("`{path}` is no path: it must start with /")),
                Some(("job", job)) if !job.is_empty() => rule.job = Some(job.into()),
                Some(("container", pattern)) if !pattern.is_empty() => rule.container = Some(pattern.into()),
                _ => rule.conditions.push(Condition::parse(word)?),
            }
        }
        match (rule.ports.is_empty(), rule.conditions.is_empty()) {
            (true, _) => Err(format!("`{text}` says no port: add port=9404")),
            (_, true) => Err(format!("`{text}` says of no task that it is meant: add service=cart-* or family=*")),
            _ => Ok(rule),
        }
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|&port| port != 0).ok_or_else(|| format!("`{text}` is no port"))
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
    fn a_rule_says_which_containers_of_which_tasks() {
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
            let rule: ScrapeRule = rule.parse().expect("the rule is right");
            assert_eq!(rule.matches(&task).then(|| rule.containers(&task, port)), expected, "{rule:?}");
        }
    }

    #[test]
    fn several_rules_are_read_with_all_their_words() {
        let rules = ScrapeRule::parse_all("service=cart-* port=9404 path=/m/ job=java; ; family=web port=80,81;");
        let rules = rules.expect("the rules are right");
        assert_eq!(rules.len(), 2);
        assert_eq!((rules[0].path.as_deref(), rules[0].job.as_deref()), (Some("/m/"), Some("java")));
        assert_eq!((rules[1].ports.as_slice(), &rules[1].path), (&[80, 81][..], &None));
        assert_eq!(ScrapeRule::parse_all(""), Ok(vec![]));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for (text, expected) in [
            ("service=cart", "says no port"),
            ("port=80", "says of no task that it is meant"),
            ("family=a port=x", "`x` is no port"),
            ("family=a port=0", "`0` is no port"),
            ("family=a port=80,", "`` is no port"),
            ("family=a port=80 path=m", "`m` is no path"),
            ("family=a port=80 path=/m?x", "`/m?x` is no path"),
            ("family=a port=80 name=b", "`name=b` is about nothing"),
        ] {
            let error = ScrapeRule::parse_all(text).expect_err("it is none");
            assert!(error.contains(expected), "{error}");
        }
    }
}
