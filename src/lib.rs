//! One AWS Lambda function that collects metrics and traces from Amazon ECS tasks, without a sidecar in each task.
//!
//! ```text
//!   Scheduled run -------+
//!   HTTP request --------+                                              +--> AMP (remote write)
//!   SQS message ---------+--> lambda --> handlers --> translate --> deliver --> X-Ray (segments or OTLP), CloudWatch Logs
//!   Log events ----------+        |          |                         +--> spool (SQS), if a destination is unavailable
//!   Task state change ---+        |          +--> discovery, scrape
//!                                 +--> response (2xx, 4xx, 503, batchItemFailures)
//! ```
//!
//! Modules, in reading order:
//!
//! - [`handlers`]: one type per trigger, and a router. Start here.
//! - [`lambda`]: events and responses as JSON.
//! - [`settings`] and [`rules`]: every setting in one table, and the rule languages of settings.
//! - [`deadline`]: the time left in the invocation. The only reader of clocks.
//! - [`work_budget`]: the memory and time that the processing of one input may take.
//! - [`receiver`]: HTTP routing, authentication, decompression and responses.
//! - [`discovery`]: clusters, services and tasks of ECS, and who a sender is.
//! - [`scrape`]: scrapes of targets, and reads of Container Insights events.
//! - [`translate`]: spans to segments, and metrics, expositions and stats to series. Pure.
//! - [`deliver`]: one interface for all destinations; the spool and the shard queue.
//! - [`aws`]: clients, signing, retries and typed errors.
//! - [`model`]: types that several stages share. Pure.
//! - [`log`]: log output.
//!
//! Invariants, which tests/architecture verifies:
//!
//! - `discovery`, `scrape`, `receiver`, `translate` and `deliver` do not import each other's stages; `handlers` connects them.
//! - `translate` and `model` contain no async code, tokio, AWS, HTTP, environment or clock, and never panic on input.
//! - Only the main file of a binary reads the environment; only `deadline.rs` reads the clock; only `aws/sign.rs` implements SigV4;
//!   only `lambda` parses the JSON of Lambda; protobuf field numbers are only in `model`.
//! - Every request acknowledged with success is either delivered or stored in the spool. Everything can be repeated: series have their
//!   own timestamps, and generated segment IDs are derived from the IDs of the span.

pub mod handlers;

pub mod lambda;

pub mod deadline;
pub mod settings;
pub mod work_budget;

pub mod discovery;
pub mod receiver;
pub mod rules;
pub mod scrape;
pub mod translate;

pub mod deliver;

pub mod aws;

pub mod model;

pub mod log;
