//! A scraped page (Prometheus text 0.0.4 or OpenMetrics 1.0) becomes series.
//!
//! [`page`] reads lines, [`series`] gives them the target's labels and writes them, [`report`] writes what Prometheus
//! says of every scrape (`up` and its companions), [`previous`] ends what a page no longer has. The goal is that a target scraped here and by Prometheus 2.42, the
//! release that Debian carries, gives the same series with the same values: so `le` and `quantile` stay as the page
//! spells them, `_created` lines are series like any other, and one broken line fails the whole scrape.
//!
//! Beyond that release, names in quotes are read (Prometheus 3, "UTF-8 in Prometheus"). Amazon Managed Service for
//! Prometheus takes only the classic character set, so that such names are written with `_` for every other character.

mod cursor;
mod labels;
mod merge;
mod number;
pub mod parser;
mod report;
mod series;
mod staleness;

pub use cursor::SyntaxError;
pub use report::{ScrapeReport, report, report_stale};
pub use series::{ExpositionError, ExpositionErrorKind, ScrapeCounts, ScrapeOptions, series};
pub use staleness::SeriesSet;
