//! Layout of a page: the text of its series, and the labels that each of them became.
//!
//! Between two scrapes, the values of a page change and its series hardly ever do. A line that starts with the same text as in the
//! previous scrape has the same labels, so they are neither parsed nor sorted nor encoded again: comparing the text is enough. vmagent
//! and Prometheus look lines up in a table for the same reason. The lines of a page keep their order, so here the next line of the
//! layout is compared, without a table. A layout contains no values of the labels of the target, so all targets of a service
//! share it.

use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use prost::encoding::{decode_varint, encode_varint};

use super::merge::{LabelPolicy, MergedLabel};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::exposition::Format;
use crate::model::series::{Labels, encode_label};

/// Lines that are skipped at most, to find a line that is not the next one: some were removed before it.
const MAX_SKIPPED_LINES: usize = 64;

/// Bytes of the two lengths at the start of a record.
const HEADER_BYTES: usize = 8;

/// Random, so that nobody can choose pages whose hashes are equal.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Lines of a page, in order, with the labels of each.
#[derive(Debug, PartialEq, Eq)]
pub struct PageLayout {
    /// Of the records, with a random seed.
    hash: u64,
    /// What the labels of a line depend on, besides its text.
    format: Format,
    policy: LabelPolicy,
    target_names: Vec<Box<str>>,
    lines: usize,
    /// Records: length of the text, length of the labels, text, labels.
    records: Box<[u8]>,
}

/// A line without its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'l> {
    /// From the start of the line to the end of the name or of the braces.
    text: &'l [u8],
    labels: &'l [u8],
}

/// Adjacent labels of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LabelPart<'l> {
    /// Encoded labels of the sample.
    Sample(&'l [u8]),
    /// Range of the labels of the target.
    Target(Range<usize>),
}

/// Lines of a layout that a page does not have, as ranges of the records.
#[derive(Debug, Default)]
pub(super) struct MissingLines(Vec<Range<usize>>);

impl PageLayout {
    /// Returns a hash that equal layouts have.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.records.len() + self.target_names.iter().map(|name| name.len() + 16).sum::<usize>()
    }

    /// Returns whether the same text has the same labels for a target.
    pub(super) fn is_for(&self, format: Format, policy: LabelPolicy, target: &Labels) -> bool {
        (self.format, self.policy, self.target_names.len()) == (format, policy, target.len())
            && self.target_names.iter().zip(target.iter()).all(|(name, (other, _))| **name == *other)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        lines(&self.records)
    }

    /// Returns the lines that a page does not have.
    pub(super) fn missing<'l>(&'l self, missing: &'l MissingLines) -> impl Iterator<Item = Line<'l>> {
        missing.0.iter().flat_map(|range| lines(self.records.get(range.clone()).unwrap_or_default()))
    }

    /// Returns the number of lines.
    pub(super) fn len(&self) -> usize {
        self.lines
    }
}

impl<'l> Line<'l> {
    /// Returns whether a page continues with the series of this line.
    fn is_next(&self, page: &[u8], format: Format) -> bool {
        let Some(rest) = page.strip_prefix(self.text) else { return false };
        if self.text.ends_with(b"}") {
            return true;
        }
        // A name ends at the space before the value. Text 0.0.4 also allows spaces before braces.
        matches!(rest, [b' ' | b'\t', ..])
            && (format == Format::OpenMetrics
                || rest.iter().find(|byte| !matches!(byte, b' ' | b'\t')).is_some_and(|&byte| byte != b'{'))
    }

    pub(super) fn text(&self) -> &'l [u8] {
        self.text
    }

    /// Returns the labels in their order.
    pub(super) fn labels(&self) -> impl Iterator<Item = LabelPart<'l>> + use<'l> {
        let mut rest = self.labels;
        std::iter::from_fn(move || next_part(&mut rest))
    }
}

fn next_part<'l>(rest: &mut &'l [u8]) -> Option<LabelPart<'l>> {
    let number = usize::try_from(decode_varint(rest).ok()?).ok()?;
    if number & 1 == 1 {
        let end = usize::try_from(decode_varint(rest).ok()?).ok()?;
        return Some(LabelPart::Target(number >> 1..end));
    }
    let (labels, after) = rest.split_at_checked(number >> 1)?;
    *rest = after;
    Some(LabelPart::Sample(labels))
}

fn lines(mut records: &[u8]) -> impl Iterator<Item = Line<'_>> {
    std::iter::from_fn(move || {
        let (line, length) = record(records)?;
        records = records.get(length..)?;
        Some(line)
    })
}

/// Returns the line of the first record, and the length of the record.
fn record(records: &[u8]) -> Option<(Line<'_>, usize)> {
    let (text_len, rest) = records.split_first_chunk::<4>()?;
    let (labels_len, rest) = rest.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*text_len) as usize)?;
    let labels = rest.get(..u32::from_le_bytes(*labels_len) as usize)?;
    Some((Line { text, labels }, HEADER_BYTES + text.len() + labels.len()))
}

/// Finds the lines of a layout in a page.
#[derive(Debug)]
pub(super) struct LayoutReader<'l> {
    layout: &'l PageLayout,
    /// Position of the next record, and the number of records before it.
    at: usize,
    line: usize,
    /// The same before the first line that was skipped.
    in_order: (usize, usize),
    missing: MissingLines,
}

