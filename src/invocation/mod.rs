//! What Lambda hands over and takes back: the only place that knows those JSON shapes.
//!
//! One function serves every trigger, so an event is told apart by its fields. The order of the questions matters: the
//! emulator of `cargo lambda` puts a bogus `httpMethod` on every Function URL event, so `requestContext.http` is asked for
//! first. Everything but the fields that decide may be missing, null or unknown.

mod http;
mod reply;
mod sqs;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

pub use http::{Body, Caller, Door, Request};
pub use reply::{HttpReply, Reply};
pub use sqs::Message;

/// What this invocation is asked to do.
#[derive(Debug)]
pub enum Invocation<'a> {
    Tick(Tick),
    /// Is everything as it has to be: asked by a person.
    Check,
    Push(Box<Request<'a>>),
    /// From a queue: shards and what was spooled.
    Messages(Vec<Message>),
    /// Log events that a subscription filter pushes: base64 of gzip.
    LogEvents(Cow<'a, str>),
    TaskChange(TaskChange<'a>),
}

/// A task has changed its state: EventBridge's "ECS Task State Change".
#[derive(Clone, Copy, Debug)]
pub struct TaskChange<'a> {
    /// The task as it is now, as JSON.
    pub detail: &'a str,
    /// When the event was made, in milliseconds since the epoch.
    pub at_ms: Option<i64>,
}

/// Scrape all tasks now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
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

/// The top level of an event, each field untouched until it is known what the event is.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "requestContext")]
    request_context: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "httpMethod")]
    http_method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sidecarless: Option<&'a RawValue>,
    #[serde(borrow, default)]
    at: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow, default)]
    awslogs: Option<&'a RawValue>,
}

/// What CloudWatch Logs hands over.
#[derive(Deserialize)]
struct AwsLogs<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// The parts of a `requestContext` that tell one door from the other.
#[derive(Deserialize)]
struct ContextProbe<'a> {
    #[serde(borrow, default)]
    http: Option<&'a RawValue>,
    #[serde(borrow, default)]
    elb: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "serviceNetworkArn")]
    service_network_arn: Option<&'a RawValue>,
}

impl<'a> Invocation<'a> {
    /// What invoked, in a word.
    pub fn trigger(&self) -> &'static str {
        match self {
            Invocation::Tick(_) => "tick",
            Invocation::Check => "check",
            Invocation::Push(_) => "push",
            Invocation::Messages(_) => "messages",
            Invocation::LogEvents(_) => "log_events",
            Invocation::TaskChange(_) => "task_change",
        }
    }

    /// Reads an event; strings and bodies stay where they are.
    pub fn parse(event: &'a str) -> Result<Self, UnknownEvent> {
        let fields: Event<'a> = serde_json::from_str(event).map_err(UnknownEvent::NotJson)?;
        if let Some(door) = fields.door() {
            let request = Request::parse(event, door);
            let malformed = |source| UnknownEvent::Malformed { looks_like: door.name(), source };
            return request.map(|request| Invocation::Push(Box::new(request))).map_err(malformed);
        }
        if text(fields.sidecarless).as_deref() == Some("tick") {
            return Ok(Invocation::Tick(Tick { scheduled_ms: time(fields.at) }));
        }
        if text(fields.sidecarless).as_deref() == Some("check") {
            return Ok(Invocation::Check);
        }
        if text(fields.detail_type).as_deref() == Some("Scheduled Event") {
            return Ok(Invocation::Tick(Tick { scheduled_ms: time(fields.time) }));
        }
        if let (Some("ECS Task State Change"), Some(detail)) = (text(fields.detail_type).as_deref(), fields.detail) {
            return Ok(Invocation::TaskChange(TaskChange { detail: detail.get(), at_ms: time(fields.time) }));
        }
        if fields.records.is_some_and(sqs::is_sqs) {
            let malformed = |source| UnknownEvent::Malformed { looks_like: "an SQS event", source };
            return Message::of_event(event).map(Invocation::Messages).map_err(malformed);
        }
        if let Some(logs) = fields.awslogs {
            let malformed = |source| UnknownEvent::Malformed { looks_like: "pushed log events", source };
            let logs: AwsLogs<'a> = serde_json::from_str(logs.get()).map_err(malformed)?;
            return Ok(Invocation::LogEvents(logs.data));
        }
        Err(UnknownEvent::Unknown { keys: keys(event) })
    }
}

