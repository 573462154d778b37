//! Compressed bodies, inflated under a cap.
//!
//! What a body is, its first bytes say: doors and proxies decompress bodies and leave the header, or the other way round.
//! An OTLP message can begin with none of the magic numbers: its first byte is 0x0a.

use std::io;

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

use super::ErrorResponse;
use crate::model::read_capped::read_capped;

/// The most a body may inflate to: what the OpenTelemetry Collector takes by default (`max_request_body_size`, 20 MiB).
const MAX_DECOMPRESSED_BYTES: usize = 20 << 20;

/// RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// RFC 8878, section 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window that a decoder has to know (RFC 8878, section 3.1.1.1.2). It is memory taken for a few bytes.
const ZSTD_WINDOW: u64 = 8 << 20;
/// Frames in one body: clients write one. Each costs a decoder and its tables, even where it stands for nothing.
const ZSTD_FRAMES: usize = 100;
/// RFC 1950, section 2.2: deflate with the largest window, which is what everybody writes.
const ZLIB_CMF: u8 = 0x78;

/// The body as it was before it was compressed.
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
    Err(ErrorResponse::unsupported(format!(
        "content-encoding `{}` is not taken: use gzip, zstd or none",
        shown.escape_debug()
    )))
}

/// One frame after the other.
fn unzstd(body: &[u8]) -> io::Result<Option<Bytes>> {
    let mut rest = body;
    let mut inflated = Vec::new();
    for _ in 0..ZSTD_FRAMES {
        let compressed = rest.len();
        let frame = StreamingDecoder::new_with_max_window_size(&mut rest, ZSTD_WINDOW).map_err(io::Error::other)?;
        let Some(frame) = read_capped(frame, compressed, MAX_DECOMPRESSED_BYTES - inflated.len())? else {
            return Ok(None);
        };
        if rest.is_empty() {
            if inflated.is_empty() {
                return Ok(Some(frame));
            }
            inflated.extend_from_slice(&frame);
            return Ok(Some(inflated.into()));
        }
        inflated.extend_from_slice(&frame);
    }
    Err(io::Error::other(format!("more than {ZSTD_FRAMES} frames")))
}

/// Names what is wrong. `None` stands for more than the limit.
fn check_decompressed(inflated: io::Result<Option<Bytes>>, name: &str) -> Result<Bytes, ErrorResponse> {
    let broken = |error| ErrorResponse::malformed(format!("the body starts as {name} and is broken: {error}"));
    let too_large = || format!("the body inflates to more than {MAX_DECOMPRESSED_BYTES} bytes: send smaller batches");
    inflated.map_err(broken)?.ok_or_else(|| ErrorResponse::too_large(too_large()))
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
    fn the_bytes_decide_where_header_and_body_disagree() {
        for (case, body, header) in [
            ("gzip that says so", gzip(b"telemetry"), Some("gzip")),
            ("gzip that does not say so", gzip(b"telemetry"), None),
            ("gzip in two members", [gzip(b"tele"), gzip(b"metry")].concat(), Some("GZIP")),
            ("plain that claims to be gzip", b"telemetry".to_vec(), Some("gzip")),
            ("plain", b"telemetry".to_vec(), Some("identity")),
            ("deflate", zlib(b"telemetry"), Some("deflate")),
            ("zstd that says so", zstd(b"telemetry"), Some("zstd")),
            ("zstd that does not say so", zstd(b"telemetry"), None),
            ("zstd in two frames", [zstd(b"tele"), zstd(b"metry")].concat(), Some("ZSTD")),
            ("plain that claims to be zstd", b"telemetry".to_vec(), Some("zstd")),
        ] {
            assert_eq!(decompress(body.into(), header).as_deref(), Ok(&b"telemetry"[..]), "{case}");
        }
    }

    #[test]
    fn broken_unknown_and_exploding_bodies_are_refused_by_name() {
        let whole = gzip(&[7; 100_000]);
        for (case, body, header, status, expected) in [
            ("truncated", whole[..whole.len() - 9].to_vec(), None, 400, "starts as gzip and is broken"),
            ("only the magic", GZIP_MAGIC.to_vec(), None, 400, "starts as gzip and is broken"),
            ("a bomb", gzip(&vec![0; MAX_DECOMPRESSED_BYTES + 1]), None, 413, "inflates to more than"),
            ("brotli", b"x".to_vec(), Some("br"), 415, "`br` is not taken"),
        ] {
            let refused = decompress(body.into(), header).expect_err(case);
            assert_eq!(refused.status(), status, "{case}");
            assert!(refused.message().contains(expected), "{case}: {}", refused.message());
        }
    }
}
