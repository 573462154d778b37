//! Checks of the roles that the function assumes for destinations in other accounts.

use super::report::CheckResult;
use crate::aws::error::AwsErrorKind;
use crate::deadline::Deadline;
use crate::handlers::access::{AssumedRole, DestinationAccess};

const ACTION: &str = "sts:AssumeRole";

/// Assumes each role. Returns nothing for destinations that are called with the role of the function.
pub(super) async fn check(access: &[DestinationAccess], deadline: &Deadline) -> Vec<CheckResult> {
    let mut results = Vec::new();
    for access in access {
        let Some(AssumedRole { arn, result }) = access.assume_role(deadline).await else { continue };
        results.push(match result {
            Ok(()) => CheckResult::ok(ACTION, format!("the role {arn} can be assumed")),
            Err(error) if error.kind == AwsErrorKind::AccessDenied => {
                let fix = format!(
                    "allow {ACTION} on {arn} in the policy of the function's role, and allow that role in the trust policy of \
                     {arn}, with the external ID that it requires"
                );
                CheckResult::fail(ACTION, error.detail, fix)
            }
            Err(error) => CheckResult::from_error(ACTION, &arn, error.detail.clone(), &error),
        });
    }
    results
}
