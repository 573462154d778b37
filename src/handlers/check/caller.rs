//! Whose credentials these are, and whether the clock is right.

use super::remedy;
use super::report::CheckResult;
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::model::arn::Arn;

/// How far a clock may be off before AWS refuses signatures (AWS IAM User Guide, "Signature Version 4: troubleshooting").
const MAX_CLOCK_SKEW_MS: u64 = 300_000;

/// A `Date` has whole seconds, and its answer was on the way for some time.
const CLOCK_TOLERANCE_MS: u64 = 3_000;

/// Where the resources of permissions are.
pub(super) struct ArnBuilder {
    partition: String,
    region: String,
    account: String,
}

impl ArnBuilder {
    /// What is not known is `*` in the ARN, as a policy has it.
    pub(super) fn for_identity(identity: &Result<String, AwsError>, region: &str) -> Self {
        let arn = match identity {
            Ok(arn) => Arn::parse(arn),
            _ => None,
        };
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

    /// The ARN of a resource of `service`.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// Whether they are good.
pub(super) fn credentials(identity: &Result<String, AwsError>) -> CheckResult {
    const CHECK: &str = "credentials";
    let error = match identity {
        Ok(arn) => return CheckResult::ok(CHECK, arn.as_str()),
        Err(error) => error,
    };
    match error.kind {
        AwsErrorKind::MissingCredentials => {
            let fix = "sign in (`aws sso login`, `aws configure`), or set AWS_PROFILE";
            CheckResult::fail(CHECK, error.detail.as_str(), fix)
        }
        AwsErrorKind::ClockSkewed => CheckResult::fail(CHECK, format!("STS answered {error}"), remedy::CLOCK),
        kind if kind.is_retryable() => {
            CheckResult::skip(CHECK, format!("STS, which only this check asks, did not answer: {error}"))
        }
        _ => CheckResult::fail(CHECK, format!("STS answered {error}"), remedy::CREDENTIALS),
    }
}

/// How far this clock is from that of AWS.
pub(super) fn clock(aws_ms: Option<i64>, now_ms: i64) -> CheckResult {
    const CHECK: &str = "clock";
    let Some(aws_ms) = aws_ms else {
        return CheckResult::skip(CHECK, "no answer of STS to compare it with");
    };
    let off_ms = now_ms.abs_diff(aws_ms);
    let seconds = off_ms / 1_000;
    let side = if now_ms < aws_ms { "behind" } else { "ahead of" };
    if off_ms <= CLOCK_TOLERANCE_MS {
        return CheckResult::ok(CHECK, "agrees with AWS");
    }
    if off_ms <= MAX_CLOCK_SKEW_MS {
        let says = format!("{seconds} s {side} AWS, of the 300 s that signatures allow");
        return CheckResult::ok(CHECK, says).fix(remedy::CLOCK);
    }
    CheckResult::fail(CHECK, format!("{seconds} s {side} AWS"), remedy::CLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::CheckStatus;

    #[test]
    fn a_clock_may_be_five_minutes_off_and_no_more() {
        let now_ms = 1_795_389_900_000;
        for (off_s, outcome, says) in [
            (0, CheckStatus::Ok, "agrees with AWS"),
            (-2, CheckStatus::Ok, "agrees with AWS"),
            (60, CheckStatus::Ok, "60 s ahead of AWS"),
            (-300, CheckStatus::Ok, "300 s behind AWS"),
            (301, CheckStatus::Failed, "301 s ahead of AWS"),
            (-600, CheckStatus::Failed, "600 s behind AWS"),
        ] {
            let found = clock(Some(now_ms - off_s * 1_000), now_ms);
            assert_eq!(found.status, outcome, "{off_s}");
            assert!(found.message.starts_with(says), "{off_s}: {}", found.message);
        }
        assert_eq!(clock(None, now_ms).status, CheckStatus::Skipped);
    }

    #[test]
    fn resources_are_those_of_the_callers_account() {
        let known = Ok("arn:aws-cn:sts::111122223333:assumed-role/a/b".into());
        let place = ArnBuilder::for_identity(&known, "cn-north-1");
        assert_eq!(place.arn("ecs", "task/*"), "arn:aws-cn:ecs:cn-north-1:111122223333:task/*");
        let place = ArnBuilder::for_identity(&Err(AwsError::timeout()), "eu-west-1");
        assert_eq!(place.arn("ecs", "task/*"), "arn:aws:ecs:eu-west-1:*:task/*");
    }
}
