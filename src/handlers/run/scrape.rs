//! Concurrent scrapes of tasks: stats endpoints and Prometheus targets.
//!
//! Responses are translated one after the other, the smallest first, and their series are delivered while other targets are
//! scraped. A target that is slow, large or expensive takes only its own share: it holds no slot, memory or time that other
//! targets wait for.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use futures_util::{FutureExt as _, StreamExt as _};

use super::context::{RunContext, Step};
use super::exposition::{ExpositionScrape, ExpositionScraper};
use super::last_samples::LastSamples;
use super::slots::Slots;
use super::stats::RunStats;
use super::target_down::TargetDown;
use super::task_series::TaskSeries;
use crate::deadline::Deadline;
use crate::model::arn::TaskArn;
use crate::model::budget::Budget as _;
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::model::task_metadata::{TaskMetadata, TaskStats};
use crate::scrape::stats_targets::{self, StatsTarget};
use crate::scrape::{BusyTime, ScrapeError, Scraper, TaskMetadataBodies};
use crate::translate::stats::StatsSource;
use crate::translate::{stats, target_health};
use crate::work_budget::{MemoryLimit, WorkBudget};

/// Targets of each kind that are scraped at the same time. A scrape mostly waits for the task.
const CONCURRENCY: usize = 64;

/// Slow stats endpoints and Prometheus targets in addition. A stats endpoint has two connections, and Lambda allows 1,024 open
/// files.
const SLOW_STATS_TARGETS: usize = 128;
const SLOW_PROMETHEUS_TARGETS: usize = 256;

/// Responses that wait for translation. More than one, so that small ones precede large ones.
const MAX_READY: usize = 64;

/// Share of the remaining time in which the response of one target must be read. Writing its series takes about three times as
/// long, so that one target uses at most half of the time.
const TARGET_TIME_SHARE: u32 = 8;

/// Time that a target has in any case. A response of 50,000 samples takes 20 ms on a full core.
const MIN_TARGET_TIME: Duration = Duration::from_millis(250);

/// Largest expansion of a response to series: a line of 10 bytes becomes a series of 160. If there is no memory for it, the series
/// before are delivered first.
const MAX_EXPANSION: usize = 16;

/// Scrapes the targets of tasks.
#[derive(Debug)]
pub(in crate::handlers) struct TaskScraper {
    pub(in crate::handlers) series: Arc<TaskSeries>,
    pub(in crate::handlers) scraper: Scraper,
    pub(in crate::handlers) timeout: Duration,
    pub(in crate::handlers) expositions: Arc<ExpositionScraper>,
    pub(in crate::handlers) last_samples: Arc<LastSamples>,
    pub(in crate::handlers) memory: MemoryLimit,
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

impl ScrapeOutcome<'_> {
    /// Returns the size of the response.
    fn size(&self) -> usize {
        match self {
            Self::Skipped => 0,
            Self::Stats(scrape) => scrape.result.as_ref().map_or(0, |bodies| bodies.task.len() + bodies.stats.len()),
            Self::Exposition(scrape) => scrape.size(),
        }
    }

