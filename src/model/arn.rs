//! Parses the ARNs of clusters, tasks and task definitions, in any partition.
//!
//! Format: `arn:<partition>:<service>:<region>:<account>:<resource>` (AWS General Reference, "Amazon Resource Names").
//! Task ARNs have two formats: `task/<id>`, which is older, and `task/<cluster>/<id>` (Amazon ECS Developer Guide,
//! "Amazon Resource Names and IDs").

/// The parts of an ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, ...
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    /// The text after the fifth colon, which may contain colons: `task/shop/5f0e`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Returns `None` if the text is not an ARN: it has fewer than six parts, another scheme, or an empty resource.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let arn = Arn {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        };
        (!arn.partition.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }

    /// Returns the name after the resource type, such as `shop/5f0e` in `task/shop/5f0e`.
    pub fn resource_of(&self, kind: &str) -> Option<&'a str> {
        self.resource.strip_prefix(kind)?.strip_prefix('/').filter(|name| !name.is_empty())
    }
}

/// The parts of a task ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskArn<'a> {
    pub arn: Arn<'a>,
    /// Short name; `None` in the older format.
    pub cluster: Option<&'a str>,
    pub id: &'a str,
}

impl<'a> TaskArn<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "ecs")?;
        let name = arn.resource_of("task")?;
        let (cluster, id) = match name.rsplit_once('/') {
            Some((cluster, id)) => (Some(cluster), id),
            None => (None, name),
        };
        (!id.is_empty()).then_some(TaskArn { arn, cluster, id })
    }
}

/// Returns the short name of a cluster from a name or ARN.
pub fn cluster_name(name_or_arn: &str) -> &str {
    match Arn::parse(name_or_arn) {
        Some(arn) => arn.resource_of("cluster").unwrap_or(name_or_arn),
        None => name_or_arn,
    }
}

/// Returns family and revision from a task definition ARN or from `family:revision`.
pub fn family_and_revision(definition: &str) -> Option<(&str, &str)> {
    let name = match Arn::parse(definition) {
        Some(arn) => arn.resource_of("task-definition")?,
        None => definition,
    };
    name.rsplit_once(':').filter(|(family, revision)| !family.is_empty() && !revision.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_arns_of_both_formats_and_any_partition_are_parsed() {
        for (text, partition, cluster) in [
            ("arn:aws:ecs:eu-west-1:111122223333:task/5f0e", "aws", None),
            ("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e", "aws", Some("shop")),
            ("arn:aws-cn:ecs:eu-west-1:111122223333:task/shop/5f0e", "aws-cn", Some("shop")),
            ("arn:aws-us-gov:ecs:eu-west-1:111122223333:task/shop/5f0e", "aws-us-gov", Some("shop")),
        ] {
            let task = TaskArn::parse(text).unwrap();
            assert_eq!((task.id, task.cluster), ("5f0e", cluster), "{text}");
            assert_eq!(
                (task.arn.partition, task.arn.region, task.arn.account),
                (partition, "eu-west-1", "111122223333")
            );
        }
    }

    #[test]
    fn other_text_is_not_a_task_arn() {
        for text in [
            "",
            "5f0e",
            "arn:aws:ecs",
            "arn:aws:ecs:eu-west-1:1:",
            "arn:aws:ecs:eu-west-1:1:task/",
            "arn:aws:ecs:eu-west-1:1:task/shop/",
            "arn:aws:ecs:eu-west-1:1:service/shop/cart",
            "arn:aws:s3:::task/shop/5f0e",
        ] {
            assert_eq!(TaskArn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn cluster_name_is_read_from_names_and_arns() {
        assert_eq!(cluster_name("shop"), "shop");
        assert_eq!(cluster_name("arn:aws:ecs:eu-west-1:111122223333:cluster/shop"), "shop");
        assert_eq!(cluster_name("arn:aws:ecs:eu-west-1"), "arn:aws:ecs:eu-west-1");
    }

    #[test]
    fn family_and_revision_are_read_from_definitions() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/cart:12";
        assert_eq!(family_and_revision(arn), Some(("cart", "12")));
        assert_eq!(family_and_revision("cart:12"), Some(("cart", "12")));
        assert_eq!(family_and_revision("cart"), None);
        assert_eq!(family_and_revision(""), None);
    }
}
