//! Decompression with a size limit, because a few bytes can decompress to gigabytes.

use std::io::{self, Read};

use bytes::Bytes;

/// Smallest step by which the buffer grows.
const MIN_GROWTH: usize = 64 << 10;

/// Reads all output of a decoder. `None` if it is larger than `limit` bytes. `compressed` is the size of the input.
pub(crate) fn read_capped(decoder: impl Read, compressed: usize, limit: usize) -> io::Result<Option<Bytes>> {
    read_capped_with(decoder, compressed, limit, |_| Ok(()))
}

/// Same, and calls `reserve` with the number of bytes before each allocation.
pub(crate) fn read_capped_with<E: From<io::Error>>(
    mut decoder: impl Read,
    compressed: usize,
    limit: usize,
    mut reserve: impl FnMut(usize) -> Result<(), E>,
) -> Result<Option<Bytes>, E> {
    let mut decompressed = Vec::new();
    let mut growth = compressed.saturating_mul(4);
    loop {
        // One byte more than the limit shows that the output is too large.
        let growth_limit = (limit + 1).saturating_sub(decompressed.len());
        let step = growth.max(MIN_GROWTH).min(growth_limit);
        reserve(decompressed.len() + step)?;
        decompressed.reserve_exact(step);
        let read = decoder.by_ref().take(step as u64).read_to_end(&mut decompressed)?;
        if decompressed.len() > limit {
            return Ok(None);
        }
        if read < step {
            return Ok(Some(decompressed.into()));
        }
        growth = decompressed.len();
    }
}
