//! OTLP in JSON: no panic, and what is read once is written to protobuf and read again as the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use sidecarless::model::otlp::json::{metrics, traces};
use sidecarless::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};

fuzz_target!(|input: &[u8]| {
    let body = Bytes::copy_from_slice(input);
    if let Ok(request) = traces(&body) {
        let bytes = request.encode_to_vec();
        // Protobuf may be nested a little less deep. Compared as bytes: NaN is not equal to itself.
        if let Ok(again) = ExportTraceServiceRequest::decode(Bytes::from(bytes.clone())) {
            assert_eq!(again.encode_to_vec(), bytes);
        }
    }
    if let Ok(request) = metrics(&body) {
        let bytes = request.encode_to_vec();
        if let Ok(again) = ExportMetricsServiceRequest::decode(Bytes::from(bytes.clone())) {
            assert_eq!(again.encode_to_vec(), bytes);
        }
    }
});
