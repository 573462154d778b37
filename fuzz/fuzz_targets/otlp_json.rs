//! OTLP JSON: no panic, and decoded requests survive a protobuf round trip.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::json::{metrics, traces};
use sidecarless::model::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};

fuzz_target!(|input: &[u8]| {
    let body = Bytes::copy_from_slice(input);
    if let Ok(request) = traces(&body, &Unlimited) {
        let bytes = request.encode_to_vec();
        // The nesting limit of protobuf is slightly lower. Bytes are compared because NaN is not equal to itself.
        if let Ok(decoded) = ExportTraceServiceRequest::decode(Bytes::from(bytes.clone())) {
            assert_eq!(decoded.encode_to_vec(), bytes);
        }
    }
    if let Ok(request) = metrics(&body, &Unlimited) {
        let bytes = request.encode_to_vec();
        if let Ok(decoded) = ExportMetricsServiceRequest::decode(Bytes::from(bytes.clone())) {
            assert_eq!(decoded.encode_to_vec(), bytes);
        }
    }
});
