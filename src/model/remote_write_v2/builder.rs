//! One remote write 2.0 request while it is put together.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};

use super::{BucketSpan, Exemplar, Histogram, Metadata, Sample, TimeSeries};
use crate::model::series;

/// Tag of `Request.symbols`, length-delimited field 4.
const SYMBOLS_TAG: u8 = 0x22;
/// Tag of `Request.timeseries`, length-delimited field 5.
const TIMESERIES_TAG: u8 = 0x2a;

/// A request under way: the symbols met so far, and the encoded series.
#[derive(Debug)]
pub struct RequestBuilder {
    /// The text of all symbols, one after the other; the first is empty.
    text: String,
    /// Where each symbol ends in `text`.
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: FixedState,
    symbols_len: usize,
    series: Vec<u8>,
    count: usize,
}

impl Default for RequestBuilder {
    fn default() -> Self {
        RequestBuilder {
            text: String::new(),
            ends: vec![0],
            table: HashTable::new(),
            hasher: FixedState::default(),
            symbols_len: 2,
            series: Vec::new(),
            count: 0,
        }
    }
}

impl RequestBuilder {
    /// Adds a series with all that it has; one that has samples and native histograms becomes two entries, as the
    /// specification wants.
    pub fn add(&mut self, series: series::SeriesView<'_>, metadata: Option<&series::Metadata>) {
        let labels_refs: Vec<u32> =
            series.labels().flat_map(|(name, value)| [name, value]).map(|text| self.symbol(text)).collect();
        let metadata = metadata.map(|known| Metadata {
            kind: known.kind as i32,
            help_ref: self.symbol(&known.help),
            unit_ref: self.symbol(&known.unit),
        });
        let mut exemplars: Vec<Exemplar> = series.exemplars().iter().map(|exemplar| self.exemplar(exemplar)).collect();
        if !series.samples().is_empty() {
            let samples = series.samples().iter().map(sample_message).collect();
            let exemplars = std::mem::take(&mut exemplars);
            let labels_refs = labels_refs.clone();
            self.push(&TimeSeries { labels_refs, samples, exemplars, metadata, ..TimeSeries::default() });
        }
        if !series.histograms().is_empty() {
            let histograms = series.histograms().iter().map(histogram_message).collect();
            self.push(&TimeSeries { labels_refs, histograms, exemplars, metadata, ..TimeSeries::default() });
        }
    }

    /// Bytes of the request so far, uncompressed.
    pub fn len(&self) -> usize {
        self.symbols_len + self.series.len()
    }

    /// No series so far.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Entries so far: the series, and one more for each that has samples and native histograms.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The encoded `Request`.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        let mut start = 0;
        for end in self.ends {
            let symbol = &self.text[start..end];
            out.push(SYMBOLS_TAG);
            encode_varint(symbol.len() as u64, &mut out);
            out.extend_from_slice(symbol.as_bytes());
            start = end;
        }
        out.extend_from_slice(&self.series);
        out
    }

    fn push(&mut self, entry: &TimeSeries) {
        self.series.push(TIMESERIES_TAG);
        encode_varint(entry.encoded_len() as u64, &mut self.series);
        entry.encode_raw(&mut self.series);
        self.count += 1;
    }

    /// The index of a string in the table of symbols, which grows when it is new.
    fn symbol(&mut self, symbol: &str) -> u32 {
        if symbol.is_empty() {
            return 0;
        }
        let hash = self.hasher.hash_one(symbol);
        let (text, ends) = (&self.text, &self.ends);
        if let Some(&index) = self.table.find(hash, |&index| symbol_at(text, ends, index) == symbol) {
            return index;
        }
        let index = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.text.push_str(symbol);
        self.ends.push(self.text.len());
        self.symbols_len += 1 + encoded_len_varint(symbol.len() as u64) + symbol.len();
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        self.table.insert_unique(hash, index, |&other| hasher.hash_one(symbol_at(text, ends, other)));
        index
    }

    /// Labels in the order of their names, as the specification wants them.
    fn exemplar(&mut self, exemplar: &series::Exemplar) -> Exemplar {
        let mut labels: Vec<&(String, String)> = exemplar.labels.iter().collect();
        labels.sort_by(|left, right| left.0.cmp(&right.0));
        labels.dedup_by(|right, left| right.0 == left.0);
        let labels_refs =
            labels.into_iter().flat_map(|(name, value)| [self.symbol(name), self.symbol(value)]).collect();
        Exemplar { labels_refs, value: exemplar.value, timestamp: exemplar.timestamp_ms }
    }
}

fn symbol_at<'a>(text: &'a str, ends: &[usize], index: u32) -> &'a str {
    let index = index as usize;
    let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(index).and_then(|&end| text.get(start..end)).unwrap_or("")
}

fn sample_message(sample: &series::Sample) -> Sample {
    Sample { value: sample.value, timestamp: sample.timestamp_ms, start_timestamp: sample.start_ms }
}

fn histogram_message(histogram: &series::NativeHistogram) -> Histogram {
    let spans = |spans: &[(i32, u32)]| spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect();
    Histogram {
        count_int: Some(histogram.count),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count_int: Some(histogram.zero_count),
        negative_spans: spans(&histogram.negative.spans),
        negative_deltas: histogram.negative.deltas.clone(),
        positive_spans: spans(&histogram.positive.spans),
        positive_deltas: histogram.positive.deltas.clone(),
        reset_hint: if histogram.is_gauge { 3 } else { 0 },
        timestamp: histogram.timestamp_ms,
        start_timestamp: histogram.start_ms,
    }
}
