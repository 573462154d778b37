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
            let mut cause = cause(header, compat);
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
        } else if let Some(frame) = frame(line, compat).filter(|_| !is_suppressed) {
            stack.current().push(frame);
        }
    }
    stack
}

/// Parses `\tat label(path:line)`.
fn frame(line: &str, compat: Compat) -> Option<StackFrame<'_>> {
    let call = line.strip_prefix("\tat ")?.strip_suffix(')')?;
    if compat.cuts_java_labels() {
        let (label, inside) = call.split_once('(')?;
        let label = label.split_once('/').map_or(label, |(_, label)| label);
        let (path, line) = inside.split_once(':').map_or((inside, 0), |(path, line)| (path, line_number(line)));
        return Some(StackFrame::new(path, label, line));
    }
    // The name of a Kotlin function can contain parentheses.
    let (label, inside) = call.rsplit_once('(')?;
    let (path, line) = inside.rsplit_once(':').map_or((inside, 0), |(path, line)| (path, line_number(line)));
    Some(StackFrame::new(path, without_module(label), line))
}

/// Removes class loader and module, which precede the class as `loader/module@version/`, `loader//` or
/// `module@version/` (`java.lang.StackTraceElement.toString`).
fn without_module(label: &str) -> &str {
    // Most labels have no module.
    if !label.contains('/') {
        return label;
    }
    if let Some((_, class)) = label.rsplit_once("//") {
        return class;
    }
    // In the name of a hidden class, an address follows the slash: `Cart$$Lambda$14/0x0000000800c03000`.
    let is_separator = |at: usize| !label.get(at + 1..).unwrap_or_default().starts_with(|c: char| c.is_ascii_digit());
    let Some((at, _)) = label.rmatch_indices('/').find(|(at, _)| is_separator(*at)) else { return label };
    let class = label.get(at + 1..).unwrap_or_default();
    // The classes of a module have a package. OpenJ9 writes the packages of some hidden classes with slashes.
    if class.bytes().filter(|byte| *byte == b'.').count() >= 2 { class } else { label }
}

fn cause(header: &str, compat: Compat) -> CauseException<'_> {
    let circular = header.strip_prefix("[CIRCULAR REFERENCE: ").filter(|_| !compat.joins_java_messages());
    let header = circular.map_or(header, |header| header.strip_suffix(']').unwrap_or(header));
    let (kind, message) = header.split_once(':').unwrap_or((header, ""));
    // The collector also removes any character after the colon.
    let mut message = message.chars();
    message.next();
    CauseException { kind: kind.into(), message: message.as_str().into(), frames: Vec::new(), is_sibling: false }
}

/// Whether a line continues the message. In adot mode, only a frame ends the message.
fn belongs_to_message(line: &str, compat: Compat) -> bool {
    let is_frame = line.starts_with("\tat ") && line.contains('(') && line.ends_with(')');
    let ends_message = ["\t...", CAUSED_BY, "\tSuppressed: "].iter().any(|start| line.starts_with(start));
    !is_frame && (compat.joins_java_messages() || !ends_message)
}
