//! Labels of one point.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::long_text::write_limited;
use super::base::{BaseLabels, LabelOrigin, warn_invalid_label};
use super::piece::{LabelPiece, PointInput, ReservedLabel, push_own};
use super::plan::LabelPlan;
use crate::model::otlp::borrowed::{KeyValue, text};
use crate::model::rejection::Rejections;
use crate::model::series::{LabelRun, LabelSource, SeriesBatch, SeriesId, encode_label};
use crate::translate::Compat;
use crate::translate::limits::{LongLabels, MAX_VALUE_SIZE, VALUE_TOO_LONG, exceeded_limit_encoded};

/// Label of unconverted deltas. The specification defines no label; the name is written like that of an attribute.
const DELTA: (&str, &str) = ("otel_metric_temporality", "delta");

/// Labels of the current point, with positions for `__name__` and the reserved label.
#[derive(Debug, Default)]
pub(in super::super) struct PointLabels {
    /// Sorted by label name.
    pieces: Vec<LabelPiece>,
    /// Encoded labels that are not in the batch yet.
    bytes: Vec<u8>,
    /// All labels, as runs of the batch: any number, or with a reserved label those before `__name__`, between both and after it.
    runs: Vec<LabelRun>,
    /// Number of runs before `__name__`.
    name_at: usize,
    /// Names and values of the point's attributes.
    text: String,
    /// Positions in `text`.
    ranges: Vec<TextRange>,
    /// Layout of the labels of the last points.
    plan: LabelPlan,
    /// Whether a label that is too long costs the point.
    pub(in super::super) is_too_long: bool,
    /// Describes the first label that is too long; empty if there is none.
    pub(in super::super) long_label: String,
}

#[derive(Clone, Debug)]
struct TextRange {
    /// Position of the attribute; `None` for other labels.
    attribute: Option<usize>,
    name: Range<usize>,
    /// Empty for a label whose position is only marked, and for a dropped label, which also replaces a shared one.
    value: Range<usize>,
}

/// Two attributes have the same label name, so the labels must be built again with joined values.
struct Collision;

impl PointLabels {
    /// Starts the points of another scope.
    pub(in super::super) fn start_scope(&mut self) {
        self.plan.clear();
    }

    /// Builds the labels of a point.
    pub(in super::super) fn build(&mut self, input: &PointInput<'_>, warnings: &mut Rejections) {
        if self.plan.fits(input) && self.plan.write(input, &mut self.text, &mut self.bytes, &mut self.pieces) {
            self.is_too_long = false;
            self.long_label.clear();
            return;
        }
        self.plan.start(input);
        self.collect(input, warnings);
        self.add("__name__", "");
        if !input.reserved.label.is_empty() {
            self.add(input.reserved.label, "");
        }
        if input.is_delta {
            self.add(DELTA.0, DELTA.1);
        }
        match self.merge(input.base, input.reserved.label) {
            Ok(()) => self.plan.finish(input),
            Err(Collision) => self.rebuild(input),
        }
        if !self.long_label.is_empty() && !self.is_too_long {
            warnings.add(VALUE_TOO_LONG, 1, || self.long_label.clone());
        }
    }

    /// Returns the series with the point's labels and this `__name__`.
    pub(in super::super) fn series(&self, name: LabelRun, out: &mut SeriesBatch) -> SeriesId {
        let (before, after) = self.runs.split_at(self.name_at.min(self.runs.len()));
        out.series_from_runs(before.iter().copied().chain([name]).chain(after.iter().copied()))
    }

    /// Returns the series with the point's labels, this `__name__` and this reserved label.
    pub(in super::super) fn series_with(&self, name: LabelRun, reserved: LabelRun, out: &mut SeriesBatch) -> SeriesId {
        let run = |at| self.runs.get(at).copied().unwrap_or_default();
        // An array is added without a loop over lists, and most series are those of buckets.
        out.series_from_runs([run(0), name, run(1), reserved, run(2)])
    }

