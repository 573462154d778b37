//! Series that report the result of every scrape.

use std::time::Duration;

use crate::model::series::{Labels, STALE_NAN, SeriesBatch};

/// Result of a scrape ("Jobs and instances" of the Prometheus documentation, "Automatically generated labels and time
/// series").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScrapeReport {
    /// Whether the exposition was received, parsed and written.
    pub is_up: bool,
    pub duration: Duration,
    /// 0 if there was no exposition.
    pub samples_scraped: u64,
    /// 0 if there was no exposition.
    pub samples_post_relabel: u64,
    /// Series that the previous scrape did not have. `None` if unknown; then `scrape_series_added` is not written.
    pub series_added: Option<u64>,
}

const NAMES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// Writes `up` and the `scrape_*` series of one target.
pub fn report(report: &ScrapeReport, target_labels: &Labels, at_ms: i64, out: &mut SeriesBatch) {
    let values = [
        Some(f64::from(u8::from(report.is_up))),
        Some(report.duration.as_secs_f64()),
        Some(report.samples_scraped as f64),
        Some(report.samples_post_relabel as f64),
        report.series_added.map(|added| added as f64),
    ];
    write(values, target_labels, at_ms, out);
}

/// Writes staleness markers for the series that [`report`] wrote for a removed target.
pub fn report_stale(target_labels: &Labels, at_ms: i64, out: &mut SeriesBatch) {
    write([Some(f64::from_bits(STALE_NAN)); NAMES.len()], target_labels, at_ms, out);
}

fn write(values: [Option<f64>; NAMES.len()], target_labels: &Labels, at_ms: i64, out: &mut SeriesBatch) {
    let mut labels = target_labels.clone();
    for (name, value) in NAMES.into_iter().zip(values) {
        let Some(value) = value else { continue };
        labels.set("__name__", name);
        let id = out.series(labels.iter());
        // If the exposition contains such a series, its sample is kept.
        if !out.has_sample_at(id, at_ms) {
            out.add_sample(id, at_ms, value);
        }
    }
}
