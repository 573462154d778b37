//! The labels of one point.

use std::ops::Range;

use super::super::context::{MetricFamily, Translator};
use super::base::{BaseLabels, LabelOrigin, build_labels, warn_invalid_label};
use crate::model::otlp::{KeyValue, text};
use crate::model::series::{LabelRun, LabelSource, SeriesBatch, SeriesId, encode_label};
use crate::translate::attributes::write_value;
use crate::translate::limits::exceeded_limit_encoded;
use crate::translate::{Compat, names};

/// What raw deltas are marked with. The specification names no label; this is its attribute-like spelling.
const DELTA: (&str, &str) = ("otel_metric_temporality", "delta");

/// Which labels the series of a point have of their own, beside `__name__`.
#[derive(Clone, Copy)]
pub(in super::super) struct ReservedLabel {
    /// `le`, `quantile` or nothing.
    pub(in super::super) label: &'static str,
}

/// The labels of the point under way, without `__name__` and its own label, whose places are kept.
#[derive(Debug, Default)]
pub(in super::super) struct PointLabels {
    /// In order of names.
    pieces: Vec<LabelPiece>,
    /// Labels that are not in the batch yet, encoded.
    bytes: Vec<u8>,
    /// All labels within the batch, and how many of these runs stand before `__name__` and before the own label.
    runs: Vec<LabelRun>,
    name_at: usize,
    own_at: usize,
    /// Names and values of the point's attributes, and where they stand.
    text: String,
    spans: Vec<TextRange>,
}

#[derive(Clone, Debug)]
struct TextRange {
    name: Range<usize>,
    /// Empty for a label whose place is only marked.
    value: Range<usize>,
}

#[derive(Clone, Debug)]
enum LabelPiece {
    /// Labels that all points of the scope share.
    Shared(LabelRun),
    /// Labels of the point, in `bytes`.
    Point(Range<usize>),
    /// The place of `__name__`.
    NameSlot,
    /// The place of `le` or `quantile`.
    ReservedSlot,
}

/// Two attributes have the same label name, so the labels are built anew.
struct Collision;

impl PointLabels {
    /// The series with the point's labels and this `__name__`.
    pub(in super::super) fn series(&self, name: LabelRun, out: &mut SeriesBatch) -> SeriesId {
        let (before, after) = self.runs.split_at(self.name_at.min(self.runs.len()));
        out.series_from_runs(before.iter().copied().chain([name]).chain(after.iter().copied()))
    }

    /// The series with the point's labels, this `__name__` and this label of its own.
    pub(in super::super) fn series_with(&self, name: LabelRun, own: LabelRun, out: &mut SeriesBatch) -> SeriesId {
        let (rest, after) = self.runs.split_at(self.own_at.min(self.runs.len()));
        let (before, between) = rest.split_at(self.name_at.min(rest.len()));
        let before = before.iter().copied().chain([name]);
        out.series_from_runs(before.chain(between.iter().copied()).chain([own]).chain(after.iter().copied()))
    }

    /// Writes the labels into the batch, once for all series of the point. Those that the scope shares are there: the one
    /// series of a number is put together from pieces of them, the many of a histogram from one copy between each two places.
    fn write(&mut self, own: ReservedLabel, out: &mut SeriesBatch) {
        let PointLabels { pieces, bytes, runs, name_at, own_at, .. } = self;
        let is_place = |piece: &LabelPiece| matches!(piece, LabelPiece::NameSlot | LabelPiece::ReservedSlot);
        let labelling = |piece: &LabelPiece| match piece {
            LabelPiece::Shared(run) => LabelSource::Existing(*run),
            LabelPiece::Point(range) => LabelSource::Encoded(bytes.get(range.clone()).unwrap_or_default()),
            LabelPiece::NameSlot | LabelPiece::ReservedSlot => LabelSource::Encoded(&[]),
        };
        runs.clear();
        if !own.label.is_empty() {
            runs.extend(pieces.split(is_place).map(|between| out.copy_label_run(between.iter().map(labelling))));
            (*name_at, *own_at) = (1, 2);
            return;
        }
        *name_at = pieces.iter().position(is_place).unwrap_or_default();
        for piece in pieces.iter().filter(|piece| !is_place(piece)) {
            runs.push(match piece {
                LabelPiece::Shared(run) => *run,
                other => out.copy_label_run([labelling(other)].into_iter()),
            });
        }
    }

    fn collect(
        &mut self,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        own: ReservedLabel,
        context: &mut Translator<'_>,
    ) {
        self.text.clear();
        self.spans.clear();
        for attribute in attributes {
            if !base.resource.overrides(&attribute.key) {
                self.collect_attribute(attribute, own, context);
            }
        }
    }

    fn collect_attribute(&mut self, attribute: &KeyValue, own: ReservedLabel, context: &mut Translator<'_>) {
        let start = self.text.len();
        write_value(attribute.value.as_ref(), &mut self.text);
        let middle = self.text.len();
        if middle == start {
            return;
        }
        let key = text(&attribute.key);
        match names::label(&key) {
            Some(name) if name == "__name__" && context.is_adot() => return,
            Some(name) => {
                if name == "__name__" || name == own.label {
                    self.text.push_str("exported_");
                }
                self.text.push_str(&name);
            }
            None => {
                warn_invalid_label(&key, context);
                return;
            }
        }
        self.spans.push(TextRange { value: start..middle, name: middle..self.text.len() });
    }

    /// Adds a label that is no attribute; one without a value only marks its place.
    fn add(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        let middle = self.text.len();
        self.text.push_str(name);
        self.spans.push(TextRange { value: start..middle, name: middle..self.text.len() });
    }

