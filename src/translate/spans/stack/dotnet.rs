//! Stack traces of .NET.

use super::text::{line_number, lines_below_first};
use super::trace::{CauseException, StackFrame, StackTrace};
use crate::translate::Compat;

const INNER: &str = "---> ";
const END_OF_INNER: &str = "--- End of inner exception stack trace ---";
/// End of an inner exception of an `AggregateException`.
const END_OF_NUMBERED: &str = "<---";

/// Maximum length of the name of a type, which bounds the search for one after each arrow.
const MAX_TYPE_BYTES: usize = 512;

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    if compat.ignores_inner_exceptions() {
        let frames = lines_below_first(text).filter_map(|line| frame(line.trim())).collect();
        return StackTrace { frames, causes: Vec::new() };
    }
    let mut parser = Parser::default();
    for line in text.lines().map(str::trim) {
        parser.take(line);
    }
    parser.stack
}

#[derive(Default)]
struct Parser<'a> {
    stack: StackTrace<'a>,
    /// Inner exceptions are nested and come before the frames of the outer one. These are the positions of the open
    /// ones. An exception that is repeated has no position.
    open: Vec<usize>,
    /// Whether the frames of the current exception have begun, so that no message follows.
    has_frame: bool,
}

impl<'a> Parser<'a> {
    fn take(&mut self, line: &'a str) {
        let (line, is_end) = line.strip_suffix(END_OF_NUMBERED).map_or((line, false), |line| (line.trim_end(), true));
        if line == END_OF_INNER {
            self.open.pop();
            self.has_frame = true;
        } else if let Some(header) = line.strip_prefix(INNER) {
            self.open_all(header);
        } else if let Some(frame) = frame(line) {
            self.has_frame = true;
            match self.open.last() {
                None => self.stack.frames.push(frame),
                Some(&at) => {
                    if let Some(cause) = self.stack.causes.get_mut(at) {
                        cause.frames.push(frame);
                    }
                }
            }
        } else if !self.has_frame {
            self.split_header(line);
        }
        if is_end {
            self.open.pop();
        }
    }

    /// Opens the inner exceptions in a line of a message: .NET Framework does not begin a line for them.
    fn split_header(&mut self, line: &'a str) {
        if let Some((_, headers)) = split_at_type(line) {
            self.open_all(headers);
        }
    }

    /// Opens the inner exceptions whose headers arrows separate.
    fn open_all(&mut self, headers: &'a str) {
        let mut rest = Some(headers);
        while let Some(headers) = rest {
            let (header, next) = split_at_type(headers).map_or((headers, None), |(header, next)| (header, Some(next)));
            self.open_inner(header);
            rest = next;
        }
    }

    /// Opens an inner exception: `Type: message`, with or without `(Inner Exception #0) ` before the type. The
    /// inner exceptions of an `AggregateException` after the first did not cause the one before them.
    fn open_inner(&mut self, header: &'a str) {
        let numbered = header.strip_prefix("(Inner Exception #").and_then(|rest| rest.split_once(") "));
        let (kind, message) = split_kind(numbered.map_or(header, |(_, header)| header));
        // .NET Framework writes the first one twice.
        let is_repeated = numbered.is_some_and(|(number, _)| number == "0")
            && self.stack.causes.first().is_some_and(|cause| cause.kind == kind && cause.message == message);
        let is_sibling = numbered.is_some_and(|(number, _)| number != "0");
        self.has_frame = false;
        if is_repeated {
            return self.open.push(usize::MAX);
        }
        self.open.push(self.stack.causes.len());
        let cause = CauseException { kind: kind.into(), message: message.into(), is_sibling, ..Default::default() };
        self.stack.causes.push(cause);
    }
}

fn split_kind(header: &str) -> (&str, &str) {
    header.split_once(": ").unwrap_or((header.trim_end_matches(':'), ""))
}

/// Splits a text at the first arrow before the name of a type. Messages can contain arrows.
fn split_at_type(text: &str) -> Option<(&str, &str)> {
    const ARROW: &str = " ---> ";
    let after = |at: usize| text.get(at + ARROW.len()..).unwrap_or_default();
    let (at, _) = text.match_indices(ARROW).find(|(at, _)| has_type(after(*at)))?;
    Some((text.get(..at)?, after(at)))
}

/// Whether a header begins with the name of a type, which an arrow in a message does not precede.
fn has_type(header: &str) -> bool {
    let (kind, _) = split_kind(header.get(..header.floor_char_boundary(MAX_TYPE_BYTES)).unwrap_or_default());
    kind.contains('.') && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+`[],<>".contains(&byte))
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
