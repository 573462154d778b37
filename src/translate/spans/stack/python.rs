//! Tracebacks of Python, which have the most recent call last.

use super::text::{leading_number, line_number};
use super::trace::{CauseException, StackFrame, StackTrace};

const DURING: &str = "During handling of the above exception, another exception occurred:";
const DIRECT: &str = "The above exception was the direct cause of the following exception:";

/// One traceback of a chain, in text order.
#[derive(Default)]
struct Traceback<'a> {
    frames: Vec<StackFrame<'a>>,
    header: &'a str,
    message: Vec<&'a str>,
}

/// Parses a chain from the top: the oldest exception is first, a marker follows each, and the event's exception is
/// last.
pub(super) fn parse(text: &str) -> StackTrace<'_> {
    let mut tracebacks = vec![Traceback::default()];
    for line in text.lines() {
        if line.starts_with(DURING) || line.starts_with(DIRECT) {
            tracebacks.push(Traceback::default());
        } else if let Some(traceback) = tracebacks.last_mut() {
            traceback.take(line);
        }
    }
    let mut stack = StackTrace::default();
    for (position, mut traceback) in tracebacks.into_iter().rev().enumerate() {
        traceback.frames.reverse();
        if position == 0 {
            stack.frames = traceback.frames;
        } else if !traceback.frames.is_empty() || !traceback.header.is_empty() {
            stack.causes.push(traceback.into_cause());
        }
    }
    stack
}

impl<'a> Traceback<'a> {
    fn take(&mut self, line: &'a str) {
        if let Some(frame) = frame(line) {
            self.frames.push(frame);
        } else if !self.header.is_empty() {
            self.message.push(line);
        } else if !line.starts_with(' ') && !line.is_empty() && !self.frames.is_empty() {
            self.header = line;
        }
    }

    fn into_cause(self) -> CauseException<'a> {
        let (kind, first) = self.header.split_once(": ").unwrap_or((self.header.trim_end_matches(':'), ""));
        let mut message = first.to_owned();
        for line in self.message {
            message.push('\n');
            message.push_str(line);
        }
        message.truncate(message.trim_end().len());
        CauseException { kind: kind.into(), message: message.into(), frames: self.frames }
    }
}

/// Parses `  File "path", line 3, in label`.
fn frame(line: &str) -> Option<StackFrame<'_>> {
    let (path, rest) = line.strip_prefix("  File \"")?.rsplit_once("\", line ")?;
    let (number, rest) = leading_number(rest)?;
    Some(StackFrame::new(path, rest.strip_prefix(", in ").unwrap_or_default(), number))
}

/// Parses a chain from the bottom, as the collector does.
pub(super) fn parse_upwards(text: &str) -> StackTrace<'_> {
    let lines: Vec<&str> = text.split('\n').collect();
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    let mut stack = StackTrace::default();
    let Some(mut at) = lines.len().checked_sub(2) else { return stack };
    loop {
        if line(at).starts_with("  File ") {
            stack.current().extend(frame_from_parts(line(at)));
        } else if line(at).starts_with(DURING) {
            let marker = at;
            let Some(file) = (0..marker).rev().find(|&above| line(above).starts_with("  File ")) else { return stack };
            let message = lines.get(file + 2..marker.saturating_sub(1)).unwrap_or_default().join("\n");
            let Some((kind, message)) = message.split_once(':') else { return stack };
            let mut message = message.chars();
            message.next();
            let message = message.as_str().to_owned();
            stack.causes.push(CauseException {
                kind: kind.to_owned().into(),
                message: message.into(),
                frames: Vec::new(),
            });
            at = file;
            continue;
        }
        match at.checked_sub(1) {
            Some(above) => at = above,
            None => return stack,
        }
    }
}

/// Parses a frame of three parts separated by commas. A path with a comma is ignored.
fn frame_from_parts(line: &str) -> Option<StackFrame<'_>> {
    let mut parts = line.split(',');
    let (file, number, label) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let path = file.get(8..file.len().checked_sub(1)?)?;
    let number = number.strip_prefix(" line ").map_or(0, line_number);
    Some(StackFrame::new(path, label.strip_prefix(" in ").unwrap_or_default(), number))
}
