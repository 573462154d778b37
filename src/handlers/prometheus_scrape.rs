//! Prometheus endpoints of tasks: each page is written with the identity of its task, and ends what the page before it
//! had and it has not.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::run_stats::RunStats;
use crate::deadline::Deadline;
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::scrape::prometheus_targets::{PrometheusTarget, declared_endpoints, prometheus_targets};
use crate::scrape::{Exposition, ScrapeError};
use crate::translate::exposition::{
    self, ExpositionError, ExpositionErrorKind, ScrapeCounts, ScrapeOptions, ScrapeReport, SeriesSet,
};
use crate::translate::stats::labels_of;

/// A page, or why there is none.
pub(super) struct ExpositionScrape<'a> {
    pub(super) target: &'a PrometheusTarget,
    at_ms: i64,
    duration: Duration,
    result: Result<Exposition, ScrapeError>,
}

impl Pipeline {
    /// Every page of the tasks; what cannot be scraped is counted.
    pub(super) fn prometheus_targets(&self, tasks: &[Arc<Task>], round: &mut RunStats) -> Vec<PrometheusTarget> {
        let (rules, ranges) = (&self.settings.prometheus_scrape.rules, &self.settings.scrape_ranges);
        let tasks = tasks.iter().filter(|_| self.settings.sources.prometheus);
        tasks
            .flat_map(|task| prometheus_targets(task, rules, ranges))
            .filter_map(|target| round.record_target(target))
            .collect()
    }

    pub(super) async fn scrape_exposition<'a>(
        &self,
        target: &'a PrometheusTarget,
        deadline: &Deadline,
    ) -> ExpositionScrape<'a> {
        let (at_ms, before) = (deadline.now_ms(), deadline.elapsed());
        let page = self.scraper.scrape_exposition(target, deadline).await;
        ExpositionScrape { target, at_ms, duration: deadline.elapsed() - before, result: page }
    }

    /// Writes a page with what Prometheus says of every scrape. An error says why the target counts as down.
    pub(super) fn append_exposition(
        &self,
        scraped: &ExpositionScrape<'_>,
        out: &mut SeriesBatch,
    ) -> Result<Rejections, String> {
        let (labels, from) = (self.target_labels(scraped.target), out.len());
        let written = scraped.result.as_ref().map_err(ScrapeError::to_string).map(|page| {
            let scrape = ScrapeOptions {
                target_labels: &labels,
                honor_labels: self.settings.prometheus_scrape.honor_labels,
                honor_timestamps: self.settings.prometheus_scrape.honor_timestamps,
                sample_limit: self.settings.prometheus_scrape.sample_limit,
                at_ms: scraped.at_ms,
            };
            exposition::series(&page.body, page.format, &scrape, out)
        });
        let (counted, said) = match written {
            Ok(Ok(counted)) => (counted, Ok(rejections(&counted))),
            Ok(Err(ExpositionError { kind: because, counts: scraped })) => (scraped, Err(reason(&because))),
            Err(reason) => (ScrapeCounts::default(), Err(reason)),
        };
        let report = ScrapeReport {
            is_up: said.is_ok(),
            duration: scraped.duration,
            samples_scraped: counted.samples,
            samples_post_relabel: counted.post_relabel,
            series_added: self.append_stale_markers(scraped, from, out),
        };
        exposition::report(&report, &labels, scraped.at_ms, out);
        said
    }

    /// Ends the series that the scrape before had and this one, which begins at `from`, has not. Returns how many are new
    /// where the scrape before is known.
    fn append_stale_markers(&self, scraped: &ExpositionScrape<'_>, from: usize, out: &mut SeriesBatch) -> Option<u64> {
        let (target, at_ms) = (scraped.target, scraped.at_ms);
        let series = SeriesSet::from_batch(out, from, at_ms);
        let now = out.len() - from;
        let before = self.scrape_cache.take(target, at_ms);
        let still_there = before.as_ref().map(|before| (before.series.mark_missing_stale(at_ms, out), before.at_ms));
        if now > 0 {
            self.scrape_cache.insert(target, series, at_ms);
        }
        // Another environment may have made the scrapes in between.
        let interval_ms = i64::try_from(self.settings.scrape_interval.as_millis()).unwrap_or(i64::MAX);
        let (still_there, _) = still_there.filter(|(_, before_ms)| at_ms - before_ms < interval_ms * 3 / 2)?;
        Some((now as u64).saturating_sub(still_there))
    }

    /// Ends everything that the pages of a stopped task have had.
    pub(super) fn mark_targets_stale(&self, task: &Arc<Task>, at_ms: i64, out: &mut SeriesBatch) {
        if !self.settings.sources.prometheus {
            return;
        }
        for target in declared_endpoints(task, &self.settings.prometheus_scrape.rules, &self.settings.scrape_ranges)
            .iter()
            .flatten()
        {
            exposition::report_stale(&self.target_labels(target), at_ms, out);
            if let Some(before) = self.scrape_cache.take(target, at_ms) {
                before.series.mark_missing_stale(at_ms, out);
            }
        }
    }

    fn target_labels(&self, target: &PrometheusTarget) -> Labels {
        let mut labels = labels_of(&target.task, target.container(), &self.settings.stats);
        labels.set("job", &target.job);
        labels.set("instance", &target.address.to_string());
        self.add_target_labels(&target.task, labels)
    }
}

/// What of a page was not written.
fn rejections(counted: &ScrapeCounts) -> Rejections {
    let mut refused = Rejections::default();
    refused.add("duplicate_sample", counted.duplicates, || "a page has two samples of one series and time".into());
    refused.add("out_of_bounds", counted.out_of_bounds, || {
        "the timestamp of a sample on a page is before 1970 or over ten minutes ahead".into()
    });
    refused.add("exemplar_dropped", counted.exemplars_rejected, || {
        "an exemplar on a page has no label, one twice, too long ones, or time 0".into()
    });
    refused
}

fn reason(because: &ExpositionErrorKind) -> String {
    match because {
        ExpositionErrorKind::Syntax(error) => format!("the page is broken: {error}"),
        ExpositionErrorKind::SampleLimit { samples, limit } => {
            format!("the page has {samples} samples, and SIDECARLESS_SCRAPE_SAMPLE_LIMIT is {limit}")
        }
    }
}
