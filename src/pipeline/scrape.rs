//! Stats endpoints inside tasks: scraped side by side, each translated as soon as it has answered.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::Pipeline;
use super::account::Round;
use crate::collect::scrape::{ScrapeError, StatsBodies};
use crate::collect::targets::{self, StatsTarget};
use crate::deadline::Deadline;
use crate::model::refusal::Refusals;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::stats::{StatsDocument, TaskDocument};
use crate::model::target::Task;
use crate::translate::{health, stats};

/// Targets scraped side by side: most of a scrape is waiting for the task.
const SCRAPES_AT_ONCE: usize = 64;

impl Pipeline {
    /// Scrapes the pages that tasks declare, and every task that declares a stats endpoint; each is translated as soon as it has answered.
    pub(super) async fn scrape(
        &self,
        tasks: &[Arc<Task>],
        round: &mut Round,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        self.scrape_pages(tasks, round, deadline, out).await;
        if !self.settings.sources.endpoint {
            return;
        }
        let mut targets = Vec::new();
        for target in tasks.iter().filter_map(|task| targets::stats_target(task, &self.settings.scrape_ranges)) {
            match target {
                Ok(target) => targets.push(target),
                Err(dropped) => round.drop_target(|| dropped.to_string()),
            }
        }
        let mut scrapes = stream::iter(&targets)
            .map(|target| async move {
                let (at_ms, before) = (deadline.now_ms(), deadline.elapsed());
                let bodies = self.scraper.stats(target, deadline).await;
                Scraped { target, at_ms, seconds: (deadline.elapsed() - before).as_secs_f64(), bodies }
            })
            .buffer_unordered(SCRAPES_AT_ONCE);
        while let Some(scraped) = scrapes.next().await {
            let said = self.translate(&scraped, out);
            round.heard(&scraped.target.task, scraped.target.address, said);
        }
    }

    /// Writes what a target said, and `up` in any case. An error says why the target counts as down.
    fn translate(&self, scraped: &Scraped<'_>, out: &mut SeriesBatch) -> Result<Refusals, String> {
        let task = &scraped.target.task;
        let external = self.labelled(Labels::default());
        let said = scraped.bodies.as_ref().map_err(ScrapeError::to_string).and_then(|bodies| {
            let document = TaskDocument::parse(bytes(&bodies.task)).map_err(|error| error.to_string())?;
            let statistics = StatsDocument::parse(bytes(&bodies.stats)).map_err(|error| error.to_string())?;
            let network_mode = Some(&*task.network_mode);
            let report = stats::Report { task: &document, stats: &statistics, at_ms: scraped.at_ms, network_mode };
            Ok(stats::series(&report, &external, &self.settings.stats, out).refused)
        });
        let labels = self.labelled(health::stats_target_labels(task, &scraped.target.address.to_string()));
        health::series(&labels, scraped.at_ms, said.is_ok(), scraped.seconds, out);
        said
    }
}

/// A target, and what it answered.
struct Scraped<'a> {
    target: &'a StatsTarget,
    at_ms: i64,
    seconds: f64,
    bodies: Result<StatsBodies, ScrapeError>,
}

fn bytes(body: &Bytes) -> &[u8] {
    body
}
