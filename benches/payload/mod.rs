//! Generates the telemetry for benchmarks, as SDKs send it. Each run generates the same telemetry.
//!
//! Ids, addresses, durations and counts vary, because constant values compress too well and always take the same
//! branches, so that the measured times would be too short.

mod event;
mod metrics;
mod resource;
mod spans;
mod tasks;

pub(crate) use event::{compressed, event, json_event};
pub(crate) use metrics::metrics;
pub(crate) use spans::traces;
pub(crate) use tasks::{STATS_READ, TASK, container_id, exposition, exposition_of, stats};

use bytes::Bytes;
use sidecarless::model::otlp::{AnyValue, KeyValue, any_value};

/// Time of all telemetry: 2026-11-22T23:25:00Z.
pub(crate) const AT_MS: u64 = 1_795_389_900_000;
/// The same time, with the type of the clock.
pub(crate) const NOW_MS: i64 = AT_MS.cast_signed();
const AT_NANOS: u64 = AT_MS * 1_000_000;

/// SplitMix64, which generates the same numbers in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or_default();
        choices.get(index).copied().unwrap_or_default()
    }

    fn bytes<const N: usize>(&mut self) -> Bytes {
        (0..N).map(|_| self.next().to_le_bytes()[0] | 1).collect::<Vec<u8>>().into()
    }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::String(value.into().into_bytes().into()))
}

fn int(key: &str, value: u64) -> KeyValue {
    attribute(key, any_value::Value::Int(value.cast_signed()))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: Bytes::copy_from_slice(key.as_bytes()), value: Some(AnyValue { value: Some(value) }) }
}
