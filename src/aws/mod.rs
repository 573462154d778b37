//! Clients and errors of AWS calls, shared by discovery and delivery.
//!
//! `client` signs and posts requests to services without an SDK client, such as AMP, and to EC2, whose SDK client is too large
//! to link. `error` is the error of every AWS call, whether it was made with the SDK or without it.

pub mod backoff;
pub mod certificates;
pub mod client;
pub mod clients;
pub mod credentials;
pub mod endpoints;
pub mod error;
pub mod rate_limiter;
pub mod sdk_error;
pub mod sdk_http;
pub mod sign;
pub mod ssm;
pub mod sts;
pub mod xray;
