//! Scrapes of tasks, side by side: stats endpoints and Prometheus endpoints. Each is translated as soon as it has answered.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Pipeline;
use super::prometheus_scrape::ExpositionScrape;
use super::run_stats::RunStats;
use crate::deadline::Deadline;
use crate::model::arn::TaskArn;
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::model::task_metadata::{TaskMetadata, TaskStats};
use crate::scrape::stats_targets::{self, StatsTarget};
use crate::scrape::{ScrapeError, TaskMetadataBodies};
use crate::translate::{stats, target_health};

/// Stats endpoints scraped side by side: most of a scrape is waiting for the task.
const STATS_CONCURRENCY: usize = 64;

/// Pages scraped side by side: as above. Few of them are read at the same time, which is for the scraper to see to.
const EXPOSITION_CONCURRENCY: usize = 64;

/// What a target answered.
enum ScrapeOutcome<'a> {
    /// It was not asked: there was no time for its answer.
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

impl Pipeline {
    /// Scrapes everything that the tasks declare. Neither kind of target waits for the other. A target that cannot be given
    /// its time, because others took theirs to the end, is not asked: that it does not answer would say nothing of it.
    pub(super) async fn scrape(
        &self,
        tasks: &[Arc<Task>],
        round: &mut RunStats,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        let (stats, pages) = (self.stats_targets(tasks, round), self.prometheus_targets(tasks, round));
        // A short invocation is better than none.
        let least = self.settings.scrape_timeout.min(deadline.remaining() / 4);
        let has_time = || deadline.remaining() >= least;
        let stats = stream::iter(&stats)
            .map(|target| async move {
                if has_time() {
                    ScrapeOutcome::Stats(self.scrape_stats(target, deadline).await)
                } else {
                    ScrapeOutcome::Skipped
                }
            })
            .buffer_unordered(STATS_CONCURRENCY);
        let pages = stream::iter(&pages)
            .map(|target| async move {
                if has_time() {
                    ScrapeOutcome::Exposition(self.scrape_exposition(target, deadline).await)
                } else {
                    ScrapeOutcome::Skipped
                }
            })
            .buffer_unordered(EXPOSITION_CONCURRENCY);
        let mut scrapes = pin!(stream::select(stats, pages));
        while let Some(scraped) = scrapes.next().await {
            match scraped {
                ScrapeOutcome::Skipped => round.record_skipped(),
                ScrapeOutcome::Stats(stats) => {
                    let said = self.write_stats(&stats, out);
                    round.record_scrape(&stats.target.task, stats.target.address, said);
                }
                ScrapeOutcome::Exposition(page) => {
                    let said = self.append_exposition(&page, out);
                    round.record_scrape(&page.target.task, page.target.address, said);
                }
            }
        }
    }

    /// Every stats endpoint; what cannot be scraped is counted.
    fn stats_targets(&self, tasks: &[Arc<Task>], round: &mut RunStats) -> Vec<StatsTarget> {
        let tasks = tasks.iter().filter(|_| self.settings.sources.endpoint);
        let targets = tasks.filter_map(|task| stats_targets::stats_target(task, &self.settings.scrape_ranges));
        targets.filter_map(|target| round.record_target(target)).collect()
    }

    async fn scrape_stats<'a>(&self, target: &'a StatsTarget, deadline: &Deadline) -> StatsScrape<'a> {
        let (at_ms, before) = (deadline.now_ms(), deadline.elapsed());
        let bodies = self.scraper.scrape_stats(target, deadline).await;
        StatsScrape { target, at_ms, duration_s: (deadline.elapsed() - before).as_secs_f64(), result: bodies }
    }

    /// Writes what a target said, and `up` in any case. An error says why the target counts as down.
    fn write_stats(&self, scraped: &StatsScrape<'_>, out: &mut SeriesBatch) -> Result<Rejections, String> {
        let task = &scraped.target.task;
        let extra = self.add_target_labels(task, Labels::default());
        let said = scraped.result.as_ref().map_err(ScrapeError::to_string).and_then(|bodies| {
            let document = TaskMetadata::parse(&bodies.task).map_err(|error| error.to_string())?;
            let statistics = TaskStats::parse(&bodies.stats).map_err(|error| error.to_string())?;
            // An address may be another task's by now; and whose series these are is not for the endpoint to say.
            if TaskArn::parse(&document.task_arn).is_none_or(|arn| arn.id != &*task.id) {
                return Err("it answered with the stats of another task".into());
            }
            let (network_mode, service) = (&task.network_mode, task.service.as_deref());
            let at_ms = scraped.at_ms;
            let report = stats::TaskScrape { task: &document, stats: &statistics, at_ms, network_mode, service };
            Ok(stats::series(&report, &extra, &self.settings.stats, out).rejected)
        });
        let labels =
            self.add_target_labels(task, target_health::stats_target_labels(task, &scraped.target.address.to_string()));
        target_health::series(&labels, scraped.at_ms, said.is_ok(), scraped.duration_s, out);
        said
    }
}
