//! Batches of series, encoded as remote write requests within AMP's size limit.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::deliver::outcome::Spoolable;
use crate::model::encoded_request::{self, EncodedPart};
use crate::model::remote_write::{encode_metadata, encode_series};
use crate::model::series::{SeriesBatch, SeriesView};
use crate::model::spool::{MAX_DECOMPRESSED_BYTES, Payload};

/// Maximum size of a request before compression. AMP's quota is 1 MB per request (Amazon Managed Service for Prometheus User
/// Guide, "Service quotas"). The guide does not state whether the quota applies before or after compression, so the limit is
/// kept for both. A quarter is reserved so that incompressible data still fits into an SQS message of 1 MiB in base64. Snappy
/// compresses independent blocks of 64 KiB, so the limit is a multiple of this size.
pub(super) const MAX_REQUEST_BYTES: usize = 11 * (64 << 10);

/// A snappy-compressed `WriteRequest`.
#[derive(Clone, Debug)]
pub struct EncodedRequest {
    pub snappy: bytes::Bytes,
    /// Samples and native histograms.
    pub points: u64,
}

/// Same as [`RequestEncoder::requests`], with memory for this batch alone.
pub fn requests(batch: &SeriesBatch) -> impl Iterator<Item = EncodedRequest> {
    RequestEncoder::default().requests(batch)
}

/// Encodes batches, one after the other in the same memory. The allocator returns buffers of a megabyte to the system
/// (`MALLOC_MMAP_THRESHOLD_` in template.yaml), which would clear new ones for each batch.
#[derive(Clone, Default)]
pub struct RequestEncoder {
    idle: Arc<Mutex<Option<Buffers>>>,
}

/// Memory of an encoder: a request, and the same after compression.
#[derive(Default)]
struct Buffers {
    body: Vec<u8>,
    compressor: Compressor,
}

impl fmt::Debug for RequestEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestEncoder").finish_non_exhaustive()
    }
}

impl RequestEncoder {
    /// Splits a batch into requests between series, so that all samples of a series are in one request. A series that is larger
    /// than the limit is sent alone. Metadata of metric families follows the series, in the last request if it has room, otherwise
    /// in separate requests.
    pub fn requests<'a>(&self, batch: &'a SeriesBatch) -> impl Iterator<Item = EncodedRequest> + use<'a> {
        let mut series = batch.iter().peekable();
        let mut metadata = batch.metadata().iter().peekable();
        let mut buffers = self.take();
        std::iter::from_fn(move || {
            let Buffers { body, compressor } = &mut buffers.buffers;
            body.clear();
            let mut points = 0;
            while let Some(next) =
                series.next_if(|next| body.is_empty() || body.len() + size(*next) <= MAX_REQUEST_BYTES)
            {
                encode_series(next, body);
                points += next.point_count();
            }
            while series.peek().is_none() && body.len() < MAX_REQUEST_BYTES / 2 {
                let Some(next) = metadata.next() else { break };
                encode_metadata(next, body);
            }
            (!body.is_empty()).then(|| compressor.write_body(body, points))
        })
    }

    fn take(&self) -> TakenBuffers {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        TakenBuffers { encoder: self.clone(), buffers: idle.unwrap_or_default() }
    }
}

/// Buffers that are returned to their encoder.
struct TakenBuffers {
    encoder: RequestEncoder,
    buffers: Buffers,
}

impl Drop for TakenBuffers {
    fn drop(&mut self) {
        let buffers = std::mem::take(&mut self.buffers);
        if buffers.body.capacity() <= MAX_KEPT_BYTES {
            *self.encoder.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(buffers);
        }
    }
}

/// Size of a buffer that is kept: of every request except those of a single series, which can be larger than the limit.
const MAX_KEPT_BYTES: usize = 2 * MAX_REQUEST_BYTES;

/// Compresses requests one after the other in the same buffer. Snappy requires a buffer larger than its input but fills only a
/// tenth of it, so a new buffer for each request would allocate and clear a megabyte each time.
struct Compressor {
    encoder: snap::raw::Encoder,
    buffer: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { encoder: snap::raw::Encoder::new(), buffer: Vec::new() }
    }
}

impl Compressor {
    fn write_body(&mut self, body: &[u8], points: u64) -> EncodedRequest {
        let max_length = snap::raw::max_compress_len(body.len());
        if self.buffer.len() < max_length {
            self.buffer.resize(max_length, 0);
        }
        // Only input of 4 GiB and more makes the encoder fail.
        let length = self.encoder.compress(body, &mut self.buffer).unwrap_or_default();
        let snappy = bytes::Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
        EncodedRequest { snappy, points }
    }
}

impl Spoolable for EncodedRequest {
    fn into_payloads(requests: Vec<Self>) -> Vec<Payload> {
        requests.into_iter().map(|Self { snappy, points }| Payload::RemoteWrite { snappy, points }).collect()
    }
}

impl EncodedRequest {
    fn compress(body: &[u8], points: u64) -> Self {
        Compressor::default().write_body(body, points)
    }

    /// Returns a request that was spooled.
    pub fn from_payload(snappy: bytes::Bytes, points: u64) -> Self {
        Self { snappy, points }
    }

    /// Removes samples and histograms from before `oldest_ms`, and returns the request with their number. A request that cannot
    /// be decoded is unchanged.
    pub fn drop_samples_before(self, oldest_ms: i64) -> (Self, u64) {
        let Some(kept) = self.body().and_then(|body| encoded_request::since(&body, oldest_ms)) else {
            return (self, 0);
        };
        if kept.points == self.points {
            return (self, 0);
        }
        let dropped = self.points.saturating_sub(kept.points);
        (Self::compress(&kept.body, kept.points), dropped)
    }

