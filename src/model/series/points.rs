//! Points of one series: samples or native histograms.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;

use super::{NativeHistogram, Sample};

/// Points behind which a late point is inserted by moving them. More late points than that are sorted once, at the end, because
/// moving all later points for each of them would take quadratic time.
const MAX_MOVED: usize = 32;

/// Result of inserting a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// The series had no point of this time.
    New,
    /// The series had a point of the same time, which was replaced.
    Replaced,
}

impl InsertOutcome {
    /// Returns `Replaced` if one of two points replaced another.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Replaced { self } else { other }
    }
}

/// A value with a time.
pub(super) trait Timed {
    fn timestamp_ms(&self) -> i64;
}

impl Timed for Sample {
    fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }
}

impl Timed for NativeHistogram {
    fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }
}

/// Points of a series with unique times. Most pushed series have one point, which needs no allocation.
#[derive(Debug, Default)]
pub(super) enum Points<T> {
    #[default]
    None,
    One(T),
    /// In order of time.
    Sorted(Vec<T>),
    /// In order of insertion.
    Unsorted(Box<Unsorted<T>>),
}

/// Points in order of insertion, and the position of each time.
#[derive(Debug)]
pub(super) struct Unsorted<T> {
    points: Vec<T>,
    positions: HashMap<i64, usize, RandomState>,
}

impl<T: Timed> Points<T> {
    /// Returns the points in order of time, unless [`Points::sort`] is still to be called.
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Points::None => &[],
            Points::One(point) => std::slice::from_ref(point),
            Points::Sorted(points) => points,
            Points::Unsorted(unsorted) => &unsorted.points,
        }
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Points::None => Vec::new(),
            Points::One(point) => vec![point],
            Points::Sorted(points) => points,
            Points::Unsorted(unsorted) => unsorted.points,
        }
    }

    pub(super) fn has(&self, timestamp_ms: i64) -> bool {
        match self {
            Points::Unsorted(unsorted) => unsorted.positions.contains_key(&timestamp_ms),
            other => other.as_slice().binary_search_by_key(&timestamp_ms, T::timestamp_ms).is_ok(),
        }
    }

    /// Adds a point. A second point of the same time replaces the first.
    pub(super) fn insert(&mut self, point: T) -> InsertOutcome {
        match self {
            Points::None => {
                *self = Points::One(point);
                InsertOutcome::New
            }
            Points::One(only) if only.timestamp_ms() == point.timestamp_ms() => replace(only, point),
            Points::One(_) => {
                let mut points = std::mem::take(self).into_vec();
                let at = points.partition_point(|other| other.timestamp_ms() < point.timestamp_ms());
                points.insert(at, point);
                *self = Points::Sorted(points);
                InsertOutcome::New
            }
            Points::Sorted(points) => {
                let at = points.partition_point(|other| other.timestamp_ms() < point.timestamp_ms());
                if let Some(other) = points.get_mut(at).filter(|other| other.timestamp_ms() == point.timestamp_ms()) {
                    return replace(other, point);
                }
                if points.len() - at <= MAX_MOVED {
                    points.insert(at, point);
                    return InsertOutcome::New;
                }
                let mut unsorted = Unsorted::new(std::mem::take(points));
                let outcome = unsorted.insert(point);
                *self = Points::Unsorted(Box::new(unsorted));
                outcome
            }
            Points::Unsorted(unsorted) => unsorted.insert(point),
        }
    }

    /// Sorts the points by time.
    pub(super) fn sort(&mut self) {
        if matches!(self, Points::Unsorted(_)) {
            let mut points = std::mem::take(self).into_vec();
            points.sort_unstable_by_key(T::timestamp_ms);
            *self = Points::Sorted(points);
        }
    }
}

impl<T: Timed> Unsorted<T> {
    fn new(points: Vec<T>) -> Self {
        let positions = points.iter().map(T::timestamp_ms).zip(0..).collect();
        Self { points, positions }
    }

    fn insert(&mut self, point: T) -> InsertOutcome {
        match self.positions.entry(point.timestamp_ms()) {
            Entry::Vacant(entry) => {
                entry.insert(self.points.len());
                self.points.push(point);
                InsertOutcome::New
            }
            Entry::Occupied(entry) => match self.points.get_mut(*entry.get()) {
                Some(other) => replace(other, point),
                None => InsertOutcome::Replaced,
            },
        }
    }
}

fn replace<T>(other: &mut T, point: T) -> InsertOutcome {
    *other = point;
    InsertOutcome::Replaced
}
