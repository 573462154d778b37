//! Lambda events and responses. No other module contains their JSON formats.
//!
//! One function serves every trigger, so the fields of an event determine its type. The order of the checks matters:
//! `requestContext.http` comes first, because the emulator of `cargo lambda` sets a wrong `httpMethod` on every Function URL
//! event. All other fields may be missing, null or unknown.

mod fields;
mod origin;
mod request;
mod request_path;
mod response;
mod sqs;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::model::arn::Arn;
use crate::model::service_event::ServiceEventKind;
use fields::Fields;

pub use origin::RequestOrigin;
pub use request::{Body, Caller, InvalidBody, Request};
pub use request_path::PathToken;
pub use response::{HttpResponse, Response};
pub use sqs::SqsMessage;

/// Label `trigger` of HTTP requests.
pub(crate) const HTTP_TRIGGER: &str = "http";

/// An event, parsed while the Lambda runtime deserializes it. The text of the event is not kept, so that a body of megabytes
/// is in memory only once, without base64.
#[derive(Debug)]
pub struct Event(pub(crate) Result<Invocation, UnknownEvent>);

/// Parsed event, by trigger.
#[derive(Debug)]
pub enum Invocation {
    ScheduledRun(ScheduledRun),
    /// Test of credentials, permissions and connectivity, invoked by an operator.
    Check,
    HttpRequest(Box<Request>),
    /// Shards and spooled items.
    SqsMessages(Vec<SqsMessage>),
    /// Log events of a subscription filter: base64 of gzip.
    LogEvents(String),
    TaskStateChange(TaskStateChange),
    ServiceChange(ServiceChange),
}

/// EventBridge event "ECS Task State Change".
#[derive(Clone, Debug)]
pub struct TaskStateChange {
    /// JSON of the task in its new state.
    pub detail: String,
    /// Time of the event in milliseconds since the epoch.
    pub at_ms: Option<i64>,
}

/// EventBridge event "ECS Deployment State Change" or "ECS Service Action".
#[derive(Clone, Debug)]
pub struct ServiceChange {
    pub kind: ServiceEventKind,
    /// Empty if the event has no resources.
    pub service_arn: String,
    /// JSON of what happened.
    pub detail: String,
    /// Time of the event in milliseconds since the epoch.
    pub at_ms: Option<i64>,
}

/// A scheduled run: discover, scrape and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduledRun {
    /// Scheduled time in milliseconds since the epoch, or `None` if the event has none.
    pub scheduled_ms: Option<i64>,
}

/// Error for an event that has an unknown type or cannot be parsed.
#[derive(Debug, Error)]
pub enum UnknownEvent {
    #[error("invalid event, not a JSON object: {0}")]
    NotJson(#[source] serde_json::Error),
    #[error("invalid {event_type} event: {source}")]
    Malformed { event_type: &'static str, source: serde_json::Error },
    #[error(
        "unknown event with keys {keys}: expected a scheduled run ({{\"sidecarless\":\"scrape\"}}), \
         an EventBridge scheduled event, ECS Task State Change, ECS Deployment State Change or ECS Service Action, SQS Records, awslogs.data, or an HTTP request with a \
         requestContext"
    )]
    Unknown { keys: String },
}

/// Event of a CloudWatch Logs subscription filter.
#[derive(Deserialize)]
struct AwsLogs {
    data: String,
}

impl Event {
    /// Parses the JSON of an event.
    pub fn parse(event: &str) -> Self {
        serde_json::from_str(event).unwrap_or_else(|error| Self(Err(UnknownEvent::NotJson(error))))
    }

    /// Adds the ARN that the function was invoked by. Lambda sends it with each event. The account in the context of a request is
    /// not used, because its meaning depends on the origin.
    #[must_use]
    pub fn invoked_as(mut self, function_arn: &str) -> Self {
        if let Ok(Invocation::HttpRequest(request)) = &mut self.0 {
            let account = Arn::parse(function_arn).map(|arn| arn.account).filter(|account| !account.is_empty());
            request.function_account = account.map(str::to_owned);
        }
        self
    }
}

impl<'de> Deserialize<'de> for Event {
    /// Fails only if the text is not a JSON object. Any other error is stored in the event.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fields::deserialize(deserializer).map(|fields| Self(Invocation::from_fields(fields)))
    }
}

impl Invocation {
    /// Parses the JSON of an event.
    pub fn parse(event: &str) -> Result<Self, UnknownEvent> {
        Event::parse(event).0
    }

    /// Returns the value of the label `trigger`.
    pub fn trigger(&self) -> &'static str {
        match self {
            Invocation::ScheduledRun(_) => "schedule",
            Invocation::Check => "check",
            Invocation::HttpRequest(_) => HTTP_TRIGGER,
            Invocation::SqsMessages(_) => "sqs",
            Invocation::LogEvents(_) => "log_events",
            Invocation::TaskStateChange(_) => "task_state_change",
            Invocation::ServiceChange(_) => "service_event",
        }
    }

    fn from_fields(mut fields: Fields<'_>) -> Result<Self, UnknownEvent> {
        if let Some(origin) = RequestOrigin::from_fields(&fields) {
            let malformed = |source| UnknownEvent::Malformed { event_type: origin.name(), source };
            return Request::parse(&mut fields, origin)
                .map(|request| Self::HttpRequest(Box::new(request)))
                .map_err(malformed);
        }
        if let Some(change) = ServiceChange::from_fields(&fields) {
            return Ok(Self::ServiceChange(change));
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
            let malformed = |source| UnknownEvent::Malformed { event_type: "SQS", source };
            return SqsMessage::from_records(records).map(Self::SqsMessages).map_err(malformed);
        }
        if let Some(logs) = fields.awslogs {
            let malformed = |source| UnknownEvent::Malformed { event_type: "CloudWatch Logs", source };
            let logs: AwsLogs = serde_json::from_str(logs.get()).map_err(malformed)?;
            return Ok(Self::LogEvents(logs.data));
        }
        Err(UnknownEvent::Unknown { keys: fields.listed_keys() })
    }
}

