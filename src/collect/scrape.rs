//! GET a page from a target: with a time-out, a cap on its size, and no redirects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::inflate::capped;
use super::pages::PageTarget;
use super::targets::StatsTarget;
use crate::deadline::Deadline;
use crate::model::exposition::{self, Format};

/// The most a stats document may weigh. Docker's stats of one container are 2 to 10 KB; a task has at most ten containers.
const STATS_BYTES: usize = 4 << 20;

/// Pages read side by side; each may weigh megabytes. Those that have yet to answer weigh nothing.
const PAGES_READ_AT_ONCE: usize = 16;

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
pub struct Page {
    pub body: Bytes,
    pub format: Format,
}

/// The two documents of a stats endpoint.
#[derive(Debug)]
pub struct StatsBodies {
    pub task: Bytes,
    pub stats: Bytes,
}

/// Fetches pages from targets.
#[derive(Clone, Debug)]
pub struct Scraper {
    http: reqwest::Client,
    timeout: Duration,
    page_bytes: usize,
    reading: Arc<Semaphore>,
}

impl Scraper {
    /// `timeout` covers a whole scrape; `page_bytes` is the most a page of metrics may weigh, before and after it is
    /// inflated. `http` must not follow redirects.
    pub fn new(http: reqwest::Client, timeout: Duration, page_bytes: usize) -> Self {
        Self { http, timeout, page_bytes, reading: Arc::new(Semaphore::new(PAGES_READ_AT_ONCE)) }
    }

    /// `/task` and `/task/stats` of a target, side by side.
    pub async fn stats(&self, target: &StatsTarget, deadline: &Deadline) -> Result<StatsBodies, ScrapeError> {
        let page = |page: &str| self.page(target.address, format!("{}{page}", target.path));
        let both = async { tokio::try_join!(page("/task"), page("/task/stats")) };
        let (task, stats) = deadline.within(self.timeout, both).await.ok_or(ScrapeError::TimedOut(self.timeout))??;
        Ok(StatsBodies { task, stats })
    }

    /// The page of a target that serves Prometheus' text format or OpenMetrics.
    pub async fn page_of(&self, target: &PageTarget, deadline: &Deadline) -> Result<Page, ScrapeError> {
        let request = self
            .get(target.address, &target.path)
            .header(ACCEPT, exposition::ACCEPT)
            .header(ACCEPT_ENCODING, "gzip")
            .header("x-prometheus-scrape-timeout-seconds", self.timeout.as_secs_f64().to_string());
        let page = async {
            let response = answered(request).await?;
            let format = Format::of(response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
            let _turn = self.reading.acquire().await;
            Ok((read(response, self.page_bytes).await?, format))
        };
        let (body, format) = deadline.within(self.timeout, page).await.ok_or(ScrapeError::TimedOut(self.timeout))??;
        Ok(Page { body: inflated(body, self.page_bytes)?, format })
    }

    async fn page(&self, address: SocketAddr, path: String) -> Result<Bytes, ScrapeError> {
        read(answered(self.get(address, &path)).await?, STATS_BYTES).await
    }

    /// A target is asked once a minute: a kept connection would only be one of Lambda's 1,024 open files.
    fn get(&self, address: SocketAddr, path: &str) -> RequestBuilder {
        self.http.get(format!("http://{address}{path}")).header(CONNECTION, "close")
    }
}

async fn answered(request: RequestBuilder) -> Result<Response, ScrapeError> {
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
fn inflated(body: Bytes, limit: usize) -> Result<Bytes, ScrapeError> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body);
    }
    let page = capped(MultiGzDecoder::new(body.as_ref()), body.len(), limit).map_err(ScrapeError::Gzip)?;
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
