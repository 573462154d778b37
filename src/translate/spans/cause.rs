//! The `cause` block: exceptions with their stacks, from the span events or from the span status.
//!
//! Rules: awsxrayexporter, `internal/translator/cause.go`.

use std::borrow::Cow;

use super::aws;
use super::flags;
use super::ids::{self, DocumentIds, SpanId};
use super::key::{Attributes, Key};
use super::limits::{self, Omitted};
use super::segment::Exception;
use super::stack::{self, CauseException, Language, StackTrace};
use super::{truncate, value};
use crate::model::escaped_json::JsonWriter;
use crate::model::otlp::SpanKind;
use crate::model::otlp::borrowed::Value;
use crate::model::otlp::borrowed::{Event, Span, text};
use crate::translate::Compat;

/// The input of the block, except the attributes.
pub(super) struct CauseReader<'c, 'a> {
    pub(super) span: &'a Span<'a>,
    pub(super) language: Language,
    pub(super) compat: Compat,
    /// The exception ids are derived from the ids of the document.
    pub(super) ids: &'c DocumentIds,
}

/// The block, and the parts of the span that it contains.
#[derive(Default)]
pub(super) struct CauseOutcome<'a> {
    /// `None` if the span has no failure, or a failed status without a message.
    pub(super) exceptions: Option<Vec<Exception<'a>>>,
    pub(super) has_status_message: bool,
    /// Positions of the events that the block contains in full.
    pub(super) events: Vec<usize>,
    /// Exceptions and frames for which the block has no space.
    pub(super) omitted: Omitted,
}

enum FailureEvent {
    Exception,
    AwsRequest,
}

impl<'a> CauseReader<'_, 'a> {
    /// Reads the block, and marks the attributes in it as consumed.
    pub(super) fn read(&self, attributes: &mut Attributes<'a>) -> CauseOutcome<'a> {
        let is_aws = aws::is_aws_call(attributes, self.compat);
        if self.span.events.iter().any(|event| failure(event, is_aws).is_some()) {
            return self.read_events(is_aws);
        }
        if !flags::is_error(self.span) {
            return CauseOutcome::default();
        }
        let status = self.span.status.as_ref().map(|status| text(status.message)).unwrap_or_default();
        let has_status_message = !status.is_empty();
        let message = if has_status_message { status } else { attributes.text(Key::HttpStatusText) };
        if self.compat.consumes_unused_keys() {
            attributes.consumed.insert(Key::HttpStatusText);
        } else {
            attributes.consume_if(Key::HttpStatusText, &message);
        }
        let exceptions = (!message.is_empty()).then(|| vec![self.exception([0, 0], Cow::Borrowed(""), message)]);
        CauseOutcome { exceptions, has_status_message, ..CauseOutcome::default() }
    }

    fn read_events(&self, is_aws: bool) -> CauseOutcome<'a> {
        let mut outcome = CauseOutcome::default();
        let mut exceptions = Vec::new();
        let status = self.span.status.as_ref().map(|status| status.message).unwrap_or_default();
        for (position, event) in self.span.events.iter().enumerate() {
            let number = u32::try_from(position).unwrap_or(u32::MAX);
            let is_complete = match failure(event, is_aws) {
                Some(_) if exceptions.len() >= limits::EXCEPTIONS => {
                    outcome.omitted.exceptions += 1;
                    true
                }
                Some(FailureEvent::Exception) => {
                    let source = ExceptionEvent::read(event);
                    outcome.has_status_message |= status == value::string(source.message).as_bytes();
                    self.read_exception(&source, number, &mut exceptions, &mut outcome.omitted)
                }
                Some(FailureEvent::AwsRequest) => self.read_aws_request(event, number, &mut exceptions),
                None => false,
            };
            if is_complete {
                outcome.events.push(position);
            }
        }
        cut_frames(&mut exceptions, &mut outcome.omitted);
        outcome.exceptions = Some(exceptions);
        outcome
    }

    /// Reads the exception of an event and the exceptions that caused it. Returns false if the event has further
    /// content.
    fn read_exception(
        &self,
        source: &ExceptionEvent<'a>,
        number: u32,
        exceptions: &mut Vec<Exception<'a>>,
        omitted: &mut Omitted,
    ) -> bool {
        let (mut stack, is_readable) = match value::string(source.stack) {
            Cow::Borrowed(text) => self.parse_stack(text, omitted),
            Cow::Owned(text) => {
                let (stack, is_readable) = self.parse_stack(&text, omitted);
                (stack.into_owned(), is_readable)
            }
        };
        let other = stack.causes.len().saturating_sub(limits::EXCEPTIONS);
        omitted.exceptions += other as u64;
        stack.causes.truncate(limits::EXCEPTIONS);
        let is_remote = matches!(value::kind(self.span), SpanKind::Client | SpanKind::Producer);
        let mut push = |at: u32, (kind, message, frames), next: Option<&CauseException<'_>>| {
            exceptions.push(Exception {
                remote: Some(is_remote),
                cause: next.filter(|next| !next.is_sibling).map(|_| self.exception_id([number, at + 1])),
                stack: frames,
                ..self.exception([number, at], kind, message)
            });
        };
        let mut causes = stack.causes.into_iter().peekable();
        push(0, (value::string(source.kind), value::string(source.message), stack.frames), causes.peek());
        let mut at = 0;
        while let Some(cause) = causes.next() {
            at += 1;
            push(at, (cause.kind, cause.message, cause.frames), causes.peek());
        }
        !source.has_other_attributes && is_readable
    }

    /// Parses a stack trace. Also returns whether the result contains it, which is false if nothing was recognized.
    fn parse_stack<'t>(&self, text: &'t str, omitted: &mut Omitted) -> (StackTrace<'t>, bool) {
        let (text, lines) = stack::limited(self.language, text);
        omitted.items += lines;
        let stack = stack::parse(self.language, text, self.compat);
        let is_readable = text.is_empty() || !stack.is_empty();
        (stack, is_readable)
    }

    /// Reads a failed attempt of an AWS SDK call, which the span itself may not record.
    fn read_aws_request(&self, event: &'a Event<'a>, number: u32, exceptions: &mut Vec<Exception<'a>>) -> bool {
        let find = |key: &[u8]| event.attributes.iter().find(|a| a.key == key).map(value::content);
        let (Some(code), Some(message)) = (find(b"http.response.status_code"), find(b"aws.http.error_message")) else {
            return false;
        };
        let code = plain(code);
        #[expect(clippy::cast_precision_loss, reason = "printed to the microsecond")]
        let seconds = (event.time_unix_nano / 1000) as f64 / 1e6;
        let message = format!("{code}@{seconds:.6}@{}", value::string(message));
        let kind = Cow::Borrowed("aws.http.error.event");
        exceptions.push(Exception { remote: Some(true), ..self.exception([number, 0], kind, Cow::Owned(message)) });
        event.attributes.len() == 2
    }

    /// Returns an exception without a stack. `number` is the position of its event, and its position in the chain.
    fn exception(&self, number: [u32; 2], kind: Cow<'a, str>, message: Cow<'a, str>) -> Exception<'a> {
        let id = self.exception_id(number);
        Exception { id, kind, message, remote: None, cause: None, stack: Vec::new(), truncated: 0 }
    }

    fn exception_id(&self, number: [u32; 2]) -> SpanId {
        ids::derive_id(&self.ids.trace, &self.ids.id, b"exception", number)
    }
}

