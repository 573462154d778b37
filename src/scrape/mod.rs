//! HTTP scrapes of targets: one GET with a timeout, a size limit and no redirects.
//!
//! `stats_targets` and `prometheus_targets` choose the targets from task definitions; `insights` and `log_data` obtain
//! log events instead. Nothing here parses what was scraped: see `translate`.

pub mod insights;
pub mod log_data;
pub mod prometheus_targets;
pub mod stats_targets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::deadline::Deadline;
use crate::model::exposition::{self, Format};
use crate::model::read_capped::read_capped;
use prometheus_targets::PrometheusTarget;
use stats_targets::StatsTarget;

/// Maximum size of a stats document. The stats of one container take 2 to 10 KB, and a task has at most ten containers.
const MAX_STATS_BYTES: usize = 4 << 20;

/// Expositions read concurrently, because each may take megabytes. Pending requests are not limited.
const READ_CONCURRENCY: usize = 16;

/// Error of a failed scrape. The target is down.
#[derive(Debug, Error)]
pub enum ScrapeError {
    #[error("no response within {0:?}")]
    TimedOut(Duration),
    #[error("connection failed: {0}")]
    Connection(String),
    #[error("status {0} instead of 200")]
    Status(StatusCode),
    #[error("response exceeds {0} bytes")]
    TooLarge(usize),
    #[error("invalid gzip: {0}")]
    Gzip(std::io::Error),
}

/// A decompressed exposition.
#[derive(Debug)]
pub struct Exposition {
    pub body: Bytes,
    pub format: Format,
}

/// The response bodies of a stats endpoint.
#[derive(Debug)]
pub struct TaskMetadataBodies {
    pub task: Bytes,
    pub stats: Bytes,
}

/// Scrapes targets.
#[derive(Clone, Debug)]
pub struct Scraper {
    http: reqwest::Client,
    timeout: Duration,
    body_limit: usize,
    read_permits: Arc<Semaphore>,
}

impl Scraper {
    /// `timeout` applies to a full scrape. `body_limit` is the maximum size of an exposition, before and after
    /// decompression.
    /// `http` must not follow redirects.
    pub fn new(http: reqwest::Client, timeout: Duration, body_limit: usize) -> Self {
        Self { http, timeout, body_limit, read_permits: Arc::new(Semaphore::new(READ_CONCURRENCY)) }
    }

    /// Fetches `/task` and `/task/stats` of a target concurrently.
    pub async fn scrape_stats(
        &self,
        target: &StatsTarget,
        deadline: &Deadline,
    ) -> Result<TaskMetadataBodies, ScrapeError> {
        let document = |name: &str| self.fetch(target.address, format!("{}{name}", target.path));
        let both = async { tokio::try_join!(document("/task"), document("/task/stats")) };
        let (task, stats) = deadline.timeout(self.timeout, both).await.ok_or(ScrapeError::TimedOut(self.timeout))??;
        Ok(TaskMetadataBodies { task, stats })
    }

    /// Fetches the exposition of a target, in Prometheus text format or OpenMetrics.
    pub async fn scrape_exposition(
        &self,
        target: &PrometheusTarget,
        deadline: &Deadline,
    ) -> Result<Exposition, ScrapeError> {
        let request = self
            .get(target.address, &target.path)
            .header(ACCEPT, exposition::ACCEPT)
            .header(ACCEPT_ENCODING, "gzip")
            .header("x-prometheus-scrape-timeout-seconds", self.timeout.as_secs_f64().to_string());
        let exposition = async {
            let response = send(request).await?;
            let format =
                Format::from_content_type(response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
            let _permit = self.read_permits.acquire().await;
            Ok((read(response, self.body_limit).await?, format))
        };
        let (body, format) =
            deadline.timeout(self.timeout, exposition).await.ok_or(ScrapeError::TimedOut(self.timeout))??;
        Ok(Exposition { body: decompress(body, self.body_limit)?, format })
    }

    async fn fetch(&self, address: SocketAddr, path: String) -> Result<Bytes, ScrapeError> {
        read(send(self.get(address, &path)).await?, MAX_STATS_BYTES).await
    }

    /// Closes the connection: the next scrape is a minute away, and Lambda allows 1,024 open files.
    fn get(&self, address: SocketAddr, path: &str) -> RequestBuilder {
        self.http.get(format!("http://{address}{path}")).header(CONNECTION, "close")
    }
}

async fn send(request: RequestBuilder) -> Result<Response, ScrapeError> {
    let response = request.send().await.map_err(failed)?;
    if response.status() == StatusCode::OK { Ok(response) } else { Err(ScrapeError::Status(response.status())) }
}

async fn read(mut response: Response, limit: usize) -> Result<Bytes, ScrapeError> {
    let declared = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    if declared > limit {
        return Err(ScrapeError::TooLarge(limit));
    }
    let mut body = Vec::with_capacity(declared);
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > limit {
            return Err(ScrapeError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn failed(error: reqwest::Error) -> ScrapeError {
    ScrapeError::Connection(root_cause(&error))
}

/// Decompresses a body that starts with the magic bytes of gzip (RFC 1952, section 2.3.1).
fn decompress(body: Bytes, limit: usize) -> Result<Bytes, ScrapeError> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body);
    }
    let exposition = read_capped(MultiGzDecoder::new(body.as_ref()), body.len(), limit).map_err(ScrapeError::Gzip)?;
    exposition.ok_or(ScrapeError::TooLarge(limit))
}

/// Returns the innermost cause, such as `connection refused`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
