//! Records of events that failed. Lambda sends one to the dead-letter queue after its last attempt (AWS Lambda Developer Guide,
//! "Capturing records of Lambda asynchronous invocations").

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An event that failed in every attempt, or was too old for one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedEvent {
    /// Time of the record, in RFC 3339.
    timestamp: String,
    request_context: RequestContext,
    request_payload: Box<RawValue>,
    /// Missing if the event was too old.
    #[serde(default)]
    response_payload: Option<ResponsePayload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    /// `RetriesExhausted` or `EventAgeExceeded`.
    condition: String,
    approximate_invoke_count: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponsePayload {
    #[serde(default)]
    error_message: String,
}

impl FailedEvent {
    /// Parses the body of a message; `None` if it is not such a record.
    pub fn parse(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// Returns the JSON of the event.
    pub fn event(&self) -> &str {
        self.request_payload.get()
    }
}

impl fmt::Display for FailedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timestamp, request_context: context, .. } = self;
        let error = self.response_payload.as_ref().map_or("", |payload| payload.error_message.as_str());
        write!(f, "event of {timestamp}  {} after {} attempts", context.condition, context.approximate_invoke_count)?;
        if error.is_empty() { Ok(()) } else { write!(f, "  {error}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the developer guide.
    const RECORD: &str = r#"{"version": "1.0", "timestamp": "2019-11-14T18:16:05.568Z",
        "requestContext": {"requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e", "condition": "RetriesExhausted",
            "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST", "approximateInvokeCount": 3},
        "requestPayload": {"ORDER_IDS": ["9e07af03"]},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "RequestId: e4b46cbf Process exited before completing request"}}"#;

    #[test]
    fn record_contains_the_event_and_the_error() {
        let record = FailedEvent::parse(RECORD).expect("a record");
        assert_eq!(record.event(), r#"{"ORDER_IDS": ["9e07af03"]}"#);
        let text = "event of 2019-11-14T18:16:05.568Z  RetriesExhausted after 3 attempts  \
                    RequestId: e4b46cbf Process exited before completing request";
        assert_eq!(record.to_string(), text);
        let old = r#"{"timestamp": "t", "requestPayload": 7,
            "requestContext": {"condition": "EventAgeExceeded", "approximateInvokeCount": 0}}"#;
        assert_eq!(
            FailedEvent::parse(old).expect("a record").to_string(),
            "event of t  EventAgeExceeded after 0 attempts"
        );
    }

    #[test]
    fn other_messages_are_not_records() {
        for body in ["", "{}", r#"{"sidecarless":"spool","v":1}"#, r#"{"requestPayload":{}}"#] {
            assert!(FailedEvent::parse(body).is_none(), "{body}");
        }
    }
}
