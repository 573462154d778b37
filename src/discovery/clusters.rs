//! Cluster selection with names, ARNs and globs.

use super::ecs_client::{EcsClient, Listed};
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;
use crate::rules::glob;

/// The clusters that the setting selects.
#[derive(Debug)]
pub(super) enum ClusterSelector {
    /// Names and ARNs only: no ListClusters call is needed.
    Names(Vec<String>),
    /// At least one glob: all clusters of the account are listed and matched.
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

    /// Returns the names or ARNs of the selected clusters, as ListTasks accepts them. If listing fails, clusters that
    /// were listed before, and clusters that the setting names without a glob, are still included.
    pub(super) async fn resolve(&self, api: &EcsClient, deadline: &Deadline) -> Listed<String> {
        let patterns = match self {
            ClusterSelector::Names(names) => return Listed { items: names.clone(), error: None },
            ClusterSelector::Globs(patterns) => patterns,
        };
        let Listed { items: mut clusters, error } = list_clusters(api, deadline).await;
        clusters.retain(|arn| patterns.iter().any(|pattern| matches(pattern, arn)));
        if error.is_some() {
            let names = patterns.iter().filter(|pattern| !glob::is_glob(pattern));
            let is_listed = |name: &str| clusters.iter().any(|arn| matches(name, arn));
            let unlisted: Vec<_> = names.filter(|name| !is_listed(name)).cloned().collect();
            clusters.extend(unlisted);
        }
        Listed { items: clusters, error }
    }

    /// Returns whether a cluster ARN, such as the one in a state change event, is selected.
    pub(super) fn matches(&self, arn: &str) -> bool {
        let (ClusterSelector::Names(patterns) | ClusterSelector::Globs(patterns)) = self;
        patterns.iter().any(|pattern| matches(pattern, arn))
    }
}

/// Lists all clusters of the account.
async fn list_clusters(api: &EcsClient, deadline: &Deadline) -> Listed<String> {
    let (mut clusters, mut token) = (Vec::new(), None);
    loop {
        let request = api.client.list_clusters().set_next_token(token).send();
        let output = match api.call("ListClusters", "the account", deadline, request).await {
            Ok(output) => output,
            Err(error) => return Listed { items: clusters, error: Some(error) },
        };
        clusters.extend(output.cluster_arns.unwrap_or_default());
        token = output.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Listed { items: clusters, error: None };
        }
    }
}

/// A pattern matches the short name, or the full ARN if it starts with `arn:`.
fn matches(pattern: &str, arn: &str) -> bool {
    let subject = if pattern.starts_with("arn:") { arn } else { cluster_name(arn) };
    glob::matches(pattern, subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_matches_the_short_name_or_the_arn() {
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
    fn event_of_an_unselected_cluster_does_not_match() {
        let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop-prod";
        for (patterns, expected) in
            [(["shop-prod", "bank"], true), (["bank", "shop-*"], true), (["bank", "shop"], false)]
        {
            assert_eq!(ClusterSelector::new(&patterns.map(str::to_owned)).matches(arn), expected, "{patterns:?}");
        }
    }

    #[test]
    fn names_without_globs_need_no_listing() {
        assert!(matches!(ClusterSelector::new(&["shop".into(), "bank".into()]), ClusterSelector::Names(_)));
        assert!(matches!(ClusterSelector::new(&["shop".into(), "bank-?".into()]), ClusterSelector::Globs(_)));
    }
}
