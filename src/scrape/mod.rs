//! HTTP scrapes of targets: one GET with a timeout and a size limit, which follows redirects to the same host and port.
//!
//! `stats_targets` and `prometheus_targets` choose the targets from task definitions; `insights` and `log_data` obtain
//! log events instead, and `cloudwatch` points of metrics. Nothing here parses what was scraped: see `translate`.

pub mod cloudwatch;
pub mod insights;
pub mod log_data;
pub mod prometheus_targets;
pub mod stats_targets;

mod body;
mod body_reader;
mod memory_pool;
mod redirect;
mod target_time;

use std::io::Read as _;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use thiserror::Error;

pub use body::BodyPermits;
pub use target_time::{BusyTime, TargetTime};

use crate::deadline::Deadline;
use crate::model::exposition::{self, Format};
use crate::work_budget::MemoryLimit;
use body::BodyMemory;
use body_reader::BodyReader;
use prometheus_targets::{PrometheusTarget, Scheme};
use redirect::MAX_REDIRECTS;
use stats_targets::StatsTarget;

/// Maximum size of a stats document. The stats of one container take 2 to 10 KB, and a task has at most ten containers.
const MAX_STATS_BYTES: usize = 4 << 20;

/// Bytes that are decompressed at once.
const DECOMPRESSION_STEP: usize = 64 << 10;

/// Error of a failed scrape. The target is down.
#[derive(Debug, Error)]
pub enum ScrapeError {
    #[error("no response within {0:?}")]
    TimedOut(Duration),
    #[error("response sent too little in {0:?}, while other targets waited for its memory")]
    Stalled(Duration),
    #[error("connection failed: {0}")]
    Connection(String),
    #[error("status {0} instead of 200")]
    Status(StatusCode),
    #[error("redirect to another host, port or scheme, which is not followed: {0}")]
    Redirect(String),
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    #[error("response exceeds {0} bytes")]
    TooLarge(usize),
    #[error("invalid gzip: {0}")]
    Gzip(std::io::Error),
    #[error(
        "response needs more memory than the function has for it: reduce it, or raise the memory size of the function"
    )]
    Memory,
    /// The target is not at fault.
    #[error("the run had no time left for the target")]
    RunEnded,
}

/// A decompressed exposition.
#[derive(Debug)]
pub struct Exposition {
    pub body: Vec<u8>,
    pub format: Format,
    _permits: BodyPermits,
}

/// The response bodies of a stats endpoint.
#[derive(Debug)]
pub struct TaskMetadataBodies {
    pub task: Vec<u8>,
    pub stats: Vec<u8>,
    _permits: BodyPermits,
}

/// Scrapes targets.
#[derive(Clone, Debug)]
pub struct Scraper {
    http: reqwest::Client,
    https: reqwest::Client,
    timeout: Duration,
    body_limit: usize,
    memory: BodyMemory,
}

impl Scraper {
    /// `timeout` applies to a full scrape. `body_limit` is the maximum size of an exposition, before and after
    /// decompression.
    /// `http` must not follow redirects. `https` is for targets with TLS.
    pub fn new(
        http: reqwest::Client,
        https: reqwest::Client,
        timeout: Duration,
        body_limit: usize,
        memory: MemoryLimit,
    ) -> Self {
        Self { http, https, timeout, body_limit, memory: BodyMemory::new(memory, body_limit) }
    }

    /// Returns the time limit of a scrape that starts now.
    pub fn time<'a>(&self, deadline: &'a Deadline, busy: &'a BusyTime) -> TargetTime<'a> {
        TargetTime::new(deadline, busy, self.timeout)
    }

