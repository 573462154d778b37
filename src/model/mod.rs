//! Data types that several stages share. Pure: no I/O, no clock, no environment variables, no AWS calls.
//!
//! Input: `otlp` (pushed telemetry), `task_metadata` (documents of a task), `task`, `service`, `cluster`, `container_instance` and
//! `arn` (ECS descriptions).
//! Output:
//! `series` and `segment`. Counts: `rejection` (rejected items by reason) and `item_counters` (all items by status).
//! `shortened` limits texts from outside, and `masked` removes their secrets.

pub(crate) mod age;
pub mod arn;
pub mod budget;
pub(crate) mod cache;
pub mod cloudwatch;
pub mod cluster;
pub mod container_instance;
pub mod ecs;
pub mod encoded_request;
pub mod escaped_json;
pub mod exposition;
pub mod failed_event;
pub mod item_counters;
pub mod json;
mod json_fields;
pub mod masked;
pub mod otlp;
pub mod read_capped;
pub mod rejection;
pub mod remote_write;
pub mod reserved;
pub mod sampling;
pub mod segment;
pub mod series;
pub mod service;
pub mod service_event;
pub mod shard;
pub mod shortened;
pub mod signal;
pub mod spool;
pub mod task;
pub mod task_event;
pub mod task_metadata;
