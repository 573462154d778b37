//! Decompression with a size limit, because a few bytes can decompress to gigabytes.

use std::io::{self, Read};

use bytes::Bytes;

/// Reads all output of a decoder. `None` if it is larger than `limit` bytes. `compressed` is the size of the input.
pub(crate) fn read_capped(decoder: impl Read, compressed: usize, limit: usize) -> io::Result<Option<Bytes>> {
    let mut decompressed = Vec::with_capacity(compressed.saturating_mul(4).min(limit));
    decoder.take(limit as u64 + 1).read_to_end(&mut decompressed)?;
    Ok((decompressed.len() <= limit).then(|| decompressed.into()))
}
