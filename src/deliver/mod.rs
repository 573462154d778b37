//! What goes out: remote write to AMP, segments to X-Ray. I/O only; what is sent was made by translate/.

pub mod circuit_breaker;
pub mod logs;
pub mod redrive;
pub mod remote_write;
pub mod remote_write_error;
pub mod shards;
pub mod spool;
pub mod xray;
pub mod xray_otlp;
