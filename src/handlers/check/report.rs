//! Results of the checks.

use serde::Serialize;
use serde_json::{Value, json};

use super::remedy::remedy;
use crate::aws::error::AwsError;
use crate::model::shortened::shortened;

/// Name of the result that replaces all checks that were not tried.
pub(super) const REMAINING_CHECKS: &str = "everything else";

/// Results of all checks.
#[derive(Debug, Serialize)]
#[must_use]
pub struct CheckReport {
    pub checks: Vec<CheckResult>,
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// IAM action, or the topic of a check without one.
    pub name: &'static str,
    pub status: CheckStatus,
    /// One line.
    pub message: String,
    /// How to fix a failure. `None` unless there is something to fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Status of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CheckStatus {
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "FAIL")]
    Failed,
    /// Disabled by the settings, or impossible to test from here.
    #[serde(rename = "skip")]
    Skipped,
}

impl CheckStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            CheckStatus::Ok => "ok",
            CheckStatus::Failed => "FAIL",
            CheckStatus::Skipped => "skip",
        }
    }
}

impl CheckReport {
    /// Returns a report with one failure for each configuration error.
    pub fn from_config_errors(errors: &[String]) -> Self {
        let fix = "`sidecarless --help` lists every setting with its values";
        let failures = errors.iter().map(|error| CheckResult::fail("settings", error.as_str(), fix));
        let rest = CheckResult::skip(REMAINING_CHECKS, "not tried without settings");
        Self { checks: failures.chain([rest]).collect() }
    }

    /// Returns whether no check failed.
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(CheckResult::is_ok)
    }

    /// Returns the response to a check event, and the output of `sidecarless check --json`.
    pub fn into_json(self) -> Value {
        json!({"ok": self.is_ok(), "checks": self.checks})
    }
}

impl CheckResult {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Ok, message: shortened(message.into()), fix: None }
    }

    pub(super) fn skip(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Skipped, message: shortened(message.into()), fix: None }
    }

    pub(super) fn fail(name: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Failed, message: shortened(message.into()), fix: None }.with_fix(fix)
    }

    /// Returns the result of a failed call that needs `action` on `resource`.
    pub(super) fn from_error(
        action: &'static str,
        resource: &str,
        message: impl Into<String>,
        error: &AwsError,
    ) -> Self {
        Self::fail(action, message, remedy(action, resource, error))
    }

    pub(super) fn is_ok(&self) -> bool {
        self.status != CheckStatus::Failed
    }

    pub(super) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(shortened(fix.into()));
        self
    }
}
