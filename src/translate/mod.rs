//! Translation of task documents and pushed telemetry to X-Ray segments and Prometheus series. Pure: no async, no I/O, no
//! clock, no environment variables, no AWS calls; and no panic on any input.

pub mod attributes;
pub mod cloudwatch;
pub mod exposition;
pub mod identity;
pub mod insights;
pub mod limits;
pub mod metrics;
pub mod names;
pub mod sdk_segments;
pub mod self_metrics;
pub mod sender;
pub mod service_events;
mod shared_labels;
pub mod spans;
pub mod state;
pub mod stats;
pub mod stopped;
pub mod target_health;

/// Reason of a span or data point that cannot be decoded.
const MALFORMED: &str = "malformed";

/// Translation mode of spans and OTLP metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// Differs from the ADOT collector where its output would be rejected or wrong.
    #[default]
    Corrected,
    /// Follows the ADOT collector exactly, except for data losses.
    Adot,
}
