//! Nouns that cross a stage. Pure: no I/O, no clock, no environment, no AWS.
//!
//! `otlp` is what clients push; `stats` is what a task says of itself; `target` and `arn` are what ECS says of it; `series`
//! and `segment` are what is written; `refusal` is what is not, and why; `ledger` counts both. `glob` is the pattern language of settings.

pub mod arn;
pub mod ecs;
pub mod escaped_json;
pub mod exposition;
pub mod item_counters;
pub mod json;
pub mod otlp;
pub mod read_capped;
pub mod rejection;
pub mod remote_write;
pub mod sampling;
pub mod segment;
pub mod series;
pub mod shard;
pub mod signal;
pub mod spool;
pub mod task;
pub mod task_event;
pub mod task_metadata;
