//! Limits of what rules do with the labels of one series.
//!
//! The rules are those of the owner of the function, the labels those of any sender. A rule that doubles a label, or an expression
//! with thousands of states, makes a small series large or slow. Steps are counted instead of time, so that the result is the
//! same in each environment, and a series costs itself instead of the request or run that it is part of.

use super::backtracking::Backtracking;
use crate::model::budget::{Budget, BudgetExceeded};

/// Steps of one series. A thousand rules that read the largest labels of AMP, 7 KB, take seven million; an expression with a
/// thousand active states takes two million for the longest value of AMP.
const MAX_STEPS: u64 = 1 << 25;

/// Steps that every series may take: a hundred rules that read 300 bytes each.
const OWN_STEPS: u64 = 1 << 15;

/// Steps that every series may take in addition for each rule, so that rules that do nothing for its labels never exceed its own steps:
/// [`RULE_STEPS`], [`MATCH_STEPS`], [`GROUPS_STEPS`] and 32 bytes.
const OWN_STEPS_OF_RULE: u64 = 1 << 7;

/// Further steps of all series of a batch, a quarter of a second of a full core. They are for few expensive series: series that take no
/// more than their own steps never lack them.
const SHARED_STEPS: u64 = 1 << 26;

/// Bytes that rules may add to labels, besides as many as the labels have. Labels that other rules shorten later may be longer than
/// AMP accepts, 7 KB.
const ADDED_BYTES: usize = 64 << 10;

/// Steps that take some microseconds, as work between two checks of a budget should.
const STEPS_PER_CHECK: u64 = 1 << 10;

/// Steps of a rule, whatever it does.
pub(super) const RULE_STEPS: usize = 16;

/// Steps of a match of any text, and of finding groups in it, which allocates memory.
pub(super) const MATCH_STEPS: usize = 16;
pub(super) const GROUPS_STEPS: usize = 64;

/// Limit of the labels of one series while rules are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleLimit {
    #[error(
        "takes more than {MAX_STEPS} steps, or those that are left: use a simpler expression, or drop long labels before it"
    )]
    Steps,
    #[error(
        "adds more than {} KiB to labels that it also doubles: make the replacement shorter, or drop long labels before it",
        ADDED_BYTES >> 10
    )]
    Size,
}

impl RuleLimit {
    /// Returns the reason of the rejection.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Steps => "too_many_rule_steps",
            Self::Size => "labels_too_large",
        }
    }
}

/// The limit that a series exceeds, and the number of the rule, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule} {limit}")]
pub struct RuleLimitExceeded {
    pub rule: usize,
    pub limit: RuleLimit,
}

/// Returns the maximum size of the labels of a series that has `bytes` before the rules.
pub(super) fn max_bytes(bytes: usize) -> usize {
    bytes.saturating_mul(2).saturating_add(ADDED_BYTES)
}

/// Steps of the series of a batch, and memory for matches that all of them use.
#[derive(Debug)]
pub(super) struct Work {
    /// Steps of the current series, and those among them that no other series can take.
    granted: u64,
    own: u64,
    left: u64,
    /// Steps of further series beyond their own.
    shared: u64,
    pub(super) backtracking: Backtracking,
}

impl Default for Work {
    fn default() -> Self {
        let (granted, own, left) = (0, 0, 0);
        let mut work = Self { granted, own, left, shared: SHARED_STEPS, backtracking: Backtracking::default() };
        work.start(1);
        work
    }
}

impl Work {
    /// Starts a series that this number of rules is applied to.
    pub(super) fn start(&mut self, rules: usize) {
        self.own = (OWN_STEPS + OWN_STEPS_OF_RULE * rules as u64).min(MAX_STEPS);
        self.granted = self.own + self.shared.min(MAX_STEPS - self.own);
        self.left = self.granted;
    }

    /// Counts steps before they are taken.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), RuleLimit> {
        let left = self.left.checked_sub(steps as u64);
        self.left = left.unwrap_or_default();
        left.map(drop).ok_or(RuleLimit::Steps)
    }

    /// Returns the steps of the current series.
    pub(super) fn used(&self) -> u64 {
        self.granted - self.left
    }

    /// Ends a series. Its steps take time of the budget.
    pub(super) fn finish(&mut self, budget: &dyn Budget) -> Result<(), BudgetExceeded> {
        let used = self.used();
        self.shared -= used.saturating_sub(self.own).min(self.shared);
        (0..used / STEPS_PER_CHECK).try_for_each(|_| budget.check())
    }
}

#[cfg(test)]
mod tests;
