//! Groups of CloudWatch metrics, which a setting selects.

use std::str::FromStr;

use thiserror::Error;

use super::metrics::{EcsMetric, METRICS, MetricGroup};

/// Names of the groups in the setting.
const GROUPS: &[(&str, MetricGroup)] =
    &[("default", MetricGroup::Default), ("ebs", MetricGroup::Ebs), ("service-connect", MetricGroup::ServiceConnect)];

/// The groups of metrics that are read. `Default` has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricGroups([bool; GROUPS.len()]);

impl MetricGroups {
    pub fn contains(self, group: MetricGroup) -> bool {
        GROUPS.iter().zip(self.0).any(|((_, each), is_read)| *each == group && is_read)
    }

    /// Returns the metrics of the groups.
    pub fn metrics(self) -> impl Iterator<Item = &'static EcsMetric> {
        METRICS.iter().filter(move |metric| self.contains(metric.group))
    }
}

/// Error of an unknown group of metrics.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown value {0:?}: use a list of default, ebs and service-connect")]
pub struct UnknownGroup(String);

/// A comma-separated list of groups.
impl FromStr for MetricGroups {
    type Err = UnknownGroup;

    fn from_str(text: &str) -> Result<Self, UnknownGroup> {
        let mut groups = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let mut known = GROUPS.iter().zip(&mut groups.0);
            let (_, is_read) =
                known.find(|((name, _), _)| *name == word).ok_or_else(|| UnknownGroup(word.to_owned()))?;
            *is_read = true;
        }
        Ok(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_from_a_list() {
        for (text, expected) in
            [("default", 2), ("default,ebs", 3), ("ebs", 1), (" ebs , default,", 3), ("service-connect", 14), ("", 0)]
        {
            let groups: MetricGroups = text.parse().unwrap();
            assert_eq!(groups.metrics().count(), expected, "{text}");
        }
        let error = "default,cpu".parse::<MetricGroups>().unwrap_err().to_string();
        assert_eq!(error, "unknown value \"cpu\": use a list of default, ebs and service-connect");
    }
}
