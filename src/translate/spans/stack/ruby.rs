//! Stack traces of Ruby, in the format of `Exception#full_message`: causes follow the exception.

use super::text::leading_number;
use super::trace::{CauseException, StackFrame, StackTrace};

pub(super) fn parse(text: &str) -> StackTrace<'_> {
    let mut stack = StackTrace::default();
    for (position, line) in text.lines().enumerate() {
        let call = line.trim_start().strip_prefix("from ");
        let Some((frame, rest)) = frame(call.unwrap_or_else(|| line.trim_start())) else { continue };
        // A location followed by `: message (Type)` starts an exception. The first line starts the event's exception.
        if call.is_none()
            && position > 0
            && let Some(cause) = cause(rest)
        {
            stack.causes.push(cause);
        }
        stack.current().push(frame);
    }
    stack
}

/// Parses ``path:3:in `label'``, and returns the remaining line.
fn frame(text: &str) -> Option<(StackFrame<'_>, &str)> {
    let (at, _) = text.match_indices(':').find(|(at, _)| is_location(text.get(at + 1..).unwrap_or_default()))?;
    let (path, rest) = text.split_at_checked(at)?;
    let (number, rest) = leading_number(rest.get(1..)?)?;
    let rest = rest.strip_prefix(":in ").unwrap_or(rest);
    let quoted = rest.strip_prefix(['`', '\''])?;
    let (label, rest) = quoted.split_once('\'')?;
    Some((StackFrame::new(path, label, number), rest))
}

fn is_location(text: &str) -> bool {
    leading_number(text).is_some_and(|(_, rest)| rest.starts_with(":in "))
}

/// Parses `: message (Type)`.
fn cause(rest: &str) -> Option<CauseException<'_>> {
    let (message, kind) = rest.strip_prefix(": ")?.strip_suffix(')')?.rsplit_once(" (")?;
    Some(CauseException { kind: kind.into(), message: message.into(), frames: Vec::new(), is_sibling: false })
}
