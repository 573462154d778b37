//! Position in an exposition, and errors that name the line.

use std::borrow::Cow;

use crate::model::masked::start_of;

/// Maximum bytes of the exposition that an error quotes.
const MAX_QUOTED_BYTES: usize = 32;

/// Syntax error of an exposition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SyntaxError {
    /// Starts at 1.
    pub line: usize,
    pub message: String,
}

#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// Returns the bytes between an earlier position and this one.
    pub(super) fn since(&self, start: Self) -> &'a [u8] {
        self.body.get(start.at..self.at).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.body.len()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.body.len().min(self.at.saturating_add(bytes));
    }

    /// Skips `expected` if it comes next. Returns whether it did.
    pub(super) fn consume(&mut self, expected: &[u8]) -> bool {
        let is_next = self.rest().starts_with(expected);
        if is_next {
            self.skip(expected.len());
        }
        is_next
    }

    /// Takes the longest run of bytes for which `is_part` is true.
    pub(super) fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| !is_part(byte)).unwrap_or(rest.len());
        self.skip(length);
        rest.get(..length).unwrap_or_default()
    }

    /// Takes spaces and tabs.
    pub(super) fn skip_whitespace(&mut self) -> &'a [u8] {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// Takes the rest of the line, without the line break.
    pub(super) fn line(&mut self) -> &'a [u8] {
        self.take_while(|byte| byte != b'\n')
    }

    /// Takes a metric or label name of the legacy character set. Empty if the next byte is not part of a name.
    pub(super) fn name(&mut self, with_colons: bool) -> Cow<'a, str> {
        let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (with_colons && byte == b':');
        if !self.peek().is_some_and(is_start) {
            return Cow::Borrowed("");
        }
        // The bytes are ASCII, so the conversion is lossless.
        String::from_utf8_lossy(self.take_while(|byte| is_start(byte) || byte.is_ascii_digit()))
    }

    /// Returns a syntax error at this position.
    pub(super) fn error(&self, message: impl Into<String>) -> SyntaxError {
        let before = self.body.get(..self.at).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        SyntaxError { line, message: message.into() }
    }

    /// Returns a syntax error with the expected and the actual input at this position.
    pub(super) fn expected(&self, expected: &str) -> SyntaxError {
        let actual = match self.peek() {
            None => "the end of the exposition".to_owned(),
            Some(b'\n') => "the end of the line".to_owned(),
            Some(_) => quoted(self.clone().line()),
        };
        self.error(format!("expected {expected}, found {actual}"))
    }
}

/// Quotes bytes of the exposition for an error message, up to a maximum length.
pub(super) fn quoted(bytes: &[u8]) -> String {
    match bytes.get(..=MAX_QUOTED_BYTES) {
        Some(more) => format!("{:?}...", start_of(&String::from_utf8_lossy(more), MAX_QUOTED_BYTES)),
        None => format!("{:?}", String::from_utf8_lossy(bytes)),
    }
}
