//! Expositions of common size, which are parsed once. Their values are kept until all lines are known to be valid.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::layout::{LayoutBuilder, LayoutReader, MissingLines, PageLayout};
use super::merge::merge_labels;
use super::options::{ExpositionErrorKind, ScrapeCounts, ScrapeOptions, reserve};
use super::parser::{Entry, ParsedSample, Parser};
use super::sample::{Families, SampleTime, add_metadata, exemplar_bytes, time_of, valid_exemplar, write_metadata};
use super::series_writer::SeriesWriter;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::exposition::Format;
use crate::model::series::{Exemplar, InsertOutcome, SeriesBatch};

/// Largest exposition whose values and layout are kept while it is parsed: about ten thousand samples. Layout and values take up to
/// ten times as much memory for a moment, which a small function does not have for the largest exposition.
pub(super) const MAX_BYTES: usize = 2 << 20;

/// Bytes of the shortest line.
const MIN_LINE_BYTES: usize = 4;

/// Sample of a line.
#[derive(Debug)]
struct Row {
    value: f64,
    /// `None`: it is not written.
    at_ms: Option<i64>,
}

/// What is known about a page after its series were written.
#[derive(Debug)]
pub struct ScrapedPage {
    pub(super) layout: Arc<PageLayout>,
    /// Layout that its lines were compared with.
    pub(super) known: Option<Arc<PageLayout>>,
    /// Lines of that layout that the page does not have.
    pub(super) missing: MissingLines,
    /// Whether the sample of each line was written.
    pub(super) is_complete: bool,
    /// Whether each line is a new series of the batch, with a sample of the time of the scrape.
    pub(super) is_regular: bool,
}

impl ScrapedPage {
    pub fn layout(&self) -> &Arc<PageLayout> {
        &self.layout
    }
}

/// A valid exposition.
pub(super) struct ParsedPage<'a> {
    layout: Arc<PageLayout>,
    known: Option<Arc<PageLayout>>,
    missing: MissingLines,
    rows: Vec<Row>,
    /// With the row that each belongs to, in order.
    exemplars: Vec<(usize, Exemplar)>,
    families: Families<'a>,
    rejected: ScrapeCounts,
}

/// Samples, until the end of the exposition.
#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    exemplars: Vec<(usize, Exemplar)>,
    exemplar_bytes: usize,
    /// What will not be written.
    rejected: ScrapeCounts,
}

pub(super) fn parse<'a>(
    body: &'a [u8],
    format: Format,
    scrape: &ScrapeOptions,
    known: Option<&'a Arc<PageLayout>>,
    budget: &dyn Budget,
    counts: &mut ScrapeCounts,
) -> Result<ParsedPage<'a>, ExpositionErrorKind> {
    let known = known.filter(|layout| layout.is_for(format, scrape.label_policy(), scrape.target_labels));
    let mut parser = Parser::new(body, format).with_layout(known.map(|layout| LayoutReader::new(layout)));
    let expected_rows = known.map_or(0, |layout| layout.len().min(body.len() / MIN_LINE_BYTES));
    let mut rows = Rows { rows: Vec::with_capacity(expected_rows), ..Rows::default() };
    let (mut families, mut changed) = (BTreeMap::new(), None);
    while let Some(entry) = parser.next_entry()? {
        budget.check()?;
        let name = match entry {
            Entry::Metadata(metadata) => {
                add_metadata(&mut families, metadata);
                continue;
            }
            Entry::Sample(sample) => rows.add(sample, scrape, budget)?,
        };
        counts.samples += 1;
        if let Some(error) = parser.validate_sample() {
            return Err(error.into());
        }
        counts.post_relabel += 1;
        add_line(&mut changed, &mut parser, name, scrape, budget)?;
    }
    reserve(counts.samples, rows.exemplar_bytes, body.len(), scrape, budget)?;
    let layout = match known {
        Some(known) if changed.is_none() && known.len() == rows.rows.len() => Arc::clone(known),
        _ => {
            let changed = changed.unwrap_or_else(|| LayoutBuilder::after(parser.layout()));
            Arc::new(changed.build(format, scrape.label_policy(), scrape.target_labels))
        }
    };
    let Rows { rows, exemplars, rejected, .. } = rows;
    Ok(ParsedPage {
        layout,
        known: known.cloned(),
        missing: parser.missing_lines(),
        rows,
        exemplars,
        families,
        rejected,
    })
}

