//! Log events that a CloudWatch Logs subscription filter pushes: decodes the `data` of the event into text lines.
//!
//! It accepts only the performance log groups of Container Insights, and does not parse the events: see
//! `translate::insights`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use thiserror::Error;

use crate::model::read_capped::read_capped;

/// A compressed batch has at most 6 MB, and log events compress tenfold.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// The payload of a subscription filter in one invocation.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LogData {
    message_type: String,
    /// Account of the log group.
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

/// Error of a batch that cannot be decoded.
#[derive(Debug, Error)]
pub enum LogDataError {
    #[error("invalid base64 in log events: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("invalid gzip in log events: {0}")]
    Gzip(#[from] std::io::Error),
    #[error("log events exceed {MAX_DECOMPRESSED_BYTES} bytes after decompression")]
    TooLarge,
    #[error("invalid JSON in log events: {0}")]
    Json(#[from] serde_json::Error),
    #[error("log group {0} does not belong to Container Insights: subscribe only its performance log groups")]
    LogGroup(String),
}

impl LogData {
    /// Decodes the `data` of an event: base64 of gzip of JSON (Amazon CloudWatch Logs User Guide, "Real-time processing
    /// of log data with subscriptions").
    pub fn decode(data: &str) -> Result<Self, LogDataError> {
        let compressed = STANDARD.decode(data)?;
        let json = read_capped(MultiGzDecoder::new(compressed.as_slice()), compressed.len(), MAX_DECOMPRESSED_BYTES)?;
        let json = json.ok_or(LogDataError::TooLarge)?;
        let log_data: Self = serde_json::from_slice(&json)?;
        match log_data.is_control_message() || log_data.cluster().is_some() {
            true => Ok(log_data),
            false => Err(LogDataError::LogGroup(log_data.log_group)),
        }
    }

    /// CloudWatch Logs sends control messages to test whether it can reach the function.
    pub fn is_control_message(&self) -> bool {
        self.message_type == "CONTROL_MESSAGE"
    }

    /// Returns the short name of the cluster, from the name of the log group.
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

    fn packed(json: &str) -> String {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(json.as_bytes()).expect("memory");
        STANDARD.encode(encoder.finish().expect("memory"))
    }

    #[test]
    fn log_data_is_decoded() {
        let data = packed(
            r#"{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"/aws/ecs/containerinsights/shop/performance",
                "logStream":"FargateTelemetry-1","subscriptionFilters":["f"],
                "logEvents":[{"id":"1","timestamp":1772613000000,"message":"{\"Type\":\"Task\"}"},{"id":"2","timestamp":1,"message":"x"}]}"#,
        );
        let log_data = LogData::decode(&data).expect("log data");
        assert_eq!(log_data.cluster(), Some("shop"));
        assert_eq!(log_data.messages().collect::<Vec<_>>(), [r#"{"Type":"Task"}"#, "x"]);
        assert!(!log_data.is_control_message());
    }

    #[test]
    fn invalid_log_data_is_an_error() {
        let group = r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/lambda/x","logEvents":[]}"#;
        let control = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logEvents":[]}"#;
        for (data, expected) in [
            ("!".to_owned(), "invalid base64"),
            (STANDARD.encode("text"), "invalid gzip"),
            (packed("text"), "invalid JSON"),
            (packed(group), "log group /aws/lambda/x does not belong"),
        ] {
            let error = LogData::decode(&data).expect_err("an error").to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(LogData::decode(&packed(control)).expect("a control message").is_control_message());
    }
}
