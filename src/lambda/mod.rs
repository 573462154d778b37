//! What Lambda hands over and takes back: the only place that knows those JSON shapes.
//!
//! One function serves every trigger, so an event is told apart by its fields. The order of the questions matters: the
//! emulator of `cargo lambda` puts a bogus `httpMethod` on every Function URL event, so `requestContext.http` is asked for
//! first. Everything but the fields that decide may be missing, null or unknown.

mod fields;
mod http;
mod response;
mod sqs;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use fields::Fields;

pub use http::{Body, Caller, Request, RequestOrigin};
pub use response::{HttpResponse, Response};
pub use sqs::SqsMessage;

/// An event as it arrived. It is read while the Lambda runtime takes it apart, once, and keeps nothing of its text: a body of
/// megabytes is in memory as the client sent it, and not in the event's base64 as well.
#[derive(Debug)]
pub struct Event(pub(crate) Result<Invocation, UnknownEvent>);

/// What this invocation is asked to do.
#[derive(Debug)]
pub enum Invocation {
    ScheduledRun(ScheduledRun),
    /// Is everything as it has to be: asked by a person.
    Check,
    HttpRequest(Box<Request>),
    /// From a queue: shards and what was spooled.
    SqsMessages(Vec<SqsMessage>),
    /// Log events that a subscription filter pushes: base64 of gzip.
    LogEvents(String),
    TaskStateChange(TaskStateChange),
}

/// A task has changed its state: EventBridge's "ECS Task State Change".
#[derive(Clone, Debug)]
pub struct TaskStateChange {
    /// The task as it is now, as JSON.
    pub detail: String,
    /// When the event was made, in milliseconds since the epoch.
    pub at_ms: Option<i64>,
}

/// Scrape all tasks now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduledRun {
    /// The time the schedule meant, in milliseconds since the epoch; `None` when the event does not say.
    pub scheduled_ms: Option<i64>,
}

/// The event is none of those this function is made for.
#[derive(Debug, Error)]
pub enum UnknownEvent {
    #[error("the event is no JSON object: {0}")]
    NotJson(#[source] serde_json::Error),
    #[error("the event looks like {looks_like}: {source}")]
    Malformed { looks_like: &'static str, source: serde_json::Error },
    #[error(
        "unknown event with the keys {keys}: expected a scheduler tick ({{\"sidecarless\":\"tick\"}}), \
         an EventBridge scheduled event or ECS Task State Change, SQS Records, awslogs.data, or an HTTP request with a \
         requestContext"
    )]
    Unknown { keys: String },
}

/// What CloudWatch Logs hands over.
#[derive(Deserialize)]
struct AwsLogs {
    data: String,
}

impl Event {
    /// Reads the text of an event.
    pub fn parse(event: &str) -> Self {
        serde_json::from_str(event).unwrap_or_else(|error| Self(Err(UnknownEvent::NotJson(error))))
    }
}

impl<'de> Deserialize<'de> for Event {
    /// Fails only where the text is no JSON object: what an object is not understood for is the event's own error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fields::deserialize(deserializer).map(|fields| Self(Invocation::from_fields(fields)))
    }
}

impl Invocation {
    /// Reads the text of an event.
    pub fn parse(event: &str) -> Result<Self, UnknownEvent> {
        Event::parse(event).0
    }

