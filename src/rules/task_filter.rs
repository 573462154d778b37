//! Task filters: rules that select tasks by their properties in ECS.
//!
//! ```text
//! rules     = rule *("," rule)
//! rule      = ["!"] condition *("&" condition)
//! condition = ("service" / "family" / "launch-type" / "cluster" / "label." name / "tag." name) "=" glob
//! ```
//!
//! A rule matches if all of its conditions match. A task that matches a rule with `!` is excluded. If there are rules without
//! `!`, a task must match one of them.

use super::{InvalidValue, glob};
use crate::model::task::Task;

/// A task filter. `Default` includes all tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    include: Vec<Rule>,
    exclude: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// As in the setting.
    text: String,
    conditions: Vec<Condition>,
}

/// A condition on one property of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    field: TaskField,
    glob: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TaskField {
    Service,
    Family,
    LaunchType,
    Cluster,
    /// Docker label of any container of the task.
    Label(String),
    Tag(String),
}

impl TaskFilter {
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let mut filter = TaskFilter::default();
        for text in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (rules, conditions) = match text.strip_prefix('!') {
                Some(conditions) => (&mut filter.exclude, conditions),
                None => (&mut filter.include, text),
            };
            let conditions = conditions.split('&').map(|one| Condition::parse(one.trim())).collect::<Result<_, _>>()?;
            rules.push(Rule { text: text.to_owned(), conditions });
        }
        Ok(filter)
    }

    /// Returns the rule that includes a task; `None` if there are no such rules. The error is the rule that excludes the task,
    /// or empty if no rule includes it.
    pub fn matching_rule(&self, task: &Task) -> Result<Option<&str>, &str> {
        if let Some(rule) = self.exclude.iter().find(|rule| rule.matches(task)) {
            return Err(&rule.text);
        }
        match self.include.iter().find(|rule| rule.matches(task)) {
            Some(rule) => Ok(Some(&rule.text)),
            None if self.include.is_empty() => Ok(None),
            None => Err(""),
        }
    }

    /// Returns whether a rule has a tag condition.
    pub fn uses_tags(&self) -> bool {
        let mut conditions = self.include.iter().chain(&self.exclude).flat_map(|rule| &rule.conditions);
        conditions.any(|condition| matches!(condition.field, TaskField::Tag(_)))
    }

    /// Returns whether all tasks are included.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

impl Rule {
    fn matches(&self, task: &Task) -> bool {
        self.conditions.iter().all(|condition| condition.matches(task))
    }
}

impl Condition {
    /// Parses `key=glob`.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let condition = text.split_once('=').and_then(|(key, glob)| {
            Some(Condition { field: TaskField::parse(key.trim())?, glob: glob.trim().to_owned() })
        });
        condition.ok_or_else(|| {
            InvalidValue::new(format!(
                "invalid condition \"{text}\": use service=cart-*, family=, launch-type=, cluster=, label.<name>= or tag.<name>="
            ))
        })
    }

    pub fn matches(&self, task: &Task) -> bool {
        let matches = |value: &str| glob::matches(&self.glob, value);
        match &self.field {
            TaskField::Service => task.service.as_deref().is_some_and(matches),
            TaskField::Family => matches(&task.family),
            TaskField::LaunchType => matches(task.launch_type.as_str()),
            TaskField::Cluster => matches(&task.cluster),
            TaskField::Label(name) => {
                task.containers.iter().any(|container| container.docker_label(name).is_some_and(matches))
            }
            TaskField::Tag(name) => task.tags.iter().any(|(key, value)| **key == **name && matches(value)),
        }
    }
}

impl TaskField {
    fn parse(text: &str) -> Option<Self> {
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        match text {
            "service" => Some(TaskField::Service),
            "family" => Some(TaskField::Family),
            "launch-type" => Some(TaskField::LaunchType),
            "cluster" => Some(TaskField::Cluster),
            other => match other.split_once('.')? {
                ("label", name) => named(name).map(TaskField::Label),
                ("tag", name) => named(name).map(TaskField::Tag),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::TaskContainer;

    fn task() -> Task {
        let container =
            TaskContainer { docker_labels: vec![("team".into(), "payments".into())], ..TaskContainer::default() };
        Task {
            service: Some("cart-svc".into()),
            family: "cart".into(),
            launch_type: "FARGATE".into(),
            cluster: "shop".into(),
            tags: vec![("env".into(), "prod".into())],
            containers: vec![TaskContainer::default(), container],
            ..Task::default()
        }
    }

    #[test]
    fn first_matching_rule_decides() {
        for (rules, expected) in [
            ("", Ok(None)),
            ("service=cart-*", Ok(Some("service=cart-*"))),
            ("service=bank, family=cart", Ok(Some("family=cart"))),
            ("service=bank", Err("")),
            ("!service=cart-*", Err("!service=cart-*")),
            ("!service=bank", Ok(None)),
            ("family=cart,!label.team=pay*", Err("!label.team=pay*")),
            ("launch-type=FARGATE&label.team=payments", Ok(Some("launch-type=FARGATE&label.team=payments"))),
            ("launch-type=EC2&label.team=payments", Err("")),
            ("label.team=*", Ok(Some("label.team=*"))),
            ("label.nothing=*", Err("")),
            ("tag.env=pro?&cluster=shop", Ok(Some("tag.env=pro?&cluster=shop"))),
            ("tag.env=dev", Err("")),
        ] {
            let filter = TaskFilter::parse(rules).expect("valid rules");
            assert_eq!(filter.matching_rule(&task()), expected, "{rules}");
        }
    }

    #[test]
    fn task_without_a_service_matches_no_service() {
        let standalone = Task { service: None, ..task() };
        let filter = TaskFilter::parse("service=*").expect("valid rule");
        assert_eq!(filter.matching_rule(&standalone), Err(""));
    }

    #[test]
    fn invalid_conditions_are_named() {
        for (rules, expected) in [
            ("cart", "invalid condition \"cart\""),
            ("family=a,name=b", "invalid condition \"name=b\""),
            ("label.=x", "invalid condition \"label.=x\""),
            ("family=a&&x=1", "invalid condition \"\""),
        ] {
            let error = TaskFilter::parse(rules).expect_err("invalid rule").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
