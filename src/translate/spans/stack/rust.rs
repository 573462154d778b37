//! Stack traces of Rust, in the format of `std::backtrace::Backtrace`, with or without locations.

use super::text::{leading_number, split_location};
use super::trace::{StackFrame, StackTrace};

pub(super) fn parse(text: &str) -> StackTrace<'_> {
    let mut stack = StackTrace::default();
    for line in text.lines().map(str::trim_start) {
        if let Some(location) = line.strip_prefix("at ") {
            let (path, number) = split_location(location.trim_end());
            if let Some(frame) = stack.frames.last_mut().filter(|frame| frame.path.is_empty()) {
                frame.path = path.into();
                frame.line = number;
            }
        } else if let Some((_, rest)) = leading_number(line)
            && let Some(label) = rest.strip_prefix(": ")
        {
            stack.frames.push(StackFrame::new("", label.trim(), 0));
        }
    }
    stack
}
