//! OTLP requests as Lambda events: the event of a Function URL, payload format 2.0, body in base64.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::AT_MS;

/// Returns the event of a POST request, with or without compression.
pub(crate) fn event(path: &str, body: &[u8], gzip: bool) -> String {
    let sent = if gzip { compressed(body) } else { body.to_vec() };
    let mut event = event_without_body(path, headers(sent.len(), gzip));
    event["body"] = STANDARD.encode(sent).into();
    event["isBase64Encoded"] = true.into();
    event.to_string()
}

/// Returns the event of a POST request with a JSON body, which a Function URL does not encode.
pub(crate) fn json_event(path: &str, body: &str) -> String {
    let mut event = event_without_body(path, headers(body.len(), false));
    event["headers"]["content-type"] = "application/json".into();
    event["body"] = body.into();
    event["isBase64Encoded"] = false.into();
    event.to_string()
}

fn event_without_body(path: &str, headers: Value) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc123",
            "domainName": "abc123.lambda-url.eu-west-1.on.aws",
            "domainPrefix": "abc123",
            "http": {
                "method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9",
                "userAgent": "OTel-OTLP-Exporter-Java/1.55.0"
            },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": "$default",
            "time": "22/Nov/2026:23:25:00 +0000",
            "timeEpoch": AT_MS
        },
    })
}

fn headers(length: usize, gzip: bool) -> Value {
    let mut headers = json!({
        "content-type": "application/x-protobuf",
        "content-length": length.to_string(),
        "host": "abc123.lambda-url.eu-west-1.on.aws",
        "authorization": "Bearer benchmark",
        "user-agent": "OTel-OTLP-Exporter-Java/1.55.0",
        "x-amzn-trace-id": "Root=1-6b037ced-da06a1cade07364b5bc31361",
        "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
        "x-amzn-tls-version": "TLSv1.3",
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    });
    if gzip {
        headers["content-encoding"] = "gzip".into();
    }
    headers
}

/// Compresses with gzip at its default level, as SDKs do.
pub(crate) fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}