impl ServiceChange {
    fn from_fields(fields: &Fields<'_>) -> Option<Self> {
        let kind = ServiceEventKind::from_detail_type(&fields::text(fields.detail_type)?)?;
        let (service_arn, at_ms) = (fields::first_text(fields.resources), fields::time(fields.time));
        Some(Self { kind, service_arn, detail: fields.detail?.get().to_owned(), at_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduled_run_is_detected_by_marker_or_detail_type() {
        for (event, scheduled_ms) in [
            (r#"{"sidecarless":"scrape","at":"2026-11-22T23:25:00Z"}"#, Some(1_795_389_900_000)),
            (r#"{"sidecarless":"scrape","at":"<aws.scheduler.scheduled-time>"}"#, None),
            (r#"{"sidecarless":"scrape","at":null}"#, None),
            (r#"{"sidecarless":"scrape"}"#, None),
            (r#"{"detail-type":"Scheduled Event","time":"2026-11-22T23:25:00Z","detail":{}}"#, Some(1_795_389_900_000)),
            (r#"{"detail-type":"Scheduled Event","source":"aws.scheduler","time":7,"new-field":[{}]}"#, None),
        ] {
            match Invocation::parse(event) {
                Ok(Invocation::ScheduledRun(run)) => assert_eq!(run.scheduled_ms, scheduled_ms, "{event}"),
                other => panic!("{event}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_triggers_are_detected_by_their_fields() {
        let queue = r#"{"Records":[{"messageId":"m1","receiptHandle":"h","body":"{\"sidecarless\":\"shard\"}",
            "attributes":{"ApproximateReceiveCount":"3"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:r:1:q"},
            {"messageId":"m2","body":"text","eventSource":"aws:sqs"}]}"#;
        let Ok(Invocation::SqsMessages(messages)) = Invocation::parse(queue) else { panic!("{queue}") };
        let parsed: Vec<_> = messages.iter().map(|one| (&*one.id, one.receive_count, one.message_type())).collect();
        assert_eq!(parsed, [("m1", 3, Some("shard".to_owned())), ("m2", 1, None)]);
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
    fn service_event_has_kind_service_and_time() {
        for (detail_type, resources, expected) in [
            ("ECS Deployment State Change", r#"["arn:a","arn:b"]"#, Some((ServiceEventKind::Deployment, "arn:a"))),
            ("ECS Service Action", "[]", Some((ServiceEventKind::Action, ""))),
            ("ECS Service Action", r#"{"new":7}"#, Some((ServiceEventKind::Action, ""))),
            ("ECS Container Instance State Change", "[]", None),
        ] {
            let event = format!(
                r#"{{"detail-type":"{detail_type}","time":"2026-11-22T23:25:00Z","resources":{resources},"detail":{{}}}}"#
            );
            let change = match Invocation::parse(&event) {
                Ok(Invocation::ServiceChange(change)) => Some(change),
                Ok(other) => panic!("{event}: {other:?}"),
                Err(_) => None,
            };
            assert_eq!(change.as_ref().map(|change| (change.kind, &*change.service_arn)), expected, "{event}");
            assert!(change.is_none_or(|change| change.at_ms == Some(1_795_389_900_000) && change.detail == "{}"));
        }
    }

    #[test]
    fn sample_events_match_their_file_names() {
        let shards = Invocation::parse(include_str!("../../events/shards.json"));
        assert!(matches!(&shards, Ok(Invocation::SqsMessages(messages)) if messages.len() == 1), "{shards:?}");
        let stopped = Invocation::parse(include_str!("../../events/task-stopped.json"));
        assert!(matches!(&stopped, Ok(Invocation::TaskStateChange(change)) if change.at_ms.is_some()), "{stopped:?}");
        for (event, kind) in [
            (include_str!("../../events/deployment-failed.json"), ServiceEventKind::Deployment),
            (include_str!("../../events/service-action.json"), ServiceEventKind::Action),
        ] {
            let change = Invocation::parse(event);
            assert!(matches!(&change, Ok(Invocation::ServiceChange(change)) if change.kind == kind), "{change:?}");
        }
        let pushed = Invocation::parse(include_str!("../../events/container-insights.json"));
        assert!(matches!(&pushed, Ok(Invocation::LogEvents(data)) if data.starts_with("H4sI")), "{pushed:?}");
    }

    #[test]
    fn error_for_unknown_event_lists_its_keys() {
        for (event, expected) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("\"tick\"", "not a JSON object"),
            ("{}", "keys (none)"),
            (r#"{"sidecarless":"tock"}"#, "keys `sidecarless`"),
            (r#"{"detail-type":"Something Else","source":"aws.ec2"}"#, "keys `detail-type`, `source`"),
            (r#"{"requestContext":{"http":7}}"#, "invalid Function URL or HTTP API event"),
            (r#"{"Records":[{"eventSource":"aws:s3"}]}"#, "keys `Records`"),
            (r#"{"Records":[{"eventSource":"aws:sqs"}]}"#, "invalid SQS event"),
            (r#"{"awslogs":{}}"#, "invalid CloudWatch Logs event"),
            (r#"{"requestContext":{}}"#, "keys `requestContext`"),
        ] {
            match Invocation::parse(event) {
                Err(error) => assert!(error.to_string().contains(expected), "{event}: {error}"),
                Ok(invocation) => panic!("{event}: {invocation:?}"),
            }
        }
    }
}
