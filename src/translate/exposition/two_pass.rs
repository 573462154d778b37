//! Large expositions, which are parsed twice: first to check them, then to write their samples.
//!
//! Nothing else is kept in memory meanwhile, so that an exposition of the largest size fits into a small function.

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::SyntaxError;
use super::options::{ExpositionErrorKind, ScrapeCounts, ScrapeOptions, reserve};
use super::parser::{Entry, ParsedSample, Parser};
use super::sample::{SampleTime, add_metadata, exemplar_bytes, time_of, valid_exemplar, write_metadata};
use super::series_writer::SeriesWriter;
use crate::model::budget::Budget;
use crate::model::exposition::Format;
use crate::model::series::{InsertOutcome, SeriesBatch};

pub(super) fn check(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    budget: &dyn Budget,
    counts: &mut ScrapeCounts,
) -> Result<(), ExpositionErrorKind> {
    let mut parser = Parser::new(body, format);
    let mut exemplars_bytes = 0;
    while let Some(entry) = parser.next_entry()? {
        budget.check()?;
        let Entry::Sample(sample) = entry else { continue };
        exemplars_bytes += sample.exemplar.as_ref().map_or(0, exemplar_bytes);
        counts.samples += 1;
        if let Some(error) = parser.validate_sample() {
            return Err(error.into());
        }
        counts.post_relabel += 1;
    }
    reserve(counts.samples, exemplars_bytes, body.len(), scrape, budget)
}

pub(super) fn write(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    out: &mut SeriesBatch,
    counts: &mut ScrapeCounts,
) -> Result<(), SyntaxError> {
    let mut families = BTreeMap::new();
    let before = out.len();
    let mut writer = SeriesWriter::new(scrape.target_labels, scrape.label_policy(), out);
    let mut parser = Parser::new(body, format);
    while let Some(entry) = parser.next_entry()? {
        match entry {
            Entry::Sample(sample) => write_sample(sample, scrape, &mut writer, out, counts),
            Entry::Metadata(metadata) => add_metadata(&mut families, metadata),
        }
    }
    counts.series = (out.len() - before) as u64;
    if counts.duplicates > 0 {
        restore_first_values(body, format, scrape, &mut writer, out)?;
    }
    write_metadata(families, scrape.utf8_names, out);
    Ok(())
}

fn write_sample<'a>(
    sample: ParsedSample<'a, '_>,
    scrape: &ScrapeOptions,
    writer: &mut SeriesWriter<'_>,
    out: &mut SeriesBatch,
    counts: &mut ScrapeCounts,
) {
    let timestamp_ms = match time_of(&sample, scrape) {
        SampleTime::Valid(timestamp_ms) => timestamp_ms,
        SampleTime::OutOfBounds => {
            counts.out_of_bounds += 1;
            return;
        }
        SampleTime::TooOld => {
            counts.too_old += 1;
            return;
        }
    };
    let ParsedSample { name, labels, value, exemplar, .. } = sample;
    let id = writer.series(name, labels, out);
    if out.add_sample(id, timestamp_ms, value) == InsertOutcome::Replaced {
        counts.duplicates += 1;
    }
    let Some(exemplar) = exemplar else { return };
    match valid_exemplar(exemplar, timestamp_ms, scrape.utf8_names) {
        Some(exemplar) => {
            out.push_exemplar(id, exemplar);
            counts.exemplars += 1;
        }
        None => counts.exemplars_rejected += 1,
    }
}

/// Prometheus keeps the first of two samples of the same series and time, a [`SeriesBatch`] the last. Expositions with such
/// samples are rare and invalid, so they are parsed again, instead of keeping the first samples of every exposition.
fn restore_first_values(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    writer: &mut SeriesWriter<'_>,
    out: &mut SeriesBatch,
) -> Result<(), SyntaxError> {
    let mut seen = BTreeSet::new();
    let mut parser = Parser::new(body, format);
    while let Some(entry) = parser.next_entry()? {
        let Entry::Sample(sample) = entry else { continue };
        let SampleTime::Valid(timestamp_ms) = time_of(&sample, scrape) else { continue };
        let value = sample.value;
        let id = writer.series(sample.name, sample.labels, out);
        if seen.insert((id, timestamp_ms)) {
            out.add_sample(id, timestamp_ms, value);
        }
    }
    Ok(())
}
