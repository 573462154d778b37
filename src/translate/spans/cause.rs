//! The `cause` block: exceptions with their stacks, from the span's events or from its status.
//!
//! Rules: awsxrayexporter, `internal/translator/cause.go`.

use super::aws;
use super::flags;
use super::ids::{self, SpanId, TraceId};
use super::json::JsonWriter;
use super::key::{Attributes, Key};
use super::stack::{self, Language, StackFrame};
use super::value;
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{Event, Span, SpanKind, text};
use crate::translate::Compat;

/// What the block is made from, besides the attributes.
pub(super) struct CauseWriter<'c> {
    pub(super) span: &'c Span,
    pub(super) language: Language,
    pub(super) compat: Compat,
    pub(super) trace: &'c TraceId,
    /// Id of the document: its exceptions' ids are derived from it.
    pub(super) document: &'c SpanId,
}

/// What of the span the block tells.
#[derive(Default)]
pub(super) struct CauseOutcome {
    pub(super) status_message: bool,
    /// Places of the events that are wholly in the block.
    pub(super) events: Vec<usize>,
}

enum FailureEvent {
    Exception,
    AwsRequest,
}

impl CauseWriter<'_> {
    /// Writes the block, or nothing for a span without failure.
    pub(super) fn write(&self, json: &mut JsonWriter, attributes: &mut Attributes<'_>) -> CauseOutcome {
        let is_aws = aws::is_aws_call(attributes, self.compat);
        if self.span.events.iter().any(|event| failure(event, is_aws).is_some()) {
            return self.write_events(json, is_aws);
        }
        if !flags::is_error(self.span) {
            return CauseOutcome::default();
        }
        let stated = self.span.status.as_ref().map(|status| text(&status.message)).unwrap_or_default();
        let told = CauseOutcome { status_message: !stated.is_empty(), events: Vec::new() };
        let message = if stated.is_empty() { attributes.text(Key::HttpStatusText) } else { stated };
        // The collector takes the attribute even where it uses the status' message.
        match self.compat {
            Compat::Adot => attributes.consumed.insert(Key::HttpStatusText),
            Compat::Corrected => attributes.consume_if(Key::HttpStatusText, &message),
        }
        if !message.is_empty() {
            json.key("cause");
            json.open('{');
            json.key("exceptions");
            json.open('[');
            self.open_exception(json, [0, 0], "", &message);
            json.close('}');
            json.close(']');
            json.close('}');
        }
        told
    }

    fn write_events(&self, json: &mut JsonWriter, is_aws: bool) -> CauseOutcome {
        let mut told = CauseOutcome::default();
        json.key("cause");
        json.open('{');
        json.array_unless_empty("exceptions", |json| {
            for (at, event) in self.span.events.iter().enumerate() {
                let number = u32::try_from(at).unwrap_or(u32::MAX);
                let is_told = match failure(event, is_aws) {
                    Some(FailureEvent::Exception) => self.write_exception(json, event, number, &mut told),
                    Some(FailureEvent::AwsRequest) => self.write_aws_request(json, event, number),
                    None => false,
                };
                if is_told {
                    told.events.push(at);
                }
            }
        });
        json.close('}');
        told
    }

    /// Writes an event's exception and those that caused it. False where the event says more than that.
    fn write_exception(&self, json: &mut JsonWriter, event: &Event, number: u32, told: &mut CauseOutcome) -> bool {
        let exception = ExceptionEvent::read(event);
        let (kind, message) = (value::string(exception.kind), value::string(exception.message));
        let trace = value::string(exception.stack);
        let stack = stack::parse(self.language, &trace, self.compat);
        let last = u32::try_from(stack.causes.len()).unwrap_or(u32::MAX);
        let status_message = self.span.status.as_ref().map(|status| status.message.as_ref()).unwrap_or_default();
        told.status_message |= status_message == message.as_bytes();

        self.open_exception(json, [number, 0], &kind, &message);
        self.close_exception(json, &stack.frames, (last > 0).then_some([number, 1]));
        for (cause, at) in stack.causes.iter().zip(1..) {
            self.open_exception(json, [number, at], &cause.kind, &cause.message);
            self.close_exception(json, &cause.frames, (at < last).then_some([number, at + 1]));
        }
        !exception.has_other_attributes && (trace.is_empty() || !stack.is_empty())
    }

    /// A failed attempt of an AWS SDK's call: one of which the span itself may know nothing.
    fn write_aws_request(&self, json: &mut JsonWriter, event: &Event, number: u32) -> bool {
        let find = |key: &[u8]| event.attributes.iter().find(|a| a.key == key).map(value::content);
        let (Some(code), Some(message)) = (find(b"http.response.status_code"), find(b"aws.http.error_message")) else {
            return false;
        };
        let code = plain(code);
        #[expect(clippy::cast_precision_loss, reason = "printed to the microsecond")]
        let seconds = (event.time_unix_nano / 1000) as f64 / 1e6;
        let message = format!("{code}@{seconds:.6}@{}", value::string(message));
        self.open_exception(json, [number, 0], "aws.http.error.event", &message);
        json.boolean_field("remote", true);
        json.close('}');
        event.attributes.len() == 2
    }

    /// Starts an exception; more members may follow.
    fn open_exception(&self, json: &mut JsonWriter, number: [u32; 2], kind: &str, message: &str) {
        json.open('{');
        json.text_field("id", &self.id(number));
        json.text_field("type", kind);
        json.text_field("message", message);
    }

    fn close_exception(&self, json: &mut JsonWriter, frames: &[StackFrame<'_>], cause: Option<[u32; 2]>) {
        json.boolean_field("remote", matches!(value::kind(self.span), SpanKind::Client | SpanKind::Producer));
        if let Some(number) = cause {
            json.text_field("cause", &self.id(number));
        }
        json.array_unless_empty("stack", |json| {
            for frame in frames {
                json.open('{');
                json.text_field("path", &frame.path);
                json.text_field("label", &frame.label);
                json.key("line");
                json.int(frame.line);
                json.close('}');
            }
        });
        json.close('}');
    }

    fn id(&self, number: [u32; 2]) -> String {
        ids::hex(&ids::derive_id(self.trace, self.document, b"exception", number))
    }
}

