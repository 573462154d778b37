//! Prometheus endpoints of tasks: each page is written with the identity of its task, and ends what the page before it
//! had and it has not.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::account::Round;
use crate::collect::pages::{PageTarget, declared_pages, page_targets};
use crate::collect::scrape::{Page, ScrapeError};
use crate::deadline::Deadline;
use crate::model::refusal::Refusals;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::target::Task;
use crate::translate::exposition::{self, Failed, FailedBecause, PageSeries, Report, Scrape, Scraped};
use crate::translate::stats::labels_of;

/// A page, or why there is none.
pub(super) struct ScrapedPage<'a> {
    pub(super) target: &'a PageTarget,
    at_ms: i64,
    took: Duration,
    page: Result<Page, ScrapeError>,
}

impl Pipeline {
    /// Every page of the tasks; what cannot be scraped is counted.
    pub(super) fn page_targets(&self, tasks: &[Arc<Task>], round: &mut Round) -> Vec<PageTarget> {
        let (rules, ranges) = (&self.settings.pages.rules, &self.settings.scrape_ranges);
        let tasks = tasks.iter().filter(|_| self.settings.sources.prometheus);
        tasks.flat_map(|task| page_targets(task, rules, ranges)).filter_map(|target| round.kept(target)).collect()
    }

    pub(super) async fn scrape_page<'a>(&self, target: &'a PageTarget, deadline: &Deadline) -> ScrapedPage<'a> {
        let (at_ms, before) = (deadline.now_ms(), deadline.elapsed());
        let page = self.scraper.page_of(target, deadline).await;
        ScrapedPage { target, at_ms, took: deadline.elapsed() - before, page }
    }

    /// Writes a page with what Prometheus says of every scrape. An error says why the target counts as down.
    pub(super) fn write_page(&self, scraped: &ScrapedPage<'_>, out: &mut SeriesBatch) -> Result<Refusals, String> {
        let (labels, from) = (self.page_labels(scraped.target), out.len());
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
            Ok(Ok(counted)) => (counted, Ok(set_aside(&counted))),
            Ok(Err(Failed { because, scraped })) => (scraped, Err(reason(&because))),
            Err(reason) => (Scraped::default(), Err(reason)),
        };
        let report = Report {
            is_up: said.is_ok(),
            duration: scraped.took,
            samples_scraped: counted.samples,
            samples_post_relabel: counted.post_relabel,
            series_added: self.end_missing(scraped, from, out),
        };
        exposition::report(&report, &labels, scraped.at_ms, out);
        said
    }

    /// Ends the series that the scrape before had and this one, which begins at `from`, has not. Returns how many are new
    /// where the scrape before is known.
    fn end_missing(&self, scraped: &ScrapedPage<'_>, from: usize, out: &mut SeriesBatch) -> Option<u64> {
        let (target, at_ms) = (scraped.target, scraped.at_ms);
        let series = PageSeries::of(out, from, at_ms);
        let now = out.len() - from;
        let before = self.pages_before.take(target, at_ms);
        let still_there = before.as_ref().map(|before| (before.series.end_missing(at_ms, out), before.at_ms));
        if now > 0 {
            self.pages_before.keep(target, series, at_ms);
        }
        // Another environment may have made the scrapes in between.
        let interval_ms = i64::try_from(self.settings.scrape_interval.as_millis()).unwrap_or(i64::MAX);
        let (still_there, _) = still_there.filter(|(_, before_ms)| at_ms - before_ms < interval_ms * 3 / 2)?;
        Some((now as u64).saturating_sub(still_there))
    }

    /// Ends everything that the pages of a stopped task have had.
    pub(super) fn end_pages(&self, task: &Arc<Task>, at_ms: i64, out: &mut SeriesBatch) {
        if !self.settings.sources.prometheus {
            return;
        }
        for target in declared_pages(task, &self.settings.pages.rules, &self.settings.scrape_ranges).iter().flatten() {
            exposition::ended(&self.page_labels(target), at_ms, out);
            if let Some(before) = self.pages_before.take(target, at_ms) {
                before.series.end_missing(at_ms, out);
            }
        }
    }

    fn page_labels(&self, target: &PageTarget) -> Labels {
        let mut labels = labels_of(&target.task, target.container(), &self.settings.stats);
        labels.set("job", &target.job);
        labels.set("instance", &target.address.to_string());
        self.labelled(&target.task, labels)
    }
}

/// What of a page was not written.
fn set_aside(counted: &Scraped) -> Refusals {
    let mut refused = Refusals::default();
    refused.add("duplicate_sample", counted.duplicates, || "a page has two samples of one series and time".into());
    refused.add("out_of_bounds", counted.out_of_bounds, || {
        "the timestamp of a sample on a page is before 1970 or over ten minutes ahead".into()
    });
    refused.add("exemplar_left_out", counted.exemplars_refused, || {
        "an exemplar on a page has no label, one twice, too long ones, or time 0".into()
    });
    refused
}

fn reason(because: &FailedBecause) -> String {
    match because {
        FailedBecause::Syntax(error) => format!("the page is broken: {error}"),
        FailedBecause::SampleLimit { samples, limit } => {
            format!("the page has {samples} samples, and SIDECARLESS_SCRAPE_SAMPLE_LIMIT is {limit}")
        }
    }
}
