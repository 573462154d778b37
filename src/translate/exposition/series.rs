//! The samples of a page, with the target's labels, on their way into a [`SeriesBatch`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::cursor::SyntaxError;
use super::merge::{classic, merged};
use super::page::{About, Fact, Line, Page, Sample, SampleExemplar};
use crate::model::exposition::Format;
use crate::model::series::{Exemplar, Labels, Metadata, MetadataKind, Pushed, SeriesBatch};

/// Samples further ahead of the scrape than ten minutes are left out, as Prometheus does (`scrape/scrape.go`,
/// `maxAheadTime`).
const AHEAD_MS: i64 = 10 * 60 * 1000;

/// Exemplar labels, names and values together, may have 128 characters (OpenMetrics 1.0, "Exemplars"). A receiver that
/// finds more refuses the samples of the series with it.
const EXEMPLAR_CHARS: usize = 128;

/// Families described per page; samples of further ones are written all the same. Amazon Managed Service for Prometheus
/// keeps the metadata of 20,000 families per workspace ("Service quotas").
const FAMILIES: usize = 2_000;

/// How a page is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Scrape<'a> {
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
pub struct Scraped {
    /// `scrape_samples_scraped`: samples that were read. On a failed scrape those before the broken line.
    pub samples: u64,
    /// `scrape_samples_post_metric_relabeling`: samples that stayed. Nothing is relabelled: of a sound page the same number.
    pub post_relabel: u64,
    /// Distinct series written.
    pub series: u64,
    pub exemplars: u64,
    /// Samples left out, because the page has one of the same series and time before them.
    pub duplicates: u64,
    /// Samples left out, because their own timestamp is before 1970 or over ten minutes ahead.
    pub out_of_bounds: u64,
    /// Exemplars left out: without a label, with too long ones, with one twice, or at time 0.
    pub exemplars_refused: u64,
}

/// A scrape of which nothing was written, because of the page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{because}")]
pub struct Failed {
    #[source]
    pub because: FailedBecause,
    /// What was counted nevertheless, for the report of the scrape.
    pub scraped: Scraped,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailedBecause {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("{samples} samples, and the limit is {limit}")]
    SampleLimit { samples: u64, limit: u64 },
}

/// Writes the samples, exemplars and metadata of a page to `out`, or nothing at all.
///
/// The page is read twice: reading is cheap, and a page that is known to be sound needs no room on the side.
pub fn series(body: &[u8], format: Format, scrape: &Scrape, out: &mut SeriesBatch) -> Result<Scraped, Failed> {
    let mut scraped = Scraped::default();
    check(body, format, scrape, &mut scraped).map_err(|because| Failed { because, scraped })?;
    write(body, format, scrape, out, &mut scraped)
        .map_err(|error| Failed { because: FailedBecause::Syntax(error), scraped })?;
    Ok(scraped)
}

fn check(body: &[u8], format: Format, scrape: &Scrape, scraped: &mut Scraped) -> Result<(), FailedBecause> {
    let mut page = Page::new(body, format);
    while let Some(line) = page.line()? {
        if matches!(line, Line::About(_)) {
            continue;
        }
        scraped.samples += 1;
        if let Some(error) = page.unsound() {
            return Err(error.into());
        }
        scraped.post_relabel += 1;
    }
    match scrape.sample_limit {
        Some(limit) if scraped.samples > limit => Err(FailedBecause::SampleLimit { samples: scraped.samples, limit }),
        _ => Ok(()),
    }
}

fn write(
    body: &[u8],
    format: Format,
    scrape: &Scrape,
    out: &mut SeriesBatch,
    scraped: &mut Scraped,
) -> Result<(), SyntaxError> {
    let mut families = BTreeMap::new();
    let before = out.len();
    let mut page = Page::new(body, format);
    while let Some(line) = page.line()? {
        match line {
            Line::Sample(sample) => write_sample(sample, scrape, out, scraped),
            Line::About(about) => describe(&mut families, about),
        }
    }
    scraped.series = (out.len() - before) as u64;
    if scraped.duplicates > 0 {
        restore_first_values(body, format, scrape, out)?;
    }
    for (family, about) in families {
        let (help, unit) = (about.help.into_owned(), about.unit.into_owned());
        out.describe(Metadata { family: classic(family, true).into_owned(), kind: about.kind, help, unit });
    }
    Ok(())
}

/// What a page says of a metric family; of two lines of one kind the later counts.
struct Family<'a> {
    kind: MetadataKind,
    help: Cow<'a, str>,
    unit: Cow<'a, str>,
}

fn describe<'a>(families: &mut BTreeMap<Cow<'a, str>, Family<'a>>, about: About<'a>) {
    let nothing = || Family { kind: MetadataKind::Unknown, help: Cow::Borrowed(""), unit: Cow::Borrowed("") };
    if families.len() >= FAMILIES && !families.contains_key(&about.family) {
        return;
    }
    let family = families.entry(about.family).or_insert_with(nothing);
    match about.fact {
        Fact::Help(text) => family.help = text,
        Fact::Kind(kind) => family.kind = kind,
        Fact::Unit(unit) => family.unit = unit,
    }
}

fn write_sample(sample: Sample, scrape: &Scrape, out: &mut SeriesBatch, scraped: &mut Scraped) {
    let Some(timestamp_ms) = time_of(&sample, scrape) else {
        scraped.out_of_bounds += 1;
        return;
    };
    let Sample { name, labels, value, exemplar, .. } = sample;
    let id = out.series(merged(name, labels, scrape.target_labels, scrape.honor_labels));
    if out.push(id, timestamp_ms, value) == Pushed::Replaced {
        scraped.duplicates += 1;
    }
    let Some(exemplar) = exemplar else { return };
    match shippable(exemplar, timestamp_ms) {
        Some(exemplar) => {
            out.push_exemplar(id, exemplar);
            scraped.exemplars += 1;
        }
        None => scraped.exemplars_refused += 1,
    }
}

/// The time of a sample, unless it is one that no receiver takes.
fn time_of(sample: &Sample, scrape: &Scrape) -> Option<i64> {
    let Some(own) = sample.timestamp_ms.filter(|_| scrape.honor_timestamps) else { return Some(scrape.at_ms) };
    (own >= 0 && own <= scrape.at_ms.saturating_add(AHEAD_MS)).then_some(own)
}

/// Of two samples of one series and time Prometheus keeps the first, a [`SeriesBatch`] the last. Pages with such samples
/// are rare and broken, so that they are read once more instead of every page being remembered.
fn restore_first_values(
    body: &[u8],
    format: Format,
    scrape: &Scrape,
    out: &mut SeriesBatch,
) -> Result<(), SyntaxError> {
    let mut seen = BTreeSet::new();
    let mut page = Page::new(body, format);
    while let Some(line) = page.line()? {
        let Line::Sample(sample) = line else { continue };
        let Some(timestamp_ms) = time_of(&sample, scrape) else { continue };
        let value = sample.value;
        let id = out.series(merged(sample.name, sample.labels, scrape.target_labels, scrape.honor_labels));
        if seen.insert((id, timestamp_ms)) {
            out.push(id, timestamp_ms, value);
        }
    }
    Ok(())
}

/// An exemplar that no receiver refuses; it takes the sample's time where it has none of its own.
fn shippable(exemplar: SampleExemplar, sample_ms: i64) -> Option<Exemplar> {
    let SampleExemplar { labels, value, timestamp_ms } = exemplar;
    labels.retain(|label| !label.value.is_empty());
    for label in labels.iter_mut() {
        label.name = classic(std::mem::take(&mut label.name), false);
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
