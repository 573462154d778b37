//! Is everything as it has to be: for `sidecarless check`, and for the event of that name.
//!
//! Each permission is tried by the call that needs it, in its cheapest harmless form, and each answer that is no success
//! comes with what to do about it. What cannot be known from here is skipped by name, never passed over.

mod advice;
mod caller;
mod finding;
mod queue;
mod reach;
mod reads;
mod writes;

use futures_util::future::join;

pub use finding::{Checked, Finding, Outcome};

use super::Pipeline;
use crate::aws::sts::Identity;
use crate::config::{Auth, Settings};
use crate::deadline::Deadline;
use caller::Place;

impl Pipeline {
    /// Everything that can be checked from here, in the order in which it is best mended.
    pub async fn check(&self, deadline: &Deadline) -> Checked {
        let deadline = &deadline.single_attempt();
        let mut findings = vec![settings(&self.settings, &self.region), pushes(&self.settings)];
        let caller = self.sts.caller(deadline).await;
        findings.push(caller::credentials(&caller.identity));
        findings.push(caller::clock(caller.date_ms, deadline.now_ms()));
        if matches!(caller.identity, Identity::Missing(_)) {
            findings.push(Finding::skip(finding::THE_REST, "not tried without credentials"));
            return Checked { findings };
        }
        let place = Place::of(&caller.identity, &self.region);
        let (reads, writes) =
            join(Box::pin(self.check_reads(&place, deadline)), Box::pin(self.check_writes(&place, deadline))).await;
        findings.extend(reads);
        findings.extend(writes);
        findings.extend(self.check_spool(&place, deadline).await);
        Checked { findings }
    }
}

fn settings(settings: &Settings, region: &str) -> Finding {
    let clusters = settings.clusters.join(",");
    Finding::ok("settings", format!("region {region}, clusters {clusters}"))
}

/// Who may push.
fn pushes(settings: &Settings) -> Finding {
    const CHECK: &str = "pushes";
    match settings.auth {
        Auth::Token if settings.tokens.is_empty() => {
            let why = "SIDECARLESS_TOKENS_SHA256 is not set: every push is refused with 401";
            Finding::skip(CHECK, why).fix("`sidecarless token` makes a token and its hash, if there are to be any")
        }
        Auth::Token => {
            Finding::ok(CHECK, format!("taken with a bearer token; hashes known: {}", settings.tokens.len()))
        }
        Auth::Iam => Finding::ok(CHECK, "taken from callers that IAM has authenticated"),
        Auth::Open => Finding::ok(CHECK, "taken from whoever knows the URL: SIDECARLESS_AUTH is none"),
    }
}
