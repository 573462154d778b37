//! A place in a page, the bytes ahead of it, and errors that name the line.

use std::borrow::Cow;

/// As much of a page as an error quotes, in bytes.
const MAX_QUOTED_BYTES: usize = 32;

/// What is wrong with a page, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    page: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(page: &'a [u8]) -> Self {
        Self { page, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.page.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.page.get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.page.len()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.page.len().min(self.at.saturating_add(bytes));
    }

    /// Goes past `expected` when it comes next.
    pub(super) fn consume(&mut self, expected: &[u8]) -> bool {
        let comes_next = self.rest().starts_with(expected);
        if comes_next {
            self.skip(expected.len());
        }
        comes_next
    }

    /// The longest run of bytes that `belongs`.
    pub(super) fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| !belongs(byte)).unwrap_or(rest.len());
        self.skip(length);
        rest.get(..length).unwrap_or_default()
    }

    /// Spaces and tabs.
    pub(super) fn skip_whitespace(&mut self) -> &'a [u8] {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// The rest of the line, without its end.
    pub(super) fn line(&mut self) -> &'a [u8] {
        self.take_while(|byte| byte != b'\n')
    }

    /// A metric or label name of the classic character set; empty when none comes next.
    pub(super) fn name(&mut self, with_colons: bool) -> Cow<'a, str> {
        let belongs = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (with_colons && byte == b':');
        if !self.peek().is_some_and(belongs) {
            return Cow::Borrowed("");
        }
        // ASCII only, so that nothing is lost here.
        String::from_utf8_lossy(self.take_while(|byte| belongs(byte) || byte.is_ascii_digit()))
    }

    /// A syntax error at this place.
    pub(super) fn error(&self, message: impl Into<String>) -> SyntaxError {
        let before = self.page.get(..self.at).unwrap_or_default();
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        SyntaxError { line, message: message.into() }
    }

    /// A syntax error that tells what should stand here, and what does.
    pub(super) fn expected(&self, what: &str) -> SyntaxError {
        let found = match self.peek() {
            None => "the end of the page".to_owned(),
            Some(b'\n') => "the end of the line".to_owned(),
            Some(_) => quoted(self.clone().line()),
        };
        self.error(format!("{what} expected, {found} found"))
    }
}

/// Bytes of a page as an error message shows them, cut to a bearable length.
pub(super) fn quoted(bytes: &[u8]) -> String {
    match bytes.get(..MAX_QUOTED_BYTES) {
        Some(cut) if bytes.len() > MAX_QUOTED_BYTES => format!("{:?}...", String::from_utf8_lossy(cut)),
        _ => format!("{:?}", String::from_utf8_lossy(bytes)),
    }
}
