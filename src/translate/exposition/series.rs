//! The samples of a page, with the target's labels, on their way into a [`SeriesBatch`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::cursor::SyntaxError;
use super::merge::{legacy_name, merge_labels};
use super::parser::{Entry, MetadataEntry, MetadataValue, ParsedExemplar, ParsedSample, Parser};
use crate::model::exposition::Format;
use crate::model::series::{Exemplar, InsertOutcome, Labels, Metadata, MetadataKind, SeriesBatch};

/// Samples further ahead of the scrape than ten minutes are left out, as Prometheus does (`scrape/scrape.go`,
/// `maxAheadTime`).
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Exemplar labels, names and values together, may have 128 characters (OpenMetrics 1.0, "Exemplars"). A receiver that
/// finds more refuses the samples of the series with it.
const EXEMPLAR_CHARS: usize = 128;

/// Families described per page; samples of further ones are written all the same. Amazon Managed Service for Prometheus
/// keeps the metadata of 20,000 families per workspace ("Service quotas").
const FAMILIES: usize = 2_000;

/// How a page is to be read.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeOptions<'a> {
    /// `job`, `instance` and whatever else tells this target from others; without `__name__`.
    pub target_labels: &'a Labels,
    /// Whether the page's label wins over the target's of the same name. Otherwise the page's is called `exported_`...
    pub honor_labels: bool,
    /// Whether the page's timestamps count. Otherwise every sample is of `at_ms`.
    pub honor_timestamps: bool,
    /// More samples than this fail the scrape.
    pub sample_limit: Option<u64>,
    /// When the scrape began: the time of samples without one of their own.
    pub at_ms: i64,
}

/// What a page held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// `scrape_samples_scraped`: samples that were read. On a failed scrape those before the broken line.
    pub samples: u64,
    /// `scrape_samples_post_metric_relabeling`: samples that stayed. Nothing is relabelled: of a sound page the same number.
    pub post_relabel: u64,
    /// Distinct series written.
    pub series: u64,
    pub exemplars: u64,
    /// Samples left out, kind the page has one of the same series and time before them.
    pub duplicates: u64,
    /// Samples left out, kind their own timestamp is before 1970 or over ten minutes ahead.
    pub out_of_bounds: u64,
    /// Exemplars left out: without a label, with too long ones, with one twice, or at time 0.
    pub exemplars_rejected: u64,
}

/// A scrape of which nothing was written, kind of the page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ExpositionError {
    #[source]
    pub kind: ExpositionErrorKind,
    /// What was counted nevertheless, for the report of the scrape.
    pub counts: ScrapeCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionErrorKind {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("{samples} samples, and the limit is {limit}")]
    SampleLimit { samples: u64, limit: u64 },
}

/// Writes the samples, exemplars and metadata of a page to `out`, or nothing at all.
///
/// The page is read twice: reading is cheap, and a page that is known to be sound needs no room on the side.
pub fn series(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    out: &mut SeriesBatch,
) -> Result<ScrapeCounts, ExpositionError> {
    let mut scraped = ScrapeCounts::default();
    check(body, format, scrape, &mut scraped).map_err(|kind| ExpositionError { kind: kind, counts: scraped })?;
    write(body, format, scrape, out, &mut scraped)
        .map_err(|error| ExpositionError { kind: ExpositionErrorKind::Syntax(error), counts: scraped })?;
    Ok(scraped)
}

fn check(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    scraped: &mut ScrapeCounts,
) -> Result<(), ExpositionErrorKind> {
    let mut page = Parser::new(body, format);
    while let Some(line) = page.line()? {
        if matches!(line, Entry::Metadata(_)) {
            continue;
        }
        scraped.samples += 1;
        if let Some(error) = page.validate_sample() {
            return Err(error.into());
        }
        scraped.post_relabel += 1;
    }
    match scrape.sample_limit {
        Some(limit) if scraped.samples > limit => {
            Err(ExpositionErrorKind::SampleLimit { samples: scraped.samples, limit })
        }
        _ => Ok(()),
    }
}

fn write(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    out: &mut SeriesBatch,
    scraped: &mut ScrapeCounts,
) -> Result<(), SyntaxError> {
    let mut families = BTreeMap::new();
    let before = out.len();
    let mut page = Parser::new(body, format);
    while let Some(line) = page.line()? {
        match line {
            Entry::Sample(sample) => write_sample(sample, scrape, out, scraped),
            Entry::Metadata(about) => describe(&mut families, about),
        }
    }
    scraped.series = (out.len() - before) as u64;
    if scraped.duplicates > 0 {
        restore_first_values(body, format, scrape, out)?;
    }
    for (family, about) in families {
        let (help, unit) = (about.help.into_owned(), about.unit.into_owned());
        out.add_metadata(Metadata { family: legacy_name(family, true).into_owned(), kind: about.kind, help, unit });
    }
    Ok(())
}

