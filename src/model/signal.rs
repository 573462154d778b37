//! OTLP signals.

/// An OTLP signal that the function decodes. Log records are forwarded without decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
}
