//! Encoded labels of a batch. Series consist of runs of labels.
//!
//! The series of a histogram differ in two of twenty labels. The other labels are in the arena once, and each series is a
//! list of ranges of the arena. The hash of a series is the sum of the hashes of its labels, so it does not depend on how
//! the labels are divided into runs, and labels are hashed only once.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::labels::label_bodies;

/// Adjacent labels of a batch, written and hashed once for any number of series.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelRun {
    start: u32,
    len: u32,
    sum: LabelSummary,
}

/// Summary of labels, known without reading them again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LabelSummary {
    pub(super) hash: u64,
    pub(super) labels: u32,
    /// Bytes of the longest label (name and value), including a few bytes of encoding.
    pub(super) longest: u32,
}

/// Runs in the order of their labels, any range of which can be joined in constant time.
#[derive(Clone, Debug, Default)]
pub struct LabelRuns {
    runs: Vec<LabelRun>,
    /// Joined length and hash of the runs before each run.
    before: Vec<(u32, u64)>,
    /// Positions of runs that are not adjacent to the run before.
    breaks: Vec<usize>,
    /// Joined run of all, which is valid if they are adjacent.
    all: LabelRun,
}

impl LabelRuns {
    /// Adds a run of a single label.
    pub fn push(&mut self, run: LabelRun) {
        if self.runs.last().is_some_and(|last| last.start.wrapping_add(last.len) != run.start) {
            self.breaks.push(self.runs.len());
        }
        self.before.push((self.all.len, self.all.sum.hash));
        self.all = LabelRun { start: 0, len: self.all.len + run.len, sum: self.all.sum.combine(run.sum) };
        self.runs.push(run);
    }

    /// Returns a run.
    pub fn get(&self, at: usize) -> Option<LabelRun> {
        self.runs.get(at).copied()
    }

    /// Returns the labels of a range, joined to as few runs as possible.
    pub fn joined(&self, range: Range<usize>) -> impl Iterator<Item = LabelRun> {
        let Range { mut start, end } = range;
        let first_break = self.breaks.partition_point(|&at| at <= start);
        let mut breaks = self.breaks.iter().skip(first_break).copied();
        std::iter::from_fn(move || {
            let part = start..breaks.next().unwrap_or(end).min(end);
            start = part.end;
            self.join(part)
        })
    }

    /// Joins adjacent runs. The longest label is that of all runs, because it is only an upper bound.
    fn join(&self, range: Range<usize>) -> Option<LabelRun> {
        let first = self.runs.get(range.clone())?.first()?;
        let &(len, hash) = self.before.get(range.start)?;
        let (end_len, end_hash) = self.before.get(range.end).copied().unwrap_or((self.all.len, self.all.sum.hash));
        let sum = LabelSummary {
            hash: end_hash.wrapping_sub(hash),
            labels: arena_offset(range.len()),
            longest: self.all.sum.longest,
        };
        Some(LabelRun { start: first.start, len: end_len - len, sum })
    }
}

/// Source of labels to write: a copy of a run, or encoded labels.
#[derive(Clone, Copy, Debug)]
pub enum LabelSource<'a> {
    Existing(LabelRun),
    Encoded(&'a [u8]),
}

/// Encoded labels, and the ranges that each series consists of.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    ranges: Vec<LabelRange>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LabelRange {
    start: u32,
    len: u32,
}

/// Labels of a series: a range of `ranges`, the total length, and the summary. A batch has a hundred thousand of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesKey {
    start: u32,
    end: u32,
    pub(super) len: u32,
    /// Number of labels, and bytes of the longest one, at most [`u16::MAX`]: both are compared with lower limits.
    pub(super) labels: u16,
    pub(super) longest: u16,
    pub(super) hash: u64,
}

impl LabelSummary {
    fn combine(self, other: Self) -> Self {
        Self {
            hash: self.hash.wrapping_add(other.hash),
            labels: self.labels + other.labels,
            longest: self.longest.max(other.longest),
        }
    }
}

