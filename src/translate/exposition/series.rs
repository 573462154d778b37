//! Conversion of the samples of an exposition to series with the labels of the target.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::cursor::SyntaxError;
use super::merge::{LabelPolicy, written_name};
use super::parser::{Entry, MetadataEntry, MetadataValue, ParsedExemplar, ParsedSample, Parser};
use super::series_writer::SeriesWriter;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::exposition::Format;
use crate::model::series::{
    EXEMPLAR_BYTES, EXEMPLAR_LABEL_BYTES, Exemplar, InsertOutcome, Labels, Metadata, MetadataKind, SeriesBatch,
};
use crate::translate::names::Utf8Names;

/// Samples more than ten minutes after the scrape are not written, as in Prometheus (`scrape/scrape.go`, `maxAheadTime`).
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Maximum characters of all names and values of an exemplar (OpenMetrics 1.0, "Exemplars"). Receivers reject the samples of
/// a series with a longer exemplar.
const MAX_EXEMPLAR_CHARS: usize = 128;

/// Maximum families of an exposition with metadata; samples of other families are still written. Amazon Managed Service for
/// Prometheus stores the metadata of 20,000 families per workspace ("Service quotas").
const MAX_FAMILIES: usize = 2_000;

/// Memory of a series without its own labels: its entry, the ranges of its labels and its place in the table, in buffers that
/// double.
const SERIES_BYTES: usize = 300;

/// Memory of the labels of the exposition, in a buffer that doubles, and of its metadata and the list of its series.
const LABEL_EXPANSION: usize = 3;

/// Options of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeOptions<'a> {
    /// Labels that identify the target, such as `job` and `instance`; without `__name__`.
    pub target_labels: &'a Labels,
    /// Whether labels of the exposition replace target labels. Otherwise they get the prefix `exported_`.
    pub honor_labels: bool,
    /// Treatment of quoted names.
    pub utf8_names: Utf8Names,
    /// Whether to use the timestamps of the exposition. Otherwise every sample has the time `at_ms`.
    pub honor_timestamps: bool,
    /// A scrape with more samples fails.
    pub sample_limit: Option<u64>,
    /// Samples with older timestamps are not written. `None` disables the check.
    pub max_age_ms: Option<i64>,
    /// Start time of the scrape, which is the time of samples without timestamps.
    pub at_ms: i64,
}

/// Counts of one scrape.
#[must_use = "it contains samples and exemplars that were not written"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// `scrape_samples_scraped`: parsed samples. For a failed scrape, the samples before the invalid line.
    pub samples: u64,
    /// `scrape_samples_post_metric_relabeling`. There is no relabelling at this point, so it equals `samples` unless the
    /// scrape fails.
    pub post_relabel: u64,
    /// Unique series written.
    pub series: u64,
    pub exemplars: u64,
    /// Samples not written because a previous sample has the same series and time.
    pub duplicates: u64,
    /// Samples not written because their timestamp is before 1970 or more than ten minutes in the future.
    pub out_of_bounds: u64,
    /// Samples not written because they are older than the receiver accepts.
    pub too_old: u64,
    /// Exemplars not written because they have no labels, too many characters, duplicate labels, or the time 0.
    pub exemplars_rejected: u64,
}

/// Error of a scrape. No samples were written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ExpositionError {
    #[source]
    pub kind: ExpositionErrorKind,
    /// Counts up to the error, for the report of the scrape.
    pub counts: ScrapeCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionErrorKind {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("{samples} samples exceed the limit of {limit}")]
    SampleLimit { samples: u64, limit: u64 },
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
}

/// Writes the samples, exemplars and metadata of an exposition to `out`, or nothing if there is an error.
///
/// The exposition is parsed twice. Parsing is cheap, and a valid exposition then needs no buffer for its samples. The budget is
/// checked while it is parsed for the first time: writing takes as long again, and the memory for it is then known.
pub fn series(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    budget: &dyn Budget,
    out: &mut SeriesBatch,
) -> Result<ScrapeCounts, ExpositionError> {
    let mut counts = ScrapeCounts::default();
    check(body, format, scrape, budget, &mut counts).map_err(|kind| ExpositionError { kind, counts })?;
    write(body, format, scrape, out, &mut counts)
        .map_err(|error| ExpositionError { kind: ExpositionErrorKind::Syntax(error), counts })?;
    Ok(counts)
}

