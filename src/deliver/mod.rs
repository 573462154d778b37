//! Delivery of encoded requests to AMP, X-Ray, CloudWatch and CloudWatch Logs, and the SQS queues of the spool and of shards.
//!
//! Every destination implements [`Destination`], and a [`Delivery`] adds the shared behaviour: the circuit breaker, the time
//! limit, concurrency, and one [`Outcome`].

pub mod circuit_breaker;
pub mod cloudwatch;
pub mod deferral;
mod delivery;
mod destination;
pub mod logs;
pub mod otlp;
mod outcome;
pub mod redrive;
pub mod remote_write;
pub mod remote_write_error;
pub mod shards;
pub mod spool;
pub mod xray;
pub mod xray_otlp;

pub use delivery::Delivery;
pub use destination::Destination;
pub use outcome::{DeliveryError, Outcome, Spoolable};