    /// What invoked, in a word.
    pub fn trigger(&self) -> &'static str {
        match self {
            Invocation::ScheduledRun(_) => "schedule",
            Invocation::Check => "check",
            Invocation::HttpRequest(_) => "http",
            Invocation::SqsMessages(_) => "sqs",
            Invocation::LogEvents(_) => "log_events",
            Invocation::TaskStateChange(_) => "task_state_change",
        }
    }

    fn from_fields(fields: Fields<'_>) -> Result<Self, UnknownEvent> {
        if let Some(door) = fields.request_origin() {
            let malformed = |source| UnknownEvent::Malformed { looks_like: door.name(), source };
            return Request::read(&fields, door).map(|request| Self::HttpRequest(Box::new(request))).map_err(malformed);
        }
        match (fields::text(fields.sidecarless).as_deref(), fields::text(fields.detail_type).as_deref(), fields.detail)
        {
            (Some("scrape"), ..) => {
                return Ok(Self::ScheduledRun(ScheduledRun { scheduled_ms: fields::time(fields.at) }));
            }
            (Some("check"), ..) => return Ok(Self::Check),
            (_, Some("Scheduled Event"), _) => {
                return Ok(Self::ScheduledRun(ScheduledRun { scheduled_ms: fields::time(fields.time) }));
            }
            (_, Some("ECS Task State Change"), Some(detail)) => {
                let detail = detail.get().to_owned();
                return Ok(Self::TaskStateChange(TaskStateChange { detail, at_ms: fields::time(fields.time) }));
            }
            _ => {}
        }
        if let Some(records) = fields.records.filter(|records| sqs::is_sqs(records)) {
            let malformed = |source| UnknownEvent::Malformed { looks_like: "an SQS event", source };
            return SqsMessage::from_records(records).map(Self::SqsMessages).map_err(malformed);
        }
        if let Some(logs) = fields.awslogs {
            let malformed = |source| UnknownEvent::Malformed { looks_like: "pushed log events", source };
            let logs: AwsLogs = serde_json::from_str(logs.get()).map_err(malformed)?;
            return Ok(Self::LogEvents(logs.data));
        }
        Err(UnknownEvent::Unknown { keys: fields.listed() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_known_by_our_marker_or_by_the_detail_type() {
        for (event, scheduled_ms) in [
            (r#"{"sidecarless":"scrape","at":"2026-11-22T23:25:00Z"}"#, Some(1_795_389_900_000)),
            (r#"{"sidecarless":"scrape","at":"<aws.scheduler.scheduled-time>"}"#, None),
            (r#"{"sidecarless":"scrape","at":null}"#, None),
            (r#"{"sidecarless":"scrape"}"#, None),
            (r#"{"detail-type":"Scheduled Event","time":"2026-11-22T23:25:00Z","detail":{}}"#, Some(1_795_389_900_000)),
            (r#"{"detail-type":"Scheduled Event","source":"aws.scheduler","time":7,"new-field":[{}]}"#, None),
        ] {
            match Invocation::parse(event) {
                Ok(Invocation::ScheduledRun(tick)) => assert_eq!(tick.scheduled_ms, scheduled_ms, "{event}"),
                other => panic!("{event}: {other:?}"),
            }
        }
    }

    #[test]
    fn messages_log_events_and_task_changes_are_known_by_their_fields() {
        let queue = r#"{"Records":[{"messageId":"m1","receiptHandle":"h","body":"{\"sidecarless\":\"shard\"}",
            "attributes":{"ApproximateReceiveCount":"3"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:r:1:q"},
            {"messageId":"m2","body":"text","eventSource":"aws:sqs"}]}"#;
        let Ok(Invocation::SqsMessages(messages)) = Invocation::parse(queue) else { panic!("{queue}") };
        let seen: Vec<_> = messages.iter().map(|one| (&*one.id, one.receive_count, one.message_type())).collect();
        assert_eq!(seen, [("m1", 3, Some("shard".to_owned())), ("m2", 1, None)]);
        match Invocation::parse(r#"{"awslogs":{"data":"H4sI"}}"#) {
            Ok(Invocation::LogEvents(data)) => assert_eq!(data, "H4sI"),
            other => panic!("{other:?}"),
        }
        let change =
            r#"{"detail-type":"ECS Task State Change","time":"2026-11-22T23:25:00Z","detail":{"taskArn":"a"}}"#;
        match Invocation::parse(change) {
            Ok(Invocation::TaskStateChange(change)) => {
                assert_eq!((&*change.detail, change.at_ms), (r#"{"taskArn":"a"}"#, Some(1_795_389_900_000)));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_sample_events_are_what_they_are_named_for() {
        let shards = Invocation::parse(include_str!("../../events/shards.json"));
        assert!(matches!(&shards, Ok(Invocation::SqsMessages(messages)) if messages.len() == 1), "{shards:?}");
        let stopped = Invocation::parse(include_str!("../../events/task-stopped.json"));
        assert!(matches!(&stopped, Ok(Invocation::TaskStateChange(change)) if change.at_ms.is_some()), "{stopped:?}");
        let pushed = Invocation::parse(include_str!("../../events/container-insights.json"));
        assert!(matches!(&pushed, Ok(Invocation::LogEvents(data)) if data.starts_with("H4sI")), "{pushed:?}");
    }

    #[test]
    fn an_unknown_event_is_named_by_what_it_looked_like() {
        for (event, expected) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("\"tick\"", "no JSON object"),
            ("{}", "keys (none)"),
            (r#"{"sidecarless":"tock"}"#, "keys `sidecarless`"),
            (r#"{"detail-type":"Something Else","source":"aws.ec2"}"#, "keys `detail-type`, `source`"),
            (r#"{"requestContext":{"http":7}}"#, "a Function URL or HTTP API request"),
            (r#"{"Records":[{"eventSource":"aws:s3"}]}"#, "keys `Records`"),
            (r#"{"Records":[{"eventSource":"aws:sqs"}]}"#, "looks like an SQS event"),
            (r#"{"awslogs":{}}"#, "looks like pushed log events"),
            (r#"{"requestContext":{}}"#, "keys `requestContext`"),
        ] {
            match Invocation::parse(event) {
                Err(error) => assert!(error.to_string().contains(expected), "{event}: {error}"),
                Ok(invocation) => panic!("{event}: {invocation:?}"),
            }
        }
    }
}
