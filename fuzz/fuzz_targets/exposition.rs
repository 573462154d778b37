//! An exposition in both formats: no panic, and a failed scrape writes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::exposition::Format;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::translate::names::Utf8Names;
use sidecarless::translate::exposition::{ScrapeOptions, series};

fuzz_target!(|input: &[u8]| {
    let Some((&options, body)) = input.split_first() else { return };
    let format = if options & 1 == 0 { Format::Text } else { Format::OpenMetrics };
    let target: Labels = [("instance", "10.0.0.1:80"), ("job", "shop")].into_iter().collect();
    let scrape = ScrapeOptions {
        target_labels: &target,
        honor_labels: options & 2 != 0,
        utf8_names: if options & 8 != 0 { Utf8Names::Send } else { Utf8Names::Replace },
        honor_timestamps: options & 4 != 0,
        sample_limit: (options & 8 != 0).then_some(10),
        max_age_ms: None,
        at_ms: 1_800_000_000_000,
    };
    let mut out = SeriesBatch::default();
    match series(body, format, &scrape, &Unlimited, &mut out) {
        Ok(counts) => {
            assert_eq!(counts.samples, out.point_count() + counts.duplicates + counts.out_of_bounds + counts.too_old)
        }
        Err(_) => assert!(out.is_empty()),
    }
});