    /// Returns two requests with half of the series each, or one with the series and one with the metadata of metric families.
    /// `None` if the request contains a single series or a single metric family, or cannot be decoded.
    pub(super) fn split(&self) -> Option<[EncodedRequest; 2]> {
        let halves = encoded_request::halves(&self.body()?)?;
        Some(halves.map(|EncodedPart { body, points }| Self::compress(&body, points)))
    }

    /// Returns the request before compression. `None` if it is invalid, or larger than any request that was spooled.
    fn body(&self) -> Option<Vec<u8>> {
        if snap::raw::decompress_len(&self.snappy).ok()? > MAX_DECOMPRESSED_BYTES {
            return None;
        }
        snap::raw::Decoder::new().decompress_vec(&self.snappy).ok()
    }
}

/// Returns an estimate of the size of a batch as requests before compression, slightly too high.
pub fn encoded_len(batch: &SeriesBatch) -> usize {
    batch.iter().map(size).sum()
}

/// Returns an estimate of the encoded size of a series, slightly too high.
fn size(series: SeriesView<'_>) -> usize {
    const PER_SAMPLE: usize = 24;
    const PER_EXEMPLAR: usize = 256;
    let histogram = |deltas: usize| 128 + 20 * deltas;
    let histograms = series.histograms().iter();
    8 + series.labels_len()
        + PER_SAMPLE * series.samples().len()
        + PER_EXEMPLAR * series.exemplars().len()
        + histograms.map(|h| histogram(h.positive.deltas.len() + h.negative.deltas.len())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::model::remote_write::WriteRequest;

    #[test]
    fn requests_respect_the_limit_and_do_not_split_series() {
        let mut batch = SeriesBatch::default();
        for number in 0..20_000 {
            let number = number.to_string();
            let id =
                batch.series([("__name__", "a_long_metric_name"), ("label", "x".repeat(40).as_str()), ("n", &number)]);
            batch.add_sample(id, 1, 1.0);
            batch.add_sample(id, 2, 2.0);
        }
        let requests: Vec<_> = requests(&batch).collect();
        assert!(requests.len() > 1);
        let mut series = 0;
        for request in &requests {
            let body = snap::raw::Decoder::new().decompress_vec(&request.snappy).unwrap();
            assert!(body.len() <= MAX_REQUEST_BYTES);
            let decoded = WriteRequest::decode(body.as_slice()).unwrap();
            assert!(decoded.timeseries.iter().all(|series| series.samples.len() == 2));
            series += decoded.timeseries.len();
        }
        assert_eq!(series, 20_000);
        assert_eq!(requests.iter().map(|request| request.points).sum::<u64>(), 40_000);
    }

    #[test]
    fn buffers_are_kept_unless_they_are_too_large() {
        let encoder = RequestEncoder::default();
        let kept = || encoder.idle.lock().unwrap().as_ref().map_or(0, |buffers| buffers.body.capacity());
        for (length, is_kept) in [(10, true), (MAX_REQUEST_BYTES - 1_000, true), (4 * MAX_REQUEST_BYTES, false)] {
            let mut batch = SeriesBatch::default();
            let id = batch.series([("__name__", "a"), ("label", "x".repeat(length).as_str())]);
            batch.add_sample(id, 1, 1.0);
            let sent: Vec<_> = encoder.requests(&batch).map(|request| request.snappy).collect();
            let expected: Vec<_> = requests(&batch).map(|request| request.snappy).collect();
            assert_eq!(sent, expected, "{length}");
            assert_eq!(kept() > length, is_kept, "{length}");
        }
    }

    #[test]
    fn series_larger_than_the_limit_is_sent_alone() {
        let mut batch = SeriesBatch::default();
        for name in ["a", "b", "c"] {
            let id = batch.series([("__name__", name), ("label", name.repeat(MAX_REQUEST_BYTES).as_str())]);
            batch.add_sample(id, 1, 1.0);
        }
        assert_eq!(requests(&batch).count(), 3);
        assert_eq!(requests(&SeriesBatch::default()).count(), 0);
    }

    #[test]
    fn samples_older_than_the_limit_are_dropped() {
        let mut batch = SeriesBatch::default();
        for (name, times) in [("old", &[1, 2][..]), ("both", &[2, 10]), ("new", &[10, 11])] {
            let id = batch.series([("__name__", name)]);
            for &time in times {
                batch.add_sample(id, time, 1.0);
            }
        }
        let full = requests(&batch).next().unwrap();
        let (same, dropped) = full.clone().drop_samples_before(1);
        assert_eq!((same.snappy, dropped), (full.snappy.clone(), 0));
        let (remaining, dropped) = full.drop_samples_before(10);
        assert_eq!((remaining.points, dropped), (3, 3));
        let body = snap::raw::Decoder::new().decompress_vec(&remaining.snappy).unwrap();
        let names: Vec<_> = WriteRequest::decode(body.as_slice())
            .unwrap()
            .timeseries
            .iter()
            .map(|s| s.labels[0].value.clone())
            .collect();
        assert_eq!(names, ["both", "new"]);
    }

    #[test]
    fn request_is_split_down_to_single_series() {
        let mut batch = SeriesBatch::default();
        for name in ["a", "b", "c"] {
            let id = batch.series([("__name__", name)]);
            batch.add_sample(id, 1, 1.0);
        }
        let full = requests(&batch).next().unwrap();
        let [first, second] = full.split().unwrap();
        assert_eq!((first.points, second.points), (1, 2));
        assert!(first.split().is_none());
        assert!(second.split().is_some());
    }
}