/// Adds the line of the last sample to the layout of a page that differs from the known one.
fn add_line<'a>(
    changed: &mut Option<LayoutBuilder>,
    parser: &mut Parser<'a>,
    name: Cow<'a, str>,
    scrape: &ScrapeOptions,
    budget: &dyn Budget,
) -> Result<(), BudgetExceeded> {
    if changed.is_none() && parser.last_line().is_some() && parser.layout().is_some_and(LayoutReader::is_in_order) {
        return Ok(());
    }
    let layout = changed.get_or_insert_with(|| LayoutBuilder::after(parser.layout()));
    match parser.last_line() {
        Some(line) => layout.copy(line, budget),
        None => {
            let (text, labels) = parser.last_series();
            layout.push(text, merge_labels(name, labels, scrape.target_labels, scrape.label_policy()), budget)
        }
    }
}

impl Rows {
    /// Adds a sample. Returns its metric name.
    fn add<'a>(
        &mut self,
        sample: ParsedSample<'a, '_>,
        scrape: &ScrapeOptions,
        budget: &dyn Budget,
    ) -> Result<Cow<'a, str>, BudgetExceeded> {
        if self.rows.len() == self.rows.capacity() {
            budget.reserve(2 * self.rows.capacity() * size_of::<Row>())?;
        }
        let at_ms = match time_of(&sample, scrape) {
            SampleTime::Valid(at_ms) => Some(at_ms),
            SampleTime::OutOfBounds => {
                self.rejected.out_of_bounds += 1;
                None
            }
            SampleTime::TooOld => {
                self.rejected.too_old += 1;
                None
            }
        };
        if let Some(exemplar) = sample.exemplar {
            let bytes = exemplar_bytes(&exemplar);
            self.exemplar_bytes += bytes;
            budget.reserve(bytes)?;
            match at_ms.map(|at_ms| valid_exemplar(exemplar, at_ms, scrape.utf8_names)) {
                Some(Some(exemplar)) => self.exemplars.push((self.rows.len(), exemplar)),
                Some(None) => self.rejected.exemplars_rejected += 1,
                None => {}
            }
        }
        self.rows.push(Row { value: sample.value, at_ms });
        Ok(sample.name)
    }
}

impl ParsedPage<'_> {
    /// Writes the samples, exemplars and metadata.
    pub(super) fn write(self, scrape: &ScrapeOptions, out: &mut SeriesBatch, counts: &mut ScrapeCounts) -> ScrapedPage {
        let before = out.len();
        let ScrapeCounts { out_of_bounds, too_old, exemplars_rejected, .. } = self.rejected;
        let exemplars = self.exemplars.len() as u64;
        *counts = ScrapeCounts { out_of_bounds, too_old, exemplars, exemplars_rejected, ..*counts };
        let mut writer = SeriesWriter::new(scrape.target_labels, scrape.label_policy(), out);
        let (mut exemplars, mut is_at_once) = (self.exemplars.into_iter().peekable(), true);
        for (number, (line, row)) in self.layout.lines().zip(&self.rows).enumerate() {
            let Some(at_ms) = row.at_ms else { continue };
            is_at_once &= at_ms == scrape.at_ms;
            let id = writer.series_of(line, out);
            if out.add_sample(id, at_ms, row.value) == InsertOutcome::Replaced {
                counts.duplicates += 1;
            }
            if let Some((_, exemplar)) = exemplars.next_if(|(row, _)| *row == number) {
                out.push_exemplar(id, exemplar);
            }
        }
        counts.series = (out.len() - before) as u64;
        if counts.duplicates > 0 {
            restore_first_values(&self.layout, &self.rows, &mut writer, out);
        }
        write_metadata(self.families, scrape.utf8_names, out);
        let is_complete = out_of_bounds + too_old == 0;
        let is_regular = is_complete && is_at_once && counts.series == self.rows.len() as u64;
        ScrapedPage { layout: self.layout, known: self.known, missing: self.missing, is_complete, is_regular }
    }
}

/// Prometheus keeps the first of two samples of the same series and time, a [`SeriesBatch`] the last.
fn restore_first_values(layout: &PageLayout, rows: &[Row], writer: &mut SeriesWriter<'_>, out: &mut SeriesBatch) {
    let mut seen = BTreeSet::new();
    for (line, row) in layout.lines().zip(rows) {
        let Some(at_ms) = row.at_ms else { continue };
        let id = writer.series_of(line, out);
        if seen.insert((id, at_ms)) {
            out.add_sample(id, at_ms, row.value);
        }
    }
}
