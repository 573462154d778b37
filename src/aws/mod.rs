//! Calls to AWS that the SDK has no client for, or only one too large to link: a signed POST, and when to try again.
//!
//! Used by both rims: remote write and X-Ray go out through it, and EC2 is asked through it where tasks are. STS says for
//! `sidecarless check` whose credentials these are.

pub mod backoff;
pub mod client;
pub mod clients;
pub mod error;
pub mod rate_limiter;
pub mod sdk_error;
pub mod sign;
pub mod sts;
