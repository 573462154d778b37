//! .NET.

use super::{CauseException, StackFrame, StackTrace, line_number};
use crate::translate::Compat;

const INNER: &str = "---> ";
const END_OF_INNER: &str = "--- End of inner exception stack trace ---";

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    let mut stack = StackTrace::default();
    // Inner exceptions stand nested before the frames of the outer one: the numbers of those that are open.
    let mut open: Vec<usize> = Vec::new();
    for line in super::lines_below_first(text).map(str::trim) {
        if compat == Compat::Corrected && line.starts_with(INNER) {
            open.push(stack.causes.len());
            stack.causes.push(cause(line));
        } else if compat == Compat::Corrected && line == END_OF_INNER {
            open.pop();
        } else if let Some(frame) = frame(line) {
            match open.last().and_then(|&at| stack.causes.get_mut(at)) {
                Some(cause) => cause.frames.push(frame),
                None => stack.frames.push(frame),
            }
        }
    }
    stack
}

/// `---> Type: message`, before it maybe `(Inner Exception #0) `.
fn cause(line: &str) -> CauseException<'_> {
    let header = line.strip_prefix(INNER).unwrap_or(line);
    let header = header.split_once(") ").filter(|(number, _)| number.starts_with('(')).map_or(header, |(_, rest)| rest);
    let (kind, message) = header.split_once(": ").unwrap_or((header, ""));
    CauseException { kind: kind.into(), message: message.into(), frames: Vec::new() }
}

/// `at label in path:line 3` or `at label`.
fn frame(line: &str) -> Option<StackFrame<'_>> {
    let call = line.strip_prefix("at ")?;
    let mut pieces = call.split(" in ");
    let label = pieces.next()?;
    let Some(location) = pieces.next() else {
        let end = call.rfind(')')?;
        return Some(StackFrame::new("", call.get(..=end)?, 0));
    };
    let Some((path, number)) = location.rsplit_once(':') else { return Some(StackFrame::new(location, label, 0)) };
    let number = if number.starts_with("line") { number.get(5..).unwrap_or_default() } else { number };
    Some(StackFrame::new(path, label, line_number(number)))
}
