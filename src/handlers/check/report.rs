//! What a check came to.

use serde::Serialize;
use serde_json::{Value, json};

/// What stands for all checks that were not tried.
pub(super) const REMAINING_CHECKS: &str = "everything else";

/// All findings of one check.
#[derive(Debug, Serialize)]
pub struct CheckReport {
    pub checks: Vec<CheckResult>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// An IAM action, or a word.
    pub name: &'static str,
    pub status: CheckStatus,
    /// What was seen, on one line.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CheckStatus {
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "FAIL")]
    Failed,
    /// Not wanted by the settings, or nothing can be said from here.
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
    /// When the settings cannot even be read, a finding for each mistake.
    pub fn from_config_errors(mistakes: &[String]) -> Self {
        let fix = "`sidecarless --help` lists every setting with its values";
        let mistakes = mistakes.iter().map(|mistake| CheckResult::fail("settings", mistake.as_str(), fix));
        let rest = CheckResult::skip(REMAINING_CHECKS, "not tried without settings");
        Self { checks: mistakes.chain([rest]).collect() }
    }

    /// Whether nothing failed.
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(CheckResult::is_ok)
    }

    /// For whoever invoked by hand.
    pub fn into_json(self) -> Value {
        json!({"ok": self.is_ok(), "checks": self.checks})
    }
}

impl CheckResult {
    pub(super) fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { name: check, status: CheckStatus::Ok, message: says.into(), fix: None }
    }

    pub(super) fn skip(check: &'static str, says: impl Into<String>) -> Self {
        Self { name: check, status: CheckStatus::Skipped, message: says.into(), fix: None }
    }

    pub(super) fn fail(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: check, status: CheckStatus::Failed, message: says.into(), fix: Some(fix.into()) }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.status != CheckStatus::Failed
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
