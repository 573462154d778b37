//! Messages of an SQS event source mapping (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An SQS message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqsMessage {
    pub id: String,
    pub receipt_handle: String,
    pub body: String,
    /// Number of times the message was received, including this one. 1 if the event has no count.
    pub receive_count: u32,
    /// Empty if the event does not name the queue.
    pub queue_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow, default)]
    receipt_handle: Cow<'a, str>,
    #[serde(borrow, default)]
    body: Cow<'a, str>,
    #[serde(borrow, default)]
    attributes: Option<Attributes<'a>>,
    #[serde(borrow, default, rename = "eventSourceARN")]
    queue_arn: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow, default, rename = "ApproximateReceiveCount")]
    receive_count: Cow<'a, str>,
}

/// Marker in the body of messages that this function sent.
#[derive(Deserialize)]
struct Marker<'a> {
    #[serde(borrow)]
    sidecarless: Cow<'a, str>,
}

impl SqsMessage {
    /// Parses the `Records` of an event.
    pub(super) fn from_records(records: &RawValue) -> Result<Vec<Self>, serde_json::Error> {
        let records: Vec<Record<'_>> = serde_json::from_str(records.get())?;
        Ok(records.into_iter().map(Record::message).collect())
    }

    /// Returns the value of the key `sidecarless` in the body, or `None` if this function did not send the message.
    pub fn message_type(&self) -> Option<String> {
        serde_json::from_str(&self.body).ok().map(|marker: Marker<'_>| marker.sidecarless.into_owned())
    }
}

impl Record<'_> {
    fn message(self) -> SqsMessage {
        let receive_count = self.attributes.and_then(|attributes| attributes.receive_count.parse().ok());
        SqsMessage {
            id: self.message_id.into_owned(),
            receipt_handle: self.receipt_handle.into_owned(),
            body: self.body.into_owned(),
            receive_count: receive_count.unwrap_or(1),
            queue_arn: self.queue_arn.into_owned(),
        }
    }
}

/// Returns whether all records of an event are from SQS.
pub(super) fn is_sqs(records: &RawValue) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe<'a> {
        #[serde(borrow, default)]
        event_source: Cow<'a, str>,
    }
    let probes: Result<Vec<Probe<'_>>, _> = serde_json::from_str(records.get());
    probes.is_ok_and(|probes| !probes.is_empty() && probes.iter().all(|probe| probe.event_source == "aws:sqs"))
}
