//! GET a page from a target: with a time-out, a cap on its size, and no redirects.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::CONNECTION;
use thiserror::Error;

use super::targets::StatsTarget;
use crate::deadline::Deadline;

/// The most a stats document may weigh. Docker's stats of one container are 2 to 10 KB; a task has at most ten containers.
const STATS_BYTES: usize = 4 << 20;

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
}

impl Scraper {
    /// `timeout` covers a whole scrape. `http` must not follow redirects.
    pub fn new(http: reqwest::Client, timeout: Duration) -> Self {
        Self { http, timeout }
    }

    /// `/task` and `/task/stats` of a target, side by side.
    pub async fn stats(&self, target: &StatsTarget, deadline: &Deadline) -> Result<StatsBodies, ScrapeError> {
        let page = |page: &str| self.page(target.address, format!("{}{page}", target.path));
        let both = async { tokio::try_join!(page("/task"), page("/task/stats")) };
        let (task, stats) = deadline.within(self.timeout, both).await.ok_or(ScrapeError::TimedOut(self.timeout))??;
        Ok(StatsBodies { task, stats })
    }

    async fn page(&self, address: SocketAddr, path: String) -> Result<Bytes, ScrapeError> {
        let failed = |error: reqwest::Error| ScrapeError::Connection(root_cause(&error));
        // A target is asked once a minute: a kept connection would only be one of Lambda's 1,024 open files.
        let request = self.http.get(format!("http://{address}{path}")).header(CONNECTION, "close");
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status(response.status()));
        }
        let declared = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        if declared > STATS_BYTES {
            return Err(ScrapeError::TooLarge(STATS_BYTES));
        }
        let mut body = Vec::with_capacity(declared);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > STATS_BYTES {
                return Err(ScrapeError::TooLarge(STATS_BYTES));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }
}

/// The innermost cause, which is what says `connection refused`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