    /// Returns the limit of AMP that the series with the longest name exceeds, as a reason. `name_len` is the length of the
    /// metric family's name.
    pub(in super::super) fn exceeded_limit(
        &self,
        name_len: usize,
        reserved: ReservedLabel,
        out: &SeriesBatch,
    ) -> Option<&'static str> {
        if self.is_too_long {
            return Some(VALUE_TOO_LONG);
        }
        // `_bucket` is the longest suffix. A bound written as a decimal is rarely as long.
        let suffix = if reserved.label.is_empty() { 0 } else { "_bucket".len() };
        let labels = self.pieces.iter().map(|piece| match self.source(piece) {
            LabelSource::Existing(run) => out.labels_of(run),
            LabelSource::Encoded(encoded) => encoded,
        });
        exceeded_limit_encoded(labels, Some(("__name__".len(), name_len + suffix)))
    }

    /// Writes the labels to the batch, once for all series of the point. The shared labels are there already: the one series
    /// of a number refers to them, the many series of a histogram refer to one copy of all labels between two positions, unless
    /// the point has none of them.
    pub(in super::super) fn write(&mut self, reserved: ReservedLabel, out: &mut SeriesBatch) {
        let mut runs = std::mem::take(&mut self.runs);
        runs.clear();
        if reserved.label.is_empty() {
            self.name_at = self.pieces.iter().position(LabelPiece::is_slot).unwrap_or_default();
            for piece in self.pieces.iter().filter(|piece| !piece.is_slot()) {
                runs.push(match piece {
                    LabelPiece::Shared(run) => *run,
                    other => out.copy_label_run([self.source(other)].into_iter()),
                });
            }
        } else {
            let between = self.pieces.split(LabelPiece::is_slot);
            runs.extend(between.map(|pieces| match pieces {
                [LabelPiece::Shared(run)] => *run,
                pieces => out.copy_label_run(pieces.iter().map(|piece| self.source(piece))),
            }));
            self.name_at = 1;
        }
        self.runs = runs;
    }

    fn source(&self, piece: &LabelPiece) -> LabelSource<'_> {
        match piece {
            LabelPiece::Shared(run) => LabelSource::Existing(*run),
            LabelPiece::Point(range) => LabelSource::Encoded(self.bytes.get(range.clone()).unwrap_or_default()),
            LabelPiece::NameSlot | LabelPiece::ReservedSlot => LabelSource::Encoded(&[]),
        }
    }

    fn collect(&mut self, input: &PointInput<'_>, warnings: &mut Rejections) {
        self.text.clear();
        self.ranges.clear();
        self.is_too_long = false;
        self.long_label.clear();
        for (at, attribute) in input.attributes.iter().enumerate() {
            if !input.base.overrides(attribute.key) {
                self.collect_attribute(at, attribute, input, warnings);
            }
        }
    }

    fn collect_attribute(
        &mut self,
        at: usize,
        attribute: &KeyValue<'_>,
        input: &PointInput<'_>,
        warnings: &mut Rejections,
    ) {
        let start = self.text.len();
        let length = write_limited(attribute.value.as_ref(), input.long_labels, &mut self.text);
        if let Some(length) = length {
            self.note_long(attribute, length, input, warnings);
        }
        let middle = self.text.len();
        if middle == start && length.is_none() {
            return;
        }
        let key = text(attribute.key);
        match input.naming.label(&key) {
            Some(name) if name == "__name__" && input.naming.compat == Compat::Adot => return,
            Some(name) => {
                if name == "__name__" || name == input.reserved.label {
                    self.text.push_str("exported_");
                }
                self.text.push_str(&name);
            }
            None if middle == start => return,
            None => return warn_invalid_label(&key, warnings),
        }
        self.ranges.push(TextRange { attribute: Some(at), value: start..middle, name: middle..self.text.len() });
    }

    /// Describes a long label, unless it would be discarded.
    fn note_long(
        &mut self,
        attribute: &KeyValue<'_>,
        length: usize,
        input: &PointInput<'_>,
        warnings: &mut Rejections,
    ) {
        let key = text(attribute.key);
        let long_labels = input.long_labels.unwrap_or_default();
        match input.naming.label(&key) {
            Some(name) if name == "__name__" && input.naming.compat == Compat::Adot => {}
            Some(name) if input.base.discards(&name) => {}
            Some(name) => self.describe_long(&name, length, long_labels),
            // Its value is cut, and the name is reported with the value.
            None if long_labels == LongLabels::Cut => {}
            None => warn_invalid_label(&key, warnings),
        }
    }

    fn describe_long(&mut self, name: &str, length: usize, long_labels: LongLabels) {
        self.is_too_long |= long_labels == LongLabels::Reject;
        if self.long_label.is_empty() {
            self.long_label = long_labels.describe(name, length);
        }
    }

    /// Adds a label that is not an attribute. An empty value only marks its position.
    fn add(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        let middle = self.text.len();
        self.text.push_str(name);
        self.ranges.push(TextRange { attribute: None, value: start..middle, name: middle..self.text.len() });
    }

    /// Sorts the point's labels into the shared labels.
    fn merge(&mut self, base: &BaseLabels<'_>, reserved: &str) -> Result<(), Collision> {
        let PointLabels { bytes, pieces, text, ranges, plan, .. } = self;
        let text = text.as_str();
        ranges.sort_unstable_by(|left, right| text[left.name.clone()].cmp(&text[right.name.clone()]));
        bytes.clear();
        pieces.clear();
        let (mut next, mut last) = (0, "");
        for range in ranges.iter() {
            let name = &text[range.name.clone()];
            if name == last {
                return Err(Collision);
            }
            last = name;
            let end = next + base.names[next..].partition_point(|(other, _)| other.as_str() < name);
            push_shared(base, next..end, pieces, plan);
            next = end;
            match base.names.get(next).filter(|(other, _)| other == name).map(|&(_, origin)| origin) {
                None => {}
                Some(LabelOrigin::Joined) => return Err(Collision),
                Some(LabelOrigin::Fixed) => continue,
                Some(LabelOrigin::Attribute | LabelOrigin::Default) => next += 1,
            }
            if !range.value.is_empty() {
                let start = bytes.len();
                encode_label(bytes, name, &text[range.value.clone()]);
                push_own(start..bytes.len(), pieces);
                range.attribute.into_iter().for_each(|at| plan.push_attribute(at, name));
            } else if name == "__name__" {
                pieces.push(LabelPiece::NameSlot);
                plan.push(LabelPiece::NameSlot);
            } else if name == reserved {
                pieces.push(LabelPiece::ReservedSlot);
                plan.push(LabelPiece::ReservedSlot);
            }
        }
        push_shared(base, next..base.names.len(), pieces, plan);
        Ok(())
    }

    /// Removes the labels that attributes of the point had before they were dropped: another value would be wrong.
    fn remove_dropped(&self, labels: &mut BTreeMap<String, String>, base: &BaseLabels<'_>) {
        for range in self.ranges.iter().filter(|range| range.value.is_empty()) {
            if let Some(name) = self.text.get(range.name.clone()).filter(|name| !base.discards(name)) {
                labels.remove(name);
            }
        }
    }

    /// Builds all labels again, with joined values where attributes have the same label name.
    fn rebuild(&mut self, input: &PointInput<'_>) {
        let PointInput { attributes, base, reserved, is_delta, naming, long_labels } = *input;
        let mut point = Vec::new();
        for attribute in attributes.iter().filter(|attribute| !base.overrides(attribute.key)) {
            let mut value = String::new();
            let _ = write_limited(attribute.value.as_ref(), long_labels, &mut value);
            point.push((attribute.key, value));
        }
        let mut labels = base.with_point(&point, reserved.label, naming);
        labels.remove(reserved.label);
        self.remove_dropped(&mut labels, base);
        if let Some(long_labels) = long_labels.filter(|&long_labels| long_labels != LongLabels::Reject) {
            // Values that became too long when they were joined.
            for (name, value) in labels.iter_mut().filter(|(_, value)| value.len() > MAX_VALUE_SIZE) {
                self.describe_long(name, value.len(), long_labels);
                value.truncate(long_labels.shortened(value).map_or(0, str::len));
            }
            labels.retain(|_, value| !value.is_empty());
        }
        if is_delta {
            labels.insert(DELTA.0.to_owned(), DELTA.1.to_owned());
        }
        self.bytes.clear();
        self.pieces.clear();
        labels.insert("__name__".to_owned(), String::new());
        if !reserved.label.is_empty() {
            labels.insert(reserved.label.to_owned(), String::new());
        }
        for (name, value) in &labels {
            let start = self.bytes.len();
            match name.as_str() {
                "__name__" => self.pieces.push(LabelPiece::NameSlot),
                name if name == reserved.label => self.pieces.push(LabelPiece::ReservedSlot),
                name => {
                    encode_label(&mut self.bytes, name, value);
                    push_own(start..self.bytes.len(), &mut self.pieces);
                }
            }
        }
    }
}

/// Adds labels of the scope. Adjacent labels become one piece.
fn push_shared(base: &BaseLabels<'_>, range: Range<usize>, pieces: &mut Vec<LabelPiece>, plan: &mut LabelPlan) {
    if range.is_empty() {
        return;
    }
    for run in base.runs.joined(range) {
        pieces.push(LabelPiece::Shared(run));
        plan.push(LabelPiece::Shared(run));
    }
}
