//! Check of the CloudWatch metrics of services.

use super::handler::CheckHandler;
use super::report::CheckResult;
use crate::deadline::Deadline;
use crate::handlers::run::cloudwatch::ACTION;

impl CheckHandler {
    /// Reads one metric of a cluster.
    pub(super) async fn check_cloudwatch(&self, cluster: Option<&String>, deadline: &Deadline) -> CheckResult {
        let Some(cluster) = cluster else {
            return CheckResult::skip(ACTION, "no cluster matches SIDECARLESS_CLUSTERS");
        };
        match self.targets.cloudwatch.check_access(cluster, deadline).await {
            None => CheckResult::skip(ACTION, "not called, because of SIDECARLESS_CLOUDWATCH_INTERVAL=off"),
            Some(Ok(())) => CheckResult::ok(ACTION, "CloudWatch metrics of services can be read"),
            Some(Err(error)) => CheckResult::from_error(ACTION, "*", error.to_string(), &error),
        }
    }
}
