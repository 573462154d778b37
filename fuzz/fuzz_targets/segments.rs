//! Translates any valid request: each document is JSON, and each span becomes a document or is rejected.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::ExportTraceServiceRequest;
use sidecarless::translate::Compat;
use sidecarless::translate::spans::{Indexed, Options, segments};

fuzz_target!(|data: &[u8]| {
    let _ = sidecarless::translate::sdk_segments::validate_body(data, &Unlimited);
    let Ok(request) = ExportTraceServiceRequest::decode(data) else { return };
    for compat in [Compat::Corrected, Compat::Adot] {
        for indexed in [Indexed::default(), Indexed::All] {
            let segments =
                segments(&(&request).into(), &Options { compat, indexed, log_groups: Vec::new() }, &Unlimited).unwrap();
            for document in &segments.documents {
                let json = document.text();
                assert!(json.len() <= 64_000);
                assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
            }
            assert!(segments.documents.len() as u64 + segments.rejected.total() >= segments.received);
        }
    }
});
