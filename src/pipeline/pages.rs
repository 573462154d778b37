//! Prometheus endpoints of tasks: scraped side by side, each page written with the identity of its task.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Pipeline;
use super::account::Round;
use crate::collect::pages::{PageTarget, page_targets};
use crate::collect::scrape::{Page, ScrapeError};
use crate::deadline::Deadline;
use crate::model::refusal::Refusals;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::target::Task;
use crate::translate::exposition::{self, Failed, FailedBecause, Report, Scrape};
use crate::translate::stats::labels_of;

/// Pages scraped side by side; each may weigh megabytes.
const SCRAPES_AT_ONCE: usize = 16;

impl Pipeline {
    /// Scrapes every page that tasks declare.
    pub(super) async fn scrape_pages(
        &self,
        tasks: &[Arc<Task>],
        round: &mut Round,
        deadline: &Deadline,
        out: &mut SeriesBatch,
    ) {
        if !self.settings.sources.prometheus {
            return;
        }
        let mut targets = Vec::new();
        for target in tasks.iter().flat_map(|task| page_targets(task, &self.settings.scrape_ranges)) {
            match target {
                Ok(target) => targets.push(target),
                Err(dropped) => round.drop_target(|| dropped.to_string()),
            }
        }
        let mut scrapes = stream::iter(&targets)
            .map(|target| async move {
                let (at_ms, before) = (deadline.now_ms(), deadline.elapsed());
                let page = self.scraper.page_of(target, deadline).await;
                Scraped { target, at_ms, took: deadline.elapsed() - before, page }
            })
            .buffer_unordered(SCRAPES_AT_ONCE);
        while let Some(scraped) = scrapes.next().await {
            let said = self.write_page(&scraped, out);
            round.heard(&scraped.target.task, scraped.target.address, said);
        }
    }

    /// Writes a page with what Prometheus says of every scrape. An error says why the target counts as down.
    fn write_page(&self, scraped: &Scraped<'_>, out: &mut SeriesBatch) -> Result<Refusals, String> {
        let labels = self.page_labels(scraped.target);
        let written = scraped.page.as_ref().map_err(ScrapeError::to_string).map(|page| {
            let scrape = Scrape {
                target_labels: &labels,
                honor_labels: self.settings.pages.honor_labels,
                honor_timestamps: self.settings.pages.honor_timestamps,
                sample_limit: self.settings.pages.sample_limit,
                at_ms: scraped.at_ms,
            };
            exposition::series(&page.body, page.format, &scrape, out)
        });
        let (counted, said) = match written {
            Ok(Ok(counted)) => (counted, Ok(Refusals::default())),
            Ok(Err(Failed { because, scraped })) => (scraped, Err(reason(&because))),
            Err(reason) => (exposition::Scraped::default(), Err(reason)),
        };
        let report = Report {
            is_up: said.is_ok(),
            duration: scraped.took,
            samples_scraped: counted.samples,
            samples_post_relabel: counted.post_relabel,
            series_added: None,
        };
        exposition::report(&report, &labels, scraped.at_ms, out);
        said
    }

    fn page_labels(&self, target: &PageTarget) -> Labels {
        let mut labels = labels_of(&target.task, target.container(), &self.settings.stats);
        labels.set("job", &target.job);
        labels.set("instance", &target.address.to_string());
        self.labelled(labels)
    }
}

/// A target, and what it answered.
struct Scraped<'a> {
    target: &'a PageTarget,
    at_ms: i64,
    took: Duration,
    page: Result<Page, ScrapeError>,
}

fn reason(because: &FailedBecause) -> String {
    match because {
        FailedBecause::Syntax(error) => format!("the page is broken: {error}"),
        FailedBecause::SampleLimit { samples, limit } => {
            format!("the page has {samples} samples, and SIDECARLESS_SCRAPE_SAMPLE_LIMIT is {limit}")
        }
    }
}