    fn is_skipped(&self) -> bool {
        match self {
            Self::Skipped => true,
            Self::Stats(scrape) => matches!(scrape.result, Err(ScrapeError::RunEnded)),
            Self::Exposition(scrape) => scrape.is_skipped(),
        }
    }
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
        let busy = &BusyTime::default();
        let (stats_slots, exposition_slots) =
            (&Slots::new(CONCURRENCY, SLOW_STATS_TARGETS), &Slots::new(CONCURRENCY, SLOW_PROMETHEUS_TARGETS));
        let stats = stream::iter(&stats_targets).map(|target| {
            stats_slots.scrape(deadline, move || async move {
                if !has_time() {
                    return ScrapeOutcome::Skipped;
                }
                ScrapeOutcome::Stats(self.scrape_stats(target, deadline, busy).await)
            })
        });
        let expositions = stream::iter(&prometheus_targets).map(|target| {
            exposition_slots.scrape(deadline, move || async move {
                if !has_time() {
                    return ScrapeOutcome::Skipped;
                }
                ScrapeOutcome::Exposition(self.expositions.scrape(&self.scraper, target, deadline, busy).await)
            })
        });
        let scrapes = stream::select(
            stats.buffer_unordered(CONCURRENCY + SLOW_STATS_TARGETS),
            expositions.buffer_unordered(CONCURRENCY + SLOW_PROMETHEUS_TARGETS),
        );
        self.append_all(scrapes, deadline, busy, run).await;
    }

    /// Translates the responses, and delivers their series meanwhile.
    async fn append_all<'a>(
        &self,
        scrapes: impl Stream<Item = ScrapeOutcome<'a>>,
        deadline: &Deadline,
        busy: &BusyTime,
        run: &mut RunContext<'_>,
    ) {
        let mut scrapes = pin!(scrapes);
        let mut ready: Vec<ScrapeOutcome<'a>> = Vec::new();
        loop {
            while ready.len() < MAX_READY
                && let Some(Some(scrape)) = scrapes.next().now_or_never()
            {
                ready.push(scrape);
            }
            let smallest = ready.iter().enumerate().min_by_key(|(_, scrape)| scrape.size()).map(|(at, _)| at);
            let Some(at) = smallest else {
                let Some(scrape) = run.wait_for(scrapes.next()).await else { break };
                ready.push(scrape);
                continue;
            };
            let started = deadline.elapsed();
            self.append(ready.swap_remove(at), deadline, run).await;
            busy.add(deadline.elapsed() - started);
            // Connections and deliveries make progress between two translations.
            run.wait_for(tokio::task::yield_now()).await;
        }
        // The caller waits for other calls of its own.
        run.finish_part().await;
    }

    async fn append(&self, scrape: ScrapeOutcome<'_>, deadline: &Deadline, run: &mut RunContext<'_>) {
        if scrape.is_skipped() || deadline.remaining().is_zero() {
            return run.stats.record_skipped();
        }
        if self.memory.available() < scrape.size().saturating_mul(MAX_EXPANSION) {
            run.deliver_now().await;
        }
        let share = (deadline.remaining() / TARGET_TIME_SHARE).max(MIN_TARGET_TIME);
        let share_ends = run.deadline.capped(share);
        let budget = self.memory.budget(&share_ends, Duration::ZERO);
        let (task, address, result) = match scrape {
            ScrapeOutcome::Skipped => return,
            ScrapeOutcome::Stats(scrape) => {
                let target = scrape.target;
                self.last_samples.record(&target.task, scrape.at_ms);
                (&target.task, target.address, self.append_stats(scrape, &budget, &mut run.batch))
            }
            ScrapeOutcome::Exposition(scrape) => {
                let target = scrape.target;
                self.last_samples.record(&target.task, scrape.at_ms);
                (&target.task, target.address, self.expositions.append(scrape, &budget, &mut run.batch))
            }
        };
        run.stats.record_scrape(task, address, result);
        run.deliver_if_full().await;
    }

    /// Returns every stats target. Targets that cannot be scraped are counted.
    fn stats_targets(&self, tasks: &[Arc<Task>], stats: &mut RunStats) -> Vec<StatsTarget> {
        let tasks = tasks.iter().filter(|task| self.series.source(task) == Some(StatsSource::Endpoint));
        let targets = tasks.filter_map(|task| stats_targets::stats_target(task, &self.series.scrape_ranges));
        targets.filter_map(|target| stats.record_target(target)).collect()
    }

    async fn scrape_stats<'a>(&self, target: &'a StatsTarget, deadline: &Deadline, busy: &BusyTime) -> StatsScrape<'a> {
        let (at_ms, mut time) = (deadline.now_ms(), self.scraper.time(deadline, busy));
        let result = self.scraper.scrape_stats(target, &mut time).await;
        StatsScrape { target, at_ms, duration_s: time.used().as_secs_f64(), result }
    }

    /// Writes the series of a scrape, and `up` in any case.
    fn append_stats(
        &self,
        scrape: StatsScrape<'_>,
        budget: &WorkBudget<'_>,
        out: &mut SeriesBatch,
    ) -> Result<Rejections, TargetDown> {
        let StatsScrape { target, at_ms, duration_s, result } = scrape;
        let result =
            result.map_err(TargetDown::from).and_then(|bodies| self.translate(target, at_ms, &bodies, budget, out));
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
        budget: &WorkBudget<'_>,
        out: &mut SeriesBatch,
    ) -> Result<Rejections, TargetDown> {
        // Parsed, the documents take hardly more memory than their text.
        budget.reserve(bodies.task.len() + bodies.stats.len())?;
        let task = &target.task;
        let metadata = TaskMetadata::parse(&bodies.task)?;
        let statistics = TaskStats::parse(&bodies.stats)?;
        // The address may now belong to another task, and the endpoint must not choose the identity of its series.
        if TaskArn::parse(&metadata.task_arn).is_none_or(|arn| arn.id != &*task.id) {
            return Err(TargetDown::OtherTask);
        }
        let scrape =
            stats::TaskScrape { task: &metadata, stats: &statistics, at_ms, received_ms: at_ms, described: Some(task) };
        let labels = self.series.add_labels(task, Labels::default());
        // Written samples are counted with the batch.
        let stats::StatsResult { written: _, rejected } = stats::series(&scrape, &labels, &self.series.stats, out);
        Ok(rejected)
    }
}
