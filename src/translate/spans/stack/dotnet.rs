//! Stack traces of .NET.

use super::text::{line_number, lines_below_first};
use super::trace::{CauseException, StackFrame, StackTrace};
use crate::translate::Compat;

const INNER: &str = "---> ";
const END_OF_INNER: &str = "--- End of inner exception stack trace ---";

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    let mut stack = StackTrace::default();
    // Inner exceptions are nested and come before the frames of the outer one. These are the positions of the open
    // ones.
    let mut open: Vec<usize> = Vec::new();
    let has_inner = !compat.ignores_inner_exceptions();
    for line in lines_below_first(text).map(str::trim) {
        if has_inner && line.starts_with(INNER) {
            open.push(stack.causes.len());
            stack.causes.push(cause(line));
        } else if has_inner && line == END_OF_INNER {
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

/// Parses `---> Type: message`, with or without `(Inner Exception #0) ` before the type.
fn cause(line: &str) -> CauseException<'_> {
    let header = line.strip_prefix(INNER).unwrap_or(line);
    let header = header.split_once(") ").filter(|(number, _)| number.starts_with('(')).map_or(header, |(_, rest)| rest);
    let (kind, message) = header.split_once(": ").unwrap_or((header, ""));
    CauseException { kind: kind.into(), message: message.into(), frames: Vec::new() }
}

/// Parses `at label in path:line 3` or `at label`.
fn frame(line: &str) -> Option<StackFrame<'_>> {
    let call = line.strip_prefix("at ")?;
    let mut parts = call.split(" in ");
    let label = parts.next()?;
    let Some(location) = parts.next() else {
        let end = call.rfind(')')?;
        return Some(StackFrame::new("", call.get(..=end)?, 0));
    };
    let Some((path, number)) = location.rsplit_once(':') else { return Some(StackFrame::new(location, label, 0)) };
    let number = if number.starts_with("line") { number.get(5..).unwrap_or_default() } else { number };
    Some(StackFrame::new(path, label, line_number(number)))
}
