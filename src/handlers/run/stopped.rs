//! Series of stopped tasks: why they stopped, and staleness markers that end their series.
//!
//! State change events report most stops. Scheduled runs find missed stops, and both write the same samples.

use std::sync::Arc;

use super::context::RunContext;
use super::exposition::ExpositionScraper;
use super::last_samples::LastSamples;
use super::state::StateCollector;
use super::task_series::TaskSeries;
use crate::model::ecs::TaskStatus;
use crate::model::series::Labels;
use crate::model::task::Task;
use crate::scrape::stats_targets::stats_addresses;
use crate::translate::stats::StatsSource;
use crate::translate::stopped::{StoppedTask, stale_markers, stopped_series};
use crate::translate::target_health;

/// Writes the series of stopped tasks.
#[derive(Debug)]
pub(in crate::handlers) struct StoppedTaskWriter {
    pub(in crate::handlers) series: Arc<TaskSeries>,
    pub(in crate::handlers) expositions: Arc<ExpositionScraper>,
    pub(in crate::handlers) state: Arc<StateCollector>,
    pub(in crate::handlers) last_samples: Arc<LastSamples>,
}

impl StoppedTaskWriter {
    /// Writes why a task stopped. If scrapes or pushes wrote its series, ends them at once: no scrape can follow.
    pub(in crate::handlers) fn append(&self, task: &Arc<Task>, at_ms: i64, run: &mut RunContext<'_>) {
        let (stopped, labels) = (StoppedTask { task, at_ms }, self.series.add_labels(task, Labels::default()));
        run.stats.record_stopped_task();
        if self.series.is_too_old(at_ms, run.deadline.now_ms()) {
            run.stats.record_old_event(&task.id, at_ms);
            return;
        }
        run.stats.record_rejections(stopped_series(&stopped, &labels, &self.series.stats, &mut run.batch));
        // The event may be about one container of a task that is still running.
        if task.last_status != TaskStatus::Stopped {
            return;
        }
        let at_ms = self.last_samples.end_ms(task, at_ms);
        self.expositions.mark_targets_stale(task, at_ms, &mut run.batch);
        self.state.end_task(task, at_ms, &mut run.batch);
        let (source, stopped) = (self.series.source(task), StoppedTask { task, at_ms });
        if let Some(source @ (StatsSource::Push | StatsSource::Endpoint)) = source {
            self.append_stale_markers(&stopped, source, run);
        }
        let has_endpoint = source == Some(StatsSource::Endpoint);
        for address in stats_addresses(task, &self.series.scrape_ranges).into_iter().filter(|_| has_endpoint) {
            let labels = target_health::stats_target_labels(task, &address.to_string());
            target_health::mark_stale(&self.series.add_labels(task, labels), at_ms, &mut run.batch);
        }
    }

    /// Ends the series that `source` wrote for a task.
    pub(in crate::handlers) fn append_stale_markers(
        &self,
        stopped: &StoppedTask<'_>,
        source: StatsSource,
        run: &mut RunContext<'_>,
    ) {
        let labels = self.series.add_labels(stopped.task, Labels::default());
        run.stats.record_rejections(stale_markers(stopped, source, &labels, &self.series.stats, &mut run.batch));
    }
}

/// Returns when a task stopped; `None` if it has not, or ECS does not report the time.
pub(in crate::handlers) fn stopped_ms(task: &Task) -> Option<i64> {
    if task.last_status != TaskStatus::Stopped {
        return None;
    }
    task.stopped_at_ms.or(task.execution_stopped_at_ms)
}
