//! Decompression of request bodies, with a size limit.
//!
//! The first bytes of a body determine its format, because some proxies decompress a body and keep the header, or the other
//! way round. An OTLP message cannot begin with any of the magic numbers, because its first byte is 0x0a.

use std::io;

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

use super::ErrorResponse;
use crate::model::read_capped::read_capped;

/// Maximum size after decompression. It is the default of the OpenTelemetry Collector (`max_request_body_size`, 20 MiB).
const MAX_DECOMPRESSED_BYTES: usize = 20 << 20;

/// RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// RFC 8878, section 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window that a decoder must support (RFC 8878, section 3.1.1.1.2). A few bytes of input can allocate it.
const ZSTD_WINDOW: u64 = 8 << 20;
/// Maximum number of frames in a body. Clients write one. Each frame allocates a decoder with its tables, even if it is empty.
const ZSTD_FRAMES: usize = 100;
/// RFC 1950, section 2.2: deflate with the largest window, which all known encoders write.
const ZLIB_CMF: u8 = 0x78;

/// Decompresses a body.
pub fn decompress(body: Bytes, content_encoding: Option<&str>) -> Result<Bytes, ErrorResponse> {
    let declared = content_encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).unwrap_or_default();
    if body.starts_with(&GZIP_MAGIC) {
        return check_decompressed(
            read_capped(MultiGzDecoder::new(body.as_ref()), body.len(), MAX_DECOMPRESSED_BYTES),
            "gzip",
        );
    }
    if declared == "deflate" && body.first() == Some(&ZLIB_CMF) {
        return check_decompressed(
            read_capped(ZlibDecoder::new(body.as_ref()), body.len(), MAX_DECOMPRESSED_BYTES),
            "deflate",
        );
    }
    if body.starts_with(&ZSTD_MAGIC) {
        return check_decompressed(unzstd(&body), "zstd");
    }
    if matches!(declared.as_str(), "" | "identity" | "gzip" | "x-gzip" | "deflate" | "zstd") {
        return Ok(body);
    }
    let shown: String = declared.chars().take(20).collect();
    Err(ErrorResponse::unsupported(format!("unsupported content-encoding `{shown}`: use gzip, zstd or none")))
}

/// Decompresses all zstd frames. `None` if the result is too large.
fn unzstd(body: &[u8]) -> io::Result<Option<Bytes>> {
    let mut rest = body;
    let mut decompressed = Vec::new();
    for _ in 0..ZSTD_FRAMES {
        let compressed = rest.len();
        let frame = StreamingDecoder::new_with_max_window_size(&mut rest, ZSTD_WINDOW).map_err(io::Error::other)?;
        let Some(frame) = read_capped(frame, compressed, MAX_DECOMPRESSED_BYTES - decompressed.len())? else {
            return Ok(None);
        };
        if rest.is_empty() {
            if decompressed.is_empty() {
                return Ok(Some(frame));
            }
            decompressed.extend_from_slice(&frame);
            return Ok(Some(decompressed.into()));
        }
        decompressed.extend_from_slice(&frame);
    }
    Err(io::Error::other(format!("more than {ZSTD_FRAMES} frames")))
}

/// Converts errors, and `None`, which means that the body is too large, to a response.
fn check_decompressed(decompressed: io::Result<Option<Bytes>>, name: &str) -> Result<Bytes, ErrorResponse> {
    let invalid = |error| ErrorResponse::malformed(format!("invalid {name} body: {error}"));
    let too_large = || format!("decompressed body is larger than {MAX_DECOMPRESSED_BYTES} bytes: send smaller batches");
    decompressed.map_err(invalid)?.ok_or_else(|| ErrorResponse::too_large(too_large()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

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
            assert_eq!(decompress(body.into(), header).as_deref(), Ok(&b"telemetry"[..]), "{case}");
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
            let error = decompress(body.into(), header).expect_err(case);
            assert_eq!(error.status(), status, "{case}");
            assert!(error.message().contains(expected), "{case}: {}", error.message());
        }
    }
}