impl<'l> LayoutReader<'l> {
    pub(super) fn new(layout: &'l PageLayout) -> Self {
        Self { layout, at: 0, line: 0, in_order: (0, 0), missing: MissingLines::default() }
    }

    /// Returns the next line if the page continues with its series.
    pub(super) fn next_if_in(&mut self, page: &[u8]) -> Option<Line<'l>> {
        let (line, length) = record(self.layout.records.get(self.at..)?)?;
        if !line.is_next(page, self.layout.format) {
            return None;
        }
        self.at += length;
        self.line += 1;
        if self.is_in_order() {
            self.in_order = (self.at, self.line);
        }
        Some(line)
    }

    /// Returns whether no line was skipped so far.
    pub(super) fn is_in_order(&self) -> bool {
        self.missing.0.is_empty()
    }

    /// Continues after the line of a series that is not the next one, if it is one of the lines after that.
    pub(super) fn skip_to(&mut self, text: &[u8]) -> Option<Line<'l>> {
        let mut at = self.at;
        for skipped in 0..MAX_SKIPPED_LINES {
            let (line, length) = record(self.layout.records.get(at..)?)?;
            if line.text == text {
                self.skip(at);
                self.at = at + length;
                self.line += skipped + 1;
                return Some(line);
            }
            at += length;
        }
        None
    }

    fn skip(&mut self, to: usize) {
        if to > self.at {
            self.missing.0.push(self.at..to);
        }
    }

    /// Returns the records before the first line that was skipped, and their number.
    fn before(&self) -> (&'l [u8], usize) {
        let (at, lines) = self.in_order;
        (self.layout.records.get(..at).unwrap_or_default(), lines)
    }

    /// Returns the lines that the page does not have.
    pub(super) fn finish(mut self) -> MissingLines {
        self.skip(self.layout.records.len());
        self.missing
    }
}

/// Layout of a page that differs from the layout of the previous scrape.
#[derive(Debug)]
pub(super) struct LayoutBuilder {
    lines: usize,
    records: Vec<u8>,
    /// Kept between lines to reuse the memory.
    encoded: Vec<u8>,
    labels: Vec<u8>,
}

impl LayoutBuilder {
    /// Returns a layout that starts with the lines that were read so far, if none was skipped.
    pub(super) fn after(reader: Option<&LayoutReader<'_>>) -> Self {
        let (before, lines) = reader.map(LayoutReader::before).unwrap_or_default();
        Self { lines, records: before.to_vec(), encoded: Vec::new(), labels: Vec::new() }
    }

    /// Adds a line of another layout.
    pub(super) fn copy(&mut self, line: Line<'_>, budget: &dyn Budget) -> Result<(), BudgetExceeded> {
        self.add(line.text, line.labels, budget)
    }

    /// Adds a line with its labels.
    pub(super) fn push<'m>(
        &mut self,
        text: &[u8],
        merged: impl Iterator<Item = MergedLabel<'m>>,
        budget: &dyn Budget,
    ) -> Result<(), BudgetExceeded> {
        let (mut labels, mut encoded) = (std::mem::take(&mut self.labels), std::mem::take(&mut self.encoded));
        labels.clear();
        encoded.clear();
        // Labels of the target that come one after the other, up to now.
        let mut adjacent = 0..0;
        for label in merged {
            match label {
                MergedLabel::Target(at) if !encoded.is_empty() || at != adjacent.end => {
                    push_target(&mut labels, adjacent);
                    push_sample(&mut labels, &mut encoded);
                    adjacent = at..at + 1;
                }
                MergedLabel::Target(at) => adjacent.end = at + 1,
                MergedLabel::Sample(name, value) => encode_label(&mut encoded, name, value),
            }
        }
        push_target(&mut labels, adjacent);
        push_sample(&mut labels, &mut encoded);
        let added = self.add(text, &labels, budget);
        (self.labels, self.encoded) = (labels, encoded);
        added
    }

    fn add(&mut self, text: &[u8], labels: &[u8], budget: &dyn Budget) -> Result<(), BudgetExceeded> {
        let needed = self.records.len() + HEADER_BYTES + text.len() + labels.len();
        if needed > self.records.capacity() {
            let capacity = needed.max(2 * self.records.capacity());
            budget.reserve(capacity)?;
            self.records.reserve_exact(capacity - self.records.len());
        }
        for part in [text, labels] {
            self.records.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.records.extend_from_slice(text);
        self.records.extend_from_slice(labels);
        self.lines += 1;
        Ok(())
    }

    pub(super) fn build(self, format: Format, policy: LabelPolicy, target: &Labels) -> PageLayout {
        let (hash, lines, records) = (SEED.hash_one(self.records.as_slice()), self.lines, self.records.into());
        let target_names = target.iter().map(|(name, _)| name.into()).collect();
        PageLayout { hash, format, policy, target_names, lines, records }
    }
}

fn push_target(labels: &mut Vec<u8>, range: Range<usize>) {
    if !range.is_empty() {
        encode_varint((range.start as u64) << 1 | 1, labels);
        encode_varint(range.end as u64, labels);
    }
}

fn push_sample(labels: &mut Vec<u8>, encoded: &mut Vec<u8>) {
    if !encoded.is_empty() {
        encode_varint((encoded.len() as u64) << 1, labels);
        labels.append(encoded);
    }
}
