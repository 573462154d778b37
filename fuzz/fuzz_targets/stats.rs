//! The two documents of a stats endpoint, separated by a zero byte: no panic, and a bounded number of containers is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::model::task_metadata::{TaskMetadata, TaskStats};
use sidecarless::translate::stats::{MetricSelection, Options, TaskScrape, series};

fuzz_target!(|input: &[u8]| {
    let (task, stats) = input.split_at(input.iter().position(|&byte| byte == 0).unwrap_or(input.len()));
    let (Ok(task), Ok(stats)) = (TaskMetadata::parse(task), TaskStats::parse(stats.get(1..).unwrap_or_default()))
    else {
        return;
    };
    let options = Options { metrics: MetricSelection::all(), ..Options::default() };
    let scrape = TaskScrape {
        task: &task,
        stats: &stats,
        at_ms: 1_800_000_000_000,
        received_ms: 1_800_000_000_000,
        described: None,
    };
    let mut out = SeriesBatch::default();
    let result = series(&scrape, &Labels::default(), &options, &mut out);
    assert_eq!(result.written, out.point_count());
});
