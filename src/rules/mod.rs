//! The small languages in which settings are written: globs, task filters, scrape rules, relabelling rules and tag labels.
//!
//! Pure: each module parses its rules once at start and matches them later.

pub mod glob;
pub mod relabel;
pub mod scrape_rule;
pub mod tags;
pub mod task_filter;
