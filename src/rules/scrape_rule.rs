//! Prometheus endpoints of tasks without docker labels.
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

use super::task_filter::Condition;
use super::{InvalidValue, glob};
use crate::model::task::{Task, TaskContainer, is_plain_path_and_query};

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeRule {
    conditions: Vec<Condition>,
    container: Option<String>,
    /// Container ports, at least one.
    pub ports: Vec<u16>,
    /// Starts with `/`.
    pub path: Option<String>,
    pub is_https: bool,
    pub job: Option<String>,
}

impl ScrapeRule {
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InvalidValue> {
        text.split(';').map(str::trim).filter(|rule| !rule.is_empty()).map(str::parse).collect()
    }

    pub fn matches(&self, task: &Task) -> bool {
        self.conditions.iter().all(|condition| condition.matches(task))
    }

    /// Returns the indexes of the containers to scrape: the containers selected by the rule that map the port, or the first
    /// selected container if none maps it.
    pub fn containers(&self, task: &Task, port: u16) -> Vec<usize> {
        let is_selected = |container: &TaskContainer| {
            self.container.as_ref().is_none_or(|pattern| glob::matches(pattern, &container.name))
        };
        let maps = |container: &TaskContainer| {
            container.port_mappings.iter().any(|mapping| mapping.container_port == port)
                || container.network_bindings.iter().any(|binding| binding.container_port == port)
        };
        let selected = || task.containers.iter().enumerate().filter(|(_, container)| is_selected(container));
        let mapping: Vec<usize> = selected().filter(|(_, container)| maps(container)).map(|(index, _)| index).collect();
        if mapping.is_empty() { selected().map(|(index, _)| index).take(1).collect() } else { mapping }
    }
}

impl FromStr for ScrapeRule {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut rule = ScrapeRule::default();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(("port", ports)) => rule.ports = ports.split(',').map(port).collect::<Result<_, _>>()?,
                Some(("path", path)) if path.starts_with('/') && is_plain_path_and_query(path) => {
                    rule.path = Some(path.into());
                }
                Some(("path", path)) => {
                    return Err(InvalidValue::new(format!(
                        "invalid path \"{path}\": use a path that starts with /, with a plain query"
                    )));
                }
                Some(("scheme", "http")) => rule.is_https = false,
                Some(("scheme", "https")) => rule.is_https = true,
                Some(("scheme", scheme)) => {
                    return Err(InvalidValue::new(format!("invalid scheme \"{scheme}\": use http or https")));
                }
                Some(("job", job)) if !job.is_empty() => rule.job = Some(job.into()),
                Some(("container", pattern)) if !pattern.is_empty() => rule.container = Some(pattern.into()),
                _ => rule.conditions.push(Condition::parse(word)?),
            }
        }
        match (rule.ports.is_empty(), rule.conditions.is_empty()) {
            (true, _) => Err(InvalidValue::new(format!("rule \"{text}\" has no port: add port=9404"))),
            (_, true) => {
                Err(InvalidValue::new(format!("rule \"{text}\" selects no tasks: add service=cart-* or family=*")))
            }
            _ => Ok(rule),
        }
    }
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
    fn rules_are_separated_by_semicolons() {
        let secure: ScrapeRule = "family=a port=1 scheme=https path=/m?format=text&x[]=1".parse().expect("valid rule");
        assert_eq!((secure.is_https, secure.path.as_deref()), (true, Some("/m?format=text&x[]=1")));
        let rules = ScrapeRule::parse_all("service=cart-* port=9404 path=/m/ job=java; ; family=web port=80,81;");
        let rules = rules.expect("valid rules");
        assert_eq!(rules.len(), 2);
        assert_eq!((rules[0].path.as_deref(), rules[0].job.as_deref()), (Some("/m/"), Some("java")));
        assert_eq!((rules[1].ports.as_slice(), &rules[1].path), (&[80, 81][..], &None));
        assert_eq!(ScrapeRule::parse_all(""), Ok(vec![]));
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
            ("family=a port=80 path=/m#x", "invalid path \"/m#x\""),
            ("family=a port=80 path=/m?x#y", "invalid path \"/m?x#y\""),
            ("family=a port=80 scheme=ftp", "invalid scheme \"ftp\""),
            ("family=a port=80 name=b", "invalid condition \"name=b\""),
        ] {
            let error = ScrapeRule::parse_all(text).expect_err("invalid rule").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
