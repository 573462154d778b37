//! Parses the ARNs of clusters, tasks and task definitions, in any partition.
//!
//! Format: `arn:<partition>:<service>:<region>:<account>:<resource>` (AWS General Reference, "Amazon Resource Names").
//! Task ARNs have two formats: `task/<id>`, which is older, and `task/<cluster>/<id>` (Amazon ECS Developer Guide,
//! "Amazon Resource Names and IDs").

/// Maximum length of the name of a cluster (Amazon ECS API Reference, CreateCluster).
const MAX_CLUSTER_NAME_BYTES: usize = 255;

/// Maximum length of a partition, a region or an account. The longest are `aws-us-gov`, `ap-southeast-1` and 12 digits.
const MAX_SCOPE_BYTES: usize = 32;

/// Digits of a task id, and of its older form, a UUID with dashes (Amazon ECS Developer Guide, "Amazon Resource Names and IDs").
const TASK_ID_DIGITS: usize = 32;
const UUID_PARTS: [usize; 5] = [8, 4, 4, 4, 12];

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

    /// Returns whether the parts have the lengths that AWS gives them, for an ARN that a client sent.
    pub fn is_in_limits(&self) -> bool {
        let Arn { partition, region, account, .. } = self.arn;
        [partition, region, account].iter().all(|part| part.len() <= MAX_SCOPE_BYTES)
            && self.cluster.is_none_or(|cluster| (1..=MAX_CLUSTER_NAME_BYTES).contains(&cluster.len()))
            && is_task_id(self.id)
    }

    /// Returns the ARN of a cluster in the same account and region.
    pub fn cluster_arn(&self, cluster: &str) -> String {
        let Arn { partition, region, account, .. } = self.arn;
        format!("arn:{partition}:ecs:{region}:{account}:cluster/{cluster}")
    }
}

/// Returns whether a text has the form of a task id.
pub fn is_task_id(text: &str) -> bool {
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = || text.split('-').map(str::len).eq(UUID_PARTS) && text.split('-').all(are_digits);
    (text.len() == TASK_ID_DIGITS && are_digits(text)) || is_uuid()
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
    fn task_ids_differ_from_other_session_names() {
        for (name, expected) in [
            ("6b777c1809a94925ab48098fa09824de", true),
            ("6b777c18-09a9-4925-ab48-098fa09824de", true),
            ("6b777c1809a94925ab48098fa0982-4de", false),
            ("6b777c18-09a94925-ab48-098fa09824de", false),
            ("--------------------------------6b777c1809a94925ab48098fa09824de", false),
            ("i-0123456789abcdef0", false),
            ("botocore-session-1700000000", false),
            ("6b777c1809a94925ab48098fa09824dg", false),
            ("", false),
        ] {
            assert_eq!(is_task_id(name), expected, "{name}");
        }
    }

    #[test]
    fn arn_with_parts_longer_than_aws_allows_is_out_of_limits() {
        let id = "6b777c1809a94925ab48098fa09824de";
        for (scope, cluster, id, expected) in [
            ("eu-west-1:111122223333", "shop/", id, true),
            ("eu-west-1:111122223333", "", id, true),
            ("eu-west-1:111122223333", &format!("{}/", "c".repeat(255)), id, true),
            ("eu-west-1:111122223333", &format!("{}/", "c".repeat(256)), id, false),
            ("eu-west-1:111122223333", "/", id, false),
            ("eu-west-1:111122223333", "shop/", "5f0e", false),
            (&format!("{}:111122223333", "r".repeat(33)), "shop/", id, false),
            (&format!("eu-west-1:{}", "1".repeat(33)), "shop/", id, false),
        ] {
            let arn = format!("arn:aws:ecs:{scope}:task/{cluster}{id}");
            assert_eq!(TaskArn::parse(&arn).unwrap().is_in_limits(), expected, "{arn}");
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
