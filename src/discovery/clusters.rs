//! Which clusters are looked at: by name, by ARN, by glob, or all.

use super::ecs_client::{DiscoveryError, EcsClient};
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;
use crate::rules::glob;

/// The clusters the setting names.
#[derive(Debug)]
pub(super) enum ClusterSelector {
    /// Names and ARNs: nothing has to be listed.
    Names(Vec<String>),
    /// Some are globs: all are listed, and those that match are taken.
    Globs(Vec<String>),
}

impl ClusterSelector {
    pub(super) fn new(patterns: &[String]) -> Self {
        if patterns.iter().any(|pattern| glob::is_glob(pattern)) {
            ClusterSelector::Globs(patterns.to_vec())
        } else {
            ClusterSelector::Names(patterns.to_vec())
        }
    }

    /// Names or ARNs of the clusters, as ListTasks takes them; and what broke their list off, which costs none of those that
    /// were listed before or are named without a glob.
    pub(super) async fn resolve(&self, api: &EcsClient, deadline: &Deadline) -> (Vec<String>, Option<DiscoveryError>) {
        let patterns = match self {
            ClusterSelector::Names(names) => return (names.clone(), None),
            ClusterSelector::Globs(patterns) => patterns,
        };
        let (mut clusters, failure) = listed(api, deadline).await;
        clusters.retain(|arn| patterns.iter().any(|pattern| matches(pattern, arn)));
        if failure.is_some() {
            let plain = patterns.iter().filter(|pattern| !glob::is_glob(pattern));
            let unlisted: Vec<_> =
                plain.filter(|name| !clusters.iter().any(|arn| matches(name, arn))).cloned().collect();
            clusters.extend(unlisted);
        }
        (clusters, failure)
    }

    /// Whether a cluster that an event names, by its ARN, is one of them.
    pub(super) fn matches(&self, arn: &str) -> bool {
        let (ClusterSelector::Names(patterns) | ClusterSelector::Globs(patterns)) = self;
        patterns.iter().any(|pattern| matches(pattern, arn))
    }
}

/// All clusters of the account, as far as they could be listed.
async fn listed(api: &EcsClient, deadline: &Deadline) -> (Vec<String>, Option<DiscoveryError>) {
    let (mut clusters, mut token) = (Vec::new(), None);
    loop {
        let request = api.client.list_clusters().set_next_token(token).send();
        let output = match api.call("ListClusters", "the account", deadline, request).await {
            Ok(output) => output,
            Err(error) => return (clusters, Some(error)),
        };
        clusters.extend(output.cluster_arns.unwrap_or_default());
        token = output.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return (clusters, None);
        }
    }
}

/// A pattern stands for the short name, or for the whole ARN when it is written as one.
fn matches(pattern: &str, arn: &str) -> bool {
    let subject = if pattern.starts_with("arn:") { arn } else { cluster_name(arn) };
    glob::matches(pattern, subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_name_or_the_arn() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod";
        for (pattern, expected) in [
            ("*", true),
            ("shop-*", true),
            ("shop-prod", true),
            ("shop", false),
            ("arn:aws:ecs:*:cluster/shop-prod", true),
            ("arn:aws:ecs:us-*", false),
        ] {
            assert_eq!(matches(pattern, arn), expected, "{pattern}");
        }
    }

    #[test]
    fn an_event_of_another_cluster_is_not_ours() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod";
        for (patterns, expected) in
            [(["shop-prod", "bank"], true), (["bank", "shop-*"], true), (["bank", "shop"], false)]
        {
            assert_eq!(ClusterSelector::new(&patterns.map(str::to_owned)).matches(arn), expected, "{patterns:?}");
        }
    }

    #[test]
    fn plain_names_need_no_list() {
        assert!(matches!(ClusterSelector::new(&["shop".into(), "bank".into()]), ClusterSelector::Names(_)));
        assert!(matches!(ClusterSelector::new(&["shop".into(), "bank-?".into()]), ClusterSelector::Globs(_)));
    }
}
