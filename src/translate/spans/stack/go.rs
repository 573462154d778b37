//! Go: a line for the call, a line for its place.

use super::{StackFrame, StackTrace, leading_number};
use crate::translate::Compat;

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    let mut frames: Vec<StackFrame<'_>> = Vec::new();
    let mut lines = super::lines_below_first(text);
    let mut last_place = ("", 0);
    while let Some(mut label) = lines.next() {
        if is_goroutine(label) {
            label = lines.next().unwrap_or_default();
        }
        let place = lines.next().and_then(place);
        // The collector gives a call without a place that of the call before it.
        last_place = place.unwrap_or(if compat == Compat::Adot { last_place } else { ("", 0) });
        let label = if compat == Compat::Corrected { label.trim() } else { label };
        if !label.is_empty() || compat == Compat::Adot {
            frames.push(StackFrame::new(last_place.0, label, last_place.1));
        }
    }
    StackTrace { frames, causes: Vec::new() }
}

/// `goroutine 7 [running]:`, between the stacks of several.
fn is_goroutine(line: &str) -> bool {
    line.starts_with("goroutine") && line.ends_with(':') && line.contains("running")
}

/// The first `path:digits` of a line, the path without colon or space.
fn place(line: &str) -> Option<(&str, i64)> {
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
