//! What OpenTelemetry names are called in Prometheus.
//!
//! The rules are those of prometheus/otlptranslator v1.0.0, which the collector's exporter and Prometheus share. AMP
//! (Cortex) takes legacy names only: `[a-zA-Z_:][a-zA-Z0-9_:]*` for metrics, `[a-zA-Z_][a-zA-Z0-9_]*` for labels.

mod labels;
mod metric;
mod units;
mod utf8;

use std::borrow::Cow;

pub use labels::{label, target_label};
pub use metric::metric;
pub use units::unit;
pub use utf8::{escape, escape_label, is_legacy_label, is_legacy_metric};

use super::Compat;

/// How names are translated: `translation_strategy` of Prometheus and of the collector's exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `http.server.duration` in `s` becomes `http_server_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// ... becomes `http_server_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// ... becomes `http.server.duration_seconds`.
    NoUtf8EscapingWithSuffixes,
    /// ... stays `http.server.duration`.
    NoTranslation,
}

/// What becomes of names that only a UTF-8 strategy makes: AMP takes none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Utf8Policy {
    /// The point is refused with reason `utf8_name`.
    #[default]
    Reject,
    /// The name is escaped reversibly: `U__http_2e_server` (Prometheus' escaping scheme `values`).
    Escape,
    /// The name goes out as it is, for backends that take it.
    Allow,
}

/// How this deployment names things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Put before every metric name; empty for none.
    pub namespace: String,
    pub strategy: Strategy,
    pub utf8: Utf8Policy,
    pub compat: Compat,
}

/// What the suffix of a metric name depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A monotonic sum: `_total`.
    Counter,
    /// `_ratio` when its unit is `1`.
    Gauge,
    Other,
}

/// Why there is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing of the name can stand in a Prometheus name.
    Empty,
    /// A name beyond the legacy characters, and [`Utf8Names::Refuse`].
    Utf8,
}

impl Strategy {
    fn is_utf8(self) -> bool {
        matches!(self, Strategy::NoUtf8EscapingWithSuffixes | Strategy::NoTranslation)
    }
}

impl Naming {
    /// The policy for names of metrics that the UTF-8 strategies make.
    fn check_metric_name<'a>(&self, name: Cow<'a, str>) -> Result<Cow<'a, str>, NameError> {
        if is_legacy_metric(&name) { Ok(name) } else { self.apply_utf8_policy(name, escape) }
    }

    /// The same for labels.
    fn check_label_name<'a>(&self, name: Cow<'a, str>) -> Result<Cow<'a, str>, NameError> {
        if is_legacy_label(&name) { Ok(name) } else { self.apply_utf8_policy(name, escape_label) }
    }

    fn apply_utf8_policy<'a>(&self, name: Cow<'a, str>, escape: fn(&str) -> String) -> Result<Cow<'a, str>, NameError> {
        match self.utf8 {
            Utf8Policy::Allow => Ok(name),
            Utf8Policy::Escape => Ok(Cow::Owned(escape(&name))),
            Utf8Policy::Reject => Err(NameError::Utf8),
        }
    }
}

#[cfg(test)]
mod tests;
