//! Container Insights performance log events: read for one minute of one cluster, or unpacked from what a subscription
//! filter pushes.
//!
//! A tick reads a slot and not a window: exactly one minute, long enough ago for its events to have arrived. Nothing has
//! to be remembered, no event is read by two ticks, and a tick that is repeated writes the same samples again.
//! (Amazon CloudWatch User Guide, "Container Insights performance log reference"; CloudWatch Logs API Reference,
//! "FilterLogEvents".)

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::{FilterLogEventsError, FilterLogEventsOutput};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use thiserror::Error;

use crate::aws::error::AwsError;
use crate::aws::rate_limiter::RateLimiter;
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;
use crate::model::read_capped::read_capped;

const MINUTE_MS: i64 = 60_000;

/// FilterLogEvents is allowed 5 calls a second in the smaller regions, and more cannot be had (CloudWatch Logs quotas).
const CALLS_PER_SECOND: u32 = 4;
const BURST: u32 = 4;

/// The events that have series. What passes all the same is told apart again when it is read.
const PATTERN: &str =
    r#"{ ($.Type = "Task") || ($.Type = "Container") || ($.Type = "Service") || ($.Type = "Cluster") }"#;

/// The most a pushed batch may inflate to. One is 6 MB at the most as it comes; log events compress tenfold.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// One minute of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteWindow {
    /// Milliseconds since the epoch, on the minute.
    pub start_ms: i64,
}

impl MinuteWindow {
    /// The minute that lies `lag` before the minute of a tick.
    pub fn for_run(tick_ms: i64, lag: Duration) -> Self {
        let lag_ms = i64::try_from(lag.as_millis()).unwrap_or(i64::MAX);
        let at_ms = tick_ms.saturating_sub(tick_ms.rem_euclid(MINUTE_MS)).saturating_sub(lag_ms);
        Self { start_ms: at_ms.saturating_sub(at_ms.rem_euclid(MINUTE_MS)) }
    }

    /// The last millisecond of the minute: FilterLogEvents counts it in.
    fn end_ms(self) -> i64 {
        self.start_ms + MINUTE_MS - 1
    }

    /// The slot that `at_ms` lies in.
    pub fn containing(at_ms: i64) -> Self {
        Self::for_run(at_ms, Duration::ZERO)
    }

    /// The slot after this one.
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

/// What was read of one cluster; pages before one that failed are kept.
#[derive(Debug, Default)]
pub struct PollResult {
    pub events: Vec<String>,
    pub error: Option<InsightsError>,
}

/// Which page, and how much of it.
struct PageRequest {
    limit: Option<i32>,
    token: Option<String>,
}

/// The events of a cluster could not be read.
#[derive(Debug, Error)]
#[error("FilterLogEvents failed for cluster {cluster}: {error}")]
pub struct InsightsError {
    cluster: String,
    pub error: AwsError,
}

impl InsightsClient {
    pub fn new(logs: Client) -> Self {
        Self { logs, rate: RateLimiter::new(CALLS_PER_SECOND, BURST) }
    }

    /// Reads at most one event of a minute, to see whether that may be done. `false`: the cluster has no log group, because
    /// Container Insights is not on.
    pub async fn check_access(
        &self,
        cluster: &str,
        slot: MinuteWindow,
        deadline: &Deadline,
    ) -> Result<bool, InsightsError> {
        let first = self.page(cluster, slot, PageRequest { limit: Some(1), token: None }, deadline).await;
        let failed = |error| InsightsError { cluster: cluster_name(cluster).to_owned(), error };
        first.map(|page| page.is_some()).map_err(failed)
    }

    /// The events of one cluster, by name or ARN, and one minute. A cluster without Container Insights has no log group,
    /// and so no events: that is no failure.
    pub async fn events(&self, cluster: &str, slot: MinuteWindow, deadline: &Deadline) -> PollResult {
        let (mut polled, mut token) = (PollResult::default(), None);
        loop {
            match self.page(cluster, slot, PageRequest { limit: None, token }, deadline).await {
                Ok(Some(page)) => {
                    let events = page.events.unwrap_or_default();
                    polled.events.extend(events.into_iter().filter_map(|event| event.message));
                    token = page.next_token.filter(|token| !token.is_empty());
                }
                Ok(None) => return polled,
                Err(error) => {
                    let cluster = cluster_name(cluster).to_owned();
                    return PollResult { error: Some(InsightsError { cluster, error }), ..polled };
                }
            }
            if token.is_none() {
                return polled;
            }
        }
    }

