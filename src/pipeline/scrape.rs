//! Scrapes of tasks, side by side: stats endpoints and Prometheus endpoints. Each is translated as soon as it has answered.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Pipeline;
use super::account::Round;
use super::pages::ScrapedPage;
use crate::collect::scrape::{ScrapeError, StatsBodies};
use crate::collect::targets::{self, StatsTarget};
use crate::deadline::Deadline;
use crate::model::arn::TaskArn;
use crate::model::refusal::Refusals;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::stats::{StatsDocument, TaskDocument};
use crate::model::target::Task;
use crate::translate::{health, stats};

/// Stats endpoints scraped side by side: most of a scrape is waiting for the task.
const STATS_AT_ONCE: usize = 64;

/// Pages scraped side by side: as above. Few of them are read at the same time, which is for the scraper to see to.
const PAGES_AT_ONCE: usize = 64;

/// What a target answered.
enum Scraped<'a> {
    /// It was not asked: there was no time for its answer.
    Nothing,
    Stats(ScrapedStats<'a>),
    Page(ScrapedPage<'a>),
}

struct ScrapedStats<'a> {
    target: &'a StatsTarget,
    at_ms: i64,
    seconds: f64,
    bodies: Result<StatsBodies, ScrapeError>,
}

impl Pipeline {
    /// Scrapes everything that the tasks declare. Neither kind of target waits for the other. A target that cannot be given
    /// its time, because others took theirs to the end, is not asked: that it does not answer would say nothing of it.
    pub(super) async fn scrape(
        &self,
        tasks: &[Arc<Task>],
        round: &mut Round,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        let (stats, pages) = (self.stats_targets(tasks, round), self.page_targets(tasks, round));
        // A short invocation is better than none.
        let least = self.settings.scrape_timeout.min(deadline.left() / 4);
        let has_time = || deadline.left() >= least;
        let stats = stream::iter(&stats)
            .map(|target| async move {
                if has_time() { Scraped::Stats(self.scrape_stats(target, deadline).await) } else { Scraped::Nothing }
            })
            .buffer_unordered(STATS_AT_ONCE);
        let pages = stream::iter(&pages)
            .map(|target| async move {
                if has_time() { Scraped::Page(self.scrape_page(target, deadline).await) } else { Scraped::Nothing }
            })
            .buffer_unordered(PAGES_AT_ONCE);
        let mut scrapes = pin!(stream::select(stats, pages));
        while let Some(scraped) = scrapes.next().await {
            match scraped {
                Scraped::Nothing => round.not_asked(),
                Scraped::Stats(stats) => {
                    let said = self.write_stats(&stats, out);
                    round.heard(&stats.target.task, stats.target.address, said);
                }
                Scraped::Page(page) => {
                    let said = self.write_page(&page, out);
                    round.heard(&page.target.task, page.target.address, said);
                }
            }
        }
    }

    /// Every stats endpoint; what cannot be scraped is counted.
    fn stats_targets(&self, tasks: &[Arc<Task>], round: &mut Round) -> Vec<StatsTarget> {
        let tasks = tasks.iter().filter(|_| self.settings.sources.endpoint);
        let targets = tasks.filter_map(|task| targets::stats_target(task, &self.settings.scrape_ranges));
        targets.filter_map(|target| round.kept(target)).collect()
    }

    async fn scrape_stats<'a>(&self, target: &'a StatsTarget, deadline: &Deadline) -> ScrapedStats<'a> {
        let (at_ms, before) = (deadline.now_ms(), deadline.elapsed());
        let bodies = self.scraper.stats(target, deadline).await;
        ScrapedStats { target, at_ms, seconds: (deadline.elapsed() - before).as_secs_f64(), bodies }
    }

    /// Writes what a target said, and `up` in any case. An error says why the target counts as down.
    fn write_stats(&self, scraped: &ScrapedStats<'_>, out: &mut SeriesBatch) -> Result<Refusals, String> {
        let task = &scraped.target.task;
        let extra = self.labelled(task, Labels::default());
        let said = scraped.bodies.as_ref().map_err(ScrapeError::to_string).and_then(|bodies| {
            let document = TaskDocument::parse(&bodies.task).map_err(|error| error.to_string())?;
            let statistics = StatsDocument::parse(&bodies.stats).map_err(|error| error.to_string())?;
            // An address may be another task's by now; and whose series these are is not for the endpoint to say.
            if TaskArn::parse(&document.task_arn).is_none_or(|arn| arn.id != &*task.id) {
                return Err("it answered with the stats of another task".into());
            }
            let (network_mode, service) = (Some(&*task.network_mode), task.service.as_deref());
            let at_ms = scraped.at_ms;
            let report = stats::Report { task: &document, stats: &statistics, at_ms, network_mode, service };
            Ok(stats::series(&report, &extra, &self.settings.stats, out).refused)
        });
        let labels = self.labelled(task, health::stats_target_labels(task, &scraped.target.address.to_string()));
        health::series(&labels, scraped.at_ms, said.is_ok(), scraped.seconds, out);
        said
    }
}
