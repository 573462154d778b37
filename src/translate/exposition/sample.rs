//! Samples, exemplars and metadata as they are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::merge::written_name;
use super::options::ScrapeOptions;
use super::parser::{MetadataEntry, MetadataValue, ParsedExemplar, ParsedSample};
use crate::model::series::{EXEMPLAR_BYTES, EXEMPLAR_LABEL_BYTES, Exemplar, Metadata, MetadataKind, SeriesBatch};
use crate::translate::names::Utf8Names;

/// Maximum families of an exposition with metadata; samples of other families are still written. Amazon Managed Service for
/// Prometheus stores the metadata of 20,000 families per workspace ("Service quotas").
const MAX_FAMILIES: usize = 2_000;

/// Samples more than ten minutes after the scrape are not written, as in Prometheus (`scrape/scrape.go`, `maxAheadTime`).
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Maximum characters of all names and values of an exemplar (OpenMetrics 1.0, "Exemplars"). Receivers reject the samples of
/// a series with a longer exemplar.
const MAX_EXEMPLAR_CHARS: usize = 128;

/// Metadata of the families of an exposition.
pub(super) type Families<'a> = BTreeMap<Cow<'a, str>, FamilyMetadata<'a>>;

/// Metadata of a metric family. A later line replaces an earlier line.
pub(super) struct FamilyMetadata<'a> {
    kind: MetadataKind,
    help: Cow<'a, str>,
    unit: Cow<'a, str>,
}

pub(super) fn add_metadata<'a>(families: &mut Families<'a>, entry: MetadataEntry<'a>) {
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

pub(super) fn write_metadata(families: Families<'_>, utf8_names: Utf8Names, out: &mut SeriesBatch) {
    for (family, metadata) in families {
        let FamilyMetadata { kind, help, unit } = metadata;
        out.add_metadata(Metadata {
            family: written_name(family, true, utf8_names).into_owned(),
            kind,
            help: help.into_owned(),
            unit: unit.into_owned(),
        });
    }
}

/// Time of a sample, or the reason why it is not written.
pub(super) enum SampleTime {
    Valid(i64),
    OutOfBounds,
    TooOld,
}

pub(super) fn time_of(sample: &ParsedSample, scrape: &ScrapeOptions) -> SampleTime {
    let at_ms = scrape.at_ms;
    match sample.timestamp_ms.filter(|_| scrape.honor_timestamps) {
        None => SampleTime::Valid(at_ms),
        Some(time_ms) if time_ms < 0 || time_ms > at_ms.saturating_add(MAX_AHEAD_MS) => SampleTime::OutOfBounds,
        Some(time_ms) if scrape.max_age_ms.is_some_and(|max| time_ms < at_ms.saturating_sub(max)) => SampleTime::TooOld,
        Some(time_ms) => SampleTime::Valid(time_ms),
    }
}

/// Returns the memory of an exemplar.
pub(super) fn exemplar_bytes(exemplar: &ParsedExemplar<'_, '_>) -> usize {
    EXEMPLAR_BYTES + EXEMPLAR_LABEL_BYTES * exemplar.labels.len()
}

/// Returns the exemplar if receivers accept it. Without a timestamp, it gets the time of its sample.
pub(super) fn valid_exemplar(exemplar: ParsedExemplar, sample_ms: i64, utf8_names: Utf8Names) -> Option<Exemplar> {
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
