//! `sidecarless push-stats`: sends the stats of the task that the program runs in, for images without a shell.
//!
//! Several processes of a task elect the sender: the one that listens on a loopback port, as the helpers in `helpers/` do.

use std::net::Ipv4Addr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;

use crate::output::CommandOutput;

/// Port on 127.0.0.1 that the sender of a task listens on. All senders use the same one. It is below the ephemeral ports of Linux.
const ELECTION_PORT: u16 = 23_190;

/// The metadata endpoint responds within milliseconds. A health check with the limits of docs/container-stats.md includes two such calls and
/// the push.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// The function responds within five seconds.
const PUSH_TIMEOUT: Duration = Duration::from_secs(6);

/// Maximum bytes of an error response in a message.
const MAX_MESSAGE_BYTES: usize = 300;

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
}

/// Addresses and token of the push.
struct Sender {
    http: reqwest::Client,
    metadata: String,
    url: String,
    token: String,
}

/// Sends the stats of the task.
pub(crate) async fn run(mode: PushMode, variables: &[(String, String)]) -> Result<CommandOutput, PushStatsError> {
    let sender = match Sender::new(variables) {
        Err(error) if mode == PushMode::HealthCheck => return Ok(not_sent(&error, true)),
        sender => sender?,
    };
    let interval = match mode {
        PushMode::Every(interval) => interval,
        PushMode::Once | PushMode::HealthCheck => {
            let is_health_check = mode == PushMode::HealthCheck;
            return Ok(match sender.push().await {
                Ok(response) => CommandOutput::complete(format!("{response}\n")),
                Err(error) => not_sent(&error, is_health_check),
            });
        }
    };
    let mut elected = None;
    let mut last_error = String::new();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if elected.is_none() {
            elected = TcpListener::bind((Ipv4Addr::LOCALHOST, ELECTION_PORT)).await.ok();
        }
        if elected.is_none() {
            continue;
        }
        let error = sender.push().await.err().map(|error| error.to_string()).unwrap_or_default();
        // The same error is reported once.
        if !error.is_empty() && error != last_error {
            crate::report(&error);
        }
        last_error = error;
    }
}

fn not_sent(error: &PushStatsError, is_complete: bool) -> CommandOutput {
    crate::report(&error.to_string());
    CommandOutput::new(String::new(), is_complete)
}

impl Sender {
    fn new(variables: &[(String, String)]) -> Result<Self, PushStatsError> {
        let variable = |name, hint| {
            let value = variables.iter().find(|(other, value)| other == name && !value.is_empty());
            value.map(|(_, value)| value.clone()).ok_or(PushStatsError::MissingVariable(name, hint))
        };
        let metadata = variable("ECS_CONTAINER_METADATA_URI_V4", ": the program must run in an ECS task")?;
        let url = variable("SIDECARLESS_URL", ": set it to the stack output Url")?;
        let token = variable("SIDECARLESS_TOKEN", "")?;
        let url = format!("{}/v1/ecs/task-stats", url.trim_end_matches('/'));
        // A proxy does not reach the metadata endpoint, and a redirect must not receive the token.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|error| PushStatsError::Request { url: url.clone(), error: error.to_string() })?;
        Ok(Self { http, metadata, url, token })
    }

    /// Reads both documents and sends them. Returns the response of the function.
    async fn push(&self) -> Result<String, PushStatsError> {
        let mut body = self.document("/task").await?;
        body.push_str(&self.document("/task/stats").await?);
        let request = self.http.post(&self.url).bearer_auth(&self.token).timeout(PUSH_TIMEOUT);
        let request = request.header("content-type", "application/json").body(body);
        text(&self.url, request).await
    }

    async fn document(&self, path: &str) -> Result<String, PushStatsError> {
        let url = format!("{}{path}", self.metadata);
        text(&url, self.http.get(&url).timeout(METADATA_TIMEOUT)).await
    }
}

/// Sends a request and returns the body of its response.
async fn text(url: &str, request: reqwest::RequestBuilder) -> Result<String, PushStatsError> {
    let failed = |error: reqwest::Error| PushStatsError::Request { url: url.into(), error: error_text(&error) };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    if status.is_success() {
        return Ok(text);
    }
    let message =
        text.get(..text.floor_char_boundary(MAX_MESSAGE_BYTES)).unwrap_or_default().escape_debug().to_string();
    Err(PushStatsError::Status { url: url.into(), status: status.as_u16(), message })
}

/// Returns the innermost cause, which says what failed.
fn error_text(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
