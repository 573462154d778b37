//! Writes the series of one target. The labels of the target are in the batch once, and each series has ranges of them.

use std::borrow::Cow;

use super::labels::Label;
use super::layout::{LabelPart, Line};
use super::merge::{LabelPolicy, MergedLabel, merge_labels};
use crate::model::series::{LabelRun, LabelRuns, Labels, SeriesBatch, SeriesId, encode_label};

/// Writes the series of one target to one batch.
pub(super) struct SeriesWriter<'t> {
    target_labels: &'t Labels,
    policy: LabelPolicy,
    /// One run for each label of the target, adjacent in the batch.
    target_runs: LabelRuns,
    /// Kept between series to reuse the memory.
    encoded: Vec<u8>,
    runs: Vec<LabelRun>,
}

impl<'t> SeriesWriter<'t> {
    pub(super) fn new(target_labels: &'t Labels, policy: LabelPolicy, out: &mut SeriesBatch) -> Self {
        let (mut encoded, mut target_runs) = (Vec::new(), LabelRuns::default());
        for (name, value) in target_labels.iter() {
            encoded.clear();
            encode_label(&mut encoded, name, value);
            target_runs.push(out.add_label_run(&encoded));
        }
        Self { target_labels, policy, target_runs, encoded, runs: Vec::new() }
    }

    /// Returns the series of a sample, and creates it if it is new.
    pub(super) fn series<'a>(
        &mut self,
        name: Cow<'a, str>,
        labels: &mut Vec<Label<'a>>,
        out: &mut SeriesBatch,
    ) -> SeriesId {
        let before = out.checkpoint();
        self.runs.clear();
        self.encoded.clear();
        // Labels of the target that come one after the other, up to now.
        let mut adjacent = 0..0;
        for label in merge_labels(name, labels, self.target_labels, self.policy) {
            match label {
                MergedLabel::Target(at) if !self.encoded.is_empty() || at != adjacent.end => {
                    self.runs.extend(self.target_runs.joined(adjacent));
                    if !self.encoded.is_empty() {
                        self.runs.push(out.add_label_run(&self.encoded));
                        self.encoded.clear();
                    }
                    adjacent = at..at + 1;
                }
                MergedLabel::Target(at) => adjacent.end = at + 1,
                MergedLabel::Sample(name, value) => encode_label(&mut self.encoded, name, value),
            }
        }
        self.runs.extend(self.target_runs.joined(adjacent));
        if !self.encoded.is_empty() {
            self.runs.push(out.add_label_run(&self.encoded));
        }
        let id = out.series_from_runs(self.runs.iter().copied());
        out.discard_unused_labels(before);
        id
    }

    /// Returns the series of a line of a layout, and creates it if it is new.
    pub(super) fn series_of(&mut self, line: Line<'_>, out: &mut SeriesBatch) -> SeriesId {
        let before = out.checkpoint();
        self.runs.clear();
        for part in line.labels() {
            match part {
                LabelPart::Sample(encoded) => self.runs.push(out.add_label_run(encoded)),
                LabelPart::Target(range) => self.runs.extend(self.target_runs.joined(range)),
            }
        }
        let id = out.series_from_runs(self.runs.iter().copied());
        out.discard_unused_labels(before);
        id
    }
}