fn check(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    budget: &dyn Budget,
    counts: &mut ScrapeCounts,
) -> Result<(), ExpositionErrorKind> {
    let mut parser = Parser::new(body, format);
    let mut exemplar_bytes = 0;
    while let Some(entry) = parser.next_entry()? {
        budget.check()?;
        let Entry::Sample(sample) = entry else { continue };
        let exemplar_labels = sample.exemplar.as_ref().map(|exemplar| exemplar.labels.len());
        exemplar_bytes += exemplar_labels.map_or(0, |labels| EXEMPLAR_BYTES + EXEMPLAR_LABEL_BYTES * labels);
        counts.samples += 1;
        if let Some(error) = parser.validate_sample() {
            return Err(error.into());
        }
        counts.post_relabel += 1;
    }
    let samples = usize::try_from(counts.samples).unwrap_or(usize::MAX);
    let memory = samples.saturating_mul(SERIES_BYTES).saturating_add(exemplar_bytes);
    budget.reserve(memory.saturating_add(body.len().saturating_mul(LABEL_EXPANSION)))?;
    match scrape.sample_limit {
        Some(limit) if counts.samples > limit => {
            Err(ExpositionErrorKind::SampleLimit { samples: counts.samples, limit })
        }
        _ => Ok(()),
    }
}

fn write(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    out: &mut SeriesBatch,
    counts: &mut ScrapeCounts,
) -> Result<(), SyntaxError> {
    let mut families = BTreeMap::new();
    let before = out.len();
    let policy = LabelPolicy { honor_labels: scrape.honor_labels, utf8_names: scrape.utf8_names };
    let mut writer = SeriesWriter::new(scrape.target_labels, policy, out);
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
    for (family, metadata) in families {
        let FamilyMetadata { kind, help, unit } = metadata;
        out.add_metadata(Metadata {
            family: written_name(family, true, scrape.utf8_names).into_owned(),
            kind,
            help: help.into_owned(),
            unit: unit.into_owned(),
        });
    }
    Ok(())
}

/// Metadata of a metric family. A later line replaces an earlier line.
struct FamilyMetadata<'a> {
    kind: MetadataKind,
    help: Cow<'a, str>,
    unit: Cow<'a, str>,
}

fn add_metadata<'a>(families: &mut BTreeMap<Cow<'a, str>, FamilyMetadata<'a>>, entry: MetadataEntry<'a>) {
    let empty = || FamilyMetadata { kind: MetadataKind::Unknown, help: Cow::Borrowed(""), unit: Cow::Borrowed("") };
    if families.len() >= MAX_FAMILIES && !families.contains_key(&entry.family) {
        return;
    }
    let family = families.entry(entry.family).or_insert_with(empty);
    match entry.value {
        MetadataValue::Help(text) => family.help = text,
        MetadataValue::Type(kind) => family.kind = kind,
        MetadataValue::Unit(unit) => family.unit = unit,
    }
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

/// Time of a sample, or the reason why it is not written.
enum SampleTime {
    Valid(i64),
    OutOfBounds,
    TooOld,
}

fn time_of(sample: &ParsedSample, scrape: &ScrapeOptions) -> SampleTime {
    let at_ms = scrape.at_ms;
    match sample.timestamp_ms.filter(|_| scrape.honor_timestamps) {
        None => SampleTime::Valid(at_ms),
        Some(time_ms) if time_ms < 0 || time_ms > at_ms.saturating_add(MAX_AHEAD_MS) => SampleTime::OutOfBounds,
        Some(time_ms) if scrape.max_age_ms.is_some_and(|max| time_ms < at_ms.saturating_sub(max)) => SampleTime::TooOld,
        Some(time_ms) => SampleTime::Valid(time_ms),
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

/// Returns the exemplar if receivers accept it. Without a timestamp, it gets the time of its sample.
fn valid_exemplar(exemplar: ParsedExemplar, sample_ms: i64, utf8_names: Utf8Names) -> Option<Exemplar> {
    let ParsedExemplar { labels, value, timestamp_ms } = exemplar;
    labels.retain(|label| !label.value.is_empty());
    for label in labels.iter_mut() {
        label.name = written_name(std::mem::take(&mut label.name), false, utf8_names);
    }
    labels.sort_by(|one, other| one.name.cmp(&other.name));
    let chars: usize = labels.iter().map(|label| label.name.chars().count() + label.value.chars().count()).sum();
    let has_duplicates = labels.windows(2).any(|pair| matches!(pair, [one, other] if one.name == other.name));
    let timestamp_ms = timestamp_ms.unwrap_or(sample_ms);
    if labels.is_empty() || has_duplicates || chars > MAX_EXEMPLAR_CHARS || timestamp_ms <= 0 {
        return None;
    }
    let labels = labels.drain(..).map(|label| (label.name.into_owned(), label.value.into_owned())).collect();
    Some(Exemplar { labels, value, timestamp_ms })
}
