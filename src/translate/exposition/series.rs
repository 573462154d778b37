//! Conversion of the samples of an exposition to series with the labels of the target.

use std::sync::Arc;

use super::layout::PageLayout;
use super::options::{ExpositionError, ExpositionErrorKind, ScrapeCounts, ScrapeOptions};
use super::page::{self, ScrapedPage};
use super::two_pass;
use crate::model::budget::Budget;
use crate::model::exposition::Format;
use crate::model::series::SeriesBatch;

/// Writes the samples, exemplars and metadata of an exposition to `out`, or nothing if there is an error.
pub fn series(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    budget: &dyn Budget,
    out: &mut SeriesBatch,
) -> Result<ScrapeCounts, ExpositionError> {
    series_like(body, format, scrape, None, budget, out).map(|(counts, _)| counts)
}

/// Writes the same as [`series`], and takes the labels of lines from a layout that has them. Returns what is known about the lines;
/// `None` if the exposition is too large to keep that.
pub fn series_like(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    layout: Option<&Arc<PageLayout>>,
    budget: &dyn Budget,
    out: &mut SeriesBatch,
) -> Result<(ScrapeCounts, Option<ScrapedPage>), ExpositionError> {
    let mut counts = ScrapeCounts::default();
    if body.len() <= page::MAX_BYTES {
        let parsed = page::parse(body, format, scrape, layout, budget, &mut counts);
        let parsed = parsed.map_err(|kind| ExpositionError { kind, counts })?;
        let page = parsed.write(scrape, out, &mut counts);
        return Ok((counts, Some(page)));
    }
    two_pass::check(body, format, scrape, budget, &mut counts).map_err(|kind| ExpositionError { kind, counts })?;
    two_pass::write(body, format, scrape, out, &mut counts)
        .map_err(|error| ExpositionError { kind: ExpositionErrorKind::Syntax(error), counts })?;
    Ok((counts, None))
}
