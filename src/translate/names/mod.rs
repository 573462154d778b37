//! Translation of OpenTelemetry names to Prometheus names.
//!
//! The rules follow prometheus/otlptranslator v1.0.0, which the collector's exporter and Prometheus share. AMP (Cortex) documents
//! only legacy names: `[a-zA-Z_:][a-zA-Z0-9_:]*` for metrics, `[a-zA-Z_][a-zA-Z0-9_]*` for labels. The UTF-8 strategies are for
//! workspaces that accept other names.

mod labels;
mod legacy;
mod metric;
mod units;
mod utf8;

pub use labels::{label, target_label};
pub use legacy::{is_legacy_label, is_legacy_metric};
pub use metric::metric;
pub use units::unit;

use std::borrow::Cow;

use super::Compat;

/// Translation of names: `translation_strategy` of Prometheus and of the collector's exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `http.server.duration` in `s` becomes `http_server_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `http.server.duration` in `s` becomes `http_server_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// `http.server.duration` in `s` becomes `http.server.duration_seconds`. Label names are not translated.
    NoUtf8EscapingWithSuffixes,
    /// Names are not translated.
    NoTranslation,
}

impl Strategy {
    /// Returns whether names keep characters outside the legacy set.
    pub fn keeps_utf8(self) -> bool {
        matches!(self, Strategy::NoUtf8EscapingWithSuffixes | Strategy::NoTranslation)
    }
}

/// Treatment of names with characters outside the legacy set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Utf8Names {
    /// The characters are replaced with `_`.
    #[default]
    Replace,
    /// The names are written unchanged.
    Send,
}

/// Settings of name translation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Prefix of every metric name; empty for none.
    pub namespace: String,
    pub strategy: Strategy,
    pub compat: Compat,
}

impl Naming {
    /// Returns the label name of an attribute, or `None` if only underscores remain of it.
    pub fn label<'a>(&self, key: &'a str) -> Option<Cow<'a, str>> {
        if self.strategy.keeps_utf8() { utf8::label(key) } else { label(key) }
    }

    /// Returns the label name of a resource attribute on `target_info`, or `None` if only underscores remain of it.
    pub fn target_label<'a>(&self, key: &'a str) -> Option<Cow<'a, str>> {
        if self.strategy.keeps_utf8() { utf8::label(key) } else { target_label(key) }
    }

    /// Returns the unit for the metadata of a metric, such as `bytes_per_second`.
    pub fn unit(&self, unit: &str) -> String {
        if self.strategy.keeps_utf8() { utf8::unit(unit) } else { units::unit(unit) }
    }
}

/// Kind of a metric, which selects the suffix of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A monotonic sum: `_total`.
    Counter,
    /// `_ratio` if the unit is `1`.
    Gauge,
    Other,
}

/// A metric has no valid Prometheus name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("empty metric name")]
    Empty,
    /// The namespace contains characters outside the legacy set, or starts with a digit.
    #[error("invalid metric name")]
    Invalid,
}

#[cfg(test)]
mod tests;