    /// Fetches `/task` and `/task/stats` of a target. The requests are concurrent; the bodies are read one after the other, so
    /// that they never wait for each other's memory.
    pub async fn scrape_stats(
        &self,
        target: &StatsTarget,
        time: &mut TargetTime<'_>,
    ) -> Result<TaskMetadataBodies, ScrapeError> {
        let document = |name: &str| {
            let url = format!("http://{}{}{name}", target.address, target.path);
            async move { send(&url, |url| self.http.get(url)).await }
        };
        let both = async { tokio::try_join!(document("/task"), document("/task/stats")) };
        let (task, stats) = time.wait(both).await??;
        let mut permits = self.memory.permits();
        let task = read(task, MAX_STATS_BYTES, &mut permits, time).await?;
        let stats = read(stats, MAX_STATS_BYTES, &mut permits, time).await?;
        Ok(TaskMetadataBodies { task, stats, _permits: permits })
    }

    /// Fetches the exposition of a target, in Prometheus text format or OpenMetrics.
    pub async fn scrape_exposition(
        &self,
        target: &PrometheusTarget,
        time: &mut TargetTime<'_>,
    ) -> Result<Exposition, ScrapeError> {
        let client = if target.scheme == Scheme::Https { &self.https } else { &self.http };
        let timeout = self.timeout.as_secs_f64().to_string();
        let request = |url| {
            client
                .get(url)
                .header(ACCEPT, exposition::ACCEPT)
                .header(ACCEPT_ENCODING, "gzip")
                .header("x-prometheus-scrape-timeout-seconds", &timeout)
        };
        let response = time.wait(send(&target.url(), request)).await??;
        let format =
            Format::from_content_type(response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
        let mut permits = self.memory.permits();
        let body = read(response, self.body_limit, &mut permits, time).await?;
        let body = decompress(body, self.body_limit, &mut permits, time).await?;
        Ok(Exposition { body, format, _permits: permits })
    }
}

/// Sends a request, and follows redirects. Closes each connection: the next scrape is a minute away, and Lambda allows 1,024 open
/// files.
async fn send(url: &str, request: impl Fn(Url) -> RequestBuilder) -> Result<Response, ScrapeError> {
    let mut url = Url::parse(url).map_err(|error| ScrapeError::Connection(error.to_string()))?;
    for _ in 0..=MAX_REDIRECTS {
        let response = request(url).header(CONNECTION, "close").send().await.map_err(failed)?;
        url = match redirect::location(&response)? {
            Some(to) => to,
            None if response.status() == StatusCode::OK => return Ok(response),
            None => return Err(ScrapeError::Status(response.status())),
        };
    }
    Err(ScrapeError::TooManyRedirects(MAX_REDIRECTS))
}

async fn read(
    response: Response,
    limit: usize,
    permits: &mut BodyPermits,
    time: &mut TargetTime<'_>,
) -> Result<Vec<u8>, ScrapeError> {
    let declared = response.content_length().and_then(|length| usize::try_from(length).ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(ScrapeError::TooLarge(limit));
    }
    let (mut reader, mut body) = (BodyReader::new(response, time), Vec::new());
    while let Some(chunk) = reader.next(permits, time).await? {
        if body.len() + chunk.len() > limit {
            return Err(ScrapeError::TooLarge(limit));
        }
        time.wait_for_run(permits.grow(&mut body, chunk.len(), declared)).await??;
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(error: reqwest::Error) -> ScrapeError {
    // The URL may have a token in its query.
    ScrapeError::Connection(root_cause(&error.without_url()))
}

/// Decompresses a body that starts with the magic bytes of gzip (RFC 1952, section 2.3.1).
async fn decompress(
    body: Vec<u8>,
    limit: usize,
    permits: &mut BodyPermits,
    time: &TargetTime<'_>,
) -> Result<Vec<u8>, ScrapeError> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body);
    }
    let (mut decoder, mut step) = (MultiGzDecoder::new(body.as_slice()), vec![0; DECOMPRESSION_STEP]);
    let mut decompressed = Vec::new();
    loop {
        let length = decoder.read(&mut step).map_err(ScrapeError::Gzip)?;
        if length == 0 {
            return Ok(decompressed);
        }
        if decompressed.len() + length > limit {
            return Err(ScrapeError::TooLarge(limit));
        }
        time.wait_for_run(permits.grow(&mut decompressed, length, None)).await??;
        decompressed.extend_from_slice(step.get(..length).unwrap_or_default());
    }
}

/// Returns the innermost cause, such as `connection refused`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
