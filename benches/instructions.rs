//! One stage over its usual payload, twice: once to warm up, and once in a function of its own, whose instructions
//! `scripts/bench --check` has callgrind count. Without arguments: the names of all stages.
//!
//! usage: instructions [STAGE]

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark stops at its first surprise, and prints"
)]

#[path = "payload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the other benchmarks use more of it")]
mod payload;
#[path = "stage/mod.rs"]
mod stage;

use stage::{STAGES, Work};

fn main() {
    let Some(wanted) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        STAGES.iter().for_each(|stage| println!("{}", stage.name));
        return;
    };
    let stage = STAGES.iter().find(|stage| stage.name == wanted).expect("a stage");
    let mut work = (stage.prepare)(stage.usual);
    work();
    seen_by_callgrind(&mut work);
}

/// callgrind counts from here to its end, by this name.
#[inline(never)]
fn seen_by_callgrind(work: &mut Work) {
    work();
}