    /// Sorts the point's labels into the base.
    fn merge(&mut self, base: &BaseLabels<'_>) -> Result<(), Collision> {
        let PointLabels { bytes, pieces, text, spans, .. } = self;
        let text = text.as_str();
        spans.sort_unstable_by(|left, right| text[left.name.clone()].cmp(&text[right.name.clone()]));
        bytes.clear();
        pieces.clear();
        let (mut next, mut last) = (0, "");
        for span in spans.iter() {
            let name = &text[span.name.clone()];
            if name == last {
                return Err(Collision);
            }
            last = name;
            let behind = next + base.names[next..].partition_point(|(other, _)| other.as_str() < name);
            push_shared(&base.runs[next..behind], pieces);
            next = behind;
            let clash = base.names.get(next).filter(|(other, _)| other == name).map(|&(_, origin)| origin);
            match clash {
                None => {}
                Some(LabelOrigin::Attribute) => return Err(Collision),
                Some(LabelOrigin::Fixed) => continue,
                Some(LabelOrigin::Default) => next += 1,
            }
            if !span.value.is_empty() {
                let start = bytes.len();
                encode_label(bytes, name, &text[span.value.clone()]);
                push_own(start..bytes.len(), pieces);
            } else if name == "__name__" {
                pieces.push(LabelPiece::NameSlot);
            } else {
                pieces.push(LabelPiece::ReservedSlot);
            }
        }
        push_shared(&base.runs[next..], pieces);
        Ok(())
    }

    /// Puts the whole set together anew, with values of one label joined.
    fn rebuild(
        &mut self,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        (family, own): (&MetricFamily, ReservedLabel),
        compat: Compat,
    ) {
        let mut point = Vec::new();
        for attribute in attributes.iter().filter(|attribute| !base.resource.overrides(&attribute.key)) {
            let mut value = String::new();
            write_value(attribute.value.as_ref(), &mut value);
            point.push((attribute.key.to_vec(), value));
        }
        let mut labels = build_labels(base, point, own.label, compat, |_| {});
        labels.remove(own.label);
        if family.is_delta {
            labels.insert(DELTA.0.to_owned(), (DELTA.1.to_owned(), LabelOrigin::Fixed));
        }
        self.bytes.clear();
        self.pieces.clear();
        // Nothing but a place has an empty value.
        labels.insert("__name__".to_owned(), (String::new(), LabelOrigin::Fixed));
        if !own.label.is_empty() {
            labels.insert(own.label.to_owned(), (String::new(), LabelOrigin::Fixed));
        }
        for (name, (value, _)) in &labels {
            let start = self.bytes.len();
            match name.as_str() {
                "__name__" => self.pieces.push(LabelPiece::NameSlot),
                name if name == own.label => self.pieces.push(LabelPiece::ReservedSlot),
                name => {
                    encode_label(&mut self.bytes, name, value);
                    push_own(start..self.bytes.len(), &mut self.pieces);
                }
            }
        }
    }

    /// Which limit of the backend the longest-named series of the point breaks.
    fn exceeded_limit(&self, family: &MetricFamily, own: ReservedLabel, out: &SeriesBatch) -> Option<&'static str> {
        // `_bucket` is the longest suffix, and a bound in plain decimals seldom as long.
        let suffix = if own.label.is_empty() { 0 } else { "_bucket".len() };
        let labels = self.runs.iter().map(|&run| out.labels_of(run));
        exceeded_limit_encoded(labels, Some(("__name__".len(), family.name.len() + suffix)))
    }
}

/// Adds labels of the scope, which stand one behind the other.
fn push_shared(runs: &[LabelRun], pieces: &mut Vec<LabelPiece>) {
    if !runs.is_empty() {
        pieces.push(LabelPiece::Shared(LabelRun::of_neighbours(runs)));
    }
}

/// Adds labels of the point; what stands right behind other such labels is one piece with them.
fn push_own(range: Range<usize>, pieces: &mut Vec<LabelPiece>) {
    match pieces.last_mut() {
        Some(LabelPiece::Point(before)) if before.end == range.start => before.end = range.end,
        _ => pieces.push(LabelPiece::Point(range)),
    }
}

impl Translator<'_> {
    /// Puts the point's labels together in [`Context::point`]; counts the point as refused when that cannot be.
    pub(in super::super) fn label(
        &mut self,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        family: &MetricFamily,
        own: ReservedLabel,
    ) -> bool {
        let mut point = std::mem::take(&mut self.point);
        let labelled = self.label_into(&mut point, attributes, base, (family, own));
        self.point = point;
        if let Err(reason) = labelled {
            self.reject(reason, family);
        }
        labelled.is_ok()
    }

    fn label_into(
        &mut self,
        point: &mut PointLabels,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        (family, own): (&MetricFamily, ReservedLabel),
    ) -> Result<(), &'static str> {
        point.collect(attributes, base, own, self);
        point.add("__name__", "");
        if !own.label.is_empty() {
            point.add(own.label, "");
        }
        if family.is_delta {
            point.add(DELTA.0, DELTA.1);
        }
        if let Err(Collision) = point.merge(base) {
            point.rebuild(attributes, base, (family, own), self.options.naming.compat);
        }
        point.write(own, self.out);
        // What is relabelled is looked at after that.
        let broken = if self.options.is_relabelled_later { None } else { point.exceeded_limit(family, own, self.out) };
        broken.map_or(Ok(()), Err)
    }
}
