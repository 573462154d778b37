//! Meaning: from what tasks and clients say to what X-Ray and Prometheus store. Pure: no async, no I/O, no clock, no
//! environment, no AWS; and no panic on any input.

pub mod attributes;
pub mod exposition;
pub mod identity;
pub mod insights;
pub mod limits;
pub mod metrics;
pub mod names;
pub mod sdk_segments;
pub mod self_metrics;
pub mod spans;
pub mod stats;
pub mod stopped;
pub mod target_health;

/// Whether spans and OTLP metrics are translated to the letter as the ADOT collector does, or better where that loses
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    #[default]
    Corrected,
    Adot,
}
