//! One AWS Lambda function that gives every Amazon ECS task what the ADOT sidecar gives it, with no container added.
//!
//! ```text
//!   Scheduler tick ------+                                                              +--> AMP    (remote write)
//!   Function URL POST ---+-> invocation -> pipeline -> collect --> translate --> deliver +--> X-Ray (PutTraceSegments)
//!   SQS message ---------+        |        (3 verbs)   I/O in      pure         I/O out |
//!   Logs subscription ---+        |                                                      +--> spool (SQS), when it
//!   Task state change ---+        +--> Reply (2xx, 4xx, 503, batchItemFailures)               cannot be delivered now
//! ```
//!
//! Where things are, in reading order:
//!
//! - [`pipeline`] is the story: one short method per trigger. Start there.
//! - [`invocation`] knows the JSON that Lambda hands over and takes back, and nothing else does.
//! - [`config`] holds every setting in one table; [`deadline`] is the time left, and the only reader of clocks.
//! - [`collect`] is I/O in: which tasks there are, what they say of themselves, what clients push.
//! - [`translate`] is meaning: spans to segments, metrics and stats to series. Pure.
//! - [`deliver`] is I/O out: remote write and X-Ray with their retries, the spool, and shards.
//! - [`aws`] is the signed POST under both rims.
//! - [`model`] holds the nouns that cross a stage. Pure.
//! - [`clients`], [`log`] and [`cli`] are cold start and command line.
//!
//! Invariants, held by tests/architecture:
//!
//! - `collect`, `translate` and `deliver` never import one another; they meet in `pipeline` (verbs) and `model` (nouns).
//! - `translate` and `model` hold no async, tokio, AWS, HTTP, environment or clock, and never panic on any input.
//! - Only `main.rs` reads the environment; only `deadline.rs` reads the clock; only `aws/sign.rs` knows SigV4; only
//!   `invocation` knows Lambda's JSON; protobuf field numbers live only in `model`.
//! - What is answered with success was delivered, or waits in SQS. Everything is safe to repeat: series carry their own timestamps, and
//!   generated segment ids are derived from the span's ids.

pub mod handlers;

pub mod lambda;

pub mod deadline;
pub mod settings;

pub mod discovery;
pub mod receiver;
pub mod rules;
pub mod scrape;
pub mod translate;

pub mod deliver;

pub mod aws;

pub mod model;

pub mod log;
