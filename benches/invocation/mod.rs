//! Whole invocations, with the HTTP client and the signatures, against servers on loopback: small pushes, and scrapes. The stages
//! alone do not include the fixed cost of an invocation, which is most of the cost of a small one.

mod servers;

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use prost::Message as _;
use sidecarless::aws::certificates::RootCertificates;
use sidecarless::aws::clients;
use sidecarless::aws::sdk_http::sdk_http_client;
use sidecarless::deadline::Deadline;
use sidecarless::handlers::Handlers;
use sidecarless::lambda::Event;
use sidecarless::settings::Settings;
use sidecarless::work_budget::MemoryLimit;
use tokio::runtime::{Builder, Runtime};

use crate::payload;
use crate::stage::{Stage, Work};
use servers::Servers;

pub(crate) const INVOCATIONS: [Stage; 4] = [
    Stage { name: "invocation/traces", prepare: traces, typical_items: 5 },
    Stage { name: "invocation/metrics", prepare: metrics, typical_items: 20 },
    Stage { name: "invocation/stats", prepare: stats, typical_items: 3 },
    Stage { name: "invocation/scrape", prepare: scrape, typical_items: 500 },
];

/// Invocations in one count. The number of polls of one invocation depends on when bytes arrive.
const PUSHES: usize = 20;

/// Targets of the scheduled run.
const TARGETS: usize = 5;

/// Shortest time between two stats of a task that the function does not consider repeated.
const STATS_INTERVAL_S: i64 = 5;

/// Age of the first stats. The function accepts times of the last five minutes; all pushes take 205 seconds of them, and the rest is
/// for the start of the benchmark under callgrind.
const FIRST_STATS_S: i64 = 210;

/// Attempts to look up a task.
const LOOKUPS: usize = 10;

/// An execution environment of the function.
struct Environment {
    runtime: Runtime,
    handlers: Handlers,
    servers: Arc<Servers>,
}

impl Environment {
    fn start(samples: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let servers = Servers::start(samples, TARGETS);
        let url = servers.url();
        let settings = [
            ("AWS_PROMETHEUS_ENDPOINT", &*format!("{url}/api/v1/remote_write")),
            ("AWS_ENDPOINT_URL_XRAY", &url),
            ("SIDECARLESS_AUTH", "none"),
            ("SIDECARLESS_CLUSTERS", "shop"),
            ("SIDECARLESS_IDENTITY", "off"),
            ("SIDECARLESS_MAX_SAMPLE_AGE", "off"),
            ("SIDECARLESS_SCRAPE_CIDRS", "127.0.0.0/8"),
            ("SIDECARLESS_SOURCES", "push,prometheus"),
            // Calls and series that depend on the minute.
            ("SIDECARLESS_CLOUDWATCH_INTERVAL", "off"),
            ("SIDECARLESS_SELF_METRICS", "off"),
            ("SIDECARLESS_STATE_METRICS", "none"),
            ("SIDECARLESS_STOPPED_TASKS", "off"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::read(settings).expect("valid settings");
        let http = clients::http(RootCertificates::BuiltIn).expect("a client");
        let aws = runtime.block_on(sdk_config(&http, &url));
        let handlers = Handlers::new(settings, MemoryLimit::unlimited(), &aws, &http).expect("handlers");
        Self { runtime, handlers, servers }
    }

    /// Returns the response, as text.
    fn invoke(&self, event: &str) -> String {
        let deadline = Deadline::after(Duration::from_secs(50));
        let response = self.runtime.block_on(self.handlers.handle(Event::parse(event), &deadline));
        response.expect("a response").into_json().to_string()
    }
}

async fn sdk_config(http: &reqwest::Client, url: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("t".repeat(800)), None, "benchmark");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .http_client(sdk_http_client(http))
        .load()
        .await
}

fn traces(spans: usize) -> Work {
    pushes(payload::event("/v1/traces", &payload::traces(spans).encode_to_vec(), false))
}

fn metrics(points: usize) -> Work {
    pushes(payload::event("/v1/metrics", &payload::metrics(points).encode_to_vec(), false))
}

fn pushes(event: String) -> Work {
    let environment = Environment::start(0);
    Box::new(move || {
        for _ in 0..PUSHES {
            let response = environment.invoke(&event);
            assert!(response.contains(r#""statusCode":200"#), "{response}");
        }
    })
}

fn stats(containers: usize) -> Work {
    let (task, stats) = payload::stats(containers);
    let event = payload::json_event("/v1/ecs/task-stats", &format!("{task}{stats}"));
    let push = move |environment: &Environment, at: i64| {
        let read = Timestamp::from_second(at).expect("a time").to_string();
        environment.invoke(&event.replace(payload::STATS_READ, &read))
    };
    let mut at = Timestamp::now().as_second() - FIRST_STATS_S;
    // The first push looks the task up, for which the function waits two seconds. callgrind may take longer on a busy machine, and
    // the function remembers the failure.
    let mut environments = (0..LOOKUPS).map(|_| Environment::start(0));
    let environment = environments.find(|it| is_stored(&push(it, at))).expect("the task is found in two seconds");
    Box::new(move || {
        for _ in 0..PUSHES {
            at += STATS_INTERVAL_S;
            let response = push(&environment, at);
            assert!(is_stored(&response), "{response}");
        }
    })
}

fn is_stored(response: &str) -> bool {
    response.contains(r#"samples\":"#) && !response.contains("ignored")
}

/// A scheduled run over all targets. Each scrape returns other values; the first has no previous one, and is not counted.
fn scrape(samples: usize) -> Work {
    let environment = Environment::start(samples);
    Box::new(move || {
        let before = environment.servers.written();
        let response = environment.invoke(r#"{"sidecarless":"scrape"}"#);
        assert!(environment.servers.written() - before > samples * TARGETS, "{response}");
    })
}
