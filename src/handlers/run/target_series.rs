//! Series of a scrape, and the rules of its target.

use std::sync::Arc;

use super::target_down::TargetDown;
use crate::model::budget::Budget;
use crate::model::series::SeriesBatch;
use crate::rules::relabel::RelabelConfigs;
use crate::scrape::Exposition;
use crate::translate::exposition::{self, ExpositionError, PageLayout, ScrapeCounts, ScrapeOptions, ScrapedPage};

/// A scrape of which nothing was written.
pub(super) struct FailedScrape {
    pub(super) error: TargetDown,
    pub(super) counts: ScrapeCounts,
}

impl From<ExpositionError> for FailedScrape {
    fn from(ExpositionError { kind, counts }: ExpositionError) -> Self {
        Self { error: kind.into(), counts }
    }
}

/// Writes the series of an exposition. The rules of its target apply before anything else, and the sample limit to what remains.
pub(super) fn translate(
    exposition: &Exposition,
    options: &ScrapeOptions<'_>,
    layout: Option<&Arc<PageLayout>>,
    rules: &RelabelConfigs,
    budget: &dyn Budget,
    out: &mut SeriesBatch,
) -> Result<(ScrapeCounts, Option<ScrapedPage>), FailedScrape> {
    if rules.is_empty() {
        return Ok(exposition::series_like(&exposition.body, exposition.format, options, layout, budget, out)?);
    }
    let mut scraped = SeriesBatch::default();
    let all = ScrapeOptions { sample_limit: None, ..*options };
    let mut counts = exposition::series(&exposition.body, exposition.format, &all, budget, &mut scraped)?;
    let failed = |error: TargetDown, counts| FailedScrape { error, counts };
    let relabelled =
        rules.scraped(scraped, options.utf8_names, budget).map_err(|error| failed(error.into(), counts))?;
    counts.post_relabel = counts.post_relabel.saturating_sub(relabelled.dropped);
    if let Some(limit) = options.sample_limit.filter(|&limit| counts.post_relabel > limit) {
        return Err(failed(TargetDown::SampleLimit { samples: counts.post_relabel, limit }, counts));
    }
    let before = out.len();
    counts.duplicates += relabelled.append_to(out);
    counts.series = (out.len() - before) as u64;
    // The series are not those of the page.
    Ok((counts, None))
}
