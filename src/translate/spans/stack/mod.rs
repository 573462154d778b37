//! Stack traces as text, read back into frames and chained exceptions.
//!
//! Each language prints its own way; the SDKs put that text into `exception.stacktrace`. In [`Compat::Adot`] the parsers
//! do what the collector's do (awsxrayexporter, `internal/translator/cause.go`), except that no text makes them panic.

mod dotnet;
mod go;
mod java;
mod javascript;
mod python;
mod ruby;
mod rust;

use std::borrow::Cow;

use crate::translate::Compat;

/// One call, as X-Ray shows it: all three are always written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackFrame<'a> {
    pub path: Cow<'a, str>,
    pub label: Cow<'a, str>,
    /// 0 where it is not known.
    pub line: i64,
}

impl<'a> StackFrame<'a> {
    fn new(path: &'a str, label: &'a str, line: i64) -> Self {
        StackFrame { path: Cow::Borrowed(path), label: Cow::Borrowed(label), line }
    }
}

/// An exception that was the cause of the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CauseException<'a> {
    pub kind: Cow<'a, str>,
    pub message: Cow<'a, str>,
    pub frames: Vec<StackFrame<'a>>,
}

/// What a stack trace says: the frames of the exception itself, deepest call first, and the chain of its causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackTrace<'a> {
    pub frames: Vec<StackFrame<'a>>,
    pub causes: Vec<CauseException<'a>>,
}

impl<'a> StackTrace<'a> {
    /// The frames of the exception that was met last.
    fn current(&mut self) -> &mut Vec<StackFrame<'a>> {
        match self.causes.last_mut() {
            Some(cause) => &mut cause.frames,
            None => &mut self.frames,
        }
    }

    /// Whether nothing could be read.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.causes.is_empty()
    }
}

/// How a stack trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Java,
    Python,
    JavaScript,
    DotNet,
    Go,
    Rust,
    Ruby,
    Unknown,
}

impl Language {
    /// From `telemetry.sdk.language`. The collector knows `javascript`, which no SDK says: theirs are `nodejs` and
    /// `webjs` (opentelemetry-collector-contrib issue 45356).
    pub fn from_sdk_language(language: &[u8], compat: Compat) -> Language {
        match language {
            b"java" | b"php" => Language::Java,
            b"python" => Language::Python,
            b"javascript" => Language::JavaScript,
            b"dotnet" => Language::DotNet,
            b"go" => Language::Go,
            b"nodejs" | b"webjs" if compat == Compat::Corrected => Language::JavaScript,
            b"rust" if compat == Compat::Corrected => Language::Rust,
            b"ruby" if compat == Compat::Corrected => Language::Ruby,
            _ => Language::Unknown,
        }
    }
}

/// Reads a stack trace. Never fails: what is not understood is passed over.
pub fn parse(language: Language, text: &str, compat: Compat) -> StackTrace<'_> {
    if text.is_empty() {
        return StackTrace::default();
    }
    match language {
        Language::Java => java::parse(text, compat),
        Language::Python if compat == Compat::Adot => python::parse_as_adot(text),
        Language::Python => python::parse(text),
        Language::JavaScript => javascript::parse(text, compat),
        Language::DotNet => dotnet::parse(text, compat),
        Language::Go => go::parse(text, compat),
        Language::Rust => rust::parse(text),
        Language::Ruby => ruby::parse(text),
        Language::Unknown => StackTrace::default(),
    }
}

/// The lines below the first, which repeats type and message.
fn lines_below_first(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(1)
}

/// A line number as the collector reads it: 0 for what is no number, the largest for what is too large a one.
fn line_number(text: &str) -> i64 {
    match text.parse() {
        Ok(number) => number,
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow => i64::MAX,
            std::num::IntErrorKind::NegOverflow => i64::MIN,
            _ => 0,
        },
    }
}

/// Digits at the start of a text, and what follows them.
fn leading_number(text: &str) -> Option<(i64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    (!digits.is_empty()).then(|| (line_number(digits), rest))
}

/// `path:line:column` or `path:line`, read from the right, where a path cannot be taken for a number.
fn split_location(text: &str) -> (&str, i64) {
    let numbered = |text: &'_ str| -> Option<(usize, i64)> {
        let (path, number) = text.rsplit_once(':')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| (path.len(), line_number(number)))
    };
    let Some((end, last)) = numbered(text) else { return (text, 0) };
    let path = text.get(..end).unwrap_or_default();
    match numbered(path) {
        Some((end, line)) => (path.get(..end).unwrap_or_default(), line),
        None => (path, last),
    }
}

#[cfg(test)]
mod tests;
