//! Stack traces of JavaScript: of V8 and, in corrected mode, of Firefox and Safari.

use super::text::{leading_number, line_number, lines_below_first, split_location};
use super::trace::{StackFrame, StackTrace};
use crate::translate::Compat;

pub(super) fn parse(text: &str, compat: Compat) -> StackTrace<'_> {
    let frames = if compat.splits_javascript_at_first_colons() {
        lines_below_first(text).filter_map(frame_from_left).collect()
    } else {
        text.lines().filter_map(|line| v8_frame(line).or_else(|| at_sign_frame(line))).collect()
    };
    StackTrace { frames, causes: Vec::new() }
}

/// Parses `    at label (path:line:column)` or `    at path:line:column`. A path can contain parentheses, and a label
/// only together with the word `as` or an index.
fn v8_frame(line: &str) -> Option<StackFrame<'_>> {
    let call = line.strip_prefix("    at ")?.trim();
    let inside = call.strip_suffix(')');
    let (label, location) = match inside.and_then(|call| call.split_once(" (")) {
        Some((label, location)) => (label, location),
        None if call.starts_with('(') => ("", inside.unwrap_or(call).trim_start_matches('(')),
        None if call.contains('/') || call.contains('\\') || call.contains("node:") => {
            ("", call.strip_prefix("async ").unwrap_or(call))
        }
        None if call.ends_with(')') => call.trim_end_matches(')').split_once('(').unwrap_or((call, "")),
        None => ("", call),
    };
    let (path, number) = split_location(source(location));
    let has_content = !(path.is_empty() && label.is_empty() && number == 0);
    has_content.then(|| StackFrame::new(path, label.trim(), number))
}

/// Returns the location in a file of a call. In code that `eval` compiled, this is the location of the `eval`, which V8
/// writes as `eval at label (location), <anonymous>:1:7`, nested if code calls `eval` in turn. Hermes writes
/// `address at` before a location.
fn source(location: &str) -> &str {
    let mut location = location.strip_prefix("address at ").unwrap_or(location);
    while let Some((_, outer)) = location.strip_prefix("eval at ").and_then(|eval| eval.split_once(" (")) {
        location = match outer.strip_prefix("eval at ") {
            Some(_) => outer,
            None => outer.split_once("), ").or_else(|| outer.split_once(')')).map_or(outer, |(location, _)| location),
        };
    }
    location
}

/// Parses `label@path:line:column`. In code that `eval` compiled, the path is `path line 3 > eval`.
fn at_sign_frame(line: &str) -> Option<StackFrame<'_>> {
    // A path can contain an `@`, such as that of a scoped package.
    let (label, location) = line.split_once('@')?;
    let (path, number) = split_location(location);
    let is_frame = number > 0 && path.contains('/') && !label.contains(char::is_whitespace);
    let (path, number) = match path.split_once(" line ") {
        Some((path, eval)) => leading_number(eval).map(|(number, _)| (path, number))?,
        None => (path, number),
    };
    is_frame.then(|| StackFrame::new(path, label, number))
}

/// Parses a V8 frame. The first two colons of the location separate path, line and column.
fn frame_from_left(line: &str) -> Option<StackFrame<'_>> {
    let call = line.strip_prefix("    at ")?;
    let (label, location) = match call.find('(') {
        Some(at) => (call.get(..at)?, call.get(at + 1..)?.strip_suffix(')')?),
        None => ("", call),
    };
    let (path, number) = match location.split_once(':') {
        Some((path, rest)) => match rest.split_once(':') {
            Some((number, _)) => (path, line_number(number)),
            None => (location, 0),
        },
        None if location.contains("native") => ("native", 0),
        None => ("", 0),
    };
    let has_content = !(path.is_empty() && label.is_empty() && number == 0);
    has_content.then(|| StackFrame::new(path, label, number))
}