/// What a page says of a metric family; of two lines of one kind the later counts.
struct FamilyMetadata<'a> {
    kind: MetadataKind,
    help: Cow<'a, str>,
    unit: Cow<'a, str>,
}

fn describe<'a>(families: &mut BTreeMap<Cow<'a, str>, FamilyMetadata<'a>>, about: MetadataEntry<'a>) {
    let nothing = || FamilyMetadata { kind: MetadataKind::Unknown, help: Cow::Borrowed(""), unit: Cow::Borrowed("") };
    if families.len() >= FAMILIES && !families.contains_key(&about.family) {
        return;
    }
    let family = families.entry(about.family).or_insert_with(nothing);
    match about.value {
        MetadataValue::Help(text) => family.help = text,
        MetadataValue::Type(kind) => family.kind = kind,
        MetadataValue::Unit(unit) => family.unit = unit,
    }
}

fn write_sample(sample: ParsedSample, scrape: &ScrapeOptions, out: &mut SeriesBatch, scraped: &mut ScrapeCounts) {
    let Some(timestamp_ms) = time_of(&sample, scrape) else {
        scraped.out_of_bounds += 1;
        return;
    };
    let ParsedSample { name, labels, value, exemplar, .. } = sample;
    let id = out.series(merge_labels(name, labels, scrape.target_labels, scrape.honor_labels));
    if out.add_sample(id, timestamp_ms, value) == InsertOutcome::Replaced {
        scraped.duplicates += 1;
    }
    let Some(exemplar) = exemplar else { return };
    match valid_exemplar(exemplar, timestamp_ms) {
        Some(exemplar) => {
            out.push_exemplar(id, exemplar);
            scraped.exemplars += 1;
        }
        None => scraped.exemplars_rejected += 1,
    }
}

/// The time of a sample, unless it is one that no receiver takes.
fn time_of(sample: &ParsedSample, scrape: &ScrapeOptions) -> Option<i64> {
    let Some(own) = sample.timestamp_ms.filter(|_| scrape.honor_timestamps) else { return Some(scrape.at_ms) };
    (own >= 0 && own <= scrape.at_ms.saturating_add(MAX_AHEAD_MS)).then_some(own)
}

/// Of two samples of one series and time Prometheus keeps the first, a [`SeriesBatch`] the last. Pages with such samples
/// are rare and broken, so that they are read once more instead of every page being remembered.
fn restore_first_values(
    body: &[u8],
    format: Format,
    scrape: &ScrapeOptions,
    out: &mut SeriesBatch,
) -> Result<(), SyntaxError> {
    let mut seen = BTreeSet::new();
    let mut page = Parser::new(body, format);
    while let Some(line) = page.line()? {
        let Entry::Sample(sample) = line else { continue };
        let Some(timestamp_ms) = time_of(&sample, scrape) else { continue };
        let value = sample.value;
        let id = out.series(merge_labels(sample.name, sample.labels, scrape.target_labels, scrape.honor_labels));
        if seen.insert((id, timestamp_ms)) {
            out.add_sample(id, timestamp_ms, value);
        }
    }
    Ok(())
}

/// An exemplar that no receiver refuses; it takes the sample's time where it has none of its own.
fn valid_exemplar(exemplar: ParsedExemplar, sample_ms: i64) -> Option<Exemplar> {
    let ParsedExemplar { labels, value, timestamp_ms } = exemplar;
    labels.retain(|label| !label.value.is_empty());
    for label in labels.iter_mut() {
        label.name = legacy_name(std::mem::take(&mut label.name), false);
    }
    labels.sort_by(|one, other| one.name.cmp(&other.name));
    let chars: usize = labels.iter().map(|label| label.name.chars().count() + label.value.chars().count()).sum();
    let has_twins = labels.windows(2).any(|pair| matches!(pair, [one, other] if one.name == other.name));
    let timestamp_ms = timestamp_ms.unwrap_or(sample_ms);
    if labels.is_empty() || has_twins || chars > EXEMPLAR_CHARS || timestamp_ms <= 0 {
        return None;
    }
    let labels = labels.drain(..).map(|label| (label.name.into_owned(), label.value.into_owned())).collect();
    Some(Exemplar { labels, value, timestamp_ms })
}
