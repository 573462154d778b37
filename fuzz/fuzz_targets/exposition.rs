//! A scraped page in either format: no panic, and a failed scrape writes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::model::exposition::Format;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::translate::exposition::{Scrape, series};

fuzz_target!(|input: &[u8]| {
    let Some((&knobs, page)) = input.split_first() else { return };
    let format = if knobs & 1 == 0 { Format::Text } else { Format::OpenMetrics };
    let target: Labels = [("instance", "10.0.0.1:80"), ("job", "shop")].into_iter().collect();
    let scrape = Scrape {
        target_labels: &target,
        honor_labels: knobs & 2 != 0,
        honor_timestamps: knobs & 4 != 0,
        sample_limit: (knobs & 8 != 0).then_some(10),
        at_ms: 1_800_000_000_000,
    };
    let mut out = SeriesBatch::default();
    match series(page, format, &scrape, &mut out) {
        Ok(scraped) => assert_eq!(scraped.samples, out.points() + scraped.duplicates + scraped.out_of_bounds),
        Err(_) => assert!(out.is_empty()),
    }
});
