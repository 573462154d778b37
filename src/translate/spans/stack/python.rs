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

/// An exception, and the members of an exception group, each with its chain.
#[derive(Default)]
struct Node<'a> {
    traceback: Traceback<'a>,
    members: Vec<Chain<'a>>,
}

/// Exceptions in text order: the oldest is first.
type Chain<'a> = Vec<Node<'a>>;

/// Maximum depth of nested exception groups. Python writes ten (`traceback.TracebackException`, `max_group_depth`).
const MAX_GROUP_DEPTH: usize = 32;

/// Parses a chain from the top: the oldest exception is first, a marker follows each, and the event's exception is
/// last. An exception group is followed by its members, each with a margin.
pub(super) fn parse(text: &str) -> StackTrace<'_> {
    let mut parser = Parser { levels: vec![vec![Node::default()]], has_groups: false };
    for line in text.lines() {
        parser.take(line);
    }
    let mut stack = StackTrace::default();
    flatten(parser.finish(), Position::Event, &mut stack);
    stack
}

struct Parser<'a> {
    /// The open chain of each depth.
    levels: Vec<Chain<'a>>,
    /// Whether a group was opened, so that lines can have margins.
    has_groups: bool,
}

/// A line that separates the members of a group.
enum Separator {
    Member {
        level: usize,
    },
    /// Members that the text does not contain.
    Omitted {
        level: usize,
    },
    End {
        level: usize,
    },
}

impl<'a> Parser<'a> {
    fn take(&mut self, line: &'a str) {
        self.has_groups |= line.trim_start().starts_with("+ Exception Group Traceback ");
        if !self.has_groups {
            return self.take_content(0, line);
        }
        match separator(line) {
            Some(Separator::Member { level }) if level <= self.levels.len() && level <= MAX_GROUP_DEPTH => {
                self.close(level);
                self.levels.push(vec![Node::default()]);
            }
            Some(Separator::Omitted { level } | Separator::End { level }) => self.close(level),
            Some(Separator::Member { .. }) => {}
            None => {
                let (level, content) = without_margin(line);
                self.take_content(level, content);
            }
        }
    }

    fn take_content(&mut self, level: usize, line: &'a str) {
        self.close(level + 1);
        let is_member = level > 0;
        let is_open = level + 1 == self.levels.len();
        let Some(chain) = self.levels.last_mut().filter(|_| is_open) else { return };
        if line.starts_with(DURING) || line.starts_with(DIRECT) {
            chain.push(Node::default());
        } else if let Some(node) = chain.last_mut() {
            node.traceback.take(line, is_member);
        }
    }

    /// Closes the chains from a level on: they are members of the last exception of the level above.
    fn close(&mut self, level: usize) {
        while self.levels.len() > level.max(1) {
            let Some(chain) = self.levels.pop() else { return };
            if let Some(group) = self.levels.last_mut().and_then(|above| above.last_mut()) {
                group.members.push(chain);
            }
        }
    }

    fn finish(mut self) -> Chain<'a> {
        self.close(1);
        self.levels.pop().unwrap_or_default()
    }
}

/// Parses `  +-+---------------- 1 ----------------`, the same without the first two signs, or a line without a number.
fn separator(line: &str) -> Option<Separator> {
    let text = line.trim_start();
    let margin = (line.len() - text.len()) / 2;
    let (level, rest) = match text.strip_prefix("+-+-") {
        Some(rest) => (margin, rest),
        None => (margin.checked_sub(1)?, text.strip_prefix("+-")?),
    };
    let level = level.max(1);
    match rest.trim_matches('-').trim() {
        "" => Some(Separator::End { level }),
        "..." => Some(Separator::Omitted { level }),
        number => number.bytes().all(|byte| byte.is_ascii_digit()).then_some(Separator::Member { level }),
    }
}

/// Returns the level of a line in a group, and its content. The first two margins belong to the first level.
fn without_margin(line: &str) -> (usize, &str) {
    let text = line.trim_start_matches(' ');
    let margin = (line.len() - text.len()) / 2;
    match text.strip_prefix('|').or_else(|| text.strip_prefix('+')) {
        Some(content) => (margin.saturating_sub(1), content.strip_prefix(' ').unwrap_or(content)),
        None => (0, line),
    }
}

/// What an exception is in the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Event,
    /// The first member of a group, which is directly above it.
    Member,
    Sibling,
}

/// Appends a chain, with the last exception first, and then the members of its groups. The depth is limited by
/// [`MAX_GROUP_DEPTH`].
fn flatten<'a>(chain: Chain<'a>, position: Position, stack: &mut StackTrace<'a>) {
    let is_single = chain.len() == 1;
    let mut members = Vec::new();
    for (at, mut node) in chain.into_iter().rev().enumerate() {
        members.append(&mut node.members);
        let mut traceback = node.traceback;
        traceback.frames.reverse();
        if at == 0 && position == Position::Event {
            stack.frames = traceback.frames;
        } else if !traceback.frames.is_empty() || !traceback.header.is_empty() {
            let is_sibling = at == 0 && position == Position::Sibling;
            stack.causes.push(CauseException { is_sibling, ..traceback.into_cause() });
        }
    }
    for (at, member) in members.into_iter().enumerate() {
        flatten(member, if at == 0 && is_single { Position::Member } else { Position::Sibling }, stack);
    }
}

impl<'a> Traceback<'a> {
    /// Takes a line. A member of a group can have no frames.
    fn take(&mut self, line: &'a str, is_member: bool) {
        let is_preamble = || self.frames.is_empty() && (!is_member || is_title(line));
        if let Some(frame) = frame(line) {
            self.frames.push(frame);
        } else if !self.header.is_empty() {
            self.message.push(line);
        } else if !line.starts_with(' ') && !line.is_empty() && !is_preamble() {
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
        CauseException { kind: kind.into(), message: message.into(), frames: self.frames, is_sibling: false }
    }
}

/// Whether a line is the title of a traceback.
fn is_title(line: &str) -> bool {
    line.starts_with("Traceback (") || line.starts_with("Exception Group Traceback (")
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
                is_sibling: false,
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
