//! Parser of the syntax of Go, `regexp/syntax` with its flags for Perl. Without recursion.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

use super::flags::Opening;
use super::group::{Flags, Group, Item};
use super::repetition::{MAX_REPEAT, Range};
use super::{class, escape, flags, repetition};
use crate::rules::InvalidValue;

/// Maximum depth of groups. The compiler is recursive.
const MAX_DEPTH: usize = 200;

/// Maximum number of ranges of all classes. An expression of the maximum memory has fewer, and each takes eight bytes before it is
/// compiled.
const MAX_RANGES: usize = 100_000;

/// An expression, and the names of its groups. The first is the whole match.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) expression: Hir,
    pub(super) names: Vec<Option<String>>,
}

#[derive(Debug)]
struct Parser<'a> {
    rest: &'a str,
    flags: Flags,
    names: Vec<Option<String>>,
    group: Group,
    outer: Vec<Group>,
    /// Number of ranges of the classes so far.
    ranges: usize,
}

pub(super) fn parse(text: &str) -> Result<Parsed, InvalidValue> {
    let mut parser = Parser {
        rest: text,
        flags: Flags::default(),
        names: vec![None],
        group: Group::default(),
        outer: Vec::new(),
        ranges: 0,
    };
    // Text of the repetition directly before.
    let mut repetition = None;
    while let Some(char) = parser.rest.chars().next() {
        repetition = parser.next(char, repetition)?;
    }
    if !parser.outer.is_empty() {
        return Err(InvalidValue::new("missing closing )"));
    }
    Ok(Parsed { expression: parser.group.into_item().expression, names: parser.names })
}

