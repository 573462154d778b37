//! Java, and PHP, whose SDK prints its traces the same way.

use std::borrow::Cow;

use super::{CauseException, StackFrame, StackTrace, line_number};
use crate::translate::Compat;

const CAUSED_BY: &str = "Caused by: ";

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    let mut stack = StackTrace::default();
    let mut lines = super::lines_below_first(text).peekable();
    let mut is_suppressed = false;
    while let Some(line) = lines.next() {
        if let Some(header) = line.strip_prefix(CAUSED_BY) {
            is_suppressed = false;
            let mut cause = cause(header);
            while let Some(more) = lines.next_if(|line| belongs_to_message(line, compat)) {
                let joint = if compat == Compat::Corrected { "\n" } else { "" };
                cause.message = Cow::Owned([cause.message.as_ref(), joint, more].concat());
            }
            stack.causes.push(cause);
        } else if compat == Compat::Corrected && line.starts_with("\tSuppressed: ") {
            is_suppressed = true;
        } else if let Some(frame) = frame(line).filter(|_| !is_suppressed) {
            stack.current().push(frame);
        }
    }
    stack
}

/// `\tat label(path:line)`.
fn frame(line: &str) -> Option<StackFrame<'_>> {
    let (label, inside) = line.strip_prefix("\tat ")?.strip_suffix(')')?.split_once('(')?;
    let label = label.split_once('/').map_or(label, |(_, label)| label);
    let (path, line) = inside.split_once(':').map_or((inside, 0), |(path, line)| (path, line_number(line)));
    Some(StackFrame::new(path, label, line))
}

fn cause(header: &str) -> CauseException<'_> {
    let (kind, message) = header.split_once(':').unwrap_or((header, ""));
    // The collector drops the character behind the colon, whatever it is.
    let mut message = message.chars();
    message.next();
    CauseException { kind: kind.into(), message: message.as_str().into(), frames: Vec::new() }
}

/// The collector takes every line up to the next frame for message; at best the next exception and `... 3 more` end it.
fn belongs_to_message(line: &str, compat: Compat) -> bool {
    let is_frame = line.starts_with("\tat ") && line.contains('(') && line.ends_with(')');
    let ends_message = ["\t...", CAUSED_BY, "\tSuppressed: "].iter().any(|start| line.starts_with(start));
    !is_frame && (compat == Compat::Adot || !ends_message)
}
