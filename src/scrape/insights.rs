//! The Container Insights client: reads the performance log events of one cluster and one minute with FilterLogEvents.
//!
//! Each scheduled run reads exactly one minute, long enough ago for its events to have arrived. No state is kept
//! between runs: no event is read by two runs, and a repeated run writes the same samples again. It does not parse the
//! events (`translate::insights`) or decode pushed ones (`scrape::log_data`). (Amazon CloudWatch User Guide, "Container
//! Insights performance log reference"; CloudWatch Logs API Reference, "FilterLogEvents".)

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::{FilterLogEventsError, FilterLogEventsOutput};
use futures_util::stream::{self, Stream};
use thiserror::Error;

use crate::aws::error::AwsError;
use crate::aws::rate_limiter::RateLimiter;
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;

const MINUTE_MS: i64 = 60_000;

/// The smaller regions allow 5 FilterLogEvents calls per second, and the quota cannot be raised (CloudWatch Logs
/// quotas).
const CALLS_PER_SECOND: u32 = 4;
const BURST: u32 = 4;

/// Filter for the event types that have series. The parser checks the type again.
const PATTERN: &str =
    r#"{ ($.Type = "Task") || ($.Type = "Container") || ($.Type = "Service") || ($.Type = "Cluster") }"#;

/// One minute of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteWindow {
    /// Milliseconds since the epoch, a full minute.
    pub start_ms: i64,
}

impl MinuteWindow {
    /// Returns the minute that starts `delay` before the minute of a scheduled run.
    pub fn for_run(run_ms: i64, delay: Duration) -> Self {
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let at_ms = run_ms.saturating_sub(run_ms.rem_euclid(MINUTE_MS)).saturating_sub(delay_ms);
        Self { start_ms: at_ms.saturating_sub(at_ms.rem_euclid(MINUTE_MS)) }
    }

    /// Returns the last millisecond of the minute. The end time of FilterLogEvents is inclusive.
    fn end_ms(self) -> i64 {
        self.start_ms + MINUTE_MS - 1
    }

    /// Returns the minute that contains a time.
    pub fn containing(at_ms: i64) -> Self {
        Self::for_run(at_ms, Duration::ZERO)
    }

    /// Returns the next minute.
    pub fn next(self) -> Self {
        Self { start_ms: self.start_ms + MINUTE_MS }
    }
}

/// Reads performance log events.
#[derive(Debug)]
pub struct InsightsClient {
    logs: Client,
    rate: RateLimiter,
}

/// Position and size of one page of a response.
struct PageRequest {
    limit: Option<i32>,
    token: Option<String>,
}

/// The events of a cluster could not be read.
#[derive(Debug, Error)]
#[error("FilterLogEvents failed for cluster {cluster}: {error}")]
pub struct InsightsError {
    /// Short name.
    cluster: String,
    pub error: AwsError,
}

impl InsightsClient {
    pub fn new(logs: Client) -> Self {
        Self { logs, rate: RateLimiter::new(CALLS_PER_SECOND, BURST) }
    }

    /// Reads at most one event, to test the permission. Returns `false` if the cluster has no log group, because
    /// Container Insights is off.
    pub async fn check_access(
        &self,
        cluster: &str,
        window: MinuteWindow,
        deadline: &Deadline,
    ) -> Result<bool, InsightsError> {
        let request = PageRequest { limit: Some(1), token: None };
        self.page(cluster, window, request, deadline).await.map(|page| page.is_some())
    }

    /// Reads the events of one cluster, given as a name or ARN, and one minute, in pages of up to 1 MB. Ends after an error. A
    /// cluster without a log group has no events: this is not an error.
    pub fn events<'a>(
        &'a self,
        cluster: &'a str,
        window: MinuteWindow,
        deadline: &'a Deadline,
    ) -> impl Stream<Item = Result<Vec<String>, InsightsError>> + 'a {
        stream::unfold(Some(None), move |next: Option<Option<String>>| async move {
            let request = PageRequest { limit: None, token: next? };
            match self.page(cluster, window, request, deadline).await {
                Ok(Some(page)) => {
                    let events = page.events.unwrap_or_default();
                    let events = events.into_iter().filter_map(|event| event.message).collect();
                    let token = page.next_token.filter(|token| !token.is_empty());
                    Some((Ok(events), token.map(Some)))
                }
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// Returns `None` if the log group does not exist.
    async fn page(
        &self,
        cluster: &str,
        window: MinuteWindow,
        page: PageRequest,
        deadline: &Deadline,
    ) -> Result<Option<FilterLogEventsOutput>, InsightsError> {
        let failed = |error| InsightsError { cluster: cluster_name(cluster).to_owned(), error };
        let request = self.logs.filter_log_events().log_group_name(log_group(cluster));
        let request = request.start_time(window.start_ms).end_time(window.end_ms()).filter_pattern(PATTERN);
        let request = Box::pin(request.set_limit(page.limit).set_next_token(page.token).send());
        if !self.rate.acquire(deadline).await {
            return Err(failed(AwsError::out_of_time()));
        }
        match deadline.timeout(deadline.remaining(), request).await {
            None => Err(failed(AwsError::out_of_time())),
            Some(Ok(output)) => Ok(Some(output)),
            Some(Err(error))
                if error.as_service_error().is_some_and(FilterLogEventsError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Some(Err(error)) => Err(failed(AwsError::from(&error))),
        }
    }
}

fn log_group(cluster: &str) -> String {
    format!("/aws/ecs/containerinsights/{}/performance", cluster_name(cluster))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn window_is_a_full_minute_before_the_run() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
        for (run, delay, expected) in [
            ("2026-03-04T09:05:00Z", 3 * MINUTE, "2026-03-04T09:02:00Z"),
            ("2026-03-04T09:05:59.999Z", 3 * MINUTE, "2026-03-04T09:02:00Z"),
            ("2026-03-04T09:05:07Z", Duration::from_secs(150), "2026-03-04T09:02:00Z"),
            ("2026-03-04T09:00:00Z", Duration::ZERO, "2026-03-04T09:00:00Z"),
        ] {
            let window = MinuteWindow::for_run(at(run), delay);
            assert_eq!(window.start_ms, at(expected), "{run} {delay:?}");
            assert_eq!(window.end_ms() - window.start_ms, 59_999);
        }
        let minutes: Vec<i64> =
            (0..5).map(|n| MinuteWindow::for_run(n * 60_000, 2 * MINUTE).start_ms / 60_000).collect();
        assert_eq!(minutes, [-2, -1, 0, 1, 2], "runs skip no minute and read none twice");
    }
}
