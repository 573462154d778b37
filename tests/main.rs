//! Integration tests. They are one crate with a module per file, because every crate is linked with the full AWS SDK.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test fails with a panic, some print figures, and tables are long"
)]

use std::alloc::System;

use cap::Cap;

/// Counts the allocated bytes of the process. nextest runs each test in its own process.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

mod accounts;
mod age_limit;
mod architecture;
mod aws_errors;
mod both_destinations;
mod check;
mod cloudwatch;
mod cloudwatch_otlp;
mod cors;
mod decoded_size;
mod ecs;
mod ending_tasks;
mod endpoints;
mod events;
mod exposition;
mod exposition_tables;
mod faults;
mod hostile;
mod idempotence;
mod identity;
mod logs;
mod metric_cases;
mod metrics_doc;
mod metrics_properties;
mod otlp_borrowed;
mod otlp_borrowed_metrics;
mod otlp_builder;
mod otlp_json;
mod prometheus_golden;
mod prometheus_scrape;
mod prometheus_vectors;
mod push;
mod receiver;
mod relabelling;
mod remote_write;
mod sandbox;
mod secrets;
mod service_events;
mod settings;
mod state;
mod stats_golden;
mod stats_properties;
mod stats_vectors;
mod task_stats;
mod tick;
mod xray;
mod xray_clients;
mod xray_golden;
mod xray_mapping;
mod xray_properties;
mod xray_schema;
mod xray_truncation;
mod xray_vectors;
