//! Log events that a CloudWatch Logs subscription filter pushes: decodes the `data` of the event into text lines.
//!
//! It accepts only the performance log groups of Container Insights, and does not parse the events: see
//! `translate::insights`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::model::json::{self, DocumentError, JsonStr, NotText};
use crate::model::read_capped::read_capped;
use crate::work_budget::MemoryLimit;

/// A compressed batch has at most 6 MB, and log events compress tenfold.
const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// Maximum length of the name of a log group (CloudWatch Logs API Reference, "CreateLogGroup"). Its characters are ASCII.
const MAX_NAME_BYTES: usize = 512;

/// Maximum size of a log event (CloudWatch Logs quotas, "Log event size").
const MAX_EVENT_BYTES: usize = 1 << 20;

/// Longest escape of a byte in JSON, `\u001b`.
const MAX_ESCAPE_BYTES: usize = 6;

/// The decompressed payload of a subscription filter in one invocation.
#[derive(Debug)]
pub struct LogPayload(Bytes);

/// Content of a payload. Messages are decoded one at a time, because they are most of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogData<'a> {
    #[serde(borrow)]
    message_type: JsonStr<'a>,
    /// Account of the log group.
    #[serde(borrow, default)]
    pub owner: JsonStr<'a>,
    #[serde(borrow, default)]
    log_group: JsonStr<'a>,
    #[serde(borrow, default)]
    log_events: NotText<Vec<NotText<LogEntry<'a>>>>,
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
        let log_data: LogData<'_> = json::parse_object("JSON in log events", &self.0)?;
        match log_data.is_control_message() || log_data.cluster().is_some() {
            true => Ok(log_data),
            false => Err(LogDataError::LogGroup(log_data.log_group.chars().take(MAX_NAME_BYTES).collect())),
        }
    }
}

impl LogData<'_> {
    /// CloudWatch Logs sends control messages to test whether it can reach the function.
    pub fn is_control_message(&self) -> bool {
        &*self.message_type == "CONTROL_MESSAGE"
    }

    /// Returns the short name of the cluster, from the name of the log group.
    pub fn cluster(&self) -> Option<&str> {
        let name = Some(&*self.log_group).filter(|name| name.len() <= MAX_NAME_BYTES)?;
        name.strip_prefix("/aws/ecs/containerinsights/")?.strip_suffix("/performance")
    }

    /// Returns the messages. A message that is not text, or longer than CloudWatch Logs accepts, is empty.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.log_events.0.iter().map(|event| {
            let json = Some(event.0.message.get()).filter(|json| json.len() <= MAX_ESCAPE_BYTES * MAX_EVENT_BYTES + 2);
            let text = json.and_then(|json| serde_json::from_str::<String>(json).ok());
            text.filter(|text| text.len() <= MAX_EVENT_BYTES).unwrap_or_default()
        })
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
    fn error_quotes_only_the_start_of_a_text() {
        let long = "\u{ad}".repeat(1 << 20);
        for json in [
            format!("\"{long}\""),
            format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":"{long}"}}"#),
            format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":["{long}"]}}"#),
            format!(r#"{{"messageType":"DATA_MESSAGE","logGroup":"{long}"}}"#),
            format!(r#"{{"messageType":"DATA_MESSAGE","logGroup":"/aws/ecs/containerinsights/{long}/performance"}}"#),
        ] {
            let payload = decompress(&packed(&json)).expect("log data");
            let error = payload.parse().expect_err("an error").to_string();
            assert!(error.len() < 2_000, "{}", error.len());
        }
    }

    #[test]
    fn message_longer_than_a_log_event_is_empty() {
        let event = |text: &str| format!(r#"{{"message":"{text}"}}"#);
        let longest = "x".repeat(MAX_EVENT_BYTES);
        let escaped = "\\u0041".repeat(MAX_EVENT_BYTES);
        let events = [event(&longest), event(&format!("{longest}x")), event(&escaped), event(&format!("{escaped}x"))];
        let group = r#""messageType":"DATA_MESSAGE","logGroup":"/aws/ecs/containerinsights/a/performance""#;
        let payload = decompress(&packed(&format!(r#"{{{group},"logEvents":[{}]}}"#, events.join(","))));
        let payload = payload.expect("log data");
        let lengths: Vec<usize> = payload.parse().expect("log data").messages().map(|text| text.len()).collect();
        assert_eq!(lengths, [MAX_EVENT_BYTES, 0, MAX_EVENT_BYTES, 0]);
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
