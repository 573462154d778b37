//! GET a page from a target: with a time-out, a cap on its size, and no redirects.

pub mod insights;
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

/// The most a stats document may weigh. Docker's stats of one container are 2 to 10 KB; a task has at most ten containers.
const MAX_STATS_BYTES: usize = 4 << 20;

/// Pages read side by side; each may weigh megabytes. Those that have yet to answer weigh nothing.
const READ_CONCURRENCY: usize = 16;

/// A scrape failed; the target is down.
#[derive(Debug, Error)]
pub enum ScrapeError {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the connection failed: {0}")]
    Connection(String),
    #[error("the target answered {0} instead of 200")]
    Status(StatusCode),
    #[error("the target answered with more than {0} bytes")]
    TooLarge(usize),
    #[error("the target's gzip is broken: {0}")]
    Gzip(std::io::Error),
}

/// A page of metrics, inflated.
#[derive(Debug)]
pub struct Exposition {
    pub body: Bytes,
    pub format: Format,
}

/// The two documents of a stats endpoint.
#[derive(Debug)]
pub struct TaskMetadataBodies {
    pub task: Bytes,
    pub stats: Bytes,
}

/// Fetches pages from targets.
#[derive(Clone, Debug)]
pub struct Scraper {
    http: reqwest::Client,
    timeout: Duration,
    body_limit: usize,
    read_permits: Arc<Semaphore>,
}

impl Scraper {
    /// `timeout` covers a whole scrape; `page_bytes` is the most a page of metrics may weigh, before and after it is
    /// inflated. `http` must not follow redirects.
    pub fn new(http: reqwest::Client, timeout: Duration, page_bytes: usize) -> Self {
        Self { http, timeout, body_limit: page_bytes, read_permits: Arc::new(Semaphore::new(READ_CONCURRENCY)) }
    }

    /// `/task` and `/task/stats` of a target, side by side.
    pub async fn scrape_stats(
        &self,
        target: &StatsTarget,
        deadline: &Deadline,
    ) -> Result<TaskMetadataBodies, ScrapeError> {
        let page = |page: &str| self.fetch(target.address, format!("{}{page}", target.path));
        let both = async { tokio::try_join!(page("/task"), page("/task/stats")) };
        let (task, stats) = deadline.timeout(self.timeout, both).await.ok_or(ScrapeError::TimedOut(self.timeout))??;
        Ok(TaskMetadataBodies { task, stats })
    }

    /// The page of a target that serves Prometheus' text format or OpenMetrics.
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
        let page = async {
            let response = send(request).await?;
            let format =
                Format::from_content_type(response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
            let _turn = self.read_permits.acquire().await;
            Ok((read(response, self.body_limit).await?, format))
        };
        let (body, format) =
            deadline.timeout(self.timeout, page).await.ok_or(ScrapeError::TimedOut(self.timeout))??;
        Ok(Exposition { body: decompress(body, self.body_limit)?, format })
    }

    async fn fetch(&self, address: SocketAddr, path: String) -> Result<Bytes, ScrapeError> {
        read(send(self.get(address, &path)).await?, MAX_STATS_BYTES).await
    }

    /// A target is asked once a minute: a kept connection would only be one of Lambda's 1,024 open files.
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

/// The page itself: its first bytes say whether it is compressed (RFC 1952, section 2.3.1).
fn decompress(body: Bytes, limit: usize) -> Result<Bytes, ScrapeError> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body);
    }
    let page = read_capped(MultiGzDecoder::new(body.as_ref()), body.len(), limit).map_err(ScrapeError::Gzip)?;
    page.ok_or(ScrapeError::TooLarge(limit))
}

/// The innermost cause, which is what says `connection refused`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
