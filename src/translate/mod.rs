//! Meaning: from what tasks and clients say to what X-Ray and Prometheus store. Pure: no async, no I/O, no clock, no
//! environment, no AWS; and no panic on any input.

pub mod stats;
