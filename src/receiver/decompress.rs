//! Decompression of request bodies, with a size limit.
//!
//! The first bytes of a body determine its format, because some proxies decompress a body and keep the header, or the other
//! way round. An OTLP message cannot begin with any of the magic numbers, because its first byte is 0x0a.

use std::io;

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use thiserror::Error;

use super::ErrorResponse;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::read_capped::read_capped_with;

/// Maximum size after decompression. It is the default of the OpenTelemetry Collector (`max_request_body_size`, 20 MiB).
const MAX_DECOMPRESSED_BYTES: usize = 20 << 20;

/// RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// RFC 8878, section 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window that a decoder must support (RFC 8878, section 3.1.1.1.2). A few bytes of input can allocate it.
const ZSTD_WINDOW: usize = 8 << 20;
/// Maximum number of frames in a body. Clients write one. Each frame allocates a decoder with its tables, even if it is empty.
const ZSTD_FRAMES: usize = 100;
/// RFC 1950, section 2.2: deflate with the largest window, which all known encoders write.
const ZLIB_CMF: u8 = 0x78;

/// Why a body was not decompressed.
#[derive(Debug, Error)]
enum DecompressError {
    #[error(transparent)]
    Invalid(#[from] io::Error),
    #[error("decompressed body is larger than {MAX_DECOMPRESSED_BYTES} bytes: send smaller batches")]
    TooLarge,
    #[error(transparent)]
    BudgetExceeded(#[from] BudgetExceeded),
}

/// Decompresses a body. Memory is reserved from the budget before it is allocated.
pub fn decompress(body: Bytes, content_encoding: Option<&str>, budget: &dyn Budget) -> Result<Bytes, ErrorResponse> {
    let declared = content_encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).unwrap_or_default();
    if body.starts_with(&GZIP_MAGIC) {
        return read(MultiGzDecoder::new(body.as_ref()), &body, budget).map_err(|error| error.into_response("gzip"));
    }
    if declared == "deflate" && body.first() == Some(&ZLIB_CMF) {
        return read(ZlibDecoder::new(body.as_ref()), &body, budget).map_err(|error| error.into_response("deflate"));
    }
    if body.starts_with(&ZSTD_MAGIC) {
        return unzstd(&body, budget).map_err(|error| error.into_response("zstd"));
    }
    if matches!(declared.as_str(), "" | "identity" | "gzip" | "x-gzip" | "deflate" | "zstd") {
        return Ok(body);
    }
    let shown: String = declared.chars().take(20).collect();
    Err(ErrorResponse::unsupported(format!("unsupported content-encoding `{shown}`: use gzip, zstd or none")))
}

fn read(decoder: impl io::Read, body: &[u8], budget: &dyn Budget) -> Result<Bytes, DecompressError> {
    let reserve = |bytes| budget.reserve(bytes).map_err(DecompressError::from);
    read_capped_with(decoder, body.len(), MAX_DECOMPRESSED_BYTES, reserve)?.ok_or(DecompressError::TooLarge)
}

/// Decompresses all zstd frames.
fn unzstd(body: &[u8], budget: &dyn Budget) -> Result<Bytes, DecompressError> {
    let mut frames = ZstdFrames { rest: body, frame: None, count: 0 };
    budget.reserve(2 * ZSTD_WINDOW)?;
    read(&mut frames, body, budget)
}

/// Reads the content of all zstd frames.
struct ZstdFrames<'b> {
    rest: &'b [u8],
    frame: Option<StreamingDecoder<&'b [u8], FrameDecoder>>,
    count: usize,
}

impl io::Read for ZstdFrames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
            }
            if let Some(frame) = self.frame.take() {
                self.rest = frame.into_inner();
            }
            if self.rest.is_empty() {
                return Ok(0);
            }
            self.count += 1;
            if self.count > ZSTD_FRAMES {
                return Err(io::Error::other(format!("more than {ZSTD_FRAMES} frames")));
            }
            let frame = StreamingDecoder::new_with_max_window_size(self.rest, ZSTD_WINDOW as u64);
            self.frame = Some(frame.map_err(io::Error::other)?);
        }
    }
}

impl DecompressError {
    fn into_response(self, name: &str) -> ErrorResponse {
        match self {
            Self::Invalid(error) => ErrorResponse::malformed(format!("invalid {name} body: {error}")),
            Self::TooLarge => ErrorResponse::too_large(self.to_string()),
            Self::BudgetExceeded(exceeded) => ErrorResponse::budget_exceeded(exceeded),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;
    use crate::model::budget::Unlimited;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn format_is_detected_by_the_first_bytes() {
        for (case, body, header) in [
            ("gzip with header", gzip(b"telemetry"), Some("gzip")),
            ("gzip without header", gzip(b"telemetry"), None),
            ("gzip in two members", [gzip(b"tele"), gzip(b"metry")].concat(), Some("GZIP")),
            ("plain with gzip header", b"telemetry".to_vec(), Some("gzip")),
            ("plain", b"telemetry".to_vec(), Some("identity")),
            ("deflate", zlib(b"telemetry"), Some("deflate")),
            ("zstd with header", zstd(b"telemetry"), Some("zstd")),
            ("zstd without header", zstd(b"telemetry"), None),
            ("zstd in two frames", [zstd(b"tele"), zstd(b"metry")].concat(), Some("ZSTD")),
            ("plain with zstd header", b"telemetry".to_vec(), Some("zstd")),
        ] {
            assert_eq!(decompress(body.into(), header, &Unlimited).as_deref(), Ok(&b"telemetry"[..]), "{case}");
        }
    }

    #[test]
    fn invalid_unknown_and_huge_bodies_are_rejected() {
        let full = gzip(&[7; 100_000]);
        for (case, body, header, status, expected) in [
            ("truncated", full[..full.len() - 9].to_vec(), None, 400, "invalid gzip body"),
            ("only the magic", GZIP_MAGIC.to_vec(), None, 400, "invalid gzip body"),
            ("a bomb", gzip(&vec![0; MAX_DECOMPRESSED_BYTES + 1]), None, 413, "decompressed body is larger than"),
            ("brotli", b"x".to_vec(), Some("br"), 415, "unsupported content-encoding `br`"),
        ] {
            let error = decompress(body.into(), header, &Unlimited).expect_err(case);
            assert_eq!(error.status(), status, "{case}");
            assert!(error.message().contains(expected), "{case}: {}", error.message());
        }
    }
}
