//! The series of the scrape before: to end those that a page no longer has, and to count those it has anew.
//!
//! Prometheus writes a staleness marker for every series that is gone from a page, or from a target that is down, so
//! that nobody sees a value of five minutes ago ("Staleness" of its documentation). Series whose samples have times of
//! their own get none: their target says when they are of (`scrape/scrape.go`, `trackTimestampsStaleness`).

use prost::encoding::{decode_varint, encode_varint};

use crate::model::series::{STALE_NAN, SeriesBatch};

/// The series of one page: mostly the same labels, so that they are kept compressed.
#[derive(Clone, Debug, Default)]
pub struct SeriesSet {
    /// Snappy, of one record after the other: whether it is to be ended, length and encoded labels.
    snappy: Vec<u8>,
}

impl SeriesSet {
    /// Those that were added to `out` as number `from` and later, by a scrape that began at `at_ms`.
    pub fn from_batch(out: &SeriesBatch, from: usize, at_ms: i64) -> Self {
        let mut records = Vec::new();
        for series in out.iter().skip(from) {
            let labels = series.encoded_labels();
            records.push(u8::from(series.samples().iter().any(|sample| sample.timestamp_ms == at_ms)));
            encode_varint(labels.len() as u64, &mut records);
            records.extend_from_slice(&labels);
        }
        Self { snappy: snap::raw::Encoder::new().compress_vec(&records).unwrap_or_default() }
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        self.snappy.len()
    }

    /// Ends the series that `out` does not have; returns how many it has.
    pub fn mark_missing_stale(&self, at_ms: i64, out: &mut SeriesBatch) -> u64 {
        let records = snap::raw::Decoder::new().decompress_vec(&self.snappy).unwrap_or_default();
        let mut still_there = 0;
        let mut rest = records.as_slice();
        while let Some((is_ended, labels)) = record(&mut rest) {
            if out.contains_encoded(labels) {
                still_there += 1;
            } else if is_ended {
                let id = out.series_encoded(labels);
                out.add_sample(id, at_ms, f64::from_bits(STALE_NAN));
            }
        }
        still_there
    }
}

fn record<'a>(rest: &mut &'a [u8]) -> Option<(bool, &'a [u8])> {
    let (is_ended, after) = rest.split_first()?;
    *rest = after;
    let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (labels, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((*is_ended == 1, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exposition::Format;
    use crate::model::series::Labels;
    use crate::translate::exposition::{ScrapeOptions, series};

    fn scraped(page: &str, at_ms: i64, out: &mut SeriesBatch) {
        let target_labels = [("instance", "10.2.3.4:9404")].into_iter().collect::<Labels>();
        let scrape = ScrapeOptions {
            target_labels: &target_labels,
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: None,
            at_ms,
        };
        series(page.as_bytes(), Format::Text, &scrape, out).expect("the page is right");
    }

    #[test]
    fn series_that_left_a_page_are_ended_and_the_others_counted() {
        let mut first = SeriesBatch::default();
        first.series([("__name__", "of_another_target")]);
        let from = first.len();
        scraped("a 1\nb{x=\"1\"} 2\nwith_its_own_time 3 17000\n", 60_000, &mut first);
        let before = SeriesSet::from_batch(&first, from, 60_000);

        let mut second = SeriesBatch::default();
        scraped("a 1\nb{x=\"2\"} 2\n", 120_000, &mut second);
        assert_eq!(before.mark_missing_stale(120_000, &mut second), 1, "a is still there");

        let ended: Vec<String> = second
            .iter()
            .filter(|series| series.samples().iter().any(|sample| sample.value.to_bits() == STALE_NAN))
            .map(|series| format!("{:?}", series.labels().collect::<Vec<_>>()))
            .collect();
        assert_eq!(ended, [r#"[("__name__", "b"), ("instance", "10.2.3.4:9404"), ("x", "1")]"#]);
    }

    #[test]
    fn nothing_before_ends_nothing() {
        let mut out = SeriesBatch::default();
        assert_eq!(SeriesSet::default().mark_missing_stale(1, &mut out), 0);
        assert!(out.is_empty());
    }
}
