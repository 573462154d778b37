//! Is everything as it has to be: for `sidecarless check`, and for the event of that name.
//!
//! Each permission is tried by the call that needs it, in its cheapest harmless form, and each answer that is no success
//! comes with what to do about it. What cannot be known from here is skipped by name, never passed over.

mod caller;
mod connectivity;
mod delivery_checks;
mod discovery_checks;
mod handler;
mod queue;
mod remedy;
mod report;

use futures_util::future::join;

pub(super) use handler::CheckHandler;
pub use report::{CheckReport, CheckResult, CheckStatus};

use crate::aws::error::AwsErrorKind;
use crate::deadline::Deadline;
use crate::settings::{Auth, Settings};
use caller::ArnBuilder;

impl CheckHandler {
    /// Everything that can be checked from here, in the order in which it is best mended.
    pub(super) async fn run(&self, deadline: &Deadline) -> CheckReport {
        let deadline = &deadline.single_attempt();
        let mut findings = vec![settings(&self.settings, &self.region), pushes(&self.settings)];
        let caller = self.sts.get_caller_identity(deadline).await;
        findings.push(caller::credentials(&caller.arn));
        findings.push(caller::clock(caller.date_ms, deadline.now_ms()));
        if matches!(&caller.arn, Err(error) if error.kind == AwsErrorKind::MissingCredentials) {
            findings.push(CheckResult::skip(report::REMAINING_CHECKS, "not tried without credentials"));
            return CheckReport { checks: findings };
        }
        let place = ArnBuilder::for_identity(&caller.arn, &self.region);
        let (reads, writes) =
            join(Box::pin(self.check_reads(&place, deadline)), Box::pin(self.check_writes(&place, deadline))).await;
        findings.extend(reads);
        findings.extend(writes);
        findings.extend(self.check_spool(&place, deadline).await);
        CheckReport { checks: findings }
    }
}

fn settings(settings: &Settings, region: &str) -> CheckResult {
    let clusters = settings.clusters.join(",");
    CheckResult::ok("settings", format!("region {region}, clusters {clusters}"))
}

/// Who may push.
fn pushes(settings: &Settings) -> CheckResult {
    const CHECK: &str = "pushes";
    match settings.auth {
        Auth::Token if settings.tokens.is_empty() => {
            let why = "SIDECARLESS_TOKENS_SHA256 is not set: every push is refused with 401";
            CheckResult::skip(CHECK, why).fix("`sidecarless token` makes a token and its hash, if there are to be any")
        }
        Auth::Token => {
            CheckResult::ok(CHECK, format!("taken with a bearer token; hashes known: {}", settings.tokens.len()))
        }
        Auth::Iam => CheckResult::ok(CHECK, "taken from callers that IAM has authenticated"),
        Auth::Disabled => CheckResult::ok(CHECK, "taken from whoever knows the URL: SIDECARLESS_AUTH is none"),
    }
}
