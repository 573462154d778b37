//! Which tasks are looked at: rules of a setting, each a few conditions on what ECS says of a task.
//!
//! ```text
//! rules     = rule *("," rule)
//! rule      = ["!"] condition *("&" condition)
//! condition = ("service" / "family" / "launch-type" / "cluster" / "label." name / "tag." name) "=" glob
//! ```
//!
//! A rule holds when all of its conditions do. A task for which a rule with `!` holds is dropped; of the other rules one
//! has to hold, when there are any.

use super::glob;
use crate::model::task::Task;

/// The rules. `Default` keeps every task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    keep: Vec<Rule>,
    drop: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// As it is written.
    text: String,
    conditions: Vec<Condition>,
}

/// Something that holds for a task or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    subject: TaskField,
    glob: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TaskField {
    Service,
    Family,
    LaunchType,
    Cluster,
    /// A docker label of any of the task's containers.
    Label(String),
    Tag(String),
}

impl TaskFilter {
    /// Reads the rules; the error names the first that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut filter = TaskFilter::default();
        for text in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (rules, conditions) = match text.strip_prefix('!') {
                Some(conditions) => (&mut filter.drop, conditions),
                None => (&mut filter.keep, text),
            };
            let conditions = conditions.split('&').map(|one| Condition::parse(one.trim())).collect::<Result<_, _>>()?;
            rules.push(Rule { text: text.to_owned(), conditions });
        }
        Ok(filter)
    }

    /// The rule that keeps or, as the error, drops a task. `Ok(None)`: no rule says anything of it, and none has to.
    /// The error is empty when every rule that could have kept it does not hold.
    pub fn matching_rule(&self, task: &Task) -> Result<Option<&str>, &str> {
        if let Some(rule) = self.drop.iter().find(|rule| rule.matches(task)) {
            return Err(&rule.text);
        }
        match self.keep.iter().find(|rule| rule.matches(task)) {
            Some(rule) => Ok(Some(&rule.text)),
            None if self.keep.is_empty() => Ok(None),
            None => Err(""),
        }
    }

    /// Whether a rule is about a tag.
    pub fn uses_tags(&self) -> bool {
        let mut conditions = self.keep.iter().chain(&self.drop).flat_map(|rule| &rule.conditions);
        conditions.any(|condition| matches!(condition.subject, TaskField::Tag(_)))
    }

    /// Whether every task is kept.
    pub fn is_empty(&self) -> bool {
        self.keep.is_empty() && self.drop.is_empty()
    }
}

impl Rule {
    fn matches(&self, task: &Task) -> bool {
        self.conditions.iter().all(|condition| condition.matches(task))
    }
}

impl Condition {
    /// Reads `subject=glob`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "`{text}` {what}: write it as service=cart-*, family=, launch-type=, cluster=, label.<name>= or tag.<name>="
            )
        };
        let (subject, glob) = text.split_once('=').ok_or_else(|| wrong("is no condition"))?;
        let subject =
            TaskField::parse(subject.trim()).ok_or_else(|| wrong("is about nothing that is known of a task"))?;
        Ok(Condition { subject, glob: glob.trim().to_owned() })
    }

    pub fn matches(&self, task: &Task) -> bool {
        let matches = |value: &str| glob::matches(&self.glob, value);
        match &self.subject {
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
    fn a_task_is_kept_or_dropped_by_the_first_rule_that_holds() {
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
            let filter = TaskFilter::parse(rules).expect("the rules are right");
            assert_eq!(filter.matching_rule(&task()), expected, "{rules}");
        }
    }

    #[test]
    fn a_task_of_its_own_is_in_no_service() {
        let alone = Task { service: None, ..task() };
        let filter = TaskFilter::parse("service=*").expect("the rule is right");
        assert_eq!(filter.matching_rule(&alone), Err(""));
    }

    #[test]
    fn a_rule_that_is_none_is_named() {
        for (rules, expected) in [
            ("cart", "`cart` is no condition"),
            ("family=a,name=b", "`name=b` is about nothing that is known of a task"),
            ("label.=x", "`label.=x` is about nothing"),
            ("family=a&&x=1", "`` is no condition"),
        ] {
            let error = TaskFilter::parse(rules).expect_err("a rule is wrong");
            assert!(error.contains(expected), "{error}");
        }
    }
}
