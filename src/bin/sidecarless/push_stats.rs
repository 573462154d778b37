//! `sidecarless push-stats`: sends the stats of the task that the program runs in, for images without a shell.
//!
//! Several processes of a task elect the sender: the one that listens on a loopback port, as the helpers in `helpers/` do.

use std::hash::{BuildHasher as _, RandomState};
use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sidecarless::aws::clients::{self, ClientError};
use sidecarless::model::ecs::NetworkMode;
use sidecarless::model::masked::{masked_url, start_of};
use sidecarless::model::task_metadata::TaskMetadata;
use thiserror::Error;
use tokio::net::TcpListener;
use url::Url;

use crate::output::CommandOutput;
use crate::push_authorization::{Authorization, AuthorizationError, value};

/// Port on 127.0.0.1 that the sender of a task listens on. All senders use the same one. It is below the ephemeral ports of Linux.
const ELECTION_PORT: u16 = 23_190;

/// The metadata endpoint responds within milliseconds. A health check with the limits of docs/container-stats.md includes two such calls and
/// the push.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// The function responds within five seconds.
const PUSH_TIMEOUT: Duration = Duration::from_secs(6);

/// Maximum delay before the first push.
const MAX_START_DELAY: Duration = Duration::from_secs(10);

/// Maximum characters of an error response in a message.
const MAX_MESSAGE_CHARS: usize = 300;

/// When the stats are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushMode {
    /// Once; a failure is an incomplete result.
    Once,
    /// Once, as a health check, which must not fail because the function cannot be reached.
    HealthCheck,
    /// Forever, with this time between two pushes.
    Every(Duration),
}

/// Reason why stats were not sent.
#[derive(Debug, Error)]
pub(crate) enum PushStatsError {
    #[error("{0} is not set{1}")]
    MissingVariable(&'static str, &'static str),
    #[error("{url}: {error}")]
    Request { url: String, error: String },
    #[error("{url}: status {status}: {message}")]
    Status { url: String, status: u16, message: String },
    #[error("cannot listen on port {ELECTION_PORT} of the loopback address, which selects one sender of the task: {0}")]
    Election(std::io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("invalid SIDECARLESS_URL: {0}")]
    Url(#[from] url::ParseError),
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
}

/// Addresses of the push, and how it is authorized.
struct Sender {
    http: reqwest::Client,
    metadata: String,
    url: Url,
    authorization: Authorization,
}

/// Sends the stats of the task.
pub(crate) async fn run(mode: PushMode, variables: &[(String, String)]) -> Result<CommandOutput, PushStatsError> {
    let sender = match Sender::new(variables).await {
        Err(error) if mode == PushMode::HealthCheck => return Ok(not_sent(&error, true)),
        sender => sender?,
    };
    let result = match mode {
        PushMode::Every(interval) => sender.push_forever(interval).await,
        PushMode::Once | PushMode::HealthCheck => sender.push().await,
    };
    Ok(match result {
        Ok(response) => CommandOutput::complete(format!("{response}\n")),
        Err(error) => not_sent(&error, mode == PushMode::HealthCheck),
    })
}

fn not_sent(error: &dyn std::error::Error, is_complete: bool) -> CommandOutput {
    crate::report(&error.to_string());
    CommandOutput::new(String::new(), is_complete)
}

impl Sender {
    async fn new(variables: &[(String, String)]) -> Result<Self, PushStatsError> {
        let variable =
            |name, hint| value(variables, name).ok_or(PushStatsError::MissingVariable(name, hint)).map(str::to_owned);
        let metadata = variable("ECS_CONTAINER_METADATA_URI_V4", ": the program must run in an ECS task")?;
        let url = variable("SIDECARLESS_URL", ": set it to the stack output OtlpEndpoint")?;
        let url = Url::parse(&format!("{}/v1/ecs/task-stats", url.trim_end_matches('/')))?;
        let http = clients::http_of_command_line()?;
        let authorization = match value(variables, "SIDECARLESS_TOKEN") {
            // Secrets that were stored from a file often end with a line break.
            Some(token) => Authorization::Token(token.trim().to_owned()),
            None => Authorization::of_role(&url, variables, &http).await,
        };
        Ok(Self { http, metadata, url, authorization })
    }

    /// Sends the documents at an interval if this process is the sender of the task. The same error is reported once.
    async fn push_forever(&self, interval: Duration) -> ! {
        tokio::time::sleep(start_delay(interval)).await;
        let (mut elected, mut last_error) = (None, String::new());
        loop {
            let error = self.push_if_elected(&mut elected).await.err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            if !error.is_empty() && error != last_error {
                crate::report(&error);
            }
            last_error = error;
            tokio::time::sleep(interval).await;
        }
    }

    async fn push_if_elected(&self, elected: &mut Option<TcpListener>) -> Result<(), PushStatsError> {
        let task = self.document("/task").await?;
        // The tasks of a host would elect one sender for all of them.
        if elected.is_none() && !has_host_network(&task) {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, ELECTION_PORT)).await {
                Ok(listener) => *elected = Some(listener),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Ok(()),
                Err(error) => return Err(PushStatsError::Election(error)),
            }
        }
        self.send(task).await.map(drop)
    }

    /// Reads both documents and sends them. Returns the response of the function.
    async fn push(&self) -> Result<String, PushStatsError> {
        let task = self.document("/task").await?;
        self.send(task).await
    }

    async fn send(&self, task: String) -> Result<String, PushStatsError> {
        let body = task + &self.document("/task/stats").await?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        self.authorization.add(&self.url, &mut headers, body.as_bytes()).await?;
        let request = self.http.post(self.url.clone()).headers(headers).timeout(PUSH_TIMEOUT).body(body);
        text(self.url.as_str(), request).await
    }

    async fn document(&self, path: &str) -> Result<String, PushStatsError> {
        let url = format!("{}{path}", self.metadata);
        text(&url, self.http.get(&url).timeout(METADATA_TIMEOUT)).await
    }
}

/// Returns a random delay before the first push, so that tasks that start together do not send together.
fn start_delay(interval: Duration) -> Duration {
    let random = RandomState::new().hash_one(std::process::id()) as u32;
    MAX_START_DELAY.min(interval).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn has_host_network(task: &str) -> bool {
    let Ok(task) = TaskMetadata::parse(task.as_bytes()) else { return false };
    let mut networks = task.containers().iter().flat_map(|container| &container.networks.items);
    networks.any(|network| network.network_mode == NetworkMode::Host)
}

/// Sends a request and returns the body of its response.
async fn text(url: &str, request: reqwest::RequestBuilder) -> Result<String, PushStatsError> {
    let failed = |error: reqwest::Error| PushStatsError::Request { url: masked_url(url), error: error_text(&error) };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    if status.is_success() {
        return Ok(text);
    }
    let message = start_of(&text, MAX_MESSAGE_CHARS).escape_debug().to_string();
    Err(PushStatsError::Status { url: masked_url(url), status: status.as_u16(), message })
}

/// Returns the innermost cause, which says what failed.
fn error_text(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
