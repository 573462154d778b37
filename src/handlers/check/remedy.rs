//! Fixes for failed AWS calls, by the kind of the error.

use crate::aws::error::{AwsError, AwsErrorKind};

/// Fix for a wrong clock.
pub(super) const CLOCK: &str =
    "set this machine's clock (timedatectl, chrony): AWS rejects signatures that are more than 5 minutes off";

/// Returns how to fix a failed call that needs `action` on `resource`.
pub(super) fn remedy(action: &str, resource: &str, error: &AwsError) -> String {
    let (service, operation) = action.split_once(':').unwrap_or((action, action));
    match error.kind {
        AwsErrorKind::AccessDenied => format!("allow {action} on {resource} in the policy of the role"),
        AwsErrorKind::ClockSkewed => CLOCK.into(),
        AwsErrorKind::InvalidCredentials | AwsErrorKind::ExpiredCredentials => {
            "sign in again: `aws sts get-caller-identity` must succeed with the same AWS_PROFILE or AWS_ACCESS_KEY_ID"
                .into()
        }
        AwsErrorKind::MissingCredentials => "sign in (`aws sso login`, `aws configure`), or set AWS_PROFILE".into(),
        AwsErrorKind::Throttled => "other callers use up the API quota of this account: run the check again".into(),
        AwsErrorKind::Unavailable => format!("{service} is unavailable: run the check again"),
        AwsErrorKind::Unreachable | AwsErrorKind::Timeout | AwsErrorKind::OutOfTime => unreachable_remedy(service),
        AwsErrorKind::InvalidResponse => {
            format!("the response is not from {service}: check AWS_ENDPOINT_URL and the proxies on the way")
        }
        AwsErrorKind::Rejected | AwsErrorKind::InvalidRequest => match error.code.as_deref() {
            Some("ClusterNotFoundException") => {
                "set SIDECARLESS_CLUSTERS to clusters of this account and region".into()
            }
            Some(code) if code.ends_with("QueueDoesNotExist") || code.ends_with("NonExistentQueue") => {
                "set SIDECARLESS_SPOOL_QUEUE_URL to the URL of a queue in this region".into()
            }
            _ => format!("look up the error of {operation} in the API reference of {service}"),
        },
    }
}

/// Returns how to make a service reachable.
pub(super) fn unreachable_remedy(service: &str) -> String {
    format!(
        "give the subnets a route to {service} (a NAT gateway or an interface endpoint), and allow outbound traffic on port \
         443 in the security group of the function (docs/networking.md)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_a_fix() {
        for (kind, expected) in [
            (AwsErrorKind::AccessDenied, "allow ecs:ListTasks on * in the policy"),
            (AwsErrorKind::ClockSkewed, "set this machine's clock"),
            (AwsErrorKind::InvalidCredentials, "sign in again"),
            (AwsErrorKind::ExpiredCredentials, "sign in again"),
            (AwsErrorKind::MissingCredentials, "AWS_PROFILE"),
            (AwsErrorKind::Throttled, "run the check again"),
            (AwsErrorKind::Unavailable, "ecs is unavailable"),
            (AwsErrorKind::Unreachable, "a route to ecs (a NAT gateway"),
            (AwsErrorKind::Timeout, "interface endpoint"),
            (AwsErrorKind::OutOfTime, "docs/networking.md"),
            (AwsErrorKind::Rejected, "the error of ListTasks in the API reference of ecs"),
            (AwsErrorKind::InvalidRequest, "API reference"),
            (AwsErrorKind::InvalidResponse, "AWS_ENDPOINT_URL"),
        ] {
            let fix = remedy("ecs:ListTasks", "*", &AwsError::new(kind, ""));
            assert!(fix.contains(expected), "{kind:?}: {fix}");
        }
    }

    #[test]
    fn rejections_with_a_known_code_name_the_setting() {
        for (code, setting) in [
            ("ClusterNotFoundException", "SIDECARLESS_CLUSTERS"),
            ("QueueDoesNotExist", "SIDECARLESS_SPOOL_QUEUE_URL"),
            ("AWS.SimpleQueueService.NonExistentQueue", "SIDECARLESS_SPOOL_QUEUE_URL"),
        ] {
            let error = AwsError { code: Some(code.into()), ..AwsError::new(AwsErrorKind::Rejected, "") };
            assert!(remedy("ecs:ListTasks", "*", &error).contains(setting), "{code}");
        }
    }
}