fn failure(event: &Event, is_aws: bool) -> Option<FailureEvent> {
    match event.name.as_ref() {
        b"exception" => Some(FailureEvent::Exception),
        b"HTTP request failure" if is_aws => Some(FailureEvent::AwsRequest),
        _ => None,
    }
}

#[derive(Default)]
struct ExceptionEvent<'a> {
    kind: Option<&'a Value>,
    message: Option<&'a Value>,
    stack: Option<&'a Value>,
    /// Whether other attributes stand beside these.
    has_other_attributes: bool,
}

impl<'a> ExceptionEvent<'a> {
    fn read(event: &'a Event) -> Self {
        let mut exception = ExceptionEvent::default();
        for attribute in &event.attributes {
            let place = match attribute.key.as_ref() {
                b"exception.type" => &mut exception.kind,
                b"exception.message" => &mut exception.message,
                b"exception.stacktrace" => &mut exception.stack,
                key => {
                    // Whether it left the span: recorded by some SDKs with every exception, and deprecated.
                    exception.has_other_attributes |= key != b"exception.escaped";
                    continue;
                }
            };
            exception.has_other_attributes |= !matches!(value::content(attribute), Some(Value::String(_)) | None);
            if place.is_none() {
                *place = value::content(attribute);
            }
        }
        exception
    }
}

/// A value as plain text, whatever its type.
fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(bytes)) => text(bytes).into_owned(),
        Some(value) => {
            let mut json = JsonWriter::default();
            value::write(&mut json, value);
            json.into_text()
        }
        None => String::new(),
    }
}