    /// `None`: there is no such log group.
    async fn page(
        &self,
        cluster: &str,
        slot: MinuteWindow,
        ask: PageRequest,
        deadline: &Deadline,
    ) -> Result<Option<FilterLogEventsOutput>, AwsError> {
        let request = self.logs.filter_log_events().log_group_name(log_group(cluster));
        let request = request.start_time(slot.start_ms).end_time(slot.end_ms()).filter_pattern(PATTERN);
        let request = Box::pin(request.set_limit(ask.limit).set_next_token(ask.token).send());
        if !self.rate.acquire(deadline).await {
            return Err(AwsError::out_of_time());
        }
        match deadline.timeout(deadline.remaining(), request).await.ok_or_else(AwsError::out_of_time)? {
            Ok(page) => Ok(Some(page)),
            Err(error)
                if error.as_service_error().is_some_and(FilterLogEventsError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(AwsError::from(&error)),
        }
    }
}

fn log_group(cluster: &str) -> String {
    format!("/aws/ecs/containerinsights/{}/performance", cluster_name(cluster))
}

/// What a subscription filter pushes in one invocation.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LogData {
    message_type: String,
    /// The account of the log group.
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    log_group: String,
    #[serde(default)]
    log_events: Vec<LogEntry>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct LogEntry {
    message: String,
}

/// What was pushed is no batch of log events.
#[derive(Debug, Error)]
pub enum LogDataError {
    #[error("the log events are no base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("the log events are no gzip: {0}")]
    Gzip(#[from] std::io::Error),
    #[error("the log events inflate to more than {MAX_DECOMPRESSED_BYTES} bytes")]
    TooLarge,
    #[error("the log events are no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the log group {0} is none of Container Insights")]
    LogGroup(String),
}

impl LogData {
    /// Reads the `data` of a batch: base64 of gzip of JSON (Amazon CloudWatch Logs User Guide, "Real-time processing of
    /// log data with subscriptions").
    pub fn decode(data: &str) -> Result<Self, LogDataError> {
        let compressed = STANDARD.decode(data)?;
        let json = read_capped(MultiGzDecoder::new(compressed.as_slice()), compressed.len(), MAX_DECOMPRESSED_BYTES)?;
        let json = json.ok_or(LogDataError::TooLarge)?;
        let pushed: Self = serde_json::from_slice(&json)?;
        match pushed.is_control_message() || pushed.cluster().is_some() {
            true => Ok(pushed),
            false => Err(LogDataError::LogGroup(pushed.log_group)),
        }
    }

    /// CloudWatch Logs tries out, with a message of this kind, whether it can reach the function.
    pub fn is_control_message(&self) -> bool {
        self.message_type == "CONTROL_MESSAGE"
    }

    /// The short name of the cluster, by the name of its log group.
    pub fn cluster(&self) -> Option<&str> {
        self.log_group.strip_prefix("/aws/ecs/containerinsights/")?.strip_suffix("/performance")
    }

    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.log_events.iter().map(|event| event.message.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_slot_is_one_whole_minute_whenever_the_tick_fires() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
        for (tick, lag, expected) in [
            ("2026-03-04T09:05:00Z", 3 * MINUTE, "2026-03-04T09:02:00Z"),
            ("2026-03-04T09:05:59.999Z", 3 * MINUTE, "2026-03-04T09:02:00Z"),
            ("2026-03-04T09:05:07Z", Duration::from_secs(150), "2026-03-04T09:02:00Z"),
            ("2026-03-04T09:00:00Z", Duration::ZERO, "2026-03-04T09:00:00Z"),
        ] {
            let slot = MinuteWindow::for_run(at(tick), lag);
            assert_eq!(slot.start_ms, at(expected), "{tick} {lag:?}");
            assert_eq!(slot.end_ms() - slot.start_ms, 59_999);
        }
        let slots: Vec<i64> = (0..5).map(|n| MinuteWindow::for_run(n * 60_000, 2 * MINUTE).start_ms / 60_000).collect();
        assert_eq!(slots, [-2, -1, 0, 1, 2], "ticks leave no minute out and read none twice");
    }

    fn packed(json: &str) -> String {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(json.as_bytes()).expect("memory");
        STANDARD.encode(encoder.finish().expect("memory"))
    }

    #[test]
    fn a_pushed_batch_is_unpacked() {
        let data = packed(
            r#"{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"/aws/ecs/containerinsights/shop/performance",
                "logStream":"FargateTelemetry-1","subscriptionFilters":["f"],
                "logEvents":[{"id":"1","timestamp":1772613000000,"message":"{\"Type\":\"Task\"}"},{"id":"2","timestamp":1,"message":"x"}]}"#,
        );
        let pushed = LogData::decode(&data).expect("it is a batch");
        assert_eq!(pushed.cluster(), Some("shop"));
        assert_eq!(pushed.messages().collect::<Vec<_>>(), [r#"{"Type":"Task"}"#, "x"]);
        assert!(!pushed.is_control_message());
    }

    #[test]
    fn what_is_no_batch_says_what_is_wrong() {
        let group = r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/lambda/x","logEvents":[]}"#;
        let control = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logEvents":[]}"#;
        for (data, expected) in [
            ("!".to_owned(), "no base64"),
            (STANDARD.encode("text"), "no gzip"),
            (packed("text"), "no JSON"),
            (packed(group), "the log group /aws/lambda/x is none"),
        ] {
            let error = LogData::decode(&data).expect_err("it is none").to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(LogData::decode(&packed(control)).expect("it is a trial").is_control_message());
    }
}
