//! Prometheus targets of tasks: scrapes, the identity of their series, and staleness markers for series that ended.

use std::sync::Arc;
use std::time::Duration;

use super::scrape_cache::{CachedScrape, ScrapeCache};
use super::stats::RunStats;
use super::target_down::TargetDown;
use super::target_series::{self, FailedScrape};
use super::task_series::{TOO_OLD, TaskSeries};
use crate::deadline::Deadline;
use crate::model::budget::Budget;
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::scrape::prometheus_targets::{PrometheusTarget, declared_endpoints, prometheus_targets};
use crate::scrape::{BusyTime, Exposition, ScrapeError, Scraper};
use crate::translate::exposition::{self, ScrapeCounts, ScrapeOptions, ScrapeReport, ScrapedPage, ScrapedSeries};
use crate::translate::stats::labels_of;
use crate::work_budget::MemoryLimit;

/// Scrapes Prometheus targets, and remembers the series of each scrape for the next one.
#[derive(Debug)]
pub(in crate::handlers) struct ExpositionScraper {
    series: Arc<TaskSeries>,
    interval: Duration,
    cache: ScrapeCache,
}

/// Scrape of a Prometheus target.
pub(in crate::handlers) struct ExpositionScrape<'a> {
    pub(in crate::handlers) target: &'a PrometheusTarget,
    pub(super) at_ms: i64,
    duration: Duration,
    result: Result<Exposition, ScrapeError>,
}

/// Series of a scrape, which are in a batch from number `from` on.
struct Scraped<'a> {
    target: &'a PrometheusTarget,
    labels: &'a Labels,
    at_ms: i64,
    from: usize,
    /// `None` if there are no series, or too many.
    page: Option<ScrapedPage>,
}

impl ExpositionScrape<'_> {
    /// Returns the size of the response.
    pub(super) fn size(&self) -> usize {
        self.result.as_ref().map_or(0, |exposition| exposition.body.len())
    }

    pub(super) fn is_skipped(&self) -> bool {
        matches!(self.result, Err(ScrapeError::RunEnded))
    }
}

impl ExpositionScraper {
    pub(in crate::handlers) fn new(series: Arc<TaskSeries>, interval: Duration, memory: MemoryLimit) -> Self {
        Self { series, interval, cache: ScrapeCache::new(memory) }
    }

    /// Returns every Prometheus target of the tasks. Targets that cannot be scraped are counted.
    pub(super) fn targets(&self, tasks: &[Arc<Task>], stats: &mut RunStats) -> Vec<PrometheusTarget> {
        let (rules, ranges) = (&self.series.prometheus.rules, &self.series.scrape_ranges);
        let tasks = tasks.iter().filter(|_| self.series.sources.prometheus);
        tasks
            .flat_map(|task| prometheus_targets(task, rules, ranges))
            .filter_map(|target| stats.record_target(target))
            .collect()
    }

