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
use crate::model::task::{Task, TaskContainer, is_plain_path_and_query, without_query};

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
            match word.split_once('=') {
                Some(("port", ports)) => rule.ports = ports.split(',').map(port).collect::<Result<_, _>>()?,
                Some(("path", path)) if path.starts_with('/') && is_plain_path_and_query(path) => {
                    rule.path = Some(path.into());
                }
                Some(("path", path)) => {
                    return Err(InvalidValue::new(format!(
                        "invalid path \"{}\": use a path that starts with /, with a plain query",
                        without_query(path)
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
            (true, _) => Err(InvalidValue::new(format!("rule \"{}\" has no port: add port=9404", shown(text)))),
            (_, true) => {
                let text = shown(text);
                Err(InvalidValue::new(format!("rule \"{text}\" selects no tasks: add service=cart-* or family=*")))
            }
            _ => Ok(rule),
        }
    }
}

/// Returns a rule for an error. A `?` in another word than the path is part of a glob.
fn shown(rule: &str) -> String {
    let word = |word: &str| if word.starts_with("path=") { without_query(word) } else { word.to_owned() };
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
