//! Series of the previous scrape, to write staleness markers for missing series and to count new series.
//!
//! Prometheus writes a staleness marker for every series that is missing in an exposition, and for all series of a target
//! that is down, so that queries do not return values from up to five minutes ago ("Staleness" in its documentation). Series
//! with explicit timestamps get no marker (`scrape/scrape.go`, `trackTimestampsStaleness`).

use prost::encoding::{decode_varint, encode_varint};

use crate::model::series::{STALE_NAN, SeriesBatch};

/// Bytes of records that are compressed together. Snappy compresses blocks of 64 KiB.
const BLOCK_BYTES: usize = 64 << 10;

/// Series of one exposition, compressed because most of their labels are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct SeriesSet {
    /// Snappy of the records: whether it gets a staleness marker, length of the labels, encoded labels.
    blocks: Vec<Box<[u8]>>,
}

impl SeriesSet {
    /// Returns the series of `out` starting at number `from`, which a scrape that started at `at_ms` added; `None` if they take
    /// more than `max_bytes`.
    pub(super) fn from_batch(out: &SeriesBatch, from: usize, at_ms: i64, max_bytes: usize) -> Option<Self> {
        let (mut set, mut records) = (Self::default(), Vec::with_capacity(BLOCK_BYTES));
        let (mut encoder, mut size) = (snap::raw::Encoder::new(), 0);
        let mut compress = |set: &mut Self, records: &mut Vec<u8>| {
            let block = encoder.compress_vec(records).unwrap_or_default();
            records.clear();
            size += block.len();
            set.blocks.push(block.into());
            size <= max_bytes
        };
        for series in out.iter().skip(from) {
            records.push(u8::from(series.samples().iter().any(|sample| sample.timestamp_ms == at_ms)));
            encode_varint(series.labels_len() as u64, &mut records);
            series.label_runs().for_each(|run| records.extend_from_slice(run));
            if records.len() >= BLOCK_BYTES && !compress(&mut set, &mut records) {
                return None;
            }
        }
        compress(&mut set, &mut records).then_some(set)
    }

    /// Returns the size in bytes.
    pub(super) fn size(&self) -> usize {
        self.blocks.iter().map(|block| size_of::<Box<[u8]>>() + block.len()).sum()
    }

    /// Writes staleness markers for the series that `out` does not contain. Returns the number that it does contain.
    pub(super) fn mark_missing_stale(&self, at_ms: i64, out: &mut SeriesBatch) -> u64 {
        let mut present = 0;
        for block in &self.blocks {
            let records = snap::raw::Decoder::new().decompress_vec(block).unwrap_or_default();
            let mut rest = records.as_slice();
            while let Some((has_marker, labels)) = record(&mut rest) {
                if out.contains_encoded(labels) {
                    present += 1;
                } else if has_marker {
                    let id = out.series_encoded(labels);
                    out.add_sample(id, at_ms, f64::from_bits(STALE_NAN));
                }
            }
        }
        present
    }
}

fn record<'a>(rest: &mut &'a [u8]) -> Option<(bool, &'a [u8])> {
    let (has_marker, after) = rest.split_first()?;
    *rest = after;
    let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (labels, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((*has_marker == 1, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::budget::Unlimited;
    use crate::model::exposition::Format;
    use crate::model::series::Labels;
    use crate::translate::exposition::{ScrapeOptions, series};
    use crate::translate::names::Utf8Names;

    fn scrape(exposition: &str, at_ms: i64, out: &mut SeriesBatch) {
        let target_labels = [("instance", "10.2.3.4:9404")].into_iter().collect::<Labels>();
        let options = ScrapeOptions {
            target_labels: &target_labels,
            honor_labels: false,
            utf8_names: Utf8Names::Replace,
            honor_timestamps: true,
            sample_limit: None,
            max_age_ms: None,
            at_ms,
        };
        let counts =
            series(exposition.as_bytes(), Format::Text, &options, &Unlimited, out).expect("a valid exposition");
        assert_eq!(counts.duplicates + counts.out_of_bounds, 0);
    }

    #[test]
    fn missing_series_get_a_staleness_marker() {
        let mut first = SeriesBatch::default();
        first.series([("__name__", "other_target")]);
        let from = first.len();
        scrape("a 1\nb{x=\"1\"} 2\nwith_timestamp 3 17000\n", 60_000, &mut first);
        let before = SeriesSet::from_batch(&first, from, 60_000, usize::MAX).unwrap();

        let mut second = SeriesBatch::default();
        scrape("a 1\nb{x=\"2\"} 2\n", 120_000, &mut second);
        assert_eq!(before.mark_missing_stale(120_000, &mut second), 1, "a is present");

        let stale: Vec<String> = second
            .iter()
            .filter(|series| series.samples().iter().any(|sample| sample.value.to_bits() == STALE_NAN))
            .map(|series| format!("{:?}", series.labels().collect::<Vec<_>>()))
            .collect();
        assert_eq!(stale, [r#"[("__name__", "b"), ("instance", "10.2.3.4:9404"), ("x", "1")]"#]);
    }

    #[test]
    fn empty_set_writes_no_staleness_markers() {
        let mut out = SeriesBatch::default();
        assert_eq!(SeriesSet::default().mark_missing_stale(1, &mut out), 0);
        assert!(out.is_empty());
    }
}
