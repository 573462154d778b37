//! A Prometheus workspace: accepts remote write 1.0 and stores the requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use prost::Message as _;
use sidecarless::model::remote_write::{TimeSeries, WriteRequest};

use super::http::{Fault, RecordedRequest, StubResponse, StubServer};

pub(crate) struct Amp {
    server: StubServer,
    written: Arc<Mutex<Vec<WriteRequest>>>,
    access_keys: Arc<Mutex<Vec<String>>>,
    rules: Arc<Mutex<Rules>>,
}

/// Behaviour that differs from AMP.
#[derive(Default)]
pub(crate) struct Rules {
    /// Larger bodies are rejected with 413.
    pub(crate) max_bytes: Option<usize>,
}

/// Labels of a series, with its name.
pub(crate) type Labels = BTreeMap<String, String>;

impl Amp {
    pub(crate) async fn start() -> Self {
        let written: Arc<Mutex<Vec<WriteRequest>>> = Arc::default();
        let (stored, rules) = (Arc::clone(&written), Arc::<Mutex<Rules>>::default());
        let server_rules = Arc::clone(&rules);
        let access_keys: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen_keys = Arc::clone(&access_keys);
        let server = StubServer::start(move |request| {
            let rules = server_rules.lock().unwrap();
            let key = request.header("authorization").split("Credential=").nth(1).unwrap_or_default();
            seen_keys.lock().unwrap().push(key.split('/').next().unwrap_or_default().to_owned());
            if rules.max_bytes.is_some_and(|max| inflated(request).len() > max) {
                return StubResponse::of(413, "text/plain", "request body too large");
            }
            match decode(request) {
                Ok(request) => {
                    stored.lock().unwrap().push(request);
                    StubResponse::of(200, "text/plain", "")
                }
                Err(reason) => StubResponse::of(400, "text/plain", reason),
            }
        });
        Self { server: server.await, written, access_keys, rules }
    }

    /// Returns the access keys that signed the requests.
    pub(crate) fn access_keys(&self) -> Vec<String> {
        self.access_keys.lock().unwrap().clone()
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        self.server.url("/workspaces/ws-1/api/v1/remote_write")
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.server.fail(faults);
    }

    pub(crate) fn fail_always(&self, fault: Fault) {
        self.server.fail_always(|_| true, fault);
    }

    pub(crate) fn clear_faults(&self) {
        self.server.clear_faults();
    }

    pub(crate) fn max_concurrency(&self) -> usize {
        self.server.max_concurrency()
    }

    pub(crate) fn requests(&self) -> usize {
        self.written.lock().unwrap().len()
    }

    /// Returns labels, value and time in milliseconds of every sample.
    pub(crate) fn samples(&self) -> Vec<(Labels, f64, i64)> {
        let written = self.written.lock().unwrap();
        let series = written.iter().flat_map(|request| &request.timeseries);
        series
            .flat_map(|series| {
                let labels = labels(series);
                series.samples.iter().map(move |sample| (labels.clone(), sample.value, sample.timestamp))
            })
            .collect()
    }

    /// Returns the number of series that were sent in more than one request.
    pub(crate) fn series_in_several_requests(&self) -> usize {
        let written = self.written.lock().unwrap();
        let mut requests: BTreeMap<Labels, usize> = BTreeMap::new();
        for series in written.iter().flat_map(|request| &request.timeseries) {
            *requests.entry(labels(series)).or_default() += 1;
        }
        requests.values().filter(|&&requests| requests > 1).count()
    }

    /// Returns the samples of one metric.
    pub(crate) fn named(&self, name: &str) -> Vec<(Labels, f64)> {
        let named = |(labels, value, _): (Labels, f64, i64)| (labels["__name__"] == name).then_some((labels, value));
        self.samples().into_iter().filter_map(named).collect()
    }
}

fn inflated(request: &RecordedRequest) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(&request.body).unwrap_or_default()
}

fn labels(series: &TimeSeries) -> Labels {
    series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
}

/// Checks a request as a backend does (Prometheus Remote-Write 1.0 specification, "Protocol").
fn decode(request: &RecordedRequest) -> Result<WriteRequest, String> {
    for (name, expected) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        if request.header(name) != expected {
            return Err(format!("{name} is `{}`", request.header(name)));
        }
    }
    if !request.header("user-agent").starts_with("sidecarless/") {
        return Err("there is no user-agent".into());
    }
    if !request.header("authorization").contains("/eu-west-1/aps/aws4_request") {
        return Err("it is not signed for aps".into());
    }
    let body = snap::raw::Decoder::new().decompress_vec(&request.body).map_err(|error| error.to_string())?;
    let request = WriteRequest::decode(body.as_slice()).map_err(|error| error.to_string())?;
    request.timeseries.iter().try_for_each(check)?;
    Ok(request)
}

fn check(series: &TimeSeries) -> Result<(), String> {
    let names: Vec<&str> = series.labels.iter().map(|label| label.name.as_str()).collect();
    if !names.is_sorted_by(|a, b| a < b) {
        return Err(format!("label names are not sorted, or not unique: {names:?}"));
    }
    if !names.contains(&"__name__") {
        return Err("a series has no name".into());
    }
    if !series.samples.is_sorted_by(|a, b| a.timestamp < b.timestamp) {
        return Err("samples are not in the order of their times".into());
    }
    Ok(())
}
