//! Compressed bodies, inflated under a cap.
//!
//! What a body is, its first bytes say: doors and proxies decompress bodies and leave the header, or the other way round.
//! An OTLP message can begin with none of the magic numbers: its first byte is 0x0a.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use super::Refused;

/// The most a body may inflate to: what the OpenTelemetry Collector takes by default (`max_request_body_size`, 20 MiB).
const INFLATED_LIMIT: usize = 20 << 20;

/// RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// RFC 8878, section 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// RFC 1950, section 2.2: deflate with the largest window, which is what everybody writes.
const ZLIB_CMF: u8 = 0x78;

/// The body as it was before it was compressed.
pub fn inflate(body: Bytes, content_encoding: Option<&str>) -> Result<Bytes, Refused> {
    let declared = content_encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).unwrap_or_default();
    if body.starts_with(&GZIP_MAGIC) {
        return read_capped(MultiGzDecoder::new(body.as_ref()), body.len(), "gzip");
    }
    if declared == "deflate" && body.first() == Some(&ZLIB_CMF) {
        return read_capped(ZlibDecoder::new(body.as_ref()), body.len(), "deflate");
    }
    if body.starts_with(&ZSTD_MAGIC) {
        return Err(Refused::unsupported("zstd is not taken: use gzip or no compression"));
    }
    if matches!(declared.as_str(), "" | "identity" | "gzip" | "x-gzip" | "deflate") {
        return Ok(body);
    }
    let shown: String = declared.chars().take(20).collect();
    Err(Refused::unsupported(format!("content-encoding `{}` is not taken: use gzip or none", shown.escape_debug())))
}

fn read_capped(decoder: impl Read, compressed: usize, name: &str) -> Result<Bytes, Refused> {
    let mut inflated = Vec::with_capacity(compressed.saturating_mul(4).min(INFLATED_LIMIT));
    decoder
        .take(INFLATED_LIMIT as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| Refused::malformed(format!("the body starts as {name} and is broken: {error}")))?;
    if inflated.len() > INFLATED_LIMIT {
        return Err(Refused::too_large(format!(
            "the body inflates to more than {INFLATED_LIMIT} bytes: send smaller batches"
        )));
    }
    Ok(inflated.into())
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

    #[test]
    fn the_bytes_decide_where_header_and_body_disagree() {
        for (case, body, header) in [
            ("gzip that says so", gzip(b"telemetry"), Some("gzip")),
            ("gzip that does not say so", gzip(b"telemetry"), None),
            ("gzip in two members", [gzip(b"tele"), gzip(b"metry")].concat(), Some("GZIP")),
            ("plain that claims to be gzip", b"telemetry".to_vec(), Some("gzip")),
            ("plain", b"telemetry".to_vec(), Some("identity")),
            ("deflate", zlib(b"telemetry"), Some("deflate")),
        ] {
            assert_eq!(inflate(body.into(), header).as_deref(), Ok(&b"telemetry"[..]), "{case}");
        }
    }

    #[test]
    fn broken_unknown_and_exploding_bodies_are_refused_by_name() {
        let whole = gzip(&[7; 100_000]);
        for (case, body, header, status, expected) in [
            ("truncated", whole[..whole.len() - 9].to_vec(), None, 400, "starts as gzip and is broken"),
            ("only the magic", GZIP_MAGIC.to_vec(), None, 400, "starts as gzip and is broken"),
            ("a bomb", gzip(&vec![0; INFLATED_LIMIT + 1]), None, 413, "inflates to more than"),
            ("brotli", b"x".to_vec(), Some("br"), 415, "`br` is not taken"),
        ] {
            let refused = inflate(body.into(), header).expect_err(case);
            assert_eq!(refused.status(), status, "{case}");
            assert!(refused.message().contains(expected), "{case}: {}", refused.message());
        }
    }
}
