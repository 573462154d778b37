//! Translation of OpenTelemetry names to Prometheus names.
//!
//! The rules follow prometheus/otlptranslator v1.0.0, which the collector's exporter and Prometheus share. AMP
//! (Cortex) supports only legacy names: `[a-zA-Z_:][a-zA-Z0-9_:]*` for metrics, `[a-zA-Z_][a-zA-Z0-9_]*` for labels.

mod labels;
mod legacy;
mod metric;
mod units;

pub use labels::{label, target_label};
pub use legacy::{is_legacy_label, is_legacy_metric};
pub use metric::metric;
pub use units::unit;

use super::Compat;

/// Translation of names: `translation_strategy` of Prometheus and of the collector's exporter. Its two UTF-8 strategies
/// are missing because AMP does not support their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `http.server.duration` in `s` becomes `http_server_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `http.server.duration` in `s` becomes `http_server_duration`.
    UnderscoreEscapingWithoutSuffixes,
}

/// Settings of name translation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Prefix of every metric name; empty for none.
    pub namespace: String,
    pub strategy: Strategy,
    pub compat: Compat,
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