    pub(super) async fn scrape<'a>(
        &self,
        scraper: &Scraper,
        target: &'a PrometheusTarget,
        deadline: &Deadline,
        busy: &BusyTime,
    ) -> ExpositionScrape<'a> {
        let (at_ms, mut time) = (deadline.now_ms(), scraper.time(deadline, busy));
        let result = scraper.scrape_exposition(target, &mut time).await;
        ExpositionScrape { target, at_ms, duration: time.used(), result }
    }

    /// Writes the series of a scrape, and the series that Prometheus adds to every scrape.
    pub(super) fn append(
        &self,
        scrape: ExpositionScrape<'_>,
        budget: &dyn Budget,
        out: &mut SeriesBatch,
    ) -> Result<Rejections, TargetDown> {
        let ExpositionScrape { target, at_ms, duration, result } = scrape;
        let (labels, from) = (self.target_labels(target), out.len());
        let previous = self.cache.take(target, at_ms);
        let layout = previous.as_ref().and_then(|previous| previous.series.layout().cloned());
        let layout = layout.or_else(|| self.cache.layout_like(target));
        let options = self.options(&labels, at_ms);
        let translate = |exposition: Exposition| {
            target_series::translate(&exposition, &options, layout.as_ref(), &target.relabel, budget, out)
        };
        let (counts, page, result) = match result.map(translate) {
            Ok(Ok((counts, page))) => (counts, page, Ok(rejections(&counts))),
            Ok(Err(FailedScrape { error, counts })) => (counts, None, Err(error)),
            Err(error) => (ScrapeCounts::default(), None, Err(error.into())),
        };
        let scraped = Scraped { target, labels: &labels, at_ms, from, page };
        let report = ScrapeReport {
            is_up: result.is_ok(),
            duration,
            samples_scraped: counts.samples,
            samples_post_relabel: counts.post_relabel,
            series_added: self.append_stale_markers(previous, scraped, out),
        };
        exposition::report(&report, &labels, at_ms, out);
        result
    }

    fn options<'a>(&self, target_labels: &'a Labels, at_ms: i64) -> ScrapeOptions<'a> {
        let settings = &self.series.prometheus;
        ScrapeOptions {
            target_labels,
            honor_labels: settings.honor_labels,
            utf8_names: settings.utf8_names,
            honor_timestamps: settings.honor_timestamps,
            sample_limit: settings.sample_limit,
            max_age_ms: self.series.max_age_ms,
            at_ms,
        }
    }

    /// Ends the series of the previous scrape that this one does not have, and keeps its own for the next one. Returns the number of
    /// new series; `None` if the previous scrape is unknown.
    fn append_stale_markers(
        &self,
        previous: Option<CachedScrape>,
        scraped: Scraped<'_>,
        out: &mut SeriesBatch,
    ) -> Option<u64> {
        let Scraped { target, labels, at_ms, from, page } = scraped;
        let count = out.len() - from;
        let page = page.as_ref();
        if count > 0 {
            let kept = page.filter(|page| self.cache.has_room_for(page.layout(), at_ms));
            let series = ScrapedSeries::new(kept, labels, out, from, at_ms, self.cache.max_bytes());
            if let Some(series) = series {
                self.cache.insert(target, series, at_ms);
            }
        }
        let previous = previous?;
        let still_present = previous.series.mark_missing_stale(page, labels, at_ms, out);
        // Another execution environment may have made the scrapes in between.
        let interval_ms = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        (at_ms - previous.at_ms < interval_ms * 3 / 2).then(|| (count as u64).saturating_sub(still_present))
    }

    /// Ends all series that were scraped from a stopped task.
    pub(super) fn mark_targets_stale(&self, task: &Arc<Task>, at_ms: i64, out: &mut SeriesBatch) {
        if !self.series.sources.prometheus {
            return;
        }
        let endpoints = declared_endpoints(task, &self.series.prometheus.rules, &self.series.scrape_ranges);
        for target in &endpoints {
            let labels = self.target_labels(target);
            exposition::report_stale(&labels, at_ms, out);
            if let Some(previous) = self.cache.take(target, at_ms) {
                previous.series.mark_missing_stale(None, &labels, at_ms, out);
            }
        }
    }

    fn target_labels(&self, target: &PrometheusTarget) -> Labels {
        let mut labels = labels_of(&target.task, target.container(), &self.series.stats);
        labels.set("job", &target.job);
        labels.set("instance", &target.address.to_string());
        self.series.add_labels(&target.task, labels)
    }
}

/// Returns the samples and exemplars of an exposition that were not written.
fn rejections(counts: &ScrapeCounts) -> Rejections {
    // The other counts are in the series that Prometheus adds to a scrape, or are counted with the batch.
    let ScrapeCounts {
        samples: _,
        post_relabel: _,
        series: _,
        exemplars: _,
        duplicates,
        out_of_bounds,
        too_old,
        exemplars_rejected,
    } = *counts;
    let mut rejected = Rejections::default();
    rejected.add("duplicate_sample", duplicates, || "an exposition has two samples of one series and time".into());
    rejected.add("out_of_bounds", out_of_bounds, || {
        "the timestamp of a scraped sample is before 1970 or more than ten minutes ahead".into()
    });
    rejected
        .add(TOO_OLD, too_old, || "the timestamp of a scraped sample is older than SIDECARLESS_MAX_SAMPLE_AGE".into());
    rejected.add("exemplar_dropped", exemplars_rejected, || {
        "a scraped exemplar has no label, a duplicate label, labels that are too long, or time 0".into()
    });
    rejected
}
