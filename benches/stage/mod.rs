//! The stages between an event and the requests to the destinations, each separately, with a payload of any size.
//! Shared by the benchmark of time and allocations (`stages`) and the benchmark of instructions (`instructions`).

mod push;
mod rest;

use std::hint::black_box;

/// One stage.
pub(crate) struct Stage {
    /// Such as `translate/traces`.
    pub(crate) name: &'static str,
    /// Creates the input with this number of items, and returns the work.
    pub(crate) prepare: fn(usize) -> Work,
    /// Items in a typical request or task, for which the instructions are counted.
    #[allow(dead_code, reason = "the benchmark of time uses all sizes")]
    pub(crate) typical_items: usize,
}

pub(crate) type Work = Box<dyn FnMut()>;

pub(crate) const STAGES: [Stage; 18] = [
    Stage { name: "event/traces", prepare: push::event_traces, typical_items: 500 },
    Stage { name: "event/metrics", prepare: push::event_metrics, typical_items: 1_000 },
    Stage { name: "gunzip/traces", prepare: push::gunzip_traces, typical_items: 500 },
    Stage { name: "gunzip/metrics", prepare: push::gunzip_metrics, typical_items: 1_000 },
    Stage { name: "decode/traces", prepare: push::decode_traces, typical_items: 500 },
    Stage { name: "decode/metrics", prepare: push::decode_metrics, typical_items: 1_000 },
    Stage { name: "translate/traces", prepare: push::translate_traces, typical_items: 500 },
    Stage { name: "translate/metrics", prepare: push::translate_metrics, typical_items: 1_000 },
    Stage { name: "decode/stats", prepare: rest::decode_stats, typical_items: 10 },
    Stage { name: "translate/stats", prepare: rest::translate_stats, typical_items: 10 },
    Stage { name: "translate/exposition", prepare: rest::translate_exposition, typical_items: 1_000 },
    Stage { name: "encode/traces", prepare: rest::encode_traces, typical_items: 500 },
    Stage { name: "encode/metrics", prepare: rest::encode_metrics, typical_items: 1_000 },
    Stage { name: "encode/exposition", prepare: rest::encode_exposition, typical_items: 1_000 },
    Stage { name: "compress/metrics", prepare: rest::compress_metrics, typical_items: 1_000 },
    Stage { name: "compress/exposition", prepare: rest::compress_exposition, typical_items: 1_000 },
    Stage { name: "requests/metrics", prepare: rest::requests_metrics, typical_items: 1_000 },
    Stage { name: "sign/metrics", prepare: rest::sign_metrics, typical_items: 1_000 },
];

/// Returns work whose result the compiler cannot optimize away. The work includes dropping the result.
fn work<T>(mut work: impl FnMut() -> T + 'static) -> Work {
    Box::new(move || {
        black_box(work());
    })
}
