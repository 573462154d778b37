//! Concurrent scrapes of tasks: stats endpoints and Prometheus targets. Each response is translated when it arrives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::context::{RunContext, Step};
use super::exposition::{ExpositionScrape, ExpositionScraper};
use super::stats::RunStats;
use super::target_down::TargetDown;
use super::task_series::TaskSeries;
use crate::deadline::Deadline;
use crate::model::arn::TaskArn;
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::model::task_metadata::{TaskMetadata, TaskStats};
use crate::scrape::stats_targets::{self, StatsTarget};
use crate::scrape::{ScrapeError, Scraper, TaskMetadataBodies};
use crate::translate::{stats, target_health};

/// Stats endpoints that are scraped at the same time. A scrape mostly waits for the task.
const STATS_CONCURRENCY: usize = 64;

/// Prometheus targets that are scraped at the same time. The scraper reads only a few of the bodies at once.
const EXPOSITION_CONCURRENCY: usize = 64;

/// Scrapes the targets of tasks.
#[derive(Debug)]
pub(in crate::handlers) struct TaskScraper {
    pub(in crate::handlers) series: Arc<TaskSeries>,
    pub(in crate::handlers) scraper: Scraper,
    pub(in crate::handlers) timeout: Duration,
    pub(in crate::handlers) expositions: Arc<ExpositionScraper>,
}

/// Result of one target.
enum ScrapeOutcome<'a> {
    /// The target was not scraped, because no time was left for it.
    Skipped,
    Stats(StatsScrape<'a>),
    Exposition(ExpositionScrape<'a>),
}

struct StatsScrape<'a> {
    target: &'a StatsTarget,
    at_ms: i64,
    duration_s: f64,
    result: Result<TaskMetadataBodies, ScrapeError>,
}

impl TaskScraper {
    /// Scrapes every target that the tasks declare. The two kinds of targets do not wait for each other.
    ///
    /// A target is skipped if other targets have used up the time: a failure would then not indicate a fault of the target.
    pub(in crate::handlers) async fn scrape(&self, tasks: &[Arc<Task>], run: &mut RunContext<'_>) {
        let deadline = &run.step_deadline(Step::Scrapes);
        let stats_targets = self.stats_targets(tasks, &mut run.stats);
        let prometheus_targets = self.expositions.targets(tasks, &mut run.stats);
        // A quarter, so that an invocation that is shorter than the scrape timeout scrapes as well.
        let min_time = self.timeout.min(deadline.remaining() / 4);
        let has_time = || deadline.remaining() >= min_time;
        let stats = stream::iter(&stats_targets)
            .map(|target| async move {
                if !has_time() {
                    return ScrapeOutcome::Skipped;
                }
                ScrapeOutcome::Stats(self.scrape_stats(target, deadline).await)
            })
            .buffer_unordered(STATS_CONCURRENCY);
        let expositions = stream::iter(&prometheus_targets)
            .map(|target| async move {
                if !has_time() {
                    return ScrapeOutcome::Skipped;
                }
                ScrapeOutcome::Exposition(self.expositions.scrape(&self.scraper, target, deadline).await)
            })
            .buffer_unordered(EXPOSITION_CONCURRENCY);
        let mut scrapes = pin!(stream::select(stats, expositions));
        while let Some(scrape) = scrapes.next().await {
            match scrape {
                ScrapeOutcome::Skipped => run.stats.record_skipped(),
                ScrapeOutcome::Stats(scrape) => {
                    let target = scrape.target;
                    let result = self.append_stats(scrape, &mut run.batch);
                    run.stats.record_scrape(&target.task, target.address, result);
                }
                ScrapeOutcome::Exposition(scrape) => {
                    let target = scrape.target;
                    let result = self.expositions.append(scrape, &mut run.batch);
                    run.stats.record_scrape(&target.task, target.address, result);
                }
            }
        }
    }

    /// Returns every stats target. Targets that cannot be scraped are counted.
    fn stats_targets(&self, tasks: &[Arc<Task>], stats: &mut RunStats) -> Vec<StatsTarget> {
        let tasks = tasks.iter().filter(|_| self.series.sources.endpoint);
        let targets = tasks.filter_map(|task| stats_targets::stats_target(task, &self.series.scrape_ranges));
        targets.filter_map(|target| stats.record_target(target)).collect()
    }

    async fn scrape_stats<'a>(&self, target: &'a StatsTarget, deadline: &Deadline) -> StatsScrape<'a> {
        let (at_ms, started) = (deadline.now_ms(), deadline.elapsed());
        let result = self.scraper.scrape_stats(target, deadline).await;
        StatsScrape { target, at_ms, duration_s: (deadline.elapsed() - started).as_secs_f64(), result }
    }

    /// Writes the series of a scrape, and `up` in any case.
    fn append_stats(&self, scrape: StatsScrape<'_>, out: &mut SeriesBatch) -> Result<Rejections, TargetDown> {
        let StatsScrape { target, at_ms, duration_s, result } = scrape;
        let result = result.map_err(TargetDown::from).and_then(|bodies| self.translate(target, at_ms, &bodies, out));
        let labels = target_health::stats_target_labels(&target.task, &target.address.to_string());
        let labels = self.series.add_labels(&target.task, labels);
        target_health::series(&labels, at_ms, result.is_ok(), duration_s, out);
        result
    }

    fn translate(
        &self,
        target: &StatsTarget,
        at_ms: i64,
        bodies: &TaskMetadataBodies,
        out: &mut SeriesBatch,
    ) -> Result<Rejections, TargetDown> {
        let task = &target.task;
        let metadata = TaskMetadata::parse(&bodies.task)?;
        let statistics = TaskStats::parse(&bodies.stats)?;
        // The address may now belong to another task, and the endpoint must not choose the identity of its series.
        if TaskArn::parse(&metadata.task_arn).is_none_or(|arn| arn.id != &*task.id) {
            return Err(TargetDown::OtherTask);
        }
        let scrape = stats::TaskScrape { task: &metadata, stats: &statistics, at_ms, described: Some(task) };
        let labels = self.series.add_labels(task, Labels::default());
        // Written samples are counted with the batch.
        let stats::StatsResult { written: _, rejected } = stats::series(&scrape, &labels, &self.series.stats, out);
        Ok(rejected)
    }
}
