//! Metrics of CloudWatch: which are read, and the points that were read.

use std::sync::Arc;

/// Period of the points, in milliseconds. The metrics of AWS/ECS have one point a minute.
pub const PERIOD_MS: i64 = 60_000;

/// A statistic of the values of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    Average,
    Minimum,
    Maximum,
    Sum,
}

impl Statistic {
    /// Name in CloudWatch.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Sum => "Sum",
        }
    }
}

/// A metric to read, with its statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricQuery {
    pub namespace: &'static str,
    pub name: &'static str,
    pub dimensions: Vec<(&'static str, Arc<str>)>,
    pub statistics: &'static [Statistic],
}

/// Minutes, from the start of the first one to the end of the last one, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes {
    pub start_ms: i64,
    pub end_ms: i64,
}

impl Minutes {
    pub fn is_empty(self) -> bool {
        self.start_ms >= self.end_ms
    }

    /// Returns whether the minute that starts at a time is one of these.
    pub fn contains(self, start_ms: i64) -> bool {
        start_ms >= self.start_ms && start_ms.saturating_add(PERIOD_MS) <= self.end_ms
    }
}

/// The value of a statistic in one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Start of the minute, in milliseconds since the epoch.
    pub start_ms: i64,
    pub value: f64,
}

/// Points of one statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticPoints {
    /// Index of the metric in the list of queries.
    pub query: usize,
    pub statistic: Statistic,
    /// In order of time.
    pub points: Vec<Point>,
}