impl<'a> Parser<'a> {
    /// Reads one element. Returns its text if it is a repetition.
    fn next(&mut self, char: char, before: Option<&'a str>) -> Result<Option<&'a str>, InvalidValue> {
        let from = self.rest;
        if let Some((range, rest)) = repetition::read(from)? {
            self.rest = rest;
            let text = &from[..from.len() - rest.len()];
            if let Some(before) = before {
                return Err(InvalidValue::new(format!("invalid nested repetition operator \"{before}{text}\"")));
            }
            return self.repeat(range, text).map(|()| Some(text));
        }
        match char {
            '(' => self.open_group()?,
            ')' => self.close_group()?,
            '|' => {
                self.rest = &self.rest[1..];
                self.group.next_alternative();
            }
            '[' => {
                let (class, rest) = class::bracket(self.rest, self.flags.ignores_case)?;
                self.rest = rest;
                self.push_class(class)?;
            }
            '\\' => self.escape()?,
            _ => {
                self.rest = &self.rest[char.len_utf8()..];
                let item = self.single(char);
                self.push(item);
            }
        }
        Ok(None)
    }

    fn single(&self, char: char) -> Hir {
        let Flags { is_multi_line, dot_matches_newline, .. } = self.flags;
        match char {
            '.' if dot_matches_newline => Hir::dot(Dot::AnyChar),
            '.' => Hir::dot(Dot::AnyCharExceptLF),
            '^' if is_multi_line => Hir::look(Look::StartLF),
            '^' => Hir::look(Look::Start),
            '$' if is_multi_line => Hir::look(Look::EndLF),
            '$' => Hir::look(Look::End),
            _ => self.literal(char),
        }
    }

    fn literal(&self, char: char) -> Hir {
        if self.flags.ignores_case {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(char, char)]);
            class.case_fold_simple();
            return Hir::class(Class::Unicode(class));
        }
        Hir::literal(char.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn push(&mut self, expression: Hir) {
        self.group.push(Item { expression, repeats: 1 });
    }

    fn push_class(&mut self, class: ClassUnicode) -> Result<(), InvalidValue> {
        self.ranges += class.ranges().len();
        if self.ranges > MAX_RANGES {
            let message = format!("the classes take too much memory: they have more than {MAX_RANGES} ranges");
            return Err(InvalidValue::new(message));
        }
        self.push(Hir::class(Class::Unicode(class)));
        Ok(())
    }

    fn check_depth(&self) -> Result<(), InvalidValue> {
        if self.outer.len() < MAX_DEPTH {
            return Ok(());
        }
        Err(InvalidValue::new(format!("groups are nested more than {MAX_DEPTH} levels deep")))
    }

    fn escape(&mut self) -> Result<(), InvalidValue> {
        let after = &self.rest[1..];
        let look = match after.chars().next() {
            Some('A') => Some(Look::Start),
            Some('z') => Some(Look::End),
            Some('b') => Some(Look::WordAscii),
            Some('B') => Some(Look::WordAsciiNegate),
            _ => None,
        };
        if let Some(look) = look {
            self.rest = &after[1..];
            self.push(Hir::look(look));
        } else if let Some(text) = after.strip_prefix('Q') {
            let (text, rest) = text.split_once("\\E").unwrap_or((text, ""));
            self.rest = rest;
            for char in text.chars() {
                let literal = self.literal(char);
                self.push(literal);
            }
        } else if let Some((ranges, rest)) = class::escaped(self.rest, self.flags.ignores_case)? {
            self.rest = rest;
            self.push_class(ClassUnicode::new(ranges))?;
        } else {
            let (char, rest) = escape::char(self.rest)?;
            self.rest = rest;
            let literal = self.literal(char);
            self.push(literal);
        }
        Ok(())
    }

    /// Applies a repetition to the last item.
    fn repeat(&mut self, (min, max): Range, text: &str) -> Result<(), InvalidValue> {
        let missing = || InvalidValue::new(format!("missing argument to repetition operator \"{text}\""));
        let Item { expression, repeats } = self.group.pop().ok_or_else(missing)?;
        let is_lazy = text.len() > 1 && text.ends_with('?');
        let is_counted = text.starts_with('{');
        let count = if is_counted { max.unwrap_or(min) } else { 1 };
        let product = repeats.saturating_mul(count);
        if product > MAX_REPEAT {
            let message =
                format!("invalid repeat count: nested repetitions repeat {product} times, at most {MAX_REPEAT}");
            return Err(InvalidValue::new(message));
        }
        let greedy = is_lazy == self.flags.is_ungreedy;
        let expression = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(expression) });
        self.group.push(Item { expression, repeats: product.max(1) });
        Ok(())
    }

    /// Reads `(`, `(?:`, `(?flags:`, `(?flags)` or `(?P<name>`.
    fn open_group(&mut self) -> Result<(), InvalidValue> {
        self.check_depth()?;
        let Some(perl) = self.rest.strip_prefix("(?") else {
            self.rest = &self.rest[1..];
            return self.open_capture(None);
        };
        if let Some(named) = perl.strip_prefix("P<") {
            let (name, rest) = named.split_once('>').unwrap_or((named, ""));
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                return Err(InvalidValue::new(format!("invalid named capture \"(?P<{name}>\"")));
            }
            self.rest = rest;
            return self.open_capture(Some(name.to_owned()));
        }
        let Opening { flags, is_group, rest } = flags::read(perl, self.flags)?;
        if is_group {
            self.open(None, self.flags);
        }
        (self.flags, self.rest) = (flags, rest);
        Ok(())
    }

    fn open_capture(&mut self, name: Option<String>) -> Result<(), InvalidValue> {
        let too_many = |_| InvalidValue::new("too many groups");
        let capture = Some(u32::try_from(self.names.len()).map_err(too_many)?);
        self.names.push(name);
        self.open(capture, self.flags);
        Ok(())
    }

    fn open(&mut self, capture: Option<u32>, flags_before: Flags) {
        self.outer.push(std::mem::replace(&mut self.group, Group::new(capture, flags_before)));
    }

    fn close_group(&mut self) -> Result<(), InvalidValue> {
        let Some(outer) = self.outer.pop() else { return Err(InvalidValue::new("unexpected )")) };
        let group = std::mem::replace(&mut self.group, outer);
        self.flags = group.flags_before;
        self.rest = &self.rest[1..];
        self.group.push(group.into_item());
        Ok(())
    }
}
