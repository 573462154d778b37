//! A performance log event of Container Insights: no panic, every event is written or rejected, and an event cannot choose region and
//! account.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::translate::insights::{EventContext, event_series};
use sidecarless::translate::stats::{MetricSelection, Options};

fuzz_target!(|input: &[u8]| {
    let options = Options { metrics: MetricSelection::all(), ..Options::default() };
    let context = EventContext {
        task: &|_| None,
        cluster: Some("shop"),
        has_better_source: &|_| false,
        partition: "aws",
        region: "eu-west-1",
        account: "111122223333",
        group_takes_precedence: true,
        now_ms: 1_800_000_000_000,
        max_age_ms: None,
        extra_labels: &|_| Labels::default(),
        excluded_counts: &|_| false,
        options: &options,
    };
    let mut out = SeriesBatch::default();
    let result = event_series(input, &context, &mut out);
    assert_eq!(result.written, out.point_count());
    for series in out.iter() {
        for (name, value) in series.labels() {
            let expected = match name {
                "cloud_region" => "eu-west-1",
                "cloud_account_id" => "111122223333",
                _ => continue,
            };
            assert_eq!(value, expected);
        }
    }
});
