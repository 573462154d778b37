//! An exposition in both formats: no panic, and a failed scrape writes nothing. A scrape with the layout of another page has the
//! result of one without.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::exposition::Format;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::translate::exposition::{PageLayout, ScrapeOptions, series_like};
use sidecarless::translate::names::Utf8Names;

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
    let scraped = |page: &[u8], layout: Option<&Arc<PageLayout>>| {
        let mut out = SeriesBatch::default();
        let result = series_like(page, format, &scrape, layout, &Unlimited, &mut out);
        (result, out.len(), out.point_count())
    };
    let (result, series, points) = scraped(body, None);
    match &result {
        Ok((counts, _)) => {
            assert_eq!(counts.samples, points + counts.duplicates + counts.out_of_bounds + counts.too_old)
        }
        Err(_) => assert_eq!(series, 0),
    }
    // The page itself, and the start of it.
    for previous in [body, body.get(..body.len() / 2).unwrap_or_default()] {
        let (Ok((_, Some(page))), ..) = scraped(previous, None) else { continue };
        let (again, again_series, again_points) = scraped(body, Some(page.layout()));
        let counts = |result| Result::map(result, |(counts, _)| counts);
        assert_eq!(counts(again), counts(scraped(body, None).0));
        assert_eq!((again_series, again_points), (series, points));
    }
});
