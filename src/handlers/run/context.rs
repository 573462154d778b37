//! State of one run: the series and counts it has accumulated, and the time limits of its steps.

use std::time::Duration;

use super::stats::RunStats;
use crate::deadline::Deadline;
use crate::model::series::SeriesBatch;
use crate::translate::self_metrics::TargetCounts;

/// Step of a scheduled run that has a separate time limit.
///
/// The limit is a share of the time that remains when the step starts. A peer that hangs then leaves time for the steps after
/// it, and for delivering the series of the steps before it.
#[derive(Clone, Copy, Debug)]
pub(in crate::handlers) enum Step {
    /// A few ECS calls per cluster. Series that end late do less harm than scrapes that are skipped.
    StoppedTasks,
    /// Most of the work of a run, so it gets most of the time.
    Scrapes,
    /// Container Insights events come after the scrapes. The other half is for the delivery.
    Insights,
}

/// State of one run.
#[derive(Debug)]
pub(in crate::handlers) struct RunContext<'a> {
    pub(in crate::handlers) deadline: &'a Deadline,
    pub(in crate::handlers) batch: SeriesBatch,
    pub(in crate::handlers) stats: RunStats,
    is_scheduled: bool,
}

impl Step {
    fn limit(self, remaining: Duration) -> Duration {
        match self {
            Self::StoppedTasks => remaining / 4,
            Self::Scrapes => remaining * 3 / 4,
            Self::Insights => remaining / 2,
        }
    }
}

impl<'a> RunContext<'a> {
    /// Returns the context of a scheduled run, which no caller retries.
    pub(in crate::handlers) fn scheduled(deadline: &'a Deadline) -> Self {
        Self { is_scheduled: true, ..Self::for_event(deadline) }
    }

    /// Returns the context of a run for an event or message. The caller retries it if its series are not delivered.
    pub(in crate::handlers) fn for_event(deadline: &'a Deadline) -> Self {
        Self { deadline, batch: SeriesBatch::default(), stats: RunStats::default(), is_scheduled: false }
    }

    pub(in crate::handlers) fn is_scheduled(&self) -> bool {
        self.is_scheduled
    }

    /// Returns the counts of targets; `None` if the run does not scrape targets.
    pub(in crate::handlers) fn target_counts(&self) -> Option<TargetCounts> {
        let targets = self.stats.targets;
        (self.is_scheduled || targets != TargetCounts::default()).then_some(targets)
    }

    /// Returns the deadline of a step that starts now. The steps share the time of the run with the delivery.
    pub(in crate::handlers) fn step_deadline(&self, step: Step) -> Deadline {
        self.deadline.capped(step.limit(self.deadline.remaining()))
    }
}
