//! Stack traces of Go: one line for a call, and one for its location.

use super::text::{leading_number, lines_below_first};
use super::trace::{StackFrame, StackTrace};
use crate::translate::Compat;

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    let mut frames: Vec<StackFrame<'_>> = Vec::new();
    let mut lines = lines_below_first(text);
    let mut last_location = ("", 0);
    let repeats = compat.repeats_go_locations();
    while let Some(mut label) = lines.next() {
        if is_goroutine(label) {
            label = lines.next().unwrap_or_default();
        }
        let location = lines.next().and_then(location);
        last_location = location.unwrap_or(if repeats { last_location } else { ("", 0) });
        let label = if repeats { label } else { label.trim() };
        if !label.is_empty() || repeats {
            frames.push(StackFrame::new(last_location.0, label, last_location.1));
        }
    }
    StackTrace { frames, causes: Vec::new() }
}

/// Whether a line is `goroutine 7 [running]:`, which separates the stacks of goroutines.
fn is_goroutine(line: &str) -> bool {
    line.starts_with("goroutine") && line.ends_with(':') && line.contains("running")
}

/// Returns the first `path:digits` of a line. The path has no colon and no space.
fn location(line: &str) -> Option<(&str, i64)> {
    let mut from = 0;
    for (at, _) in line.match_indices(':') {
        let before = line.get(from..at)?;
        let start = before.rfind([' ', '\t', ':']).map_or(0, |space| space + 1);
        let path = before.get(start..)?;
        if let Some((number, _)) = leading_number(line.get(at + 1..)?)
            && !path.is_empty()
        {
            return Some((path, number));
        }
        from = at + 1;
    }
    None
}
