//! Labels from tags of tasks and clusters.
//!
//! A task tag `team` becomes the label `tag_team`, a cluster tag `team` becomes `cluster_tag_team`. Characters that are invalid
//! in label names become underscores, as in the service discoveries of Prometheus (`__meta_ecs_tag_<name>`).

use std::str::FromStr;

use crate::model::series::Labels;
use crate::model::task::{Tag, Task};
use crate::rules::{InvalidValue, glob};

/// Prefix of cluster tags in the setting.
const CLUSTER_PREFIX: &str = "cluster.";

/// Tags that become labels. `Default` selects none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagLabels {
    /// Globs of tag names.
    task: Vec<String>,
    cluster: Vec<String>,
}

impl TagLabels {
    /// Returns whether task tags are needed.
    pub fn uses_task_tags(&self) -> bool {
        !self.task.is_empty()
    }

    /// Returns whether cluster tags are needed.
    pub fn uses_cluster_tags(&self) -> bool {
        !self.cluster.is_empty()
    }

    /// Adds the labels of a task. Labels that are already set are not replaced.
    pub fn add(&self, task: &Task, labels: &mut Labels) {
        add(&self.task, "tag_", &task.tags, labels);
        self.add_cluster(&task.cluster_tags, labels);
    }

    /// Adds the labels of a cluster. Labels that are already set are not replaced.
    pub fn add_cluster(&self, tags: &[Tag], labels: &mut Labels) {
        add(&self.cluster, "cluster_tag_", tags, labels);
    }
}

fn add(patterns: &[String], prefix: &str, tags: &[Tag], labels: &mut Labels) {
    if patterns.is_empty() {
        return;
    }
    for (name, value) in tags.iter().filter(|(name, _)| patterns.iter().any(|pattern| glob::matches(pattern, name))) {
        let name = name.replace(|character: char| !character.is_ascii_alphanumeric(), "_");
        labels.set_default(&format!("{prefix}{name}"), value);
    }
}

/// Parses a comma-separated list of names and globs.
impl FromStr for TagLabels {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut tags = TagLabels::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.strip_prefix(CLUSTER_PREFIX) {
                Some("") => return Err(InvalidValue::new(format!("invalid tag \"{name}\": use cluster.<name>"))),
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
    fn selected_tags_become_labels() {
        let task = Task {
            tags: vec![("team".into(), "payments".into()), ("aws:ecs:serviceName".into(), "cart".into())],
            cluster_tags: [("env".into(), "prod".into())].into(),
            ..Task::default()
        };
        for (tags, expected) in [
            ("", ""),
            ("team", "tag_team=payments"),
            ("aws:*", "tag_aws_ecs_serviceName=cart"),
            ("env", ""),
            ("cluster.*, team", "cluster_tag_env=prod tag_team=payments"),
        ] {
            let mut labels = Labels::default();
            tags.parse::<TagLabels>().expect("valid list").add(&task, &mut labels);
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(labels.join(" "), expected, "{tags}");
        }
        assert!("cluster.".parse::<TagLabels>().is_err());
    }
}
