//! Translation of expositions (Prometheus text 0.0.4 or OpenMetrics 1.0) to series.
//!
//! [`parser`] reads entries, [`series`] adds the labels of the target and writes the samples, [`report`] writes the series
//! that Prometheus adds for every scrape (`up` and `scrape_*`), [`ScrapedSeries`] writes staleness markers, and [`PageLayout`] has what
//! the next scrape need not parse again. The goal is that
//! a scrape has the same series and values as a scrape by Prometheus 2.42, the release in Debian. Therefore `le` and
//! `quantile` keep the spelling of the exposition, `_created` lines are ordinary series, and one invalid line fails the full
//! scrape.
//!
//! Unlike that release, quoted names are supported (Prometheus 3, "UTF-8 in Prometheus"). Amazon Managed Service for
//! Prometheus documents only the legacy character set, so other characters of such names are replaced with `_` by default.

mod cursor;
mod entry;
mod labels;
mod layout;
mod merge;
mod number;
mod options;
mod page;
pub mod parser;
mod report;
mod sample;
mod scraped;
mod series;
mod series_writer;
mod staleness;
#[cfg(test)]
mod tests;
mod two_pass;

pub use cursor::SyntaxError;
pub use layout::PageLayout;
pub use options::{ExpositionError, ExpositionErrorKind, ScrapeCounts, ScrapeOptions};
pub use page::ScrapedPage;
pub use report::{ScrapeReport, report, report_stale};
pub use scraped::ScrapedSeries;
pub use series::{series, series_like};
