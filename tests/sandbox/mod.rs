//! Environment of the function in the test process: AWS services and tasks with the real protocols on 127.0.0.1.
pub(crate) mod amp;
pub(crate) mod cloudwatch;
pub(crate) mod ecs;
pub(crate) mod http;
mod logs;
pub(crate) mod otlp_logs;
pub(crate) mod sqs;
pub(crate) mod sts;
pub(crate) mod task;
pub(crate) mod xray;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use base64::Engine as _;
use serde_json::{Value, json};
use sidecarless::aws::certificates::RootCertificates;
use sidecarless::aws::clients;
use sidecarless::aws::sdk_http::sdk_http_client;
use sidecarless::deadline::Deadline;
use sidecarless::handlers::{HandleError, Handlers};
use sidecarless::lambda::{Event, HttpResponse, Response};
use sidecarless::settings::Settings;
use sidecarless::work_budget::MemoryLimit;

use amp::Amp;
use http::{Fault, StubResponse, StubServer};

/// ECS, X-Ray, SQS, STS, CloudWatch and CloudWatch Logs behind one address.
pub(crate) struct Aws {
    server: StubServer,
    ecs: Arc<Mutex<ecs::State>>,
    xray: Arc<Mutex<xray::State>>,
    otlp_logs: Arc<Mutex<otlp_logs::State>>,
    sqs: Arc<Mutex<sqs::State>>,
    sts: Arc<Mutex<sts::State>>,
    cloudwatch: Arc<Mutex<cloudwatch::State>>,
    /// Endpoint of each service in the SDK.
    endpoints: Endpoints,
}

/// Address of each service, which the SDK would read from the environment.
#[derive(Clone, Debug)]
struct Endpoints {
    all: String,
    /// SDK id and port of a service whose port is closed.
    closed: Option<(&'static str, String)>,
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        let closed = self.closed.as_ref().filter(|(service, _)| *service == key.service_id());
        Some(closed.map_or(&self.all, |(_, url)| url).clone())
    }
}

impl Aws {
    async fn start(closed: Option<&'static str>) -> Self {
        let (ecs, xray): (Arc<Mutex<ecs::State>>, Arc<Mutex<xray::State>>) = (Arc::default(), Arc::default());
        let sqs: Arc<Mutex<sqs::State>> = Arc::default();
        let otlp_logs: Arc<Mutex<otlp_logs::State>> = Arc::default();
        let (ecs_state, xray_state, sqs_state) = (Arc::clone(&ecs), Arc::clone(&xray), Arc::clone(&sqs));
        let otlp_logs_state = Arc::clone(&otlp_logs);
        let sts: Arc<Mutex<sts::State>> = Arc::default();
        let sts_state = Arc::clone(&sts);
        let cloudwatch: Arc<Mutex<cloudwatch::State>> = Arc::default();
        let cloudwatch_state = Arc::clone(&cloudwatch);
        let server = StubServer::start(move |request| {
            let response = ecs::serve(&ecs_state, request).or_else(|| xray::serve(&xray_state, request));
            let response = response.or_else(|| sqs::serve(&sqs_state, request)).or_else(|| logs::serve(request));
            let response = response
                .or_else(|| otlp_logs::serve(&otlp_logs_state, request))
                .or_else(|| sts::serve(&sts_state, request))
                .or_else(|| cloudwatch::serve(&cloudwatch_state, request));
            response.unwrap_or_else(|| StubResponse::of(404, "text/plain", "no such service"))
        });
        let server = server.await;
        let closed_url = format!("http://127.0.0.1:{}", task::closed_port().await);
        let endpoints = Endpoints { all: server.url(""), closed: closed.map(|service| (service, closed_url)) };
        Self { server, ecs, xray, otlp_logs, sqs, sts, cloudwatch, endpoints }
    }

    pub(crate) fn sqs(&self) -> MutexGuard<'_, sqs::State> {
        self.sqs.lock().unwrap()
    }

    pub(crate) fn sts(&self) -> MutexGuard<'_, sts::State> {
        self.sts.lock().unwrap()
    }

    pub(crate) fn cloudwatch(&self) -> MutexGuard<'_, cloudwatch::State> {
        self.cloudwatch.lock().unwrap()
    }

    /// Ends the faults of `fail_always`.
    pub(crate) fn recover(&self) {
        self.server.clear_faults();
    }

    pub(crate) fn fail_always(&self, kind: fn(&http::RecordedRequest) -> bool, fault: Fault) {
        self.server.fail_always(kind, fault);
    }

    pub(crate) fn max_concurrency(&self) -> usize {
        self.server.max_concurrency()
    }

    pub(crate) fn requests(&self) -> usize {
        self.server.requests()
    }

    pub(crate) fn ecs(&self) -> MutexGuard<'_, ecs::State> {
        self.ecs.lock().unwrap()
    }

    pub(crate) fn xray(&self) -> MutexGuard<'_, xray::State> {
        self.xray.lock().unwrap()
    }

    pub(crate) fn otlp_logs(&self) -> MutexGuard<'_, otlp_logs::State> {
        self.otlp_logs.lock().unwrap()
    }

    /// Returns the bodies of the accepted requests to an OTLP endpoint.
    pub(crate) fn otlp_bodies(&self, path: &str) -> Vec<Vec<u8>> {
        match path {
            "/v1/logs" => self.otlp_logs().taken.iter().map(|request| request.body.clone()).collect(),
            _ => self.xray().otlp.clone(),
        }
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.server.fail(faults);
    }

    /// Configuration that the SDK would read from the environment.
    async fn config(&self, http: &reqwest::Client) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        aws_config::defaults(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(sdk_http_client(http))
            .load()
            .await
            .into_builder()
            .service_config(self.endpoints.clone())
            .build()
    }
}

