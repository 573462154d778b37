//! Parts of runs that collect series: scrapes, Container Insights events, CloudWatch metrics and stopped tasks.
//!
//! `state` writes what ECS itself reports, and `coverage` counts the tasks that have no other source.
//!
//! A scheduled run uses all of them; a shard, a batch of log events and a task state change use one each. Every run
//! accumulates its series and counts in a `RunContext`, and the `SeriesWriter` delivers them.

pub(super) mod cloudwatch;
pub(super) mod context;
pub(super) mod coverage;
pub(super) mod exposition;
pub(super) mod insights;
pub(super) mod last_samples;
mod metric_scopes;
pub(super) mod report;
pub(super) mod scrape;
mod scrape_cache;
pub(super) mod series_writer;
mod slots;
pub(super) mod state;
pub(super) mod stats;
pub(super) mod stopped;
mod target_down;
mod target_series;
pub(super) mod task_series;