impl Event<'_> {
    fn door(&self) -> Option<Door> {
        let context = self.request_context?;
        let probe: ContextProbe<'_> = serde_json::from_str(context.get()).ok()?;
        if probe.http.is_some() {
            Some(Door::Url)
        } else if probe.elb.is_some() {
            Some(Door::LoadBalancer)
        } else if probe.service_network_arn.is_some() {
            Some(Door::Lattice)
        } else if self.http_method.is_some() {
            Some(Door::RestApi)
        } else {
            None
        }
    }
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// An RFC 3339 time in milliseconds; anything else, such as a placeholder that nothing has filled in, is no time.
fn time(value: Option<&RawValue>) -> Option<i64> {
    let time: jiff::Timestamp = text(value)?.parse().ok()?;
    Some(time.as_millisecond())
}

/// The first keys of an event, for the error that says what it looked like.
fn keys(event: &str) -> String {
    const SHOWN: usize = 8;
    let Ok(object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(event) else {
        return "(not an object)".into();
    };
    let shown = crate::model::refusal::listed(object.keys().take(SHOWN).map(|key| format!("`{}`", key.escape_debug())));
    if shown.is_empty() { "(none)".into() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_known_by_our_marker_or_by_the_detail_type() {
        for (event, scheduled_ms) in [
            (r#"{"sidecarless":"tick","at":"2026-11-22T23:25:00Z"}"#, Some(1_795_389_900_000)),
            (r#"{"sidecarless":"tick","at":"<aws.scheduler.scheduled-time>"}"#, None),
            (r#"{"sidecarless":"tick","at":null}"#, None),
            (r#"{"sidecarless":"tick"}"#, None),
            (r#"{"detail-type":"Scheduled Event","time":"2026-11-22T23:25:00Z","detail":{}}"#, Some(1_795_389_900_000)),
            (r#"{"detail-type":"Scheduled Event","source":"aws.scheduler","time":7,"new-field":[{}]}"#, None),
        ] {
            match Invocation::parse(event) {
                Ok(Invocation::Tick(tick)) => assert_eq!(tick.scheduled_ms, scheduled_ms, "{event}"),
                other => panic!("{event}: {other:?}"),
            }
        }
    }

    #[test]
    fn messages_log_events_and_task_changes_are_known_by_their_fields() {
        let queue = r#"{"Records":[{"messageId":"m1","receiptHandle":"h","body":"{\"sidecarless\":\"shard\"}",
            "attributes":{"ApproximateReceiveCount":"3"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:r:1:q"},
            {"messageId":"m2","body":"text","eventSource":"aws:sqs"}]}"#;
        let Ok(Invocation::Messages(messages)) = Invocation::parse(queue) else { panic!("{queue}") };
        let seen: Vec<_> = messages.iter().map(|one| (&*one.id, one.receive_count, one.kind())).collect();
        assert_eq!(seen, [("m1", 3, Some("shard".to_owned())), ("m2", 1, None)]);
        match Invocation::parse(r#"{"awslogs":{"data":"H4sI"}}"#) {
            Ok(Invocation::LogEvents(data)) => assert_eq!(data, "H4sI"),
            other => panic!("{other:?}"),
        }
        let change =
            r#"{"detail-type":"ECS Task State Change","time":"2026-11-22T23:25:00Z","detail":{"taskArn":"a"}}"#;
        match Invocation::parse(change) {
            Ok(Invocation::TaskChange(change)) => {
                assert_eq!((change.detail, change.at_ms), (r#"{"taskArn":"a"}"#, Some(1_795_389_900_000)));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_sample_events_are_what_they_are_named_for() {
        let shards = Invocation::parse(include_str!("../../events/shards.json"));
        assert!(matches!(&shards, Ok(Invocation::Messages(messages)) if messages.len() == 1), "{shards:?}");
        let stopped = Invocation::parse(include_str!("../../events/task-stopped.json"));
        assert!(matches!(&stopped, Ok(Invocation::TaskChange(change)) if change.at_ms.is_some()), "{stopped:?}");
        let pushed = Invocation::parse(include_str!("../../events/container-insights.json"));
        assert!(matches!(&pushed, Ok(Invocation::LogEvents(data)) if data.starts_with("H4sI")), "{pushed:?}");
    }

    #[test]
    fn an_unknown_event_is_named_by_what_it_looked_like() {
        for (event, expected) in [
            ("", "no JSON object"),
            ("[]", "keys (not an object)"),
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
