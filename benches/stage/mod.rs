//! Every stage between an event and the requests that go out, each by itself, over a payload of any size. Shared by the
//! benchmarks that take time and count allocations (`stages`) and by the one whose instructions are counted
//! (`instructions`).

mod push;
mod rest;

use std::hint::black_box;

/// One stage over one payload.
pub(crate) struct Stage {
    /// `translate/spans`.
    pub(crate) name: &'static str,
    /// Makes the input of so many items, and gives back what does the work.
    pub(crate) prepare: fn(usize) -> Work,
    /// Items in whose number a regression is looked for: what SDKs and tasks send at a time.
    #[allow(dead_code, reason = "the benchmark of time takes every size")]
    pub(crate) usual: usize,
}

pub(crate) type Work = Box<dyn FnMut()>;

pub(crate) const STAGES: [Stage; 18] = [
    Stage { name: "event/traces", prepare: push::event_of_traces, usual: 500 },
    Stage { name: "event/metrics", prepare: push::event_of_metrics, usual: 1_000 },
    Stage { name: "gunzip/traces", prepare: push::gunzip_of_traces, usual: 500 },
    Stage { name: "gunzip/metrics", prepare: push::gunzip_of_metrics, usual: 1_000 },
    Stage { name: "decode/traces", prepare: push::decode_of_traces, usual: 500 },
    Stage { name: "decode/metrics", prepare: push::decode_of_metrics, usual: 1_000 },
    Stage { name: "translate/traces", prepare: push::translate_traces, usual: 500 },
    Stage { name: "translate/metrics", prepare: push::translate_metrics, usual: 1_000 },
    Stage { name: "decode/stats", prepare: rest::decode_of_stats, usual: 10 },
    Stage { name: "translate/stats", prepare: rest::translate_stats, usual: 10 },
    Stage { name: "translate/exposition", prepare: rest::translate_exposition, usual: 1_000 },
    Stage { name: "encode/traces", prepare: rest::encode_traces, usual: 500 },
    Stage { name: "encode/metrics", prepare: rest::encode_metrics, usual: 1_000 },
    Stage { name: "encode/exposition", prepare: rest::encode_exposition, usual: 1_000 },
    Stage { name: "compress/metrics", prepare: rest::compress_metrics, usual: 1_000 },
    Stage { name: "compress/exposition", prepare: rest::compress_exposition, usual: 1_000 },
    Stage { name: "requests/metrics", prepare: rest::requests_of_metrics, usual: 1_000 },
    Stage { name: "sign/metrics", prepare: rest::sign_metrics, usual: 1_000 },
];

/// Work whose result is looked at, so that it is not optimised away; dropping it counts.
fn work<T>(mut work: impl FnMut() -> T + 'static) -> Work {
    Box::new(move || {
        black_box(work());
    })
}
