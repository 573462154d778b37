//! Tags of tasks and clusters as labels: those that a setting names.
//!
//! A tag `team` of a task is the label `tag_team`, one of its cluster `cluster_tag_team`. Any character that a label cannot
//! have is an underscore, as in Prometheus' service discoveries (`__meta_ecs_tag_<name>` and its like).

use std::str::FromStr;

use crate::model::series::Labels;
use crate::model::task::{Tag, Task};
use crate::rules::glob;

/// How a rule for tags of clusters begins.
const CLUSTER_PREFIX: &str = "cluster.";

/// Which tags become labels. `Default`: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagLabels {
    /// Globs of names.
    task: Vec<String>,
    cluster: Vec<String>,
}

impl TagLabels {
    /// Whether the tags of tasks become labels.
    pub fn uses_task_tags(&self) -> bool {
        !self.task.is_empty()
    }

    /// Whether the tags of clusters have to be asked for.
    pub fn uses_cluster_tags(&self) -> bool {
        !self.cluster.is_empty()
    }

    /// Adds the labels of a task, never in place of one that is there.
    pub fn add(&self, task: &Task, labels: &mut Labels) {
        add(&self.task, "tag_", &task.tags, labels);
        add(&self.cluster, "cluster_tag_", &task.cluster_tags, labels);
    }
}

fn add(wanted: &[String], prefix: &str, tags: &[Tag], labels: &mut Labels) {
    if wanted.is_empty() {
        return;
    }
    for (name, value) in tags.iter().filter(|(name, _)| wanted.iter().any(|pattern| glob::matches(pattern, name))) {
        let name = name.replace(|character: char| !character.is_ascii_alphanumeric(), "_");
        labels.set_default(&format!("{prefix}{name}"), value);
    }
}

/// A list of names and globs, separated by commas.
impl FromStr for TagLabels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut tags = TagLabels::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.strip_prefix(CLUSTER_PREFIX) {
                Some("") => return Err(format!("`{name}` names no tag: write cluster.<name>")),
                Some(name) => tags.cluster.push(name.into()),
                None => tags.task.push(name.into()),
            }
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_that_are_named_become_labels() {
        let task = Task {
            tags: vec![("team".into(), "payments".into()), ("aws:ecs:serviceName".into(), "cart".into())],
            cluster_tags: [("env".into(), "prod".into())].into(),
            ..Task::default()
        };
        for (wanted, expected) in [
            ("", ""),
            ("team", "tag_team=payments"),
            ("aws:*", "tag_aws_ecs_serviceName=cart"),
            ("env", ""),
            ("cluster.*, team", "cluster_tag_env=prod tag_team=payments"),
        ] {
            let mut labels = Labels::default();
            wanted.parse::<TagLabels>().expect("it is a list").add(&task, &mut labels);
            let found: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(found.join(" "), expected, "{wanted}");
        }
        assert!("cluster.".parse::<TagLabels>().is_err());
    }
}
