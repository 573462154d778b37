//! Any bytes that decode as OTLP metrics are translated and encoded without a panic, and every point is accounted for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use sidecarless::model::otlp::ExportMetricsServiceRequest;
use sidecarless::model::remote_write::{WriteRequest, encode_series};
use sidecarless::model::series::SeriesBatch;
use sidecarless::translate::Compat;
use sidecarless::translate::metrics::{ExponentialAs, Options, Sender, series};
use sidecarless::translate::names::Naming;

fuzz_target!(|body: &[u8]| {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else { return };
    let adot = Options { naming: Naming { compat: Compat::Adot, ..Naming::default() }, ..Options::default() };
    let classic = Options { exponential: ExponentialAs::Classic, created: true, ..Options::default() };
    for options in [Options::default(), adot, classic] {
        let options = Options { max_age_ms: None, max_ahead_ms: None, ..options };
        let mut batch = SeriesBatch::default();
        let outcome = series(&request, &options, &Sender::default(), 0, &mut batch);
        assert_eq!(outcome.received, outcome.written + outcome.rejected.total());
        let mut written = Vec::new();
        batch.iter().for_each(|series| encode_series(series, &mut written));
        let read = WriteRequest::decode(written.as_slice()).expect("what is encoded is read back");
        assert_eq!(read.timeseries.len(), batch.len());
    }
});
