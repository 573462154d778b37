//! Compressed input of any kind, inflated under a cap: a few bytes may stand for gigabytes.

use std::io::{self, Read};

use bytes::Bytes;

/// What a decoder gives, unless that is more than `limit` bytes: then `None`. `compressed` is the size of its input.
pub(crate) fn read_capped(decoder: impl Read, compressed: usize, limit: usize) -> io::Result<Option<Bytes>> {
    let mut inflated = Vec::with_capacity(compressed.saturating_mul(4).min(limit));
    decoder.take(limit as u64 + 1).read_to_end(&mut inflated)?;
    Ok((inflated.len() <= limit).then(|| inflated.into()))
}
