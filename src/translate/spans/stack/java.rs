//! Stack traces of Java, and of PHP, whose SDK writes the same format.

use super::text::{line_number, lines_below_first};
use super::trace::{CauseException, StackFrame, StackTrace};
use crate::translate::Compat;

const CAUSED_BY: &str = "Caused by: ";

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    let mut stack = StackTrace::default();
    let mut lines = lines_below_first(text).peekable();
    let mut is_suppressed = false;
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix(CAUSED_BY) {
            is_suppressed = false;
            let mut cause = cause(header);
            while let Some(more) = lines.next_if(|line| belongs_to_message(line, compat)) {
                let message = cause.message.to_mut();
                if !compat.joins_java_messages() {
                    message.push('\n');
                }
                message.push_str(more);
            }
            stack.causes.push(cause);
        } else if !compat.joins_java_messages() && line.starts_with("\tSuppressed: ") {
            is_suppressed = true;
        } else if let Some(frame) = frame(line).filter(|_| !is_suppressed) {
            stack.current().push(frame);
        }
    }
    stack
}

/// Parses `\tat label(path:line)`.
fn frame(line: &str) -> Option<StackFrame<'_>> {
    let (label, inside) = line.strip_prefix("\tat ")?.strip_suffix(')')?.split_once('(')?;
    let label = label.split_once('/').map_or(label, |(_, label)| label);
    let (path, line) = inside.split_once(':').map_or((inside, 0), |(path, line)| (path, line_number(line)));
    Some(StackFrame::new(path, label, line))
}

fn cause(header: &str) -> CauseException<'_> {
    let (kind, message) = header.split_once(':').unwrap_or((header, ""));
    // The collector also removes any character after the colon.
    let mut message = message.chars();
    message.next();
    CauseException { kind: kind.into(), message: message.as_str().into(), frames: Vec::new() }
}

/// Whether a line continues the message. In adot mode, only a frame ends the message.
fn belongs_to_message(line: &str, compat: Compat) -> bool {
    let is_frame = line.starts_with("\tat ") && line.contains('(') && line.ends_with(')');
    let ends_message = ["\t...", CAUSED_BY, "\tSuppressed: "].iter().any(|start| line.starts_with(start));
    !is_frame && (compat.joins_java_messages() || !ends_message)
}
