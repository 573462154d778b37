//! Checks of the credentials and the clock.

use super::remedy::{self, remedy};
use super::report::CheckResult;
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::model::arn::Arn;

/// Clock skew at which AWS rejects signatures (AWS IAM User Guide, "Signature Version 4: troubleshooting").
const MAX_CLOCK_SKEW_MS: u64 = 300_000;

/// Skew that is not reported: `Date` has a resolution of one second, and the response took some time.
const CLOCK_TOLERANCE_MS: u64 = 3_000;

/// Builds the ARNs of resources in the account of the caller.
pub(super) struct ArnBuilder {
    partition: String,
    region: String,
    account: String,
}

impl ArnBuilder {
    /// Uses `*` for an unknown account, as in a policy.
    pub(super) fn for_identity(identity: &Result<String, AwsError>, region: &str) -> Self {
        let arn = identity.as_ref().ok().and_then(|arn| Arn::parse(arn));
        let part = |of: fn(&Arn<'_>) -> String| arn.as_ref().map(of).filter(|text| !text.is_empty());
        Self {
            partition: part(|arn| arn.partition.into()).unwrap_or_else(|| "aws".into()),
            region: region.to_owned(),
            account: part(|arn| arn.account.into()).unwrap_or_else(|| "*".into()),
        }
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Returns the ARN of a resource of `service`.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// Checks whether STS accepts the credentials.
pub(super) fn credentials(identity: &Result<String, AwsError>) -> CheckResult {
    const NAME: &str = "credentials";
    let error = match identity {
        Ok(arn) => return CheckResult::ok(NAME, arn.as_str()),
        Err(error) => error,
    };
    let fix = remedy("sts:GetCallerIdentity", "*", error);
    match error.kind {
        AwsErrorKind::MissingCredentials => CheckResult::fail(NAME, error.detail.as_str(), fix),
        // Only this check calls STS, so the function may work without a route to it.
        kind if kind.is_retryable() => {
            CheckResult::skip(NAME, format!("no usable response of STS, which only this check calls: {error}"))
        }
        _ => CheckResult::fail(NAME, format!("STS responded with {error}"), fix),
    }
}

/// Compares the local clock with the clock of STS.
pub(super) fn clock(aws_ms: Option<i64>, now_ms: i64) -> CheckResult {
    const NAME: &str = "clock";
    let Some(aws_ms) = aws_ms else {
        return CheckResult::skip(NAME, "STS did not respond, so there is no time to compare with");
    };
    let skew_ms = now_ms.abs_diff(aws_ms);
    let seconds = skew_ms / 1_000;
    let direction = if now_ms < aws_ms { "behind" } else { "ahead of" };
    if skew_ms <= CLOCK_TOLERANCE_MS {
        return CheckResult::ok(NAME, "agrees with AWS");
    }
    if skew_ms <= MAX_CLOCK_SKEW_MS {
        let message = format!("{seconds} s {direction} AWS; signatures allow 300 s");
        return CheckResult::ok(NAME, message).with_fix(remedy::CLOCK);
    }
    CheckResult::fail(NAME, format!("{seconds} s {direction} AWS"), remedy::CLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::CheckStatus;

    #[test]
    fn clock_skew_of_more_than_five_minutes_fails() {
        let now_ms = 1_795_389_900_000;
        for (skew_s, status, message) in [
            (0, CheckStatus::Ok, "agrees with AWS"),
            (-2, CheckStatus::Ok, "agrees with AWS"),
            (60, CheckStatus::Ok, "60 s ahead of AWS"),
            (-300, CheckStatus::Ok, "300 s behind AWS"),
            (301, CheckStatus::Failed, "301 s ahead of AWS"),
            (-600, CheckStatus::Failed, "600 s behind AWS"),
        ] {
            let result = clock(Some(now_ms - skew_s * 1_000), now_ms);
            assert_eq!(result.status, status, "{skew_s}");
            assert!(result.message.starts_with(message), "{skew_s}: {}", result.message);
        }
        assert_eq!(clock(None, now_ms).status, CheckStatus::Skipped);
    }

    #[test]
    fn credentials_fail_only_if_they_are_missing_or_rejected() {
        for (kind, status) in [
            (AwsErrorKind::MissingCredentials, CheckStatus::Failed),
            (AwsErrorKind::InvalidCredentials, CheckStatus::Failed),
            (AwsErrorKind::ClockSkewed, CheckStatus::Failed),
            (AwsErrorKind::Unreachable, CheckStatus::Skipped),
            (AwsErrorKind::Timeout, CheckStatus::Skipped),
        ] {
            assert_eq!(credentials(&Err(AwsError::new(kind, "error"))).status, status, "{kind:?}");
        }
    }

    #[test]
    fn arns_contain_the_account_of_the_caller() {
        let identity = Ok("arn:aws-cn:sts::111122223333:assumed-role/a/b".into());
        let arns = ArnBuilder::for_identity(&identity, "cn-north-1");
        assert_eq!(arns.arn("ecs", "task/*"), "arn:aws-cn:ecs:cn-north-1:111122223333:task/*");
        let arns = ArnBuilder::for_identity(&Err(AwsError::timeout()), "eu-west-1");
        assert_eq!(arns.arn("ecs", "task/*"), "arn:aws:ecs:eu-west-1:*:task/*");
    }
}