/// ARN of the function in the events of pushes.
const FUNCTION_ARN: &str = "arn:aws:lambda:eu-west-1:111122223333:function:sidecarless";

/// The function and its environment.
pub(crate) struct Sandbox {
    pub(crate) aws: Aws,
    pub(crate) amp: Amp,
    pub(crate) handlers: Handlers,
}

impl Sandbox {
    /// `settings` override the settings of the sandbox. An empty value unsets a setting.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_without(None, settings).await
    }

    /// Handles a message of the spool. Returns whether SQS delivers it again.
    pub(crate) async fn is_redelivered_again(&self, body: &str) -> bool {
        let message = json!({"Records": [{
            "messageId": "m-1", "receiptHandle": "handle", "body": body, "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"},
        }]});
        let deadline = Deadline::after(Duration::from_secs(5));
        let response = self.handlers.handle(Event::parse(&message.to_string()), &deadline).await.unwrap().into_json();
        !response["batchItemFailures"].as_array().unwrap().is_empty()
    }

    /// `closed` is the SDK id of a service whose port is closed.
    pub(crate) async fn start_without(closed: Option<&'static str>, settings: &[(&str, &str)]) -> Self {
        let memory_mb = settings.iter().find(|(name, _)| *name == "AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
        let memory_mb = memory_mb.map(|(_, value)| value.parse().unwrap());
        // The tests of one process share its allocated bytes, so only the sizes that are known in advance count.
        Self::start_with_memory(MemoryLimit::new(|| 0, memory_mb), closed, settings).await
    }

    pub(crate) async fn start_with_memory(
        memory: MemoryLimit,
        closed: Option<&'static str>,
        settings: &[(&str, &str)],
    ) -> Self {
        let (aws, amp) = (Aws::start(closed).await, Amp::start().await);
        let (amp_url, xray_url) = (amp.url(), aws.server.url(""));
        let needed = [
            ("AWS_PROMETHEUS_ENDPOINT", amp_url.as_str()),
            ("AWS_ENDPOINT_URL_XRAY", &xray_url),
            ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &xray_url),
            ("AWS_ENDPOINT_URL_STS", &xray_url),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", &xray_url),
            ("SIDECARLESS_AUTH", "none"),
            ("SIDECARLESS_SCRAPE_CIDRS", "127.0.0.0/8"),
            ("SIDECARLESS_SCRAPE_TIMEOUT", "10s"),
            // Tests count only samples and requests of pushes and scrapes.
            ("SIDECARLESS_SELF_METRICS", "off"),
            ("SIDECARLESS_STATE_METRICS", "none"),
            // Its calls depend on the minute.
            ("SIDECARLESS_CLOUDWATCH_INTERVAL", "off"),
        ];
        let all = settings.iter().chain(&needed).map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::read(all).unwrap();
        let http = clients::http(RootCertificates::BuiltIn).unwrap();
        let handlers = Handlers::new(settings, memory, &aws.config(&http).await, &http).unwrap();
        Self { aws, amp, handlers }
    }

    /// Invokes a scheduled run and returns its summary.
    pub(crate) async fn tick(&self) -> Result<Value, HandleError> {
        let deadline = Deadline::after(Duration::from_secs(20));
        let response = self.handlers.handle(Event::parse(r#"{"sidecarless":"scrape"}"#), &deadline).await?;
        Ok(response.into_json())
    }

    /// Returns the Function URL event of a push.
    pub(crate) fn event(push: &Push<'_>) -> String {
        let headers: serde_json::Map<String, Value> =
            push.headers.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect();
        let base64 = || base64::engine::general_purpose::STANDARD.encode(push.body);
        let event = json!({
            "version": "2.0", "rawPath": push.path, "headers": headers,
            "requestContext": {"http": {"method": push.method, "path": push.path, "sourceIp": "203.0.113.9"},
                "authorizer": push.caller.map(|arn| json!({"iam": {"accountId": "111122223333", "userArn": arn}}))},
            "body": push.raw.map_or_else(base64, str::to_owned), "isBase64Encoded": true,
        });
        event.to_string()
    }

    pub(crate) async fn push(&self, push: &Push<'_>) -> HttpResponse {
        let deadline = Deadline::after(push.time);
        let event = Event::parse(&Self::event(push)).invoked_as(FUNCTION_ARN);
        match self.handlers.handle(event, &deadline).await.unwrap() {
            Response::Http { response, .. } => response,
            other => panic!("{other:?}"),
        }
    }
}

/// A request of a client.
#[derive(Clone)]
pub(crate) struct Push<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a [u8],
    /// Overrides the base64 body in the event.
    pub(crate) raw: Option<&'a str>,
    /// Caller that IAM authenticated.
    pub(crate) caller: Option<&'a str>,
    /// Remaining time of the invocation.
    pub(crate) time: Duration,
}

impl<'a> Push<'a> {
    pub(crate) fn new(path: &'a str, body: &'a [u8]) -> Self {
        let headers = vec![("content-type", "application/x-protobuf")];
        Self { method: "POST", path, headers, body, raw: None, caller: None, time: Duration::from_secs(20) }
    }

    pub(crate) fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }
}
