//! Measures time and allocations of each stage for 1 to 10,000 items.
//!
//! usage: cargo bench --bench stages [-- WORD]

#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_types, reason = "a benchmark fails with a panic")]

#[path = "payload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other benchmarks use the rest")]
mod payload;
#[path = "stage/mod.rs"]
mod stage;

use std::fmt;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, Divan};

use stage::{STAGES, Stage};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// Time for each stage and size. The median is then stable, and the benchmark takes less than a minute.
const TIME_PER_CASE: Duration = Duration::from_millis(300);

fn main() {
    Divan::from_args().max_time(TIME_PER_CASE).main();
}

struct Case {
    stage: &'static Stage,
    items: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stage.name, self.items)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    STAGES.iter().flat_map(|stage| SIZES.map(|items| Case { stage, items }))
}

#[divan::bench(args = cases())]
fn stages(bencher: Bencher<'_, '_>, case: &Case) {
    let work = (case.stage.prepare)(case.items);
    bencher.counter(ItemsCount::new(case.items)).bench_local(work);
}