/// Cuts the stacks of a document with more frames than it has space for to the same number of frames.
fn cut_frames(exceptions: &mut [Exception<'_>], omitted: &mut Omitted) {
    for keep in truncate::FRAMES {
        let frames: usize = exceptions.iter().map(|exception| exception.stack.len()).sum();
        if frames <= limits::FRAMES {
            return;
        }
        for exception in exceptions.iter_mut() {
            let cut = exception.stack.len().saturating_sub(keep) as u64;
            exception.stack.truncate(keep);
            exception.truncated += cut;
            omitted.frames += cut;
        }
    }
}

fn failure(event: &Event<'_>, is_aws: bool) -> Option<FailureEvent> {
    match event.name {
        b"exception" => Some(FailureEvent::Exception),
        b"HTTP request failure" if is_aws => Some(FailureEvent::AwsRequest),
        _ => None,
    }
}

#[derive(Default)]
struct ExceptionEvent<'a> {
    kind: Option<&'a Value<'a>>,
    message: Option<&'a Value<'a>>,
    stack: Option<&'a Value<'a>>,
    /// Whether the event has attributes that the block does not contain.
    has_other_attributes: bool,
}

impl<'a> ExceptionEvent<'a> {
    fn read(event: &'a Event<'a>) -> Self {
        let mut exception = ExceptionEvent::default();
        for attribute in &event.attributes {
            let field = match attribute.key {
                b"exception.type" => &mut exception.kind,
                b"exception.message" => &mut exception.message,
                b"exception.stacktrace" => &mut exception.stack,
                key => {
                    // `exception.escaped` is deprecated, and some SDKs record it with every exception.
                    exception.has_other_attributes |= key != b"exception.escaped";
                    continue;
                }
            };
            exception.has_other_attributes |= !matches!(value::content(attribute), Some(Value::String(_)) | None);
            if field.is_none() {
                *field = value::content(attribute);
            }
        }
        exception
    }
}

/// Returns a value of any type as plain text.
fn plain(value: Option<&Value<'_>>) -> String {
    match value {
        Some(Value::String(bytes)) => text(bytes).into_owned(),
        Some(value) => {
            let mut json = JsonWriter::with_limit(limits::BLOCK_BYTES);
            value::write(&mut json, value);
            json.into_escaped().to_text()
        }
        None => String::new(),
    }
}
