//! Any metrics request: no panic in translation and encoding, and every point is written or rejected.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::MetricsRequest;
use sidecarless::model::remote_write::{WriteRequest, encode_series};
use sidecarless::model::series::SeriesBatch;
use sidecarless::translate::Compat;
use sidecarless::translate::metrics::{ClientIdentity, ExponentialHistogramFormat, Options, series};
use sidecarless::translate::names::Naming;

fuzz_target!(|body: &[u8]| {
    let Ok(request) = MetricsRequest::from_protobuf(Bytes::copy_from_slice(body)) else { return };
    let adot = Options { naming: Naming { compat: Compat::Adot, ..Naming::default() }, ..Options::default() };
    let classic = Options { exponential: ExponentialHistogramFormat::Classic, created: true, ..Options::default() };
    for options in [Options::default(), adot, classic] {
        let options = Options { max_age_ms: None, max_ahead_ms: None, ..options };
        let mut batch = SeriesBatch::default();
        let result = series(&request, &options, &ClientIdentity::default(), 0, &Unlimited, &mut batch);
        let result = result.expect("no limit");
        assert_eq!(result.received, result.written + result.rejected.total());
        let mut written = Vec::new();
        batch.iter().for_each(|series| encode_series(series, &mut written));
        let decoded = WriteRequest::decode(written.as_slice()).expect("encoded series decode");
        assert_eq!(decoded.timeseries.len(), batch.len());
    }
});
