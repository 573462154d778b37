//! The rule languages of settings: globs, task filters, scrape rules, relabelling rules and tag labels.
//!
//! Pure: each module parses its rules once at start and applies them later.

pub mod glob;
pub mod relabel;
pub mod scrape_rule;
pub mod tags;
pub mod task_filter;
mod yaml;

/// Error text for a value that a setting does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(String);

impl InvalidValue {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
