//! Checks of settings, credentials, permissions and connectivity, for `sidecarless check` and for the check event.
//!
//! Each permission is tested with the API call that needs it, in a cheap and harmless form, and each failure has a fix. Checks
//! that are impossible from here are listed as skipped.

mod caller;
mod cloudwatch_check;
mod connectivity;
mod delivery_checks;
mod discovery_checks;
mod handler;
mod queue;
mod remedy;
mod report;
mod roles;
mod state_checks;

use futures_util::future::join;

pub(super) use handler::CheckHandler;
pub use report::{CheckReport, CheckResult, CheckStatus};

use crate::aws::error::AwsErrorKind;
use crate::deadline::Deadline;
use crate::settings::{Auth, Settings};
use caller::ArnBuilder;

impl CheckHandler {
    /// Runs all checks, in the order in which failures should be fixed.
    pub(super) async fn run(&self, deadline: &Deadline) -> CheckReport {
        let deadline = &deadline.single_attempt();
        let caller = self.sts.get_caller_identity(deadline).await;
        let mut checks = vec![
            settings(&self.settings, &self.region),
            pushes(&self.settings),
            caller::credentials(&caller.arn),
            caller::clock(caller.date_ms, deadline.now_ms()),
        ];
        if matches!(&caller.arn, Err(error) if error.kind == AwsErrorKind::MissingCredentials) {
            checks.push(CheckResult::skip(report::REMAINING_CHECKS, "not tried without credentials"));
            return CheckReport { checks };
        }
        let arns = ArnBuilder::for_identity(&caller.arn, &self.region);
        let (reads, writes) =
            join(Box::pin(self.check_reads(&arns, deadline)), Box::pin(self.check_writes(&arns, deadline))).await;
        checks.extend(reads);
        checks.extend(Box::pin(roles::check(&self.access, deadline)).await);
        checks.extend(writes);
        checks.extend(self.check_spool(&arns, deadline).await);
        checks.extend(self.check_shard_queue(&arns, deadline).await);
        CheckReport { checks }
    }
}

fn settings(settings: &Settings, region: &str) -> CheckResult {
    let clusters = settings.clusters.join(",");
    CheckResult::ok("settings", format!("region {region}, clusters {clusters}"))
}

/// Reports who can push.
fn pushes(settings: &Settings) -> CheckResult {
    const NAME: &str = "pushes";
    match settings.auth {
        Auth::Token if settings.tokens.is_empty() => {
            let message = "SIDECARLESS_TOKENS_SHA256 is not set: every push is rejected with 401";
            CheckResult::skip(NAME, message)
                .with_fix("to accept pushes, create a token and its hash with `sidecarless token`")
        }
        Auth::Token => {
            CheckResult::ok(NAME, format!("accepted with a bearer token; configured hashes: {}", settings.tokens.len()))
        }
        Auth::Iam => CheckResult::ok(NAME, "accepted from callers that IAM has authenticated"),
        Auth::Disabled => CheckResult::ok(NAME, "accepted from any client, because of SIDECARLESS_AUTH=none"),
    }
}
