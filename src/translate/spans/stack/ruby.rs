//! Ruby: `Exception#full_message`, the causes below the exception.

use super::{CauseException, StackFrame, StackTrace, leading_number};

pub(super) fn parse(text: &str) -> StackTrace<'_> {
    let mut stack = StackTrace::default();
    for (at, line) in text.lines().enumerate() {
        let call = line.trim_start().strip_prefix("from ");
        let Some((frame, rest)) = frame(call.unwrap_or_else(|| line.trim_start())) else { continue };
        // A place with `: message (Type)` behind it starts an exception: the event's own on the first line.
        if call.is_none()
            && at > 0
            && let Some(cause) = cause(rest)
        {
            stack.causes.push(cause);
        }
        stack.current().push(frame);
    }
    stack
}

/// ``path:3:in `label'``, with whatever follows it.
fn frame(text: &str) -> Option<(StackFrame<'_>, &str)> {
    let (at, _) = text.match_indices(':').find(|(at, _)| is_place(text.get(at + 1..).unwrap_or_default()))?;
    let (path, rest) = text.split_at_checked(at)?;
    let (number, rest) = leading_number(rest.get(1..)?)?;
    let rest = rest.strip_prefix(":in ").unwrap_or(rest);
    let quoted = rest.strip_prefix(['`', '\''])?;
    let (label, rest) = quoted.split_once('\'')?;
    Some((StackFrame::new(path, label, number), rest))
}

fn is_place(text: &str) -> bool {
    leading_number(text).is_some_and(|(_, rest)| rest.starts_with(":in "))
}

/// `: message (Type)`.
fn cause(rest: &str) -> Option<CauseException<'_>> {
    let (message, kind) = rest.strip_prefix(": ")?.strip_suffix(')')?.rsplit_once(" (")?;
    Some(CauseException { kind: kind.into(), message: message.into(), frames: Vec::new() })
}
