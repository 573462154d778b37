//! Runs one stage or one kind of invocation with its typical payload twice: once to warm up, and once in a separate function
//! whose instructions callgrind counts for `scripts/bench --check`. Without arguments, prints all names.
//!
//! usage: instructions [NAME]

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails with a panic, and prints figures"
)]

#[path = "invocation/mod.rs"]
mod invocation;
#[path = "payload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other benchmarks use the rest")]
mod payload;
#[path = "stage/mod.rs"]
mod stage;

use invocation::INVOCATIONS;
use stage::{STAGES, Work};

fn main() {
    let Some(name) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        STAGES.iter().chain(&INVOCATIONS).for_each(|stage| println!("{}", stage.name));
        return;
    };
    let stage = STAGES.iter().chain(&INVOCATIONS).find(|stage| stage.name == name).expect("the name of a stage");
    let mut work = (stage.prepare)(stage.typical_items);
    work();
    seen_by_callgrind(&mut work);
}

/// callgrind counts the instructions of the function with this name.
#[inline(never)]
fn seen_by_callgrind(work: &mut Work) {
    work();
}
