//! What a check came to.

use serde::Serialize;
use serde_json::{Value, json};

/// What stands for all checks that were not tried.
pub(super) const THE_REST: &str = "everything else";

/// All findings of one check.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// An IAM action, or a word.
    pub check: &'static str,
    pub outcome: Outcome,
    /// What was seen, on one line.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "FAIL")]
    Fail,
    /// Not wanted by the settings, or nothing can be said from here.
    #[serde(rename = "skip")]
    Skip,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Fail => "FAIL",
            Outcome::Skip => "skip",
        }
    }
}

impl Checked {
    /// When the settings cannot even be read, a finding for each mistake.
    pub fn of_mistakes(mistakes: &[String]) -> Self {
        let fix = "`sidecarless --help` lists every setting with its values";
        let mistakes = mistakes.iter().map(|mistake| Finding::fail("settings", mistake.as_str(), fix));
        let rest = Finding::skip(THE_REST, "not tried without settings");
        Self { findings: mistakes.chain([rest]).collect() }
    }

    /// Whether nothing failed.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(Finding::is_well)
    }

    /// For whoever invoked by hand.
    pub fn into_json(self) -> Value {
        json!({"well": self.is_well(), "findings": self.findings})
    }
}

impl Finding {
    pub(super) fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, outcome: Outcome::Ok, says: says.into(), fix: None }
    }

    pub(super) fn skip(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, outcome: Outcome::Skip, says: says.into(), fix: None }
    }

    pub(super) fn fail(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, outcome: Outcome::Fail, says: says.into(), fix: Some(fix.into()) }
    }

    pub(super) fn is_well(&self) -> bool {
        self.outcome != Outcome::Fail
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}
