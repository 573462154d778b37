//! Log events that a CloudWatch Logs subscription filter pushes: decodes the `data` of the event into text lines.
//!
//! It accepts only the performance log groups of Container Insights, and does not parse the events: see
//! `translate::insights`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::model::json::{self, DocumentError};
use crate::model::read_capped::read_capped;
use crate::work_budget::MemoryLimit;

/// A compressed batch has at most 6 MB, and log events compress tenfold.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// Maximum length of the name of a log group (CloudWatch Logs API Reference, "CreateLogGroup").
const MAX_NAME_CHARS: usize = 512;

/// The decompressed payload of a subscription filter in one invocation.
#[derive(Debug)]
pub struct LogPayload(Bytes);

/// Content of a payload. Messages are decoded one at a time, because they are most of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogData<'a> {
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    /// Account of the log group.
    #[serde(borrow, default)]
    pub owner: Cow<'a, str>,
    #[serde(borrow, default)]
    log_group: Cow<'a, str>,
    #[serde(borrow, default)]
    log_events: Vec<LogEntry<'a>>,
}

#[derive(Debug, Deserialize)]
struct LogEntry<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
}

/// Error of a batch that cannot be decoded.
#[derive(Debug, Error)]
pub enum LogDataError {
    #[error("invalid base64 in log events: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("invalid gzip in log events: {0}")]
    Gzip(#[from] std::io::Error),
    #[error("log events exceed {0} bytes after decompression")]
    TooLarge(usize),
    #[error(transparent)]
    Json(#[from] DocumentError),
    #[error("log group {0} does not belong to Container Insights: subscribe only its performance log groups")]
    LogGroup(String),
}

impl LogPayload {
    /// Decompresses the `data` of an event: base64 of gzip of JSON (Amazon CloudWatch Logs User Guide, "Real-time processing
    /// of log data with subscriptions").
    pub fn decompress(data: &str, memory: MemoryLimit) -> Result<Self, LogDataError> {
        let compressed = STANDARD.decode(data)?;
        // The positions of small messages take as much memory as their text.
        let limit = MAX_DECOMPRESSED_BYTES.min(memory.available() / 3);
        let json = read_capped(MultiGzDecoder::new(compressed.as_slice()), compressed.len(), limit)?;
        json.map(Self).ok_or(LogDataError::TooLarge(limit))
    }

    /// Returns the content, of a performance log group of Container Insights or of a control message.
    pub fn parse(&self) -> Result<LogData<'_>, LogDataError> {
        let log_data: LogData<'_> = json::parse("JSON in log events", &self.0)?;
        match log_data.is_control_message() || log_data.cluster().is_some() {
            true => Ok(log_data),
            false => Err(LogDataError::LogGroup(log_data.log_group.chars().take(MAX_NAME_CHARS).collect())),
        }
    }
}

impl LogData<'_> {
    /// CloudWatch Logs sends control messages to test whether it can reach the function.
    pub fn is_control_message(&self) -> bool {
        self.message_type == "CONTROL_MESSAGE"
    }

    /// Returns the short name of the cluster, from the name of the log group.
    pub fn cluster(&self) -> Option<&str> {
        self.log_group.strip_prefix("/aws/ecs/containerinsights/")?.strip_suffix("/performance")
    }

    /// Returns the messages. A message that is not text is empty.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.log_events.iter().map(|event| serde_json::from_str(event.message.get()).unwrap_or_default())
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

    fn decompress(data: &str) -> Result<LogPayload, LogDataError> {
        LogPayload::decompress(data, MemoryLimit::unlimited())
    }

    #[test]
    fn payload_fits_into_the_memory_of_the_function() {
        let data = packed(&format!("\"{}\"", "x".repeat(40 << 20)));
        assert!(decompress(&data).is_ok());
        let result = LogPayload::decompress(&data, MemoryLimit::new(|| 0, Some(128)));
        assert!(matches!(result, Err(LogDataError::TooLarge(_))), "{result:?}");
    }

    #[test]
    fn log_data_is_decoded() {
        let data = packed(
            r#"{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"/aws/ecs/containerinsights/shop/performance",
                "logStream":"FargateTelemetry-1","subscriptionFilters":["f"],
                "logEvents":[{"id":"1","timestamp":1772613000000,"message":"{\"Type\":\"Task\"}"},{"id":"2","timestamp":1,"message":"x"}]}"#,
        );
        let payload = decompress(&data).expect("log data");
        let log_data = payload.parse().expect("log data");
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
            let error = match decompress(&data) {
                Ok(payload) => payload.parse().expect_err("an error").to_string(),
                Err(error) => error.to_string(),
            };
            assert!(error.contains(expected), "{error}");
        }
        let payload = decompress(&packed(control)).expect("a control message");
        assert!(payload.parse().expect("a control message").is_control_message());
    }
}
