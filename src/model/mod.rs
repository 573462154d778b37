//! Nouns that cross a stage. Pure: no I/O, no clock, no environment, no AWS.
//!
//! `otlp` is what clients push; `stats` is what a task says of itself; `task` and `target` are what ECS says of it;
//! `series` and `segment` are what is written; `refusal` is what is not, and why.

pub mod arn;
pub mod otlp;
pub mod refusal;
pub mod remote_write;
pub mod segment;
pub mod series;
pub mod stats;
pub mod target;