impl Arena {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
    }

    pub(super) fn reserve(&mut self, series: usize, label_bytes: usize) {
        self.bytes.reserve(label_bytes);
        self.ranges.reserve(series);
    }

    /// Writes encoded labels.
    pub(super) fn run(&mut self, encoded: &[u8]) -> LabelRun {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(encoded);
        self.run_from(start)
    }

    pub(super) fn labels_of(&self, run: LabelRun) -> &[u8] {
        self.bytes.get(LabelRange { start: run.start, len: run.len }.range()).unwrap_or_default()
    }

    /// Writes labels one after another. Labels of a run are not hashed again.
    pub(super) fn run_of<'a>(&mut self, labels: impl Iterator<Item = LabelSource<'a>>) -> LabelRun {
        let start = self.bytes.len();
        let mut sum = LabelSummary::default();
        for labels in labels {
            match labels {
                LabelSource::Existing(run) => {
                    let range = LabelRange { start: run.start, len: run.len }.range();
                    self.bytes.extend_from_within(range);
                    sum = sum.combine(run.sum);
                }
                LabelSource::Encoded(encoded) => {
                    self.bytes.extend_from_slice(encoded);
                    sum = sum.combine(self.sum(encoded));
                }
            }
        }
        LabelRun { start: arena_offset(start), len: arena_offset(self.bytes.len() - start), sum }
    }

    /// Writes labels again, so that they are adjacent.
    pub(super) fn copy_runs(&mut self, runs: &LabelRuns) -> LabelRuns {
        let mut start = arena_offset(self.bytes.len());
        self.run_of(runs.joined(0..runs.runs.len()).map(LabelSource::Existing));
        let mut copy = LabelRuns::default();
        for &run in &runs.runs {
            copy.push(LabelRun { start, ..run });
            start += run.len;
        }
        copy
    }

    /// Returns the number of bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the labels written to [`Self::buffer`] since `start`.
    pub(super) fn run_from(&self, start: usize) -> LabelRun {
        let sum = self.sum(self.bytes.get(start..).unwrap_or_default());
        LabelRun { start: arena_offset(start), len: arena_offset(self.bytes.len() - start), sum }
    }

    /// Returns the summary of encoded labels.
    pub(super) fn sum(&self, encoded: &[u8]) -> LabelSummary {
        let summary = |label: &[u8]| LabelSummary {
            hash: self.hasher.hash_one(label),
            labels: 1,
            longest: arena_offset(label.len()),
        };
        label_bodies(encoded).fold(LabelSummary::default(), |sum, label| sum.combine(summary(label)))
    }

    /// Returns the buffer to write labels to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Creates the key of a series.
    pub(super) fn key(&mut self, runs: impl IntoIterator<Item = LabelRun>) -> SeriesKey {
        let start = arena_offset(self.ranges.len());
        let (mut len, mut sum) = (0, LabelSummary::default());
        // `for_each` reads the lists of a chain one after the other. A loop would check for each run which list it is in.
        runs.into_iter().filter(|run| run.len > 0).for_each(|run| {
            self.ranges.push(LabelRange { start: run.start, len: run.len });
            len += run.len;
            sum = sum.combine(run.sum);
        });
        let (labels, longest) = (saturated(sum.labels), saturated(sum.longest));
        SeriesKey { start, end: arena_offset(self.ranges.len()), len, labels, longest, hash: sum.hash }
    }

    /// Removes the last key.
    pub(super) fn pop_key(&mut self, key: SeriesKey) {
        self.ranges.truncate(key.start as usize);
    }

    pub(super) fn is_same(&self, left: SeriesKey, right: SeriesKey) -> bool {
        left.hash == right.hash
            && left.len == right.len
            && (self.ranges_of(left) == self.ranges_of(right) || is_same_text(self.runs(left), self.runs(right)))
    }

    pub(super) fn is_encoded(&self, key: SeriesKey, labels: &[u8]) -> bool {
        key.len as usize == labels.len() && is_same_text(self.runs(key), std::iter::once(labels))
    }

    /// Returns the encoded labels of a series, in order.
    pub(super) fn runs(&self, key: SeriesKey) -> impl Iterator<Item = &[u8]> + Clone {
        self.ranges_of(key).iter().map(|range| self.bytes.get(range.range()).unwrap_or_default())
    }

    fn ranges_of(&self, key: SeriesKey) -> &[LabelRange] {
        self.ranges.get(key.start as usize..key.end as usize).unwrap_or_default()
    }
}

/// Compares bytes that are divided differently.
fn is_same_text<'a>(mut left: impl Iterator<Item = &'a [u8]>, mut right: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut left_rest, mut right_rest): (&[u8], &[u8]) = (&[], &[]);
    loop {
        if left_rest.is_empty() {
            match left.find(|run| !run.is_empty()) {
                Some(run) => left_rest = run,
                None => return right_rest.is_empty() && right.all(<[u8]>::is_empty),
            }
        }
        if right_rest.is_empty() {
            match right.find(|run| !run.is_empty()) {
                Some(run) => right_rest = run,
                None => return false,
            }
        }
        let length = left_rest.len().min(right_rest.len());
        let ((left_part, left_after), (right_part, right_after)) =
            (left_rest.split_at(length), right_rest.split_at(length));
        if left_part != right_part {
            return false;
        }
        (left_rest, right_rest) = (left_after, right_after);
    }
}

impl LabelRange {
    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

fn saturated(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Converts an offset. An event of 6 MB results in about 100 MB of labels, far below 4 GiB.
fn arena_offset(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_equal_however_they_are_divided() {
        for (left, right, expected) in [
            (&["abc", "", "de"][..], &["ab", "cd", "e"][..], true),
            (&["abc"], &["ab", "c", ""], true),
            (&["abc"], &["ab"], false),
            (&["ab"], &["abc"], false),
            (&["abc"], &["abd"], false),
            (&[], &["", ""], true),
        ] {
            let runs = |texts: &'static [&'static str]| texts.iter().map(|text| text.as_bytes());
            assert_eq!(is_same_text(runs(left), runs(right)), expected, "{left:?} {right:?}");
            assert_eq!(is_same_text(runs(right), runs(left)), expected, "{left:?} {right:?}");
        }
    }
}
